import { closeSync, openSync } from 'node:fs';
import { WaddleError, whyUnwritable } from '../errors/waddle-error.ts';
import { eventTime } from '../events/line.ts';
import { takeSnapshot } from '../git/snapshot.ts';
import type { Snapshot } from '../git/snapshot-record.ts';
import { consoleFile, runFolder } from '../journal/layout.ts';
import { identityOf } from '../journal/process-identity.ts';
import { JournalWriter } from '../journal/writer.ts';
import { type Companion, startCompanion } from './companion-process.ts';
import { ConsoleFollower, type FollowedStream, removeConsoleFiles } from './console-follower.ts';
import type { JobPlace } from './job-place.ts';
import {
  type JobCommand,
  type JobExit,
  type JobProcess,
  startJob,
  startJobOnTerminal,
} from './job-process.ts';
import { isInForeground, killJob, signalJob } from './process-tree.ts';
import { announce, recordDrift, recordEnvironment, recordSnapshot, recordWritten } from './run-records.ts';
import { handleSignals } from './signals.ts';
import { watchForStop } from './stop-watch.ts';
import type { RunOutcome, RunPlan, Supervision } from './supervision.ts';
import { type Asked, judge, type StartFailure, startFailure } from './verdict.ts';

const BEAT_MS = 5000;
/** A job that ended before this gets no companion: starting one would cost more than the job. */
const COMPANION_AFTER_MS = 100;
const DEFAULT_GRACE_S = 30;

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

export function unwritable(path: string, error: unknown): WaddleError {
  return new WaddleError(
    'project-unwritable',
    `${path} cannot be written: ${whyUnwritable(error)}`,
    'Check its permissions and the disk, or name another project folder: --dir PATH',
    { cause: error },
  );
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
