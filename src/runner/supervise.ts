import { closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { WaddleError, whyUnwritable } from '../errors/waddle-error.ts';
import { eventTime } from '../events/line.ts';
import type { EventOf, RunError } from '../events/schema.ts';
import { findDrift } from '../git/drift.ts';
import { type SnapshotOptions, takeSnapshot } from '../git/snapshot.ts';
import type { Snapshot } from '../git/snapshot-record.ts';
import { readHead, writeHead } from '../journal/head.ts';
import { consoleFile, type Layout, runFolder } from '../journal/layout.ts';
import { identityOf } from '../journal/process-identity.ts';
import { JournalWriter } from '../journal/writer.ts';
import { type Companion, startCompanion } from './companion-process.ts';
import { ConsoleFollower, type FollowedStream, removeConsoleFiles } from './console-follower.ts';
import { describeEnvironment, type EnvironmentPlan } from './environment.ts';
import type { JobPlace, Written } from './job-place.ts';
import {
  type JobCommand,
  type JobExit,
  type JobProcess,
  SpawnFailure,
  startJob,
  startJobOnTerminal,
} from './job-process.ts';
import { storeOutputs } from './output-artifacts.ts';
import { isInForeground, killJob, signalJob } from './process-tree.ts';
import { watchForStop } from './stop-watch.ts';

/** Everything about a run that is decided before it begins. */
export interface RunPlan {
  runId: string;
  /** What the `start` event tells; null where an existing run is resumed. */
  start: Omit<EventOf<'start'>, 'k' | 't' | 'id' | 'attempt' | 'supervised'> | null;
  /** What a `resume` event tells. */
  resume: Pick<EventOf<'resume'>, 'argv' | 'command' | 'cwd'>;
  job: JobCommand;
  /** The code of another run that is run again: recorded instead of a new snapshot. */
  given: Snapshot | null;
  /** Makes a place of its own for the job from the snapshot; null: it runs in the workspace. */
  place: ((snapshot: Snapshot, runId: string, signal: AbortSignal) => Promise<JobPlace>) | null;
  /** `cwd` where the code is not that of the job's own working folder. */
  snapshot: Pick<SnapshotOptions, 'message' | 'autoCommit' | 'policy' | 'folder'> & { cwd?: string };
  /** What of the environment is recorded. */
  environment: EnvironmentPlan;
  /** The job gets a pseudo-terminal of its own. */
  tty: boolean;
  /** SIGHUP was ignored when Waddle was started (nohup): it stays so, for the job too. */
  hangupIgnored: boolean;
  /** The Python interpreter that runs the job, where it is known to be Python. */
  python: string | null;
}

export interface Supervision {
  layout: Layout;
  /** Name and version of this program, for the journal. */
  client: string;
  /** The environment in which git is run. */
  env: Record<string, string | undefined>;
  stdout: Writable;
  stderr: Writable;
  stdin: NodeJS.ReadStream;
  /** How `waddle __helper` is called; null starts none. */
  companion: { command: readonly string[] } | null;
  say(text: string): void;
  warn(text: string): void;
  /** Called once, as soon as the code is pinned and the job is about to start. */
  onSnapshot(snapshot: Snapshot): void;
}

export interface RunOutcome {
  attempt: string;
  status: 'completed' | 'failed' | 'aborted';
  /** What `waddle run` exits with. */
  exitCode: number;
  signal: string | null;
  reason: string | null;
  snapshot: Snapshot | null;
  drift: { path: string; change: string }[];
  /** What the job wrote into its copy of the code; null where it ran in the workspace. */
  written: Written | null;
  /** From the start of the supervision to the end of the job. */
  seconds: number;
  /** Resolves when everything that the job printed was shown. A reader that pauses (a pager) may take its time. */
  shown: Promise<void>;
}

const BEAT_MS = 5000;
/** A job that ended before this gets no companion: starting one would cost more than the job. */
const COMPANION_AFTER_MS = 100;
const DEFAULT_GRACE_S = 30;

/** Someone asked the job to stop; however it then exits, the run is aborted. */
interface Asked {
  reason: string;
  exitCode: number;
}

/**
 * Runs a job to its end and journals everything about it. The steps, in order: journal and head, snapshot, job,
 * companion; then the end, the drift of the code, the closing line. Resolves when the journal is closed.
 */
export async function supervise(plan: RunPlan, world: Supervision): Promise<RunOutcome> {
  const began = performance.now();
  const folder = runFolder(world.layout, plan.runId);
  const asked: { by: Asked | null } = { by: null };
  const abort = new AbortController();
  // git starts first: everything else here is done while it works.
  const snapshotting =
    plan.given !== null
      ? Promise.resolve(plan.given)
      : takeSnapshot({
          cwd: plan.job.cwd,
          env: world.env,
          privateDir: world.layout.privateGit,
          signal: abort.signal,
          // What it leaves behind is for the drift check, and a copy does not drift.
          keepIndex: plan.place === null,
          ...plan.snapshot,
        });
  snapshotting.catch(() => undefined);
  let journal: JournalWriter;
  try {
    journal = JournalWriter.open({
      folder,
      role: 'supervisor',
      run: plan.runId,
      client: world.client,
      attempt: 'self',
    });
  } catch (error) {
    abort.abort();
    throw unwritable(folder, error);
  }
  const attempt = journal.name;
  let job: JobProcess | null = null;
  let place: JobPlace | null = null;
  const signals = handleSignals({
    hangupIgnored: plan.hangupIgnored,
    shared: () => job !== null && !job.ownGroup,
    ask: (by) => {
      asked.by ??= by;
      abort.abort();
    },
    job: () => job,
    say: world.say,
  });
  let beat: NodeJS.Timeout | undefined;
  let companionTimer: NodeJS.Timeout | undefined;
  let killTimer: NodeJS.Timeout | undefined;
  let stopWatch: (() => void) | undefined;
  const unwatch = () => {
    stopWatch?.();
    for (const timer of [killTimer, companionTimer, beat]) clearTimeout(timer);
  };
  try {
    announce(plan, journal, folder, attempt);
    beat = setInterval(() => journal.append({ k: 'beat', t: eventTime() }), BEAT_MS);
    const snapshot = await recordSnapshot(snapshotting, journal, world);
    if (snapshot !== null) world.onSnapshot(snapshot);

    let exit: JobExit = { code: null, signal: null };
    let failure: StartFailure | null = null;
    let follower: ConsoleFollower | null = null;
    const companion: { started: Companion | null } = { started: null };
    if (asked.by === null) {
      try {
        place = await makePlace(plan, snapshot, abort.signal);
        if (asked.by === null) {
          // Before the job: one that removes its own record takes the names of these files with it, not their bytes.
          follower = followConsole(plan, world, folder, attempt, journal);
          job = await start(place?.job ?? plan.job, plan, world, folder, attempt);
        }
      } catch (error) {
        failure = startFailure(error, abort.signal);
      }
      if (job !== null) {
        const { pid } = job;
        place?.noteJob(pid);
        const { boot, pidns, started } = identityOf(pid);
        journal.append({ k: 'job', t: eventTime(), attempt, pid, boot, pidns, started });
        follower?.pump();
        companionTimer = setTimeout(() => {
          companion.started = launchCompanion(plan, world, attempt, pid, journal);
        }, COMPANION_AFTER_MS);
        const own = job.ownGroup;
        stopWatch = watchForStop(folder, attempt, (stop) => {
          asked.by ??= { reason: 'stopped by `waddle stop`', exitCode: 143 };
          signalJob(pid, own, 'SIGTERM');
          clearTimeout(killTimer);
          killTimer = setTimeout(() => killJob(pid, own), (stop.grace ?? DEFAULT_GRACE_S) * 1000);
        });
        // Asked while it was being started: nobody has told it yet.
        if (asked.by !== null) signalJob(pid, own, 'SIGTERM');
        exit = await job.exited;
      }
    }
    unwatch();
    const whole = follower?.finish() ?? true;
    const outcome = judge(exit, failure, asked.by);
    const seconds = (performance.now() - began) / 1000;
    journal.append({
      k: 'end',
      t: eventTime(),
      attempt,
      status: outcome.status,
      exit_code: outcome.exitCode,
      signal: outcome.signal,
      reason: outcome.reason,
      error: outcome.error,
      by: 'supervisor',
    });
    if (failure !== null) world.warn(`waddle: ${failure.message}\n${failure.hint}\n`);
    job = null;
    const [drift, written] = await Promise.all([
      snapshot === null || failure !== null || plan.place !== null
        ? []
        : recordDrift(snapshot, plan, journal, world),
      place === null ? null : recordWritten(place, journal, world),
      companion.started?.stop(),
      companion.started === null && failure === null && asked.by === null
        ? recordEnvironment(plan, journal, world)
        : undefined,
    ]);
    journal.close();
    if (whole) removeConsoleFiles(folder, attempt);
    return {
      attempt,
      status: outcome.status,
      exitCode: outcome.exitCode,
      signal: outcome.signal,
      reason: outcome.reason,
      snapshot,
      drift,
      written,
      seconds,
      shown: follower === null ? Promise.resolve() : follower.drained().finally(() => follower?.close()),
    };
  } finally {
    unwatch();
    signals.release();
    journal.close();
    place?.release();
  }
}

/** Whether anything but empty folders is left. */
function holdsFiles(folder: string): boolean {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).some((entry) => !entry.isDirectory());
}

/** The job did not start: the exit code that a shell would give, or 1, and why. */
interface StartFailure {
  type: string;
  message: string;
  hint: string;
  exitCode: number;
}

/** Null where somebody asked to stop meanwhile. */
function startFailure(error: unknown, signal: AbortSignal): StartFailure | null {
  if (signal.aborted) return null;
  if (error instanceof SpawnFailure) {
    const { message, exitCode } = error;
    return { type: 'SpawnFailure', message, hint: spawnHint(error), exitCode };
  }
  if (!(error instanceof WaddleError)) throw error;
  return { type: error.code, message: error.message, hint: error.hint, exitCode: 1 };
}

async function makePlace(
  plan: RunPlan,
  snapshot: Snapshot | null,
  signal: AbortSignal,
): Promise<JobPlace | null> {
  if (plan.place === null) return null;
  if (snapshot !== null) return plan.place(snapshot, plan.runId, signal);
  throw new WaddleError(
    'code-not-recorded',
    'the code could not be recorded, so there is no copy of it to run in',
    'Run without --isolate, or see waddle doctor.',
  );
}

async function recordWritten(
  place: JobPlace,
  journal: JournalWriter,
  world: Supervision,
): Promise<Written | null> {
  try {
    const written = await place.collect();
    if (written.folder !== null) {
      written.artifacts = storeOutputs({
        folder: join(written.folder, place.outputs.from),
        patterns: place.outputs.patterns,
        blobs: world.layout.blobs,
        journal,
      });
      if (!holdsFiles(written.folder)) {
        rmSync(written.folder, { recursive: true, force: true });
        written.folder = null;
      }
    }
    if (written.folder !== null) {
      const message = `what the job wrote into its copy of the code is in ${written.folder}`;
      journal.append({ k: 'warning', t: eventTime(), code: 'outputs-kept', message });
    }
    return written;
  } catch (error) {
    const message = `what the job wrote stays in its copy of the code: ${error instanceof Error ? error.message : String(error)}`;
    journal.append({ k: 'warning', t: eventTime(), code: 'outputs-not-collected', message });
    world.warn(`waddle: ${message}\n`);
    return null;
  }
}

export function unwritable(path: string, error: unknown): WaddleError {
  return new WaddleError(
    'project-unwritable',
    `${path} cannot be written: ${whyUnwritable(error)}`,
    'Check its permissions and the disk, or name another project folder: --dir PATH',
    { cause: error },
  );
}

/** The run's first lines, and its head. */
function announce(plan: RunPlan, journal: JournalWriter, folder: string, attempt: string): void {
  const t = eventTime();
  if (plan.start === null) {
    journal.append({ k: 'resume', t, attempt, ...plan.resume, supervised: true });
    return;
  }
  journal.append({ k: 'start', t, id: plan.runId, attempt, ...plan.start, supervised: true });
  const { name, default_name: fallback, project } = plan.start;
  try {
    if (readHead(folder) === null) {
      writeHead(folder, {
        id: plan.runId,
        name: name ?? fallback ?? null,
        project: project ?? null,
        started_at: t,
        last_step: null,
      });
    }
  } catch {
    // A full disk: the head is a convenience.
  }
}

async function recordSnapshot(
  snapshotting: Promise<Snapshot>,
  journal: JournalWriter,
  world: Supervision,
): Promise<Snapshot | null> {
  let snapshot: Snapshot;
  try {
    snapshot = await snapshotting;
  } catch (error) {
    if ((error as Error).name !== 'AbortError') {
      const message = `the code could not be recorded: ${error instanceof Error ? error.message : String(error)}`;
      journal.append({ k: 'warning', t: eventTime(), code: 'snapshot-failed', message });
      world.warn(`waddle: ${message}\n`);
    }
    return null;
  }
  const t = eventTime();
  journal.append({ k: 'snapshot', t, snapshot });
  if (snapshot.store === 'private') {
    journal.append({ k: 'tag', t, key: 'waddle_workspace_snapshot', value: 'true' });
  }
  return snapshot;
}

async function recordDrift(
  snapshot: Snapshot,
  plan: RunPlan,
  journal: JournalWriter,
  world: Supervision,
): Promise<{ path: string; change: string }[]> {
  try {
    const files = await findDrift({
      snapshot,
      cwd: plan.snapshot.cwd ?? plan.job.cwd,
      env: world.env,
      privateDir: world.layout.privateGit,
    });
    if (files.length > 0) {
      const t = eventTime();
      journal.append({ k: 'drift', t, files });
      journal.append({ k: 'tag', t, key: 'waddle_code_changed', value: 'true' });
    }
    return files;
  } catch (error) {
    const message = `whether the code changed while it ran could not be told: ${String(error)}`;
    journal.append({ k: 'warning', t: eventTime(), code: 'drift-failed', message });
    return [];
  }
}

async function recordEnvironment(plan: RunPlan, journal: JournalWriter, world: Supervision): Promise<void> {
  try {
    journal.append({
      k: 'env',
      t: eventTime(),
      environment: await describeEnvironment({
        python: plan.python,
        env: plan.job.env,
        userEnv: world.env,
        cwd: plan.job.cwd,
        project: world.layout.project,
        plan: plan.environment,
      }),
    });
  } catch (error) {
    const message = `the environment could not be described: ${String(error)}`;
    journal.append({ k: 'warning', t: eventTime(), code: 'environment-failed', message });
  }
}

function start(
  command: JobCommand,
  plan: RunPlan,
  world: Supervision,
  folder: string,
  attempt: string,
): Promise<JobProcess> {
  const job: JobCommand = {
    ...command,
    env: {
      ...command.env,
      WADDLE_DIR: world.layout.project,
      WADDLE_RUN: plan.runId,
      WADDLE_ATTEMPT: attempt,
      WADDLE_SUPERVISED: '1',
      WADDLE_SUPERVISOR_PID: String(process.pid),
    },
  };
  const stdout = consoleFile(folder, 1, attempt);
  if (plan.tty) {
    return startJobOnTerminal(job, stdout, { stdin: world.stdin, stdout: world.stdout });
  }
  return startJob(
    job,
    { stdout, stderr: consoleFile(folder, 2, attempt) },
    { shareGroup: isInForeground(), keepHangup: plan.hangupIgnored },
  );
}

/** Follows the files of an attempt's console, which are made here: its job is yet to be started. */
function followConsole(
  plan: RunPlan,
  world: Supervision,
  folder: string,
  attempt: string,
  journal: JournalWriter,
): ConsoleFollower {
  const streams = streamsOf(plan, world);
  try {
    for (const { stream } of streams) closeSync(openSync(consoleFile(folder, stream, attempt), 'a', 0o644));
    return new ConsoleFollower({ folder, attempt, journal, streams });
  } catch (error) {
    throw unwritable(folder, error);
  }
}

function streamsOf(plan: RunPlan, world: Supervision): FollowedStream[] {
  // On a pseudo-terminal the bytes are shown before they reach the file.
  if (plan.tty) return [{ stream: 1, display: null }];
  return [
    { stream: 1, display: world.stdout },
    { stream: 2, display: world.stderr },
  ];
}

function launchCompanion(
  plan: RunPlan,
  world: Supervision,
  attempt: string,
  pid: number,
  journal: JournalWriter,
): Companion | null {
  if (world.companion === null) return null;
  return startCompanion({
    command: world.companion.command,
    project: world.layout.project,
    runId: plan.runId,
    attempt,
    pid,
    cwd: plan.job.cwd,
    python: plan.python,
    env: world.env,
    onFailure: (message) => {
      journal.append({ k: 'warning', t: eventTime(), code: 'helper-failed', message });
      world.warn(`waddle: ${message}; the run goes on without system metrics\n`);
    },
  });
}

interface Judged {
  status: 'completed' | 'failed' | 'aborted';
  exitCode: number;
  signal: string | null;
  reason: string | null;
  error: RunError | null;
}

function judge(exit: JobExit, failure: StartFailure | null, asked: Asked | null): Judged {
  if (failure !== null) {
    return {
      status: 'failed',
      exitCode: failure.exitCode,
      signal: null,
      reason: failure.message,
      error: { type: failure.type, message: failure.message, traceback: null },
    };
  }
  const exitCode =
    exit.signal === null
      ? (exit.code ?? asked?.exitCode ?? 1)
      : 128 + (osConstants.signals[exit.signal] ?? 0);
  if (asked !== null) {
    return { status: 'aborted', exitCode, signal: exit.signal, reason: asked.reason, error: null };
  }
  if (exit.signal !== null) {
    const suspicion = exit.signal === 'SIGKILL' ? ' (perhaps the system ran out of memory)' : '';
    const reason = `killed by ${exit.signal}${suspicion}`;
    return { status: 'failed', exitCode, signal: exit.signal, reason, error: null };
  }
  const status = exitCode === 0 ? 'completed' : 'failed';
  return { status, exitCode, signal: null, reason: null, error: null };
}

function spawnHint(failure: SpawnFailure): string {
  return failure.exitCode === 127
    ? 'Check its spelling and PATH.'
    : 'Check that it is a program, and may be executed: chmod +x';
}

/**
 * Takes the signals of this process while a job runs. Ctrl-C once asks the job to stop and waits, twice kills it with
 * everything below it; SIGTERM, SIGHUP and SIGQUIT are passed on; all of these make the run aborted. SIGUSR1 and SIGUSR2
 * (checkpoint requests of schedulers) are passed on as they are.
 */
function handleSignals(options: {
  hangupIgnored: boolean;
  /** Whether the job is in this process's group, so that the terminal's Ctrl-C has reached it already. */
  shared(): boolean;
  ask(by: Asked): void;
  job(): JobProcess | null;
  say(text: string): void;
}): { release(): void } {
  let interrupts = 0;
  const forward = (signal: NodeJS.Signals) => {
    const job = options.job();
    if (job !== null) signalJob(job.pid, job.ownGroup, signal);
  };
  const ended = (signal: NodeJS.Signals, reason: string) => () => {
    options.ask({ reason, exitCode: 128 + (osConstants.signals[signal] ?? 0) });
    forward(signal);
  };
  const handlers: Partial<Record<NodeJS.Signals, () => void>> = {
    SIGINT: () => {
      interrupts += 1;
      options.ask({ reason: 'interrupted (Ctrl-C)', exitCode: 130 });
      const job = options.job();
      if (interrupts > 1 && job !== null) {
        killJob(job.pid, job.ownGroup);
        return;
      }
      if (!options.shared()) forward('SIGINT');
      if (job !== null) options.say('waddle: asked the job to stop; Ctrl-C once more kills it\n');
    },
    SIGTERM: ended('SIGTERM', 'SIGTERM to waddle'),
    SIGQUIT: ended('SIGQUIT', 'SIGQUIT to waddle'),
    SIGHUP: options.hangupIgnored ? () => undefined : ended('SIGHUP', 'SIGHUP to waddle (terminal closed)'),
    SIGUSR1: () => forward('SIGUSR1'),
    SIGUSR2: () => forward('SIGUSR2'),
  };
  const entries = Object.entries(handlers) as [NodeJS.Signals, () => void][];
  for (const [signal, handler] of entries) process.on(signal, handler);
  return {
    release: () => {
      for (const [signal, handler] of entries) process.off(signal, handler);
    },
  };
}
