import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { helpersGone } from '../process.ts';
import { type Environment, jobVariables } from './environment.ts';
import type { Peer } from './peers.ts';

/** What one process of a peer's job took. */
export interface Cost {
  import_ms: number;
  init_ms: number;
  /** Median over rounds of 5,000 calls. */
  log_us: number;
  finish_ms: number;
  samples: number;
  /** What the folder grew by, over a run of one sample. */
  bytes_per_sample: number;
}

interface Job {
  peer: Peer;
  environment: Environment;
  root: string;
  scratch: string;
}

/** A small git repository to log from, as a user has one, with a home folder beside it. */
function makeProject(scratch: string): { folder: string; home: string } {
  const place = mkdtempSync(join(scratch, 'job-'));
  const folder = join(place, 'project');
  const home = join(place, 'home');
  mkdirSync(folder);
  mkdirSync(home);
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=bench', '-c', 'user.email=bench@localhost', ...args], {
      cwd: folder,
    });
  writeFileSync(join(folder, 'train.py'), 'print("a job")\n');
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '-m', 'A job');
  return { folder, home };
}

/** Bytes of all files below, hidden ones too; links are not followed, and the user's own repository does not count. */
function bytesIn(folder: string): number {
  let sum = 0;
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isFile()) sum += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
      else if (entry.isDirectory() && entry.name !== '.git') sum += bytesIn(path);
    }
  } catch (error) {
    // A helper process has just removed the folder.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return sum;
}

/** Waits until what helper processes still write has come to rest: no change for 1.5 s, at most 20 s. */
async function settle(place: string): Promise<number> {
  const until = Date.now() + 20_000;
  let bytes = bytesIn(place);
  for (let quiet = 0; quiet < 5 && Date.now() < until; ) {
    await sleep(300);
    const now = bytesIn(place);
    quiet = now === bytes ? quiet + 1 : 0;
    bytes = now;
  }
  return bytes;
}

/** Runs the driver in a process group of its own, which ends with it at last. */
async function drive(job: Job, place: { folder: string; home: string }, args: string[]) {
  const driver = join(import.meta.dirname, 'driver.py');
  const child: ChildProcess = spawn(job.environment.python, [driver, job.peer.adapter, ...args], {
    cwd: place.folder,
    env: jobVariables(job.root, place.home),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let output = '';
  let errors = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  const signal = await new Promise<string | null>((resolve, reject) => {
    const timer = setTimeout(() => endGroup(child), 300_000);
    child.once('error', reject);
    // Not 'close': helpers that outlive the job hold its pipes.
    child.once('exit', (_code, signal) => {
      clearTimeout(timer);
      setTimeout(() => resolve(signal), 50);
    });
  });
  if (signal === null && output.trim() === '') {
    endGroup(child);
    throw new Error(errors.trim().split('\n').slice(-3).join(' | ') || 'no answer');
  }
  return { child, output };
}

/** Ends what a job left running; only ever the group that this module started. */
function endGroup(child: ChildProcess): void {
  child.stdout?.destroy();
  child.stderr?.destroy();
  try {
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group has ended by itself.
  }
}

async function inProject<T>(
  job: Job,
  work: (place: { folder: string; home: string }) => Promise<T>,
): Promise<T> {
  const place = makeProject(job.scratch);
  try {
    return await work(place);
  } finally {
    await helpersGone(place.folder);
    rmSync(join(place.folder, '..'), { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** How many samples the peer itself finds. */
async function countSamples(job: Job, place: { folder: string; home: string }): Promise<number> {
  const { child, output } = await drive(job, place, ['count', place.folder, '0']);
  endGroup(child);
  return (JSON.parse(output) as { samples: number }).samples;
}

/** Bytes on disk after a run of one sample, finished and at rest: what a run costs before it logs. */
export function measureEmptyRun(job: Job): Promise<number> {
  return inProject(job, async (place) => {
    const { child } = await drive(job, place, ['log', place.folder, '1']);
    await settle(join(place.folder, '..'));
    endGroup(child);
    if (job.peer.adapter === 'waddle_client') await countSamples(job, place);
    return bytesIn(join(place.folder, '..'));
  });
}

/** One process: import, init, rounds of `calls` log calls, finish; then the bytes at rest. */
export function measureCost(job: Job, calls: number, rounds: number, emptyRun: number): Promise<Cost> {
  return inProject(job, async (place) => {
    const { child, output } = await drive(job, place, ['cost', place.folder, String(calls), String(rounds)]);
    const cost = JSON.parse(output) as Cost;
    await settle(join(place.folder, '..'));
    endGroup(child);
    // Waddle's store is a second copy, made when somebody reads: it counts.
    if (job.peer.adapter === 'waddle_client') await countSamples(job, place);
    cost.bytes_per_sample = (bytesIn(join(place.folder, '..')) - emptyRun) / (cost.samples - 1);
    return cost;
  });
}

/**
 * Samples that can be read back after `kill -9` right after the last of `calls` log calls returned. Helper processes of
 * the peer live on and get their time.
 */
export function measureKill(job: Job, calls: number): Promise<number> {
  return inProject(job, async (place) => {
    const { child } = await drive(job, place, ['kill', place.folder, String(calls)]);
    await settle(join(place.folder, '..'));
    try {
      return await countSamples(job, place);
    } finally {
      endGroup(child);
    }
  });
}
