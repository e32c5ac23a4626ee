import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { parseLine } from '../events/line.ts';
import type { EventOf } from '../events/schema.ts';
import { listJournals, listRuns } from '../journal/discover.ts';
import { type RunHead, readHead } from '../journal/head.ts';
import { type Layout, runFolder } from '../journal/layout.ts';
import { openPlainBytes, readLines } from '../journal/reader.ts';
import type { Context, Project } from './context.ts';
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
  const head = findRun(project.layout, wanted);
  const name = head.name ?? head.id;
  for (const [flag, value] of Object.entries({ name: options.name, group: options.group })) {
    if (
      value !== undefined &&
      value !== context.env.WADDLE_NAME &&
      value !== project.config.run?.[flag as 'name']
    ) {
      context.warn(`waddle: --${flag} is not used with --resume; later: waddle rename, waddle tag\n`);
    }
  }
  if (options.words.length > 0) return { runId: head.id, name, options };
  const start = findStart(runFolder(project.layout, head.id));
  if (start === null) {
    throw new WaddleError(
      'nothing-to-run',
      `what run ${head.id} ran is not recorded`,
      `Name it: waddle run --resume ${head.id} -- python train.py`,
      { exitCode: 2 },
    );
  }
  return {
    runId: head.id,
    name,
    options: {
      ...options,
      entry: options.entry ?? start.entry ?? undefined,
      repo: options.repo ?? start.repo ?? undefined,
      words: (start.entry ? start.argv : start.command) ?? [],
    },
  };
}

/** The run that a person means, by the heads alone: an id, the newest of an exact name, a prefix, `@last~2`. */
export function findRun(layout: Layout, wanted: string): RunHead {
  const heads = listRuns(layout.runs)
    .map((id) => readHead(join(layout.runs, id)))
    .filter((head) => head !== null)
    .sort((a, b) => b.started_at - a.started_at || (a.id < b.id ? 1 : -1));
  const exact = heads.find((head) => head.id === wanted) ?? heads.find((head) => head.name === wanted);
  if (exact !== undefined) return exact;
  const fitting = wanted.length < 4 ? [] : heads.filter((head) => head.id.startsWith(wanted));
  if (fitting.length > 1) {
    throw new WaddleError(
      'run-ambiguous',
      `several runs begin with "${wanted}": ${fitting.map((head) => head.id).join(', ')}`,
      'Give more letters of the one that is meant.',
    );
  }
  const last = /^@last(?:~(\d+))?$/.exec(wanted);
  const found = fitting[0] ?? (last === null ? undefined : heads[Number(last[1] ?? 0)]);
  if (found !== undefined) return found;
  throw new WaddleError('run-not-found', `there is no run "${wanted}"`, 'See which there are: waddle ls');
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
