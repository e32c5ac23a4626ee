/**
 * Samples and rollups as rows of compressed columns. A chunk never reaches over a boundary of its level's blocks (a block
 * of samples holds SAMPLES of them), so that whoever looks for a sample knows where its chunk begins at the earliest.
 *
 * What arrives is appended as a chunk of its own, or together with the chunks before it while those are not much longer:
 * so a sample is written anew a few times, not each time that its series grows, and a block is never more than a few
 * chunks.
 */
import { setImmediate } from 'node:timers/promises';
import type { RollupBucket } from '../store/bucket.ts';
import { FAN_OUT, type SeriesState } from '../store/series.ts';
import { decodeColumns, encodeColumns } from './column-codec.ts';
import type { Session } from './database.ts';

/** Samples in a chunk at most. */
const SAMPLES = 4096;
/** Full buckets in a chunk, where no segment ends within it. */
const BUCKETS = 256;
/** Columns of a chunk of samples: step, dt, value. */
const SAMPLE_COLUMNS = 3;
/** Columns of a chunk of rollups. `min` and `max` are NaN where a bucket holds no value. */
export const BUCKET = {
  seq: 0,
  count: 1,
  nan: 2,
  min: 3,
  max: 4,
  sum: 5,
  first: 6,
  last: 7,
  step0: 8,
  step1: 9,
  dt0: 10,
  dt1: 11,
  segment: 12,
} as const;
const BUCKET_COLUMNS = 13;

/** Samples that a block of a level spans; level 0 is of samples. */
export function blockOf(level: number): number {
  return level === 0 ? SAMPLES : BUCKETS * FAN_OUT ** level;
}

/** Bytes of a chunk that are kept at most: it is soon one with what comes next, and need not be read for that. */
const KEPT_BYTES = 1024;

/** A chunk of the block that is being filled, by where it begins. */
interface Tail {
  seq0: number;
  count: number;
  body?: Buffer | undefined;
}

/** A part of a statement, with `$1`, `$2`, … for its values. */
export interface Part {
  sql: string;
  values: unknown[];
}

/** What came of one level of a series: rows by column. */
interface Pending {
  series: number;
  level: number;
  columns: number[][];
}

interface Chunk {
  series: number;
  level: number;
  seq0: number;
  seq1: number;
  count: number;
  step0: number;
  step1: number;
  body: Buffer;
}

const keyOf = (series: number, level: number): string => `${series}/${level}`;

/** Gathers what the applier writes of one run, and writes it as chunks. Series are numbered as in the scratch. */
export class ChunkWriter {
  #pending = new Map<string, Pending>();
  /** Samples of one series come one after the other. */
  #latest: Pending | null = null;
  readonly #tails = new Map<string, Tail[]>();

  sample(series: number, seq: number, step: number, dt: number, value: number): void {
    if (this.#latest?.series !== series) this.#latest = this.#of(series, 0, SAMPLE_COLUMNS + 1);
    const { columns } = this.#latest;
    const [seqs, steps, times, values] = columns as [number[], number[], number[], number[]];
    seqs.push(seq);
    steps.push(step);
    times.push(dt);
    values.push(value);
  }

  bucket(series: SeriesState, level: number, bucket: RollupBucket): void {
    const { columns } = this.#of(series.id, level, BUCKET_COLUMNS);
    const empty = bucket.count === bucket.nan;
    const row = [
      bucket.seq,
      bucket.count,
      bucket.nan,
      empty ? Number.NaN : bucket.min,
      empty ? Number.NaN : bucket.max,
      bucket.sum,
      bucket.first,
      bucket.last,
      bucket.step0,
      bucket.step1,
      bucket.dt0,
      bucket.dt1,
      series.segment,
    ];
    for (const [index, value] of row.entries()) columns[index]?.push(value);
  }

  #of(series: number, level: number, columns: number): Pending {
    const key = keyOf(series, level);
    let pending = this.#pending.get(key);
    if (pending === undefined) {
      pending = { series, level, columns: Array.from({ length: columns }, () => []) };
      this.#pending.set(key, pending);
    }
    return pending;
  }

  /** Says what the database has already of the block being filled. */
  knows(series: number, level: number, seq0: number, count: number): void {
    const key = keyOf(series, level);
    const tails = this.#tails.get(key);
    if (tails === undefined) this.#tails.set(key, [{ seq0, count }]);
    else tails.push({ seq0, count });
  }

  /** Forgets what has not been written: the transaction was given up. */
  drop(): void {
    this.#pending = new Map();
    this.#latest = null;
  }

  /**
   * What writes all that has gathered; its parts touch different rows. What it remembers holds only if they are carried out, and
   * the transaction commits.
   * @param idOf a series' id in the database
   */
  async gather(session: Session, idOf: (series: number) => number): Promise<Part[]> {
    const pending = [...this.#pending.values()];
    this.drop();
    if (pending.length === 0) return [];
    const runs = pending.flatMap((each) => this.#placed(each));
    const merged = runs.flatMap((run) =>
      run.before.filter(({ body }) => body === undefined).map((tail) => ({ run, seq0: tail.seq0 })),
    );
    const bodies = await readBodies(
      session,
      merged.map(({ run, seq0 }) => ({ id: idOf(run.series), level: run.level, seq0 })),
    );
    const chunks: Chunk[] = [];
    for (const [index, run] of runs.entries()) {
      // Others have questions meanwhile.
      if (index % 16 === 15) await setImmediate();
      const id = idOf(run.series);
      const pieces = run.before.map((tail) => {
        const body = tail.body ?? bodies.get(`${id}/${run.level}/${tail.seq0}`);
        if (body === undefined) throw new Error(`a chunk is gone: ${id}/${run.level}/${tail.seq0}`);
        return decodeColumns(body, tail.count);
      });
      const chunk = encodeRun(id, run, pieces);
      if (chunk.body.length <= KEPT_BYTES) run.tail.body = chunk.body;
      chunks.push(chunk);
    }
    const obsolete = runs.flatMap((run) =>
      run.before.slice(1).map(({ seq0 }) => ({ id: idOf(run.series), run, seq0 })),
    );
    return [
      ...removals(obsolete.map(({ id, run, seq0 }) => ({ id, level: run.level, seq0 }))),
      ...insertions(chunks),
    ];
  }

  /** Cut at the blocks' boundaries, each with the chunks that become one with it. */
  #placed({ series, level, columns }: Pending): Placed[] {
    const key = keyOf(series, level);
    const block = blockOf(level);
    const seqs = columns[0] ?? [];
    const runs: Placed[] = [];
    for (let from = 0; from < seqs.length; ) {
      const number = Math.floor((seqs[from] ?? 0) / block);
      let to = from + 1;
      while (to < seqs.length && Math.floor((seqs[to] ?? 0) / block) === number) to += 1;
      let tails = this.#tails.get(key) ?? [];
      if (Math.floor((tails[0]?.seq0 ?? -1) / block) !== number) tails = [];
      const before: Tail[] = [];
      let count = to - from;
      for (let last = tails.at(-1); last !== undefined && last.count < 2 * count; last = tails.at(-1)) {
        tails.pop();
        before.unshift(last);
        count += last.count;
      }
      const tail: Tail = { seq0: before[0]?.seq0 ?? seqs[from] ?? 0, count };
      tails.push(tail);
      this.#tails.set(key, tails);
      runs.push({ series, level, before, tail, columns: columns.map((column) => column.slice(from, to)) });
      from = to;
    }
    return runs;
  }
}

interface Placed {
  series: number;
  level: number;
  before: Tail[];
  /** What all of it becomes. */
  tail: Tail;
  /** Of samples, with `seq` first. */
  columns: number[][];
}

function encodeRun(id: number, run: Placed, pieces: Float64Array[][]): Chunk {
  const samples = run.level === 0;
  const [seqs = []] = run.columns;
  const fresh = samples ? run.columns.slice(1) : run.columns;
  const columns =
    pieces.length === 0
      ? fresh
      : fresh.map((column, index) => joinColumns([...pieces.map((piece) => piece[index] ?? []), column]));
  const [first = []] = columns;
  const count = first.length;
  const seq0 = run.before[0]?.seq0 ?? seqs[0] ?? 0;
  const last = seqs.length - 1;
  const seq1 = samples ? seq0 + count : (seqs[last] ?? 0) + (run.columns[BUCKET.count]?.[last] ?? 0);
  const step1 = samples ? (first[count - 1] ?? 0) : 0;
  const body = encodeColumns(columns, count);
  return {
    series: id,
    level: run.level,
    seq0,
    seq1,
    count,
    step0: samples ? (first[0] ?? 0) : 0,
    step1,
    body,
  };
}

function joinColumns(pieces: ArrayLike<number>[]): Float64Array {
  const joined = new Float64Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

interface ChunkKey {
  id: number;
  level: number;
  seq0: number;
}

async function readBodies(session: Session, keys: readonly ChunkKey[]): Promise<Map<string, Buffer>> {
  if (keys.length === 0) return new Map();
  const rows = await session.rows(
    `SELECT k.series, k.level, k.seq0, coalesce(s.body, r.body) AS body
     FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (series, level, seq0)
     LEFT JOIN sample_chunks s ON k.level = 0 AND s.series = k.series AND s.seq0 = k.seq0
     LEFT JOIN rollup_chunks r ON k.level > 0 AND r.series = k.series AND r.level = k.level AND r.seq0 = k.seq0`,
    keyArrays(keys),
  );
  return new Map(rows.map((row) => [`${row.series}/${row.level}/${row.seq0}`, row.body as Buffer]));
}

function removals(keys: readonly ChunkKey[]): Part[] {
  const samples = keys.filter((key) => key.level === 0);
  const rollups = keys.filter((key) => key.level > 0);
  const parts: Part[] = [];
  if (samples.length > 0) {
    parts.push({
      sql: `DELETE FROM sample_chunks c USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (series, level, seq0)
       WHERE c.series = k.series AND c.seq0 = k.seq0`,
      values: keyArrays(samples),
    });
  }
  if (rollups.length > 0) {
    parts.push({
      sql: `DELETE FROM rollup_chunks c USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS k (series, level, seq0)
       WHERE c.series = k.series AND c.level = k.level AND c.seq0 = k.seq0`,
      values: keyArrays(rollups),
    });
  }
  return parts;
}

function keyArrays(keys: readonly ChunkKey[]): number[][] {
  return [keys.map((key) => key.id), keys.map((key) => key.level), keys.map((key) => key.seq0)];
}

function insertions(chunks: readonly Chunk[]): Part[] {
  const samples = chunks.filter((chunk) => chunk.level === 0);
  const rollups = chunks.filter((chunk) => chunk.level > 0);
  const parts: Part[] = [];
  if (samples.length > 0) {
    parts.push({
      sql: `INSERT INTO sample_chunks (series, seq0, count, step0, step1, body)
       SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::float8[], $5::float8[], $6::bytea[])
       ON CONFLICT (series, seq0) DO UPDATE SET count = excluded.count, step0 = excluded.step0, step1 = excluded.step1,
         body = excluded.body`,
      values: [
        samples.map((chunk) => chunk.series),
        samples.map((chunk) => chunk.seq0),
        samples.map((chunk) => chunk.count),
        samples.map((chunk) => chunk.step0),
        samples.map((chunk) => chunk.step1),
        samples.map((chunk) => chunk.body),
      ],
    });
  }
  if (rollups.length > 0) {
    parts.push({
      sql: `INSERT INTO rollup_chunks (series, level, seq0, seq1, count, body)
       SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])
       ON CONFLICT (series, level, seq0) DO UPDATE SET seq1 = excluded.seq1, count = excluded.count, body = excluded.body`,
      values: [
        rollups.map((chunk) => chunk.series),
        rollups.map((chunk) => chunk.level),
        rollups.map((chunk) => chunk.seq0),
        rollups.map((chunk) => chunk.seq1),
        rollups.map((chunk) => chunk.count),
        rollups.map((chunk) => chunk.body),
      ],
    });
  }
  return parts;
}
