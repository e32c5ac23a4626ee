/** Plain bytes of journals, as they were received: small pieces in the database, large ones as objects. */
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { Session } from './database.ts';

const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Where large segments are: names are unique for ever, an object never changes. */
export interface SegmentObjects {
  read(name: string): Promise<Uint8Array>;
}

/** Consecutive plain bytes of one journal. */
export interface Segment {
  writer: string;
  /** Plain bytes before it. */
  at: number;
  bytes: Buffer;
}

/**
 * Segments of a run's journals ('' for the project's own) that hold bytes from these offsets on, in order by journal, until
 * they are `most` bytes together; the first one at least. Announced journals are not among them.
 */
export async function readSegments(
  session: Session,
  objects: SegmentObjects,
  run: string,
  offsets: ReadonlyMap<string, number>,
  most: number,
): Promise<{ segments: Segment[]; more: boolean }> {
  const rows = await session.rows(
    `SELECT r.writer, s.at, s.length, s.object, s.received FROM received r
     JOIN segments s ON s.received = r.id
     LEFT JOIN unnest($2::text[], $3::bigint[]) AS o (writer, "offset") ON o.writer = r.writer
     WHERE r.run = $1 AND r.announced = 0 AND s.at + s.length > coalesce(o."offset", 0)
     ORDER BY r.writer, s.at`,
    [run, [...offsets.keys()], [...offsets.values()]],
  );
  const chosen: typeof rows = [];
  let length = 0;
  for (const row of rows) {
    if (chosen.length > 0 && length + Number(row.length) > most) break;
    chosen.push(row);
    length += Number(row.length);
  }
  const inline = chosen.filter((row) => row.object === null);
  const bodies = await session.rows(
    `SELECT s.received, s.at, s.body FROM unnest($1::bigint[], $2::bigint[]) AS k (received, at)
     JOIN segments s ON s.received = k.received AND s.at = k.at`,
    [inline.map((row) => row.received), inline.map((row) => row.at)],
  );
  const byPlace = new Map(bodies.map((row) => [`${row.received} ${row.at}`, row.body as Buffer]));
  const segments: Segment[] = [];
  for (const row of chosen) {
    const body =
      row.object === null ? byPlace.get(`${row.received} ${row.at}`) : await objects.read(String(row.object));
    if (body === undefined) throw new Error(`a segment is gone: ${run}/${row.writer} at ${row.at}`);
    segments.push({
      writer: String(row.writer),
      at: Number(row.at),
      bytes: unpackSegment(body, Number(row.length)),
    });
  }
  return { segments, more: chosen.length < rows.length };
}

export function packSegment(bytes: Uint8Array): Buffer {
  return zstdCompressSync(bytes, FAST);
}

/** @param length plain bytes that it has */
export function unpackSegment(body: Uint8Array, length: number): Buffer {
  return zstdDecompressSync(body, { maxOutputLength: Math.max(1, length) });
}
