import { WaddleError } from '../errors/waddle-error.ts';
import { parseLine } from '../events/line.ts';
import type { EventOf } from '../events/schema.ts';
import { listJournals } from '../journal/discover.ts';
import { runFolder } from '../journal/layout.ts';
import { judgeLife } from '../journal/process-identity.ts';
import { openPlainBytes, readLines } from '../journal/reader.ts';
import { readAttempt } from '../runner/attempt-state.ts';
import type { Context, Project } from './context.ts';
import { withRuns } from './opened-store.ts';
import type { RunOptions } from './run-options.ts';

export interface ResumedRun {
  runId: string;
  name: string;
  options: RunOptions;
}

/**
 * What `--resume RUN` goes on with. Where the command line names nothing to run, the run's own entry or command and its
 * arguments are taken again, in the repository that it ran in.
 */
export async function resumePlan(
  wanted: string,
  options: RunOptions,
  project: Project,
  context: Context,
): Promise<ResumedRun> {
  const run = await withRuns(context, [wanted], (_opened, [found]) => found);
  const { id: runId, name } = run;
  refuseRunning(runFolder(project.layout, runId), runId);
  for (const [flag, value] of Object.entries({ name: options.name, group: options.group })) {
    if (
      value !== undefined &&
      value !== context.env.WADDLE_NAME &&
      value !== project.config.run?.[flag as 'name']
    ) {
      context.warn(`waddle: --${flag} is not used with --resume; later: waddle rename, waddle tag\n`);
    }
  }
  if (options.words.length > 0) return { runId, name, options };
  const start = findStart(runFolder(project.layout, runId));
  if (start === null) {
    throw new WaddleError(
      'nothing-to-run',
      `what run ${runId} ran is not recorded`,
      `Name it: waddle run --resume ${runId} -- python train.py`,
      { exitCode: 2 },
    );
  }
  return {
    runId,
    name,
    options: {
      ...options,
      entry: options.entry ?? start.entry ?? undefined,
      repo: options.repo ?? start.repo ?? undefined,
      words: (start.entry ? start.argv : start.command) ?? [],
    },
  };
}

/** @throws WaddleError where an attempt of the run lives on this host: two at once would count the same steps */
function refuseRunning(folder: string, runId: string): void {
  const state = readAttempt(folder);
  if (state === null || state.ended !== null) return;
  const lives = [state.supervisor, state.job].some((each) => each !== null && judgeLife(each) === 'alive');
  if (!lives) return;
  throw new WaddleError(
    'run-running',
    `run ${runId} is still running`,
    `Stop it first: waddle stop ${runId}`,
  );
}

/** The run's first `start` event; null where it has none (a run whose journals lie elsewhere). */
function findStart(folder: string): EventOf<'start'> | null {
  for (const { path, writer } of listJournals(folder)) {
    if (!writer.startsWith('supervisor-') && !writer.startsWith('job-')) continue;
    const bytes = openPlainBytes(path);
    if (bytes === null) continue;
    try {
      // It stands right behind `open`.
      const first = readLines(bytes, 0, 64 * 1024).next();
      for (const { text } of first.done ? [] : first.value.lines) {
        const parsed = text === null ? null : parseLine(text);
        if (parsed?.type === 'event' && parsed.event.k === 'start') return parsed.event;
      }
    } finally {
      bytes.close();
    }
  }
  return null;
}
