/** The runs of a space for a list: a pull's filter is put to the store. */
import { listRuns } from '../query/runs-table.ts';
import { answerNow } from '../store/answer-now.ts';
import type { Store } from '../store/open.ts';
import type { Catalogue } from '../sync/folder-space.ts';

const PAGE = 1000;

export function storeCatalogue(store: () => Store): Catalogue {
  return {
    async list({ project, since, filter, after, limit = PAGE }) {
      const wanted = Math.min(limit, PAGE);
      const among =
        filter === undefined || filter.trim() === ''
          ? null
          : JSON.stringify(
              answerNow(store(), listRuns({ filter, archived: true })).rows.map((run) => run.id),
            );
      const rows = store()
        .prepare(
          `SELECT id, project, name, status, "user", started_at, removed FROM runs
           WHERE id > ?1 AND (?2 IS NULL OR project = ?2)
             AND (?3 IS NULL OR coalesce(started_at, 0) >= ?3 OR coalesce(last_event_at, 0) >= ?3)
             AND (?4 IS NULL OR id IN (SELECT value FROM json_each(?4)))
           ORDER BY id LIMIT ?5`,
        )
        .all(after ?? '', project ?? null, since ?? null, among, wanted + 1);
      const page = rows.slice(0, wanted);
      return {
        runs: page.map((row) => ({
          id: String(row.id),
          project: String(row.project),
          name: String(row.name),
          status: String(row.status),
          user: typeof row.user === 'string' ? row.user : null,
          started_at: typeof row.started_at === 'number' ? row.started_at : null,
          removed: row.removed === 1,
        })),
        next: rows.length > page.length ? String(page.at(-1)?.id) : null,
      };
    },
  };
}
