import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { setPriority } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { eventTime, parseLine } from '../events/line.ts';
import { type Drift, findDrift } from '../git/drift.ts';
import type { SnapshotPolicy } from '../git/policy.ts';
import { takeSnapshot } from '../git/snapshot.ts';
import type { Snapshot } from '../git/snapshot-record.ts';
import { hasJournal, listJournals } from '../journal/discover.ts';
import { readHead } from '../journal/head.ts';
import { type Layout, runFolder } from '../journal/layout.ts';
import { identityOf, judgeLife, type ProcessIdentity } from '../journal/process-identity.ts';
import { openPlainBytes, readLines } from '../journal/reader.ts';
import { JournalWriter } from '../journal/writer.ts';
import { COMPANION_PRIORITY } from './companion-process.ts';
import { type ConsoleFollower, removeConsoleFiles } from './console-follower.ts';
import { takeOverConsole } from './console-recovery.ts';
import { describeEnvironment, type EnvironmentPlan, isPythonName } from './environment.ts';
import { type GpuSample, watchGpus } from './gpu.ts';
import { findProgram } from './interpreter.ts';
import { SystemSampler } from './system-metrics.ts';

/** The process beside a job: system metrics, environment, and what `waddle run` does where there is no `waddle run`. */
export interface CompanionTask {
  layout: Layout;
  runId: string;
  attempt: string;
  /** The job's first process. */
  pid: number;
  /** The Python interpreter, where it is known; else it is looked for behind `pid`. */
  python: string | null;
  /** The job's working directory. */
  cwd: string;
  /**
   * `beside` a `waddle run`, which it watches by its stdin; `init` for a run that a program began by itself: then it
   * takes the snapshot and tells that the run lives, too.
   */
  role: 'beside' | 'init';
  client: string;
  env: Record<string, string | undefined>;
  stdin: NodeJS.ReadableStream;
  /** Seconds between samples; 0 for none. */
  everySeconds: number;
  snapshot: { autoCommit: boolean; policy: SnapshotPolicy };
  environment: EnvironmentPlan;
  /** Keeps the store caught up until the signal; resolves when it has stopped. */
  follow(signal: AbortSignal): Promise<void>;
  /** The run has ended and this process is the last one that cares: seal and catch up. */
  settle(): void;
}

const BEAT_MS = 5000;
/** How often the job is looked for, in ms. */
const LOOK_MS = 500;

/** Runs until the run has ended or the job is gone; never longer. */
export async function accompany(task: CompanionTask): Promise<void> {
  try {
    setPriority(COMPANION_PRIORITY);
  } catch {
    // Not allowed: then at the job's own priority.
  }
  const folder = runFolder(task.layout, task.runId);
  // The job removed its own record already: to write beside it would bring an empty one back.
  if (task.role === 'beside' && !hasJournal(folder, task.attempt)) return;
  const journal = JournalWriter.open({
    folder,
    role: 'helper',
    run: task.runId,
    client: task.client,
    attempt: task.attempt,
  });
  const job = identityOf(task.pid);
  const stop = new AbortController();
  const timers: NodeJS.Timeout[] = [];
  const supervisor = task.role === 'beside' ? watchSupervisor(task.stdin) : null;
  const note = (code: string, error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    if (!journal.closed) journal.append({ k: 'warning', t: eventTime(), code, message });
  };
  let beating = task.role === 'init';
  const beat = () => void (beating && journal.append({ k: 'beat', t: eventTime() }));
  beat();
  timers.push(setInterval(beat, BEAT_MS));

  /** Epoch ms when this attempt of the program began: its snapshot is taken a moment later. */
  const began = beganAt(folder, task.attempt);
  const snapshot = task.role === 'init' ? recordSnapshot(task, began, journal, stop.signal, note) : null;
  const describing = recordEnvironment(task, journal).catch((error) => note('environment-failed', error));
  const sampling = task.everySeconds > 0 ? sampleSystem(task, journal, folder) : null;
  const following = task.follow(stop.signal).catch((error) => note('ingest-failed', error));

  let follower: ConsoleFollower | null = null;
  /** The supervisor is gone: somebody has to tell that the run lives, and what it prints. */
  const takeOver = () => {
    beating = true;
    follower = takeOverConsole(folder, task.attempt, journal);
    follower?.pump();
  };
  const ended = await new Promise<'asked' | 'alone'>((resolve) => {
    supervisor?.ended.then(() => resolve('asked'));
    timers.push(
      setInterval(() => {
        if (supervisor?.died() && !beating) takeOver();
        const finished = task.role === 'init' && hasEnded(folder, task.attempt);
        if (finished || isGone(job)) {
          // A living supervisor sees its job's end itself, and asks in a moment.
          if (supervisor === null || supervisor.died()) resolve('alone');
        }
      }, LOOK_MS),
    );
  });

  for (const timer of timers) clearInterval(timer);
  await sampling?.finish();
  await describing;
  const left = follower as ConsoleFollower | null;
  const whole = left?.finish() ?? false;
  left?.close();
  if (ended === 'asked') {
    // The supervisor waits to do the rest. Ingest is left where it is, between two transactions.
    journal.close();
    return;
  }
  const taken = task.role === 'init' ? await snapshot : readSnapshot(folder, task.attempt);
  if (taken) {
    const early = task.role === 'init' ? changedSince(taken, began) : [];
    await recordDrift(task, taken, early, journal).catch((error) => note('drift-failed', error));
  }
  journal.close();
  if (whole) removeConsoleFiles(folder, task.attempt);
  stop.abort();
  await following;
  task.settle();
}

/** The snapshot that the supervisor took before it died. */
function readSnapshot(folder: string, attempt: string): Snapshot | null {
  const bytes = openPlainBytes(join(folder, `${attempt}.jsonl`));
  if (bytes === null) return null;
  try {
    for (const { lines } of readLines(bytes, 0)) {
      for (const { text } of lines) {
        if (!text?.startsWith('{"k":"snapshot"')) continue;
        const parsed = parseLine(text);
        if (parsed.type === 'event' && parsed.event.k === 'snapshot')
          return parsed.event.snapshot as Snapshot;
      }
    }
  } finally {
    bytes.close();
  }
  return null;
}

/** By its stdin: the line `end` asks to finish, a mere end of file means that the supervisor died. */
function watchSupervisor(stdin: NodeJS.ReadableStream): { ended: Promise<void>; died(): boolean } {
  let text = '';
  let died = false;
  const ended = new Promise<void>((resolve) => {
    stdin.setEncoding('utf8');
    stdin.on('data', (chunk) => {
      text += String(chunk);
      if (text.includes('end\n')) resolve();
    });
    const close = () => {
      if (!text.includes('end\n')) died = true;
    };
    stdin.on('end', close);
    stdin.on('error', close);
  });
  return { ended, died: () => died };
}

function isGone(job: ProcessIdentity): boolean {
  // Where the start time is not known (it was gone before we looked, or no /proc), the pid alone must do.
  return judgeLife(job) === 'dead' || (job.started === null && process.platform === 'linux');
}

/** Whether the program has ended the run itself (`finish()`): the `end` event in one of its journals. */
function hasEnded(folder: string, attempt: string): boolean {
  for (const { path, writer, sealed } of listJournals(folder)) {
    if (writer !== attempt) continue;
    if (sealed) return true;
    const bytes = openPlainBytes(path);
    if (bytes === null) continue;
    try {
      // `end` is written right before `close`, or followed by few lines.
      const from = Math.max(0, bytes.length - 64 * 1024);
      for (const { lines } of readLines(bytes, from)) {
        if (lines.some(({ text }) => text?.startsWith('{"k":"end"'))) return true;
      }
    } finally {
      bytes.close();
    }
  }
  return false;
}

async function recordSnapshot(
  task: CompanionTask,
  began: number,
  journal: JournalWriter,
  signal: AbortSignal,
  note: (code: string, error: unknown) => void,
): Promise<Snapshot | null> {
  try {
    const snapshot = await takeSnapshot({
      cwd: task.cwd,
      env: task.env,
      privateDir: task.layout.privateGit,
      folder: task.layout.project,
      autoCommit: task.snapshot.autoCommit,
      policy: task.snapshot.policy,
      signal,
    });
    journal.append({ k: 'snapshot', t: eventTime(), snapshot });
    if (snapshot.store === 'private') {
      journal.append({ k: 'tag', t: eventTime(), key: 'waddle_workspace_snapshot', value: 'true' });
    }
    const early = changedSince(snapshot, began);
    if (early.length > 0) {
      journal.append({ k: 'drift', t: eventTime(), files: early });
      journal.append({ k: 'tag', t: eventTime(), key: 'waddle_code_changed', value: 'true' });
    }
    return snapshot;
  } catch (error) {
    note('snapshot-failed', error);
    return null;
  }
}

/**
 * When the attempt's own journal was made, in epoch ms: by the clock that files' times are of, which lags behind the
 * system's by a few milliseconds. Now, where that is not known.
 */
function beganAt(folder: string, attempt: string): number {
  const stats = statSync(join(folder, `${attempt}.jsonl`), { throwIfNoEntry: false });
  return stats === undefined || stats.birthtimeMs === 0 ? Date.now() : stats.birthtimeMs;
}

/**
 * Files that the snapshot has in a state that is younger than the run: they were changed while it was being taken. New
 * files do not count.
 */
function changedSince(snapshot: Snapshot, began: number): Drift[] {
  const { repository } = snapshot;
  if (repository === null) return [];
  return snapshot.changed.flatMap(({ path, status }): Drift[] => {
    const stats = lstatSync(join(repository, path), { throwIfNoEntry: false });
    if (stats === undefined || stats.mtimeMs < began || (status === 'A' && stats.birthtimeMs >= began))
      return [];
    return [{ path, change: 'changed' }];
  });
}

async function recordDrift(
  task: CompanionTask,
  snapshot: Snapshot,
  early: readonly Drift[],
  journal: JournalWriter,
): Promise<void> {
  const { layout, cwd, env } = task;
  const late = await findDrift({ snapshot, cwd, env, privateDir: layout.privateGit });
  const files = [...early.filter((each) => !late.some(({ path }) => path === each.path)), ...late];
  if (files.length === 0) return;
  journal.append({ k: 'drift', t: eventTime(), files });
  journal.append({ k: 'tag', t: eventTime(), key: 'waddle_code_changed', value: 'true' });
}

async function recordEnvironment(task: CompanionTask, journal: JournalWriter): Promise<void> {
  const python = task.python ?? pythonOf(task.pid, task.env);
  const environment = await describeEnvironment({
    python,
    env: task.env,
    cwd: task.cwd,
    project: task.layout.project,
    plan: task.environment,
  });
  journal.append({ k: 'env', t: eventTime(), environment });
}

/** The interpreter of a Python process, as it was called: a virtual environment's, not the one behind its link. */
function pythonOf(pid: number, env: Record<string, string | undefined>): string | null {
  try {
    const called = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')[0] ?? '';
    const file = readlinkSync(`/proc/${pid}/exe`);
    if (!isPythonName(file)) return null;
    if (!isPythonName(called)) return file;
    return findProgram(called, isAbsolute(called) ? '/' : readlinkSync(`/proc/${pid}/cwd`), env) ?? file;
  } catch {
    return null;
  }
}

/** Samples now, a second later (rates need two), and then every so often. */
function sampleSystem(
  task: CompanionTask,
  journal: JournalWriter,
  folder: string,
): { finish(): Promise<void> } {
  const began = (readHead(folder)?.started_at ?? Date.now() / 1000) * 1000;
  const sampler = new SystemSampler(task.pid, dirname(folder));
  const tell = (values: Record<string, number>) => {
    if (Object.keys(values).length === 0) return;
    const step = Math.max(0, Math.round((Date.now() - began) / 1000));
    journal.append({ k: 'm', t: eventTime(), s: step, v: values });
  };
  let last = 0;
  const sample = async () => {
    last = performance.now();
    tell(await sampler.sample());
  };
  let busy = sample();
  const next = () => {
    busy = busy.then(sample, sample);
  };
  const soon = setTimeout(next, Math.min(1000, task.everySeconds * 500));
  const timer = setInterval(next, task.everySeconds * 1000);
  const endGpus = watchGpus(task.env, task.everySeconds, (gpu) => tell(gpuValues(gpu)));
  return {
    finish: async () => {
      clearTimeout(soon);
      clearInterval(timer);
      endGpus();
      // A last one where the job ran on well past the one before.
      if (performance.now() - last > task.everySeconds * 500) next();
      await busy.catch(() => undefined);
    },
  };
}

function gpuValues(gpu: GpuSample): Record<string, number> {
  const { index, ...readings } = gpu;
  const values: Record<string, number> = {};
  for (const [name, value] of Object.entries(readings)) {
    if (value !== null) values[`system/gpu${index}_${name}`] = value;
  }
  return values;
}
