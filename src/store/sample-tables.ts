import { addBucket, addSample, nanIfNull, nullIfNaN, openBucket, type RollupBucket } from './bucket.ts';
import type { Store } from './open.ts';
import { MAX_SEQ } from './schema.ts';
import { type SeriesState, TOP_LEVEL } from './series.ts';

/** Where samples and full buckets go: `sampleTables`, or an engine that keeps series elsewhere. */
export interface SampleSink {
  /** @param dt milliseconds after the series' `t0` */
  sample(series: SeriesState, seq: number, step: number, dt: number, value: number): void;
  /** A bucket that is full, or whose segment ended; of the series' present segment. */
  bucket(series: SeriesState, level: number, bucket: RollupBucket): void;
  /** Gives a series that was read from its row its open buckets back. */
  restore(series: SeriesState): void;
}

const INSERT_SAMPLE = 'INSERT INTO samples (id, step, dt, value) VALUES (?, ?, ?, ?)';
const INSERT_ROLLUP = `INSERT INTO rollups (series, level, seq, count, nan_count, min, max, sum, first, last,
  step0, step1, dt0, dt1, segment) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

/** The tables `samples` and `rollups`. */
export function sampleTables(store: Store): SampleSink {
  const insert = store.prepare(INSERT_SAMPLE);
  return {
    sample: (series, seq, step, dt, value) => {
      insert.run(series.id * MAX_SEQ + seq, step, dt, nullIfNaN(value));
    },
    bucket: (series, level, bucket) => writeBucket(store, series, level, bucket),
    // From the rows that no bucket above holds yet.
    restore: (series) => {
      for (let level = 1; level <= TOP_LEVEL; level += 1) restoreOpenBucket(store, series, level);
    },
  };
}

function writeBucket(store: Store, series: SeriesState, level: number, bucket: RollupBucket): void {
  const empty = bucket.count === bucket.nan;
  store
    .prepare(INSERT_ROLLUP)
    .run(
      series.id,
      level,
      bucket.seq,
      bucket.count,
      bucket.nan,
      empty ? null : bucket.min,
      empty ? null : bucket.max,
      nullIfNaN(bucket.sum),
      nullIfNaN(bucket.first),
      nullIfNaN(bucket.last),
      bucket.step0,
      bucket.step1,
      bucket.dt0,
      bucket.dt1,
      series.segment,
    );
}

function restoreOpenBucket(store: Store, series: SeriesState, level: number): void {
  const done = store
    .prepare(
      'SELECT seq + count AS next FROM rollups WHERE series = ? AND level = ? ORDER BY seq DESC LIMIT 1',
    )
    .get(series.id, level);
  const from = Number(done?.next ?? 0);
  if (level === 1) {
    const rows = store
      .prepare('SELECT id - ? AS seq, step, dt, value FROM samples WHERE id BETWEEN ? AND ? ORDER BY id')
      .all(series.id * MAX_SEQ, series.id * MAX_SEQ + from, series.id * MAX_SEQ + MAX_SEQ - 1);
    for (const row of rows) {
      addSample(
        openBucket(series.open, level),
        Number(row.seq),
        Number(row.step),
        Number(row.dt),
        nanIfNull(row.value),
      );
    }
    return;
  }
  const rows = store
    .prepare('SELECT * FROM rollups WHERE series = ? AND level = ? AND seq >= ? ORDER BY seq')
    .all(series.id, level - 1, from);
  for (const row of rows) {
    const valued = Number(row.count) > Number(row.nan_count);
    addBucket(openBucket(series.open, level), {
      children: 1,
      seq: Number(row.seq),
      count: Number(row.count),
      nan: Number(row.nan_count),
      min: valued ? Number(row.min) : Number.POSITIVE_INFINITY,
      max: valued ? Number(row.max) : Number.NEGATIVE_INFINITY,
      sum: nanIfNull(row.sum),
      first: nanIfNull(row.first),
      last: nanIfNull(row.last),
      step0: Number(row.step0),
      step1: Number(row.step1),
      dt0: Number(row.dt0),
      dt1: Number(row.dt1),
    });
  }
}
