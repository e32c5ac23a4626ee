import { createHash } from 'node:crypto';
import type { ObjectStore } from '../blobs/object-store.ts';
import { segmentName } from '../sync/bucket-keys.ts';
import type { Database } from './database.ts';
import { PutObjects } from './put-objects.ts';
import { packSegment, unpackSegment } from './segments.ts';

/** Packed bytes of a journal in the database, from which on they become an object. */
const ENOUGH_BYTES = 256 * 1024;
/** Plain bytes of an object at most. */
const OBJECT_BYTES = 8 * 1024 * 1024;

/**
 * Makes objects of small segments that have piled up in the database: of journals with many, and of those that have
 * ended. Several collectors may do so at once; the rows change hands in one transaction.
 */
export async function compactSegments(
  database: Database,
  objects: ObjectStore,
  space: string,
): Promise<void> {
  const piles = await database.transaction(
    space,
    (session) =>
      session.rows(
        `SELECT id, run, writer, announced FROM received
         WHERE inline >= $1 OR (inline > 0 AND grown_at < now() - interval '1 day') ORDER BY inline DESC LIMIT 50`,
        [ENOUGH_BYTES],
      ),
    'snapshot',
  );
  for (const { id, run, writer, announced } of piles) {
    const rows = await database.transaction(
      space,
      (session) =>
        session.rows(
          'SELECT at, length, body FROM segments WHERE received = $1 AND object IS NULL ORDER BY at',
          [id],
        ),
      'snapshot',
    );
    const folder = run === '' ? (announced === 1 ? 'announced' : 'project') : `runs/${run}/j`;
    for (let from = 0; from < rows.length; ) {
      let to = from;
      let length = 0;
      for (let next = Number(rows[from]?.at); to < rows.length && Number(rows[to]?.at) === next; to += 1) {
        const more = Number(rows[to]?.length);
        if (to > from && length + more > OBJECT_BYTES) break;
        length += more;
        next += more;
      }
      const group = rows.slice(from, to);
      const bytes = Buffer.concat(group.map((row) => unpackSegment(row.body as Buffer, Number(row.length))));
      const at = Number(group[0]?.at);
      const hash = createHash('sha256').update(bytes).digest('hex');
      const object = `${folder}/${writer}/${segmentName(at, bytes.length, hash)}`;
      const put = new PutObjects(objects);
      await put.put(object, packSegment(bytes));
      await database.transaction(space, async (session) => {
        if (!(await put.hold(session))) throw new Error('the object was taken away');
        const gone = await session.rows(
          'DELETE FROM segments WHERE received = $1 AND object IS NULL AND at = ANY($2) RETURNING length(body) AS n',
          [id, group.map((row) => row.at)],
        );
        // Another has done it.
        if (gone.length !== group.length) throw new Error('the segments have changed');
        await session.change('INSERT INTO segments (received, at, length, object) VALUES ($1, $2, $3, $4)', [
          id,
          at,
          bytes.length,
          object,
        ]);
        const packed = gone.reduce((sum, row) => sum + Number(row.n), 0);
        await session.change('UPDATE received SET inline = greatest(0, inline - $2::bigint) WHERE id = $1', [
          id,
          packed,
        ]);
      });
      from = to;
    }
  }
}
