import {
  addBucket,
  addSample,
  clear,
  nanIfNull,
  nullIfNaN,
  openBucket,
  type RollupBucket,
} from './bucket.ts';
import type { Store } from './open.ts';
import { type SampleSink, sampleTables } from './sample-tables.ts';
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
  open: RollupBucket[];
  /** Samples not yet in the database, in order of arrival. Times in milliseconds. */
  steps: number[];
  times: number[];
  values: number[];
}

/** Writes the open bucket of a level, and adds it to the level above, which may fill that one, and so on. */
function completeBucket(sink: SampleSink, series: SeriesState, level: number): void {
  const bucket = series.open[level];
  if (bucket === undefined || bucket.children === 0) return;
  sink.bucket(series, level, bucket);
  if (level < TOP_LEVEL) {
    const parent = openBucket(series.open, level + 1);
    addBucket(parent, bucket);
    if (parent.children === FAN_OUT) completeBucket(sink, series, level + 1);
  }
  clear(bucket);
}

/** A series as its rows tell, with its open buckets. */
export function loadSeries(
  store: Store,
  run: number,
  writer: string,
  key: string,
  sink: SampleSink = sampleTables(store),
): SeriesState | undefined {
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
  sink.restore(series);
  return series;
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
  sink: SampleSink = sampleTables(store),
): { seq0: number; seq1: number } {
  const seq0 = series.count;
  const bottom = openBucket(series.open, 1);
  const { steps, times, values } = series;
  const written = Math.min(steps.length, maxSeq - seq0);
  for (let index = 0; index < written; index += 1) {
    const step = steps[index] ?? 0;
    const ms = times[index] ?? 0;
    const value = values[index] ?? Number.NaN;
    const seq = seq0 + index;
    const dt = ms - series.t0;
    sink.sample(series, seq, step, dt, value);
    if (step < series.endStep && series.segment < MAX_SEGMENTS) {
      for (let level = 1; level <= TOP_LEVEL; level += 1) completeBucket(sink, series, level);
      series.segment += 1;
    }
    series.endStep = step;
    addSample(bottom, seq, step, dt, value);
    if (bottom.children === FAN_OUT) completeBucket(sink, series, 1);
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
