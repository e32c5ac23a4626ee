/** `head.json` of runs that came from elsewhere: a client without Node finds and resumes them, as those that began here. */
import { readHead, writeHead } from '../journal/head.ts';
import { runFolder } from '../journal/layout.ts';
import type { Opened } from './opened-store.ts';

/**
 * Brings the heads of these runs up to the database. The last step of a run that has an attempt here is left to its own
 * writers. Never throws for a head that cannot be written: it is a convenience.
 */
export function noteReceivedHeads({ store, layout }: Opened, runs: Iterable<string>): void {
  const query = store.prepare(
    `SELECT r.name AS name, r.project AS project, r.started_at AS started_at, r.removed AS removed,
       (SELECT max(s.max_step) FROM metric_summaries s WHERE s.run = r.num AND s.key NOT LIKE 'system/%') AS last_step
     FROM runs r WHERE r.id = ?`,
  );
  for (const id of runs) {
    const row = query.get(id);
    if (row === undefined || row.started_at === null) continue;
    const folder = runFolder(layout, id);
    const known = readHead(folder);
    const own = known !== null && 'attempt' in known;
    const removed = Number(row.removed) !== 0;
    const head = {
      ...known,
      id,
      name: row.name === null ? null : String(row.name),
      project: row.project === null ? null : String(row.project),
      started_at: Number(row.started_at),
      last_step: own ? known.last_step : row.last_step === null ? null : Number(row.last_step),
      ...(removed || known?.removed !== undefined ? { removed } : {}),
    };
    if (JSON.stringify(head) === JSON.stringify(known)) continue;
    try {
      writeHead(folder, head);
    } catch {
      // A full disk, a folder that is gone: the run is found by its id and by every command.
    }
  }
}
