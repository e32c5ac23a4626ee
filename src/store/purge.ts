import type { Store } from './open.ts';
import { MAX_SEQ } from './schema.ts';

/** Tables with rows of a run under `run`; the series' samples and rollups go with the series. */
export const RUN_TABLES: readonly string[] = [
  'params',
  'param_leaves',
  'tags',
  'tag_facts',
  'edits',
  'metric_summaries',
  'artifacts',
  'console',
  'warnings',
  'attempts',
  'kept_events',
  'snapshots',
  'environments',
  'console_changes',
  'run_texts',
];

/** Forgets a run whose folder is gone, or that must be read anew. Inside a transaction. */
export function purgeRun(store: Store, id: string): void {
  store.prepare('DELETE FROM folders WHERE id = ?').run(id);
  const row = store.prepare('SELECT num FROM runs WHERE id = ?').get(id);
  if (row === undefined) return;
  const run = Number(row.num);
  for (const series of store.prepare('SELECT id FROM series WHERE run = ?').all(run)) {
    const base = Number(series.id) * MAX_SEQ;
    store.prepare('DELETE FROM samples WHERE id BETWEEN ? AND ?').run(base, base + MAX_SEQ - 1);
    store.prepare('DELETE FROM rollups WHERE series = ?').run(Number(series.id));
    store.prepare('DELETE FROM changes WHERE series = ?').run(Number(series.id));
  }
  store.prepare('DELETE FROM series WHERE run = ?').run(run);
  for (const table of RUN_TABLES) store.prepare(`DELETE FROM ${table} WHERE run = ?`).run(run);
  forgetJournals(store, run);
  store.prepare('DELETE FROM runs WHERE num = ?').run(run);
}

/** Forgets links and removals, so that the project's own journals can be read anew. Inside a transaction. */
export function purgeProject(store: Store, revision: number): void {
  store.db.exec('DELETE FROM links; DELETE FROM tombstones');
  store.prepare('UPDATE runs SET removed = 0, revision = ? WHERE removed <> 0').run(revision);
  store.prepare('DELETE FROM warnings WHERE run = 0').run();
  forgetJournals(store, 0);
}

function forgetJournals(store: Store, run: number): void {
  store.prepare('DELETE FROM broken_lines WHERE journal IN (SELECT id FROM journals WHERE run = ?)').run(run);
  store.prepare('DELETE FROM journals WHERE run = ?').run(run);
}
