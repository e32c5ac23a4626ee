import type { Store } from './open.ts';
import { MAX_SEQ } from './schema.ts';

/**
 * Children of a full rollup bucket: 16 samples, or 16 buckets of the level below.
 *
 * A chart of P points reads the lowest level with at least P buckets, so at worst FAN_OUT * P rows. Measured here
 * (node:sqlite, P = 1,000): 16 reads 16,000 rows in 11 ms, 32 in 24 ms, 64 in 43 ms, against a limit of 20 ms. What 16
 * costs is 87 / 15 = 5.8 bytes a sample (64: 1.4), 35 in all with the sample's own 29: well under the limit of 45.
 */
export const FAN_OUT = 16;

/** Levels of rollups: 16^6 samples in a bucket of the top level, at most 16 of them in a part of 2^28. */
export const TOP_LEVEL = 6;

/** Once the step of a series has gone back this often, that no longer starts a segment: it is drawn by arrival. */
export const MAX_SEGMENTS = 1000;

/** A bucket that is still being filled. `min` and `max` are ±Infinity the wrong way round until there is a value. */
interface Bucket {
  children: number;
  seq: number;
  count: number;
  nan: number;
  min: number;
  max: number;
  sum: number;
  first: number;
  last: number;
  step0: number;
  step1: number;
  dt0: number;
  dt1: number;
}

/** One series as of the last transaction, and the samples that came since. */
export interface SeriesState {
  id: number;
  run: number;
  key: string;
  writer: string;
  part: number;
  /** Milliseconds: time of the first sample. */
  t0: number;
  count: number;
  nan: number;
  inf: number;
  first: number;
  firstSeq: number;
  firstStep: number;
  firstMs: number;
  last: number;
  lastSeq: number;
  lastStep: number;
  lastMs: number;
  min: number;
  max: number;
  sum: number;
  minStep: number;
  maxStep: number;
  /** Step of the latest sample by arrival. */
  endStep: number;
  segment: number;
  /** Open buckets by level, made as they are needed; index 0 is not used. */
  open: Bucket[];
  /** Samples not yet in the database, in order of arrival. Times in milliseconds. */
  steps: number[];
  times: number[];
  values: number[];
}

function emptyBucket(): Bucket {
  return {
    children: 0,
    seq: 0,
    count: 0,
    nan: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    sum: 0,
    first: 0,
    last: 0,
    step0: 0,
    step1: 0,
    dt0: 0,
    dt1: 0,
  };
}

/** The bucket being filled at a level. */
function openBucket(series: SeriesState, level: number): Bucket {
  let bucket = series.open[level];
  if (bucket === undefined) {
    bucket = emptyBucket();
    series.open[level] = bucket;
  }
  return bucket;
}

function clear(bucket: Bucket): void {
  bucket.children = 0;
  bucket.count = 0;
  bucket.nan = 0;
  bucket.min = Number.POSITIVE_INFINITY;
  bucket.max = Number.NEGATIVE_INFINITY;
  bucket.sum = 0;
}

function addSample(bucket: Bucket, seq: number, step: number, dt: number, value: number): void {
  if (bucket.children === 0) {
    bucket.seq = seq;
    bucket.first = value;
    bucket.step0 = step;
    bucket.dt0 = dt;
  }
  bucket.children += 1;
  bucket.count += 1;
  if (Number.isNaN(value)) bucket.nan += 1;
  else {
    if (value < bucket.min) bucket.min = value;
    if (value > bucket.max) bucket.max = value;
    bucket.sum += value;
  }
  bucket.last = value;
  bucket.step1 = step;
  bucket.dt1 = dt;
}

function addBucket(bucket: Bucket, child: Bucket): void {
  if (bucket.children === 0) {
    bucket.seq = child.seq;
    bucket.first = child.first;
    bucket.step0 = child.step0;
    bucket.dt0 = child.dt0;
  }
  bucket.children += 1;
  bucket.count += child.count;
  bucket.nan += child.nan;
  if (child.min < bucket.min) bucket.min = child.min;
  if (child.max > bucket.max) bucket.max = child.max;
  bucket.sum += child.sum;
  bucket.last = child.last;
  bucket.step1 = child.step1;
  bucket.dt1 = child.dt1;
}

/** SQLite has no NaN: it is NULL. `node:sqlite` would do the same; this says it. */
function nullIfNaN(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

function nanIfNull(value: unknown): number {
  return value === null || value === undefined ? Number.NaN : Number(value);
}

const INSERT_SAMPLE = 'INSERT INTO samples (id, step, dt, value) VALUES (?, ?, ?, ?)';
const INSERT_ROLLUP = `INSERT INTO rollups (series, level, seq, count, nan_count, min, max, sum, first, last,
  step0, step1, dt0, dt1, segment) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;

function writeBucket(store: Store, series: SeriesState, level: number, bucket: Bucket): void {
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

/** Writes the open bucket of a level, and adds it to the level above, which may fill that one, and so on. */
function completeBucket(store: Store, series: SeriesState, level: number): void {
  const bucket = series.open[level];
  if (bucket === undefined || bucket.children === 0) return;
  writeBucket(store, series, level, bucket);
  if (level < TOP_LEVEL) {
    const parent = openBucket(series, level + 1);
    addBucket(parent, bucket);
    if (parent.children === FAN_OUT) completeBucket(store, series, level + 1);
  }
  clear(bucket);
}

/** A series as its rows tell; its open buckets are made again from the rows that no bucket above holds yet. */
export function loadSeries(store: Store, run: number, writer: string, key: string): SeriesState | undefined {
  const row = store
    .prepare('SELECT * FROM series WHERE run = ? AND key = ? AND writer = ? ORDER BY part DESC LIMIT 1')
    .get(run, key, writer);
  if (row === undefined) return undefined;
  const count = Number(row.count);
  const valued = count > Number(row.nan_count);
  const series: SeriesState = {
    id: Number(row.id),
    run,
    key,
    writer,
    part: Number(row.part),
    t0: Number(row.t0),
    count,
    nan: Number(row.nan_count),
    inf: Number(row.inf_count),
    first: nanIfNull(row.first),
    firstSeq: Number(row.first_seq),
    firstStep: Number(row.first_step),
    firstMs: Math.round(Number(row.first_ts) * 1000),
    last: nanIfNull(row.last),
    lastSeq: Number(row.last_seq),
    lastStep: Number(row.last_step),
    lastMs: Math.round(Number(row.last_ts) * 1000),
    min: valued ? Number(row.min) : Number.POSITIVE_INFINITY,
    max: valued ? Number(row.max) : Number.NEGATIVE_INFINITY,
    sum: nanIfNull(row.sum),
    minStep: Number(row.min_step),
    maxStep: Number(row.max_step),
    endStep: Number(row.end_step),
    segment: Number(row.segment),
    open: [],
    steps: [],
    times: [],
    values: [],
  };
  for (let level = 1; level <= TOP_LEVEL; level += 1) restoreOpenBucket(store, series, level);
  return series;
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
        openBucket(series, level),
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
    addBucket(openBucket(series, level), {
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

/** A new series; its first sample is still to come. `ms` is that sample's time in milliseconds. */
export function newSeries(
  store: Store,
  place: { run: number; writer: string; key: string; part: number },
  ms: number,
): SeriesState {
  const { lastInsertRowid } = store
    .prepare(
      `INSERT INTO series (run, key, writer, part, t0, count, nan_count, inf_count, first_is_nan, first_seq, first_step,
        first_ts, last_is_nan, last_seq, last_step, last_ts, sum, min_step, max_step, end_step, segment, revision)
       VALUES (?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)`,
    )
    .run(place.run, place.key, place.writer, place.part, ms);
  return {
    id: Number(lastInsertRowid),
    ...place,
    t0: ms,
    count: 0,
    nan: 0,
    inf: 0,
    first: Number.NaN,
    firstSeq: 0,
    firstStep: 0,
    firstMs: Number.POSITIVE_INFINITY,
    last: Number.NaN,
    lastSeq: 0,
    lastStep: 0,
    lastMs: Number.NEGATIVE_INFINITY,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    sum: 0,
    minStep: Number.POSITIVE_INFINITY,
    maxStep: Number.NEGATIVE_INFINITY,
    endStep: Number.NEGATIVE_INFINITY,
    segment: 0,
    open: [],
    steps: [],
    times: [],
    values: [],
  };
}

/**
 * Writes the waiting samples of a series with the rollups that they complete, and its row. Samples past the last `seq`
 * that a part can hold stay waiting: the caller begins a new part for them.
 * @returns the range of `seq` written, both ends included
 */
export function writeSamples(
  store: Store,
  series: SeriesState,
  revision: number,
  maxSeq: number = MAX_SEQ,
): { seq0: number; seq1: number } {
  const seq0 = series.count;
  const base = series.id * MAX_SEQ;
  const insert = store.prepare(INSERT_SAMPLE);
  const bottom = openBucket(series, 1);
  const { steps, times, values } = series;
  const written = Math.min(steps.length, maxSeq - seq0);
  for (let index = 0; index < written; index += 1) {
    const step = steps[index] ?? 0;
    const ms = times[index] ?? 0;
    const value = values[index] ?? Number.NaN;
    const seq = seq0 + index;
    const dt = ms - series.t0;
    insert.run(base + seq, step, dt, nullIfNaN(value));
    if (step < series.endStep && series.segment < MAX_SEGMENTS) {
      for (let level = 1; level <= TOP_LEVEL; level += 1) completeBucket(store, series, level);
      series.segment += 1;
    }
    series.endStep = step;
    addSample(bottom, seq, step, dt, value);
    if (bottom.children === FAN_OUT) completeBucket(store, series, 1);
    summarise(series, seq, step, ms, value);
  }
  series.count += written;
  if (written === steps.length) {
    series.steps = [];
    series.times = [];
    series.values = [];
  } else {
    series.steps = steps.slice(written);
    series.times = times.slice(written);
    series.values = values.slice(written);
  }
  writeRow(store, series, revision);
  return { seq0, seq1: series.count - 1 };
}

function summarise(series: SeriesState, seq: number, step: number, ms: number, value: number): void {
  if (Number.isNaN(value)) series.nan += 1;
  else {
    if (value < series.min) series.min = value;
    if (value > series.max) series.max = value;
    if (!Number.isFinite(value)) series.inf += 1;
    series.sum += value;
  }
  if (step < series.minStep) series.minStep = step;
  if (step > series.maxStep) series.maxStep = step;
  if (ms < series.firstMs) {
    series.first = value;
    series.firstSeq = seq;
    series.firstStep = step;
    series.firstMs = ms;
  }
  // Of equal times the later arrival is the last one.
  if (ms >= series.lastMs) {
    series.last = value;
    series.lastSeq = seq;
    series.lastStep = step;
    series.lastMs = ms;
  }
}

const UPDATE_SERIES = `UPDATE series SET count = ?, nan_count = ?, inf_count = ?,
  first = ?, first_is_nan = ?, first_seq = ?, first_step = ?, first_ts = ?,
  last = ?, last_is_nan = ?, last_seq = ?, last_step = ?, last_ts = ?,
  min = ?, max = ?, sum = ?, min_step = ?, max_step = ?, end_step = ?, segment = ?, revision = ? WHERE id = ?`;

function writeRow(store: Store, series: SeriesState, revision: number): void {
  const empty = series.count === series.nan;
  store
    .prepare(UPDATE_SERIES)
    .run(
      series.count,
      series.nan,
      series.inf,
      nullIfNaN(series.first),
      Number.isNaN(series.first) ? 1 : 0,
      series.firstSeq,
      series.firstStep,
      series.firstMs / 1000,
      nullIfNaN(series.last),
      Number.isNaN(series.last) ? 1 : 0,
      series.lastSeq,
      series.lastStep,
      series.lastMs / 1000,
      empty ? null : series.min,
      empty ? null : series.max,
      nullIfNaN(series.sum),
      series.minStep,
      series.maxStep,
      series.endStep,
      series.segment,
      revision,
      series.id,
    );
}

/** Merges a metric's series over its writers into `metric_summaries`: the same whichever writer was read first. */
export function summariseMetric(store: Store, run: number, key: string, revision: number): void {
  const parts = store
    .prepare('SELECT * FROM series WHERE run = ? AND key = ? ORDER BY writer, part')
    .all(run, key);
  let [first, last] = [parts[0], parts[0]];
  if (first === undefined || last === undefined) return;
  let [count, nan, inf, sum] = [0, 0, 0, 0];
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  let minStep = Number.POSITIVE_INFINITY;
  let maxStep = Number.NEGATIVE_INFINITY;
  const writers = new Set<unknown>();
  for (const part of parts) {
    count += Number(part.count);
    nan += Number(part.nan_count);
    inf += Number(part.inf_count);
    sum += nanIfNull(part.sum);
    if (part.min !== null && Number(part.min) < min) min = Number(part.min);
    if (part.max !== null && Number(part.max) > max) max = Number(part.max);
    minStep = Math.min(minStep, Number(part.min_step));
    maxStep = Math.max(maxStep, Number(part.max_step));
    if (Number(part.first_ts) < Number(first.first_ts)) first = part;
    if (Number(part.last_ts) >= Number(last.last_ts)) last = part;
    writers.add(part.writer);
  }
  const valued = count > nan;
  store
    .prepare(
      `INSERT OR REPLACE INTO metric_summaries (run, key, count, nan_count, inf_count, first, first_is_nan, first_step,
        first_ts, last, last_is_nan, last_step, last_ts, min, max, mean, min_step, max_step, writers, revision)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(
      run,
      key,
      count,
      nan,
      inf,
      first.first ?? null,
      first.first_is_nan ?? 0,
      first.first_step ?? null,
      first.first_ts ?? null,
      last.last ?? null,
      last.last_is_nan ?? 0,
      last.last_step ?? null,
      last.last_ts ?? null,
      valued ? min : null,
      valued ? max : null,
      valued ? nullIfNaN(sum / (count - nan)) : null,
      minStep,
      maxStep,
      writers.size,
      revision,
    );
}
