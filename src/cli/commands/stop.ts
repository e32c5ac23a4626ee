import { constants } from 'node:os';
import { basename } from 'node:path';
import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { eventTime } from '../../events/line.ts';
import { runFolder } from '../../journal/layout.ts';
import { judgeLife } from '../../journal/process-identity.ts';
import { readReceived } from '../../journal/received.ts';
import { JournalWriter } from '../../journal/writer.ts';
import { type AttemptState, readAttempt } from '../../runner/attempt-state.ts';
import { killJob, signalJob } from '../../runner/process-tree.ts';
import { type Context, openProject } from '../context.ts';
import { inert } from '../inert.ts';
import { withRuns } from '../opened-store.ts';
import { CLIENT } from '../version.ts';

const DEFAULT_GRACE_S = 30;
/** How often the run is looked at, in ms. */
const LOOK_MS = 200;
/** Beyond the grace the supervisor may take so long to kill, drain and write the end, in seconds. */
const PATIENCE_S = 15;

export function define(command: Command, context: Context): void {
  command
    .description('Asks a running job to stop (SIGTERM), and kills it after the grace.')
    .argument('<run>', 'a run: id, name, prefix of an id, @last')
    .option('--grace <time>', 'how long it may take: 30s, 2m, 0', parseGrace, DEFAULT_GRACE_S)
    .action((wanted: string, flags: { grace: number }) => stop(wanted, flags.grace, context));
}

/** Seconds. @throws WaddleError for what is no time */
function parseGrace(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h)?$/.exec(text);
  if (match === null) {
    throw new WaddleError(
      'grace-invalid',
      `"${text}" is no time`,
      'Write for example: --grace 30s, --grace 2m',
      {
        exitCode: 2,
      },
    );
  }
  const unit = { ms: 0.001, s: 1, m: 60, h: 3600 }[match[2] ?? 's'] ?? 1;
  return Number(match[1]) * unit;
}

async function stop(wanted: string, grace: number, context: Context): Promise<void> {
  const { layout } = await openProject(context);
  const run = await withRuns(context, [wanted], (_opened, [found]) => found);
  const folder = runFolder(layout, run.id);
  const label = `${run.id} (${inert(run.name)})`;
  const state = readAttempt(folder);
  if (state === null || state.ended !== null) {
    context.say(`waddle: run ${label} is not running${state?.ended ? `: it ${state.ended.status}` : ''}\n`);
    return;
  }
  if (readReceived(folder).has(state.attempt)) {
    const host = state.supervisor?.host ?? state.job?.host;
    throw new WaddleError(
      'stop-elsewhere',
      `run ${label} was pulled: it runs ${host === undefined ? 'on another machine' : `on ${inert(host)}`}`,
      `Stop it there: waddle stop ${run.id}`,
    );
  }
  const journal = JournalWriter.open({ folder, role: 'edits', run: run.id, client: CLIENT });
  journal.append({ k: 'stop', t: eventTime(), grace, attempt: state.attempt });
  journal.close();

  const judged = state.supervisor === null ? 'dead' : judgeLife(state.supervisor);
  if (judged === 'dead') await stopJobItself(folder, state, grace, label, context);
  else await waitForEnd(folder, state, grace, label, context);
}

/** Its supervisor is gone, or it never had one: the signals come from here. */
async function stopJobItself(
  folder: string,
  state: AttemptState,
  grace: number,
  label: string,
  context: Context,
): Promise<void> {
  const { job } = state;
  const life = job === null ? 'dead' : judgeLife(job);
  if (job === null || life === 'dead') {
    context.say(`waddle: run ${label} is not running any more: its processes are gone\n`);
    return;
  }
  if (life === 'unknown') {
    throw new WaddleError(
      'stop-elsewhere',
      `run ${label} runs on ${job.host}, and nothing there watches it`,
      `Stop it there: ssh ${job.host} kill ${job.pid}`,
    );
  }
  signalJob(job.pid, false, 'SIGTERM');
  const gone = await until(() => judgeLife(job) === 'dead', grace);
  if (!gone) {
    killJob(job.pid, false);
    await until(() => judgeLife(job) === 'dead', PATIENCE_S);
  }
  if (judgeLife(job) === 'dead') tellEnd(folder, state, gone ? 'SIGTERM' : 'SIGKILL');
  context.say(`waddle: run ${label} ${gone ? 'stopped' : `was killed after ${grace} s`}: aborted\n`);
}

/**
 * Nobody else tells that a job without a supervisor was stopped: one that the signal ended wrote nothing, and one that
 * caught it may have called that a success.
 */
function tellEnd(folder: string, state: AttemptState, signal: 'SIGTERM' | 'SIGKILL'): void {
  const told = readAttempt(folder, state.attempt)?.ended;
  const journal = JournalWriter.open({
    folder,
    role: 'helper',
    run: basename(folder),
    client: CLIENT,
    attempt: state.attempt,
  });
  journal.append({
    k: 'end',
    t: eventTime(),
    attempt: state.attempt,
    status: 'aborted',
    exit_code: told ? (told.exit_code ?? null) : 128 + constants.signals[signal],
    signal: told ? (told.signal ?? null) : signal,
    reason: 'stopped by `waddle stop`',
    by: 'helper',
  });
  journal.close();
}

async function waitForEnd(
  folder: string,
  state: AttemptState,
  grace: number,
  label: string,
  context: Context,
): Promise<void> {
  let now: AttemptState | null = state;
  const done = await until(() => {
    now = readAttempt(folder, state.attempt);
    if (now === null || now.ended !== null) return true;
    return now.supervisor !== null && judgeLife(now.supervisor) === 'dead';
  }, grace + PATIENCE_S);
  const ended = (now as AttemptState | null)?.ended ?? null;
  if (ended !== null) {
    const how = ended.signal === 'SIGKILL' ? `was killed after ${grace} s` : 'stopped';
    context.say(`waddle: run ${label} ${how}: ${ended.status}, exit code ${ended.exit_code ?? 'unknown'}\n`);
  } else if (done) await stopJobItself(folder, now ?? state, grace, label, context);
  else {
    throw new WaddleError(
      'stop-unanswered',
      `run ${label} has not answered within ${grace + PATIENCE_S} s`,
      'Its host may be asleep or unreachable; the request stands.',
    );
  }
}

/** Looks until the condition holds; false where it did not within `seconds`. */
async function until(condition: () => boolean, seconds: number): Promise<boolean> {
  const deadline = performance.now() + seconds * 1000;
  while (!condition()) {
    if (performance.now() >= deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return true;
}
