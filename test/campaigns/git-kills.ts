/**
 * `kill -9` at random moments of a snapshot and of a `gc`: after each, `git fsck` is clean, nobody is locked out, the code
 * of every run that was recorded is there, and the next run works. Seeded: the same seed does the same again, as far as the
 * machine's timing allows.
 *
 *     node test/campaigns/git-kills.ts --rounds 60 --seed 1
 */
import { spawnSync } from 'node:child_process';
import { globSync, rmSync, statSync, utimesSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ended, processesUnder, Sandbox, WADDLE } from '../support/sandbox.ts';

export interface Campaign {
  rounds: number;
  seed: number;
  say?(text: string): void;
}

export interface CampaignResult {
  /** Rounds whose victim was still alive when the signal came. */
  killed: number;
  /** Locks that a killed git left behind, and that the next run got over. */
  locks: number;
}

/** Marsaglia's xorshift, 32 bits; numbers from 0 up to 1. */
function random(seed: number): () => number {
  let state = (seed * 2_654_435_761) | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

interface Shown {
  id: string;
  snapshot: { tree: string; store: string; incomplete: boolean } | null;
}

/** Throws at the first thing that did not survive. */
export async function killGit({ rounds, seed, say = () => undefined }: Campaign): Promise<CampaignResult> {
  const sandbox = new Sandbox();
  const next = random(seed);
  const result: CampaignResult = { killed: 0, locks: 0 };
  try {
    for (let file = 0; file < 150; file += 1)
      sandbox.write(`src/part${file % 10}/file${file}.py`, `value = ${file}\n`);
    const recorded = new Map<string, string>();
    for (let round = 0; round < rounds; round += 1) {
      const collecting = round % 3 === 2;
      for (let file = 0; file < 60; file += 1)
        sandbox.write(`new/${round % 4}/file${file}.py`, `${round} ${file}\n`);
      if (collecting) {
        // Half of them, so that folded pins are rewritten, and others must be kept.
        for (const id of [...recorded.keys()].filter(() => next() < 0.5)) {
          recorded.delete(id);
          sandbox.waddle('rm', '--yes', id);
        }
      }
      const victim = sandbox.start(WADDLE, collecting ? ['gc'] : ['run', '--', 'true'], { detached: true });
      await sleep(30 + next() * (collecting ? 350 : 300));
      // Either Waddle alone, its git living on for a moment; or everything at once, as when the machine goes down.
      const alive = victim.exitCode === null;
      const all = next() < 0.5;
      if (all) for (const pid of processesUnder(sandbox.folder)) kill(pid);
      if (victim.pid !== undefined) kill(victim.pid);
      await ended(victim);
      if (alive) result.killed += 1;
      for (let wait = 0; processesUnder(sandbox.folder).length > 0 && wait < 250; wait += 1) await sleep(20);
      result.locks += agedLocks(sandbox, all);
      const what = `round ${round} of seed ${seed} (${collecting ? 'gc' : 'run'}${all ? ', all of it' : ''})`;
      try {
        check(sandbox, recorded);
      } catch (error) {
        throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      }
      say(`${what}: sound\n`);
    }
    return result;
  } finally {
    await sandbox.remove();
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

/**
 * Locks that are left. Waddle's own must get out of the way by themselves once they are old, so they are made so here. One
 * of git's (`packed-refs.lock`) can only be where git itself was killed, and is git's user's to remove, as ever.
 */
function agedLocks(sandbox: Sandbox, all: boolean): number {
  const locks = globSync('.git/**/*.lock', { cwd: sandbox.folder });
  for (const lock of locks) {
    const path = join(sandbox.folder, lock);
    if (!all) throw new Error(`${lock} is left, though git was not killed`);
    if (lock.startsWith('.git/refs/waddle/')) utimesSync(path, 1e9, 1e9);
    else if (basename(lock) === 'packed-refs.lock') rmSync(path);
    else throw new Error(`${lock} is left`);
  }
  return locks.length;
}

function check(sandbox: Sandbox, recorded: Map<string, string>): void {
  const fsck = spawnSync('git', ['fsck', '--strict', '--no-dangling'], {
    cwd: sandbox.folder,
    env: sandbox.env,
    encoding: 'utf8',
  });
  if (fsck.status !== 0 || /error|missing|broken|corrupt/.test(fsck.stdout + fsck.stderr)) {
    throw new Error(`git fsck: ${fsck.stdout}${fsck.stderr}`);
  }
  const run = sandbox.waddle('run', '--', 'true');
  if (run.status !== 0) throw new Error(`the next run ended with ${run.status}: ${run.stderr}`);
  const shown = sandbox.json<Shown>('show', '@last');
  const { snapshot } = shown;
  if (snapshot?.store !== 'repository' || snapshot.incomplete) {
    throw new Error(
      `the next run was not recorded in the repository: ${JSON.stringify(snapshot)}\n${run.stderr}`,
    );
  }
  recorded.set(shown.id, snapshot.tree);
  // What was recorded is what lies here.
  sandbox.git('-c', 'core.safecrlf=false', 'add', '--all');
  const here = sandbox.git('write-tree').trim();
  sandbox.git('reset', '--quiet');
  if (here !== snapshot.tree) throw new Error(`recorded ${snapshot.tree}, here lies ${here}`);
  for (const [id, tree] of recorded) {
    const found = spawnSync('git', ['ls-tree', '-r', '--name-only', tree], {
      cwd: sandbox.folder,
      env: sandbox.env,
    });
    if (found.status !== 0) throw new Error(`the code of ${id} is gone`);
  }
  // Nothing but pins keeps these alive.
  const pins = sandbox.git('for-each-ref', '--format=%(refname)', 'refs/waddle');
  if (pins.trim() === '') throw new Error('nothing is pinned');
  const left = globSync('.git/refs/waddle/**/*.lock', { cwd: sandbox.folder }).filter(
    (lock) => Date.now() - statSync(join(sandbox.folder, lock)).mtimeMs > 60_000,
  );
  // A lock of a tree that nobody pins again is in nobody's way; one of the tree of trees would be.
  if (left.some((lock) => lock.endsWith('trees.lock'))) throw new Error(`${left.join(', ')} is still there`);
}

if (process.argv[1] === import.meta.filename) {
  const option = (name: string, fallback: number) => {
    const at = process.argv.indexOf(`--${name}`);
    return at === -1 ? fallback : Number(process.argv[at + 1]);
  };
  const result = await killGit({
    rounds: option('rounds', 60),
    seed: option('seed', 1),
    say: (text) => void process.stdout.write(text),
  });
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
