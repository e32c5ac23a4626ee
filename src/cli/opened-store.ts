/** The project's store, opened and brought up to its journals, for the commands that read runs or change them. */
import { existsSync } from 'node:fs';
import type { WaddleJson } from '../config/schema.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { catchUp, type IngestReport } from '../ingest/catch-up.ts';
import { isEmpty } from '../journal/discover.ts';
import type { Layout } from '../journal/layout.ts';
import { ensureProjectFolder } from '../journal/project-folder.ts';
import { RUN_COLUMNS, type RunRow, readRunRow } from '../query/run-row.ts';
import { answerNow } from '../store/answer-now.ts';
import { type FoundRun, findRun } from '../store/find-run.ts';
import { openStore, type Store, storeError } from '../store/open.ts';
import { row } from '../store/question.ts';
import { type Context, openProject, type Project, storeFile } from './context.ts';
import { count, formatBytes } from './format-number.ts';
import { inert } from './inert.ts';
import { recoverLostOutput } from './lost-output.ts';
import { sayMigration } from './migration-notice.ts';
import { startProgress } from './progress.ts';

export interface Opened {
  context: Context;
  layout: Layout;
  config: WaddleJson;
  store: Store;
}

/**
 * Opens the store, brings it up to the journals, and closes it after the work. Resolves to undefined, and writes nothing,
 * where there is no run and nothing else yet.
 */
export async function withStore<T>(
  context: Context,
  work: (opened: Opened) => Promise<T> | T,
): Promise<T | undefined> {
  const project = await openProject(context);
  const path = storeFile(project, context.env);
  if (!existsSync(path) && isEmpty(project.layout)) return undefined;
  return use(context, project, path, work);
}

/** As `withStore`, but makes `.waddle/` and the store where there is nothing yet: for what writes. */
export async function withNewStore<T>(
  context: Context,
  work: (opened: Opened) => Promise<T> | T,
): Promise<T> {
  const project = await openProject(context);
  try {
    ensureProjectFolder(project.layout);
  } catch (error) {
    throw new WaddleError(
      'not-writable',
      `${project.layout.root} cannot be made: ${error instanceof Error ? error.message : String(error)}`,
      'Check the permissions of the folder, or name another: --dir PATH',
      { cause: error },
    );
  }
  return use(context, project, storeFile(project, context.env), work);
}

async function use<T>(
  context: Context,
  project: Project,
  path: string,
  work: (opened: Opened) => Promise<T> | T,
): Promise<T> {
  const store = open(context, path);
  try {
    const opened = { context, ...project, store };
    sayMigration(context, store);
    await refreshIfWritable(opened);
    return await work(opened);
  } catch (error) {
    throw storeError(path, error);
  } finally {
    store.close();
  }
}

/** A store that cannot be written is still good to read, as it was last brought up to date. */
function open(context: Context, path: string): Store {
  try {
    return openStore(path);
  } catch (error) {
    if (!isReadOnly(error) || !existsSync(path)) throw error;
    const store = openStore(path, { readOnly: true });
    sayReadOnly(context, path);
    return store;
  }
}

/** SQLite opens a file that cannot be written for reading; that shows only where there is something to write. */
async function refreshIfWritable(opened: Opened): Promise<void> {
  try {
    await refresh(opened);
  } catch (error) {
    if (!isReadOnly(error)) throw error;
    sayReadOnly(opened.context, opened.store.path);
  }
}

function isReadOnly(error: unknown): boolean {
  return error instanceof WaddleError && error.code === 'store-read-only';
}

function sayReadOnly(context: Context, path: string): void {
  context.say(`${inert(path)} cannot be written: shown as of the last time it was brought up to date\n`);
}

/**
 * Brings the store up to the journals of all runs, or of these, and what their jobs printed unseen into the journals
 * (`recover`). What could not be read is told. Resolves to undefined where the store can only be read.
 */
export async function refresh(
  opened: Opened,
  runs?: readonly string[],
  options: { recover: boolean } = { recover: true },
): Promise<IngestReport | undefined> {
  const { context, layout, store } = opened;
  if (store.readOnly) return undefined;
  const progress = startProgress(context);
  const report = catchUp({
    layout,
    store,
    ...(runs === undefined ? {} : { runs }),
    onProgress: ({ bytes, totalBytes }) =>
      progress.update(`reading journals: ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`),
  });
  const lost = options.recover ? recoverLostOutput(layout, store, runs) : [];
  if (lost.length > 0) catchUp({ layout, store, runs: lost });
  progress.end();
  const [broken] = report.broken;
  if (broken !== undefined) {
    const more = report.broken.length > 1 ? ` and ${count(report.broken.length - 1, 'more')}` : '';
    context.warn(
      `waddle: a broken line was passed over: ${inert(broken.path)} at byte ${broken.offset} (${inert(broken.reason)})${more}\n`,
    );
  }
  for (const { path, message } of report.failed) {
    context.warn(`waddle: ${inert(path)} could not be read: ${inert(message)}\n`);
  }
  return report;
}

/**
 * Runs the work on the runs that were named, each once. With `strict`, a text that fits one run's name and another run's
 * id is refused: for what cannot easily be taken back.
 * @throws WaddleError where a run is not there
 */
export async function withRuns<T>(
  context: Context,
  texts: readonly [string],
  work: (opened: Opened, runs: [RunRow]) => Promise<T> | T,
  options?: { strict?: boolean },
): Promise<T>;
export async function withRuns<T>(
  context: Context,
  texts: readonly string[],
  work: (opened: Opened, runs: RunRow[]) => Promise<T> | T,
  options?: { strict?: boolean },
): Promise<T>;
export async function withRuns<T>(
  context: Context,
  texts: readonly string[],
  work: (opened: Opened, runs: [RunRow]) => Promise<T> | T,
  options: { strict?: boolean } = {},
): Promise<T> {
  const done = await withStore(context, async (opened) => {
    const found = new Map<string, RunRow>();
    for (const text of texts) {
      const run = answerNow(opened.store, findRun(text));
      if (options.strict === true) refuseAmbiguous(text, run);
      const row = refreshedRun(opened, run.id);
      if (row !== undefined) found.set(run.id, row);
    }
    return { result: await work(opened, [...found.values()] as [RunRow]) };
  });
  if (done !== undefined) return done.result;
  throw new WaddleError(
    'run-not-found',
    `there is no run "${texts[0] ?? ''}": there are no runs here yet`,
    'Start one: waddle run -- python train.py; --dir names another project folder.',
  );
}

function refuseAmbiguous(text: string, run: FoundRun): void {
  const others = run.by === 'name' ? run.alsoFits.filter((id) => id.startsWith(text)) : run.alsoFits;
  const [other] = others;
  if (other === undefined) return;
  throw new WaddleError(
    'run-ambiguous',
    `"${text}" is the ${run.by} of ${run.id} and also fits ${other}`,
    run.by === 'id'
      ? `Rename the other one first: waddle rename ${other} NAME`
      : 'Name the run by its full id.',
  );
}

/** A run's row as the store has it now; undefined where it is gone. */
export function refreshedRun(opened: Opened, id: string): RunRow | undefined {
  const find = row(`SELECT ${RUN_COLUMNS} FROM runs r WHERE r.id = ? AND r.removed = 0`, id);
  const found = answerNow(opened.store, find);
  return found === undefined ? undefined : readRunRow(found);
}

/** Ids of removed runs by id or name (the newest of that name). @throws WaddleError where there is none */
export function findRemovedRuns(opened: Opened | undefined, texts: readonly string[]): string[] {
  const ids = texts.map((text) => {
    const row = opened?.store
      .prepare(
        'SELECT id FROM runs WHERE removed = 1 AND (id = ?1 OR name = ?1) ORDER BY id = ?1 DESC, started_at DESC LIMIT 1',
      )
      .get(text);
    if (row !== undefined) return String(row.id);
    throw new WaddleError(
      'run-not-found',
      `there is no removed run "${text}"`,
      'It may be there still (waddle ls --archived), or waddle gc has reclaimed it.',
    );
  });
  return [...new Set(ids)];
}

export interface Link {
  name: string;
  path: string;
}

/** The repositories that are linked, by name. */
export function listLinks(opened: Opened): Link[] {
  return opened.store
    .prepare('SELECT name, path FROM links WHERE path IS NOT NULL ORDER BY name')
    .all()
    .map((row) => ({ name: String(row.name), path: String(row.path) }));
}
