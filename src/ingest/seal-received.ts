import { readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Layout } from '../journal/layout.ts';
import { sealSteps } from '../journal/seal.ts';
import type { Store } from '../store/open.ts';
import { journalPath } from './find-work.ts';

/** A journal of a run that has ended, as far as it is in the database. */
export interface EndedJournal {
  id: number;
  runId: string;
  path: string;
  /** Plain bytes that are in the database. */
  offset: number;
}

/** A journal of a few edits would only grow by its compressed file's tables. */
export const SMALL_EDITS_BYTES = 4096;
/** One whose writer has not said that it is done has been silent for so long, in seconds: what comes later unseals it. */
const SILENT_S = 3600;

/**
 * The next journals to be sealed where every one of them came from elsewhere, and only sync appends to them.
 * @param since only of runs that have changed after this revision
 */
export function endedJournals(
  layout: Layout,
  store: Store,
  { now, since, most }: { now: number; since: number; most: number },
): EndedJournal[] {
  return store
    .prepare(
      `SELECT j.id, j.writer, j.offset, r.id AS run_id FROM runs r CROSS JOIN journals j ON j.run = r.num
       WHERE r.revision > ?4 AND j.sealed = 0 AND r.status <> 'running' AND (j.closed = 1 OR j.grown_at < ?1)
         AND (j.role IS NOT 'edits' OR j.offset >= ?2)
       ORDER BY r.revision LIMIT ?3`,
    )
    .all(now / 1000 - SILENT_S, SMALL_EDITS_BYTES, most, since)
    .map((row) => ({
      id: Number(row.id),
      runId: String(row.run_id),
      path: journalPath(layout, String(row.run_id), String(row.writer)),
      offset: Number(row.offset),
    }));
}

/**
 * Seals one. The caller keeps everybody else from the run's journals meanwhile. False where it has grown beyond what the
 * database has of it: nobody would read the rest of a sealed one.
 */
export function* sealReceived(store: Store, { id, path, offset }: EndedJournal): Generator<void, boolean> {
  removeLeftovers(path);
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size !== undefined && size !== offset) return false;
  const outcome = size === undefined ? 'already-sealed' : yield* sealSteps(path);
  if (outcome !== 'sealed' && outcome !== 'already-sealed') return false;
  store.transaction(() => {
    store.prepare('UPDATE journals SET sealed = 1 WHERE id = ? AND offset = ?').run(id, offset);
  });
  return true;
}

/** Of a process that was killed while it sealed or unsealed. */
function removeLeftovers(path: string): void {
  const folder = dirname(path);
  for (const name of readdirSync(folder)) {
    const file = join(folder, name);
    if (file.startsWith(`${path}.`) && name.endsWith('.tmp')) rmSync(file, { force: true });
  }
}
