import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { WaddleError } from '../errors/waddle-error.ts';
import { encodeNumber } from '../events/line.ts';
import type { MetricNumber } from '../events/schema.ts';
import { MAX_SEQ } from '../store/schema.ts';
import { MAX_SEGMENTS, TOP_LEVEL } from '../store/series.ts';
import { readConsistently } from './consistent-read.ts';
import { type MetricSeries, metricSeries, valueOrNaN } from './metric-series.ts';

/** One value of a metric. `ts` is in epoch seconds. */
export interface Sample {
  /** Unique in this database; another one after a rebuild. */
  rowid: number;
  step: number;
  ts: number;
  value: number;
  writer: string;
}

/** A sample as `/api/runs/<id>/metrics` gives it. */
export interface SampleRow {
  rowid: number;
  key: string;
  step: number;
  ts: number;
  value: MetricNumber;
}

export interface SamplePage {
  rows: SampleRow[];
  /** `after` of the next page; null at the end. */
  next: string | null;
}

const DEFAULT_LIMIT = 2000;
const MAX_LIMIT = 100_000;

/**
 * A page of a metric's samples by step, then arrival (of several writers: by time, then the writer's name). An unknown
 * run or key has none. Throws `limit-invalid`, `cursor-invalid`.
 */
export function readSamples(
  db: DatabaseSync,
  options: { run: string; key: string; limit?: number | undefined; after?: string | undefined },
): SamplePage {
  const { run, key, limit = DEFAULT_LIMIT } = options;
  if (!Number.isSafeInteger(limit) || limit < 1 || limit > MAX_LIMIT) {
    throw new WaddleError(
      'limit-invalid',
      `the limit ${limit} is not from 1 to ${MAX_LIMIT}`,
      'write for example: 2000',
      {
        exitCode: 2,
      },
    );
  }
  const place = options.after === undefined ? undefined : readPlace(options.after);
  return readConsistently(db, () => {
    const rows: SampleRow[] = [];
    let step = Number.NaN;
    let atStep = 0;
    let skip = place?.passed ?? 0;
    for (const sample of mergeSamples(db, metricSeries(db, run, key), place?.step, limit + skip + 1)) {
      if (rows.length === limit) return { rows, next: `${step}:${atStep}` };
      atStep = sample.step === step ? atStep + 1 : 1;
      step = sample.step;
      if (skip > 0 && step === place?.step) {
        skip--;
        continue;
      }
      skip = 0;
      rows.push({ rowid: sample.rowid, key, step, ts: sample.ts, value: encodeNumber(sample.value) });
    }
    return { rows, next: null };
  });
}

/** A place: a step, and how many samples of it have passed. */
function readPlace(after: string): { step: number; passed: number } {
  const match = /^(-?[\d.]+(?:e[+-]?\d+)?):(\d{1,15})$/.exec(after);
  const step = Number(match?.[1]);
  if (match === null || !Number.isFinite(step)) {
    throw new WaddleError(
      'cursor-invalid',
      'the cursor does not belong to this list',
      'ask for the first page without one, and follow the links from there',
      { exitCode: 2 },
    );
  }
  return { step, passed: Number(match[2]) };
}

/** All samples of a metric by step, then arrival, in constant memory. */
export function iterateSamples(db: DatabaseSync, series: readonly MetricSeries[]): Generator<Sample> {
  return mergeSamples(db, series, undefined, Number.POSITIVE_INFINITY);
}

/** Consecutive samples of one series whose steps do not go back. */
interface Stream {
  series: MetricSeries;
  /** Place of the series in the order of writers. */
  order: number;
  statement: StatementSync;
  /** Rows waiting, and which of them is next. */
  rows: Record<string, unknown>[];
  index: number;
  /** Sample to read next, and the end, as ids. */
  next: number;
  end: number;
  head: Sample;
}

const CHUNK = 4096;

function* mergeSamples(
  db: DatabaseSync,
  all: readonly MetricSeries[],
  fromStep: number | undefined,
  wanted: number,
): Generator<Sample> {
  const ranges = all.flatMap((series, order) =>
    segmentRanges(db, series).map((range) => ({ ...range, series, order })),
  );
  const chunk = Math.max(16, Math.min(CHUNK, wanted, Math.ceil((8 * CHUNK) / Math.max(1, ranges.length))));
  const heap: Stream[] = [];
  for (const range of ranges) {
    const stream = openStream(db, range.series, range.order, range, fromStep);
    if (advance(stream, chunk)) heap.push(stream);
  }
  for (let index = (heap.length >> 1) - 1; index >= 0; index--) sink(heap, index);
  for (;;) {
    const first = heap[0];
    if (first === undefined) return;
    yield first.head;
    if (!advance(first, chunk)) {
      const last = heap.pop();
      if (last === undefined || last === first) continue;
      heap[0] = last;
    }
    if (heap.length > 1) sink(heap, 0);
  }
}

interface SegmentRange {
  from: number;
  to: number;
  /** Its steps go back all the same: it must be sorted. */
  unsorted: boolean;
}

/** The parts of a series in which steps do not go back, as ranges of `seq`. Each ended one has a bucket at the top level. */
function segmentRanges(db: DatabaseSync, series: MetricSeries): SegmentRange[] {
  const starts = [0];
  if (series.segment > 0) {
    const ended = db
      .prepare(
        `SELECT max(seq + count) AS next FROM rollups WHERE series = ? AND level = ? AND segment < ?
         GROUP BY segment ORDER BY segment`,
      )
      .all(series.id, TOP_LEVEL, series.segment);
    for (const row of ended) starts.push(Number(row.next));
  }
  return starts.map((from, index) => ({
    from,
    to: starts[index + 1] ?? series.count,
    unsorted: index === starts.length - 1 && series.segment >= MAX_SEGMENTS,
  }));
}

function openStream(
  db: DatabaseSync,
  series: MetricSeries,
  order: number,
  range: SegmentRange,
  fromStep: number | undefined,
): Stream {
  const base = series.id * MAX_SEQ;
  const stream: Stream = {
    series,
    order,
    statement: db.prepare(
      'SELECT id, step, dt, value FROM samples WHERE id >= ? AND id < ? ORDER BY id LIMIT ?',
    ),
    rows: [],
    index: 0,
    next: base + range.from,
    end: base + range.to,
    head: { rowid: 0, step: 0, ts: 0, value: 0, writer: series.writer },
  };
  if (range.unsorted) {
    stream.rows = db
      .prepare(
        'SELECT id, step, dt, value FROM samples WHERE id >= ? AND id < ? AND step >= ? ORDER BY step, id',
      )
      .all(stream.next, stream.end, fromStep ?? Number.NEGATIVE_INFINITY);
    stream.next = stream.end;
  } else if (fromStep !== undefined) {
    stream.next = firstAtStep(db, stream.next, stream.end, fromStep);
  }
  return stream;
}

/** The first id in a range of ids whose step is not below `step`; its steps do not go back. */
function firstAtStep(db: DatabaseSync, from: number, to: number, step: number): number {
  const stepOf = db.prepare('SELECT step FROM samples WHERE id = ?');
  let [low, high] = [from, to];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (Number(stepOf.get(middle)?.step) < step) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Moves on to the next sample; false at the end. */
function advance(stream: Stream, chunk: number): boolean {
  if (stream.index === stream.rows.length) {
    if (stream.next >= stream.end) return false;
    stream.rows = stream.statement.all(stream.next, stream.end, chunk);
    stream.index = 0;
    stream.next += chunk;
  }
  const row = stream.rows[stream.index++];
  if (row === undefined) return false;
  stream.head = {
    rowid: Number(row.id),
    step: Number(row.step),
    ts: (stream.series.t0 + Number(row.dt)) / 1000,
    value: valueOrNaN(row.value),
    writer: stream.series.writer,
  };
  return true;
}

function comesBefore(a: Stream, b: Stream): boolean {
  if (a.head.step !== b.head.step) return a.head.step < b.head.step;
  // Of one writer, arrival is what counts, wherever its clock went.
  if (a.series.writer !== b.series.writer && a.head.ts !== b.head.ts) return a.head.ts < b.head.ts;
  return a.order === b.order ? a.head.rowid < b.head.rowid : a.order < b.order;
}

function sink(heap: Stream[], from: number): void {
  const item = heap[from];
  if (item === undefined) return;
  let at = from;
  for (;;) {
    let child = 2 * at + 1;
    let least = heap[child];
    if (least === undefined) break;
    const right = heap[child + 1];
    if (right !== undefined && comesBefore(right, least)) [child, least] = [child + 1, right];
    if (!comesBefore(least, item)) break;
    heap[at] = least;
    at = child;
  }
  heap[at] = item;
}

/** True where no sample of these series has a fraction in its step. Reads all their steps. */
export function hasWholeSteps(db: DatabaseSync, series: readonly MetricSeries[]): boolean {
  const find = db.prepare(
    `SELECT 1 FROM samples WHERE id >= ? AND id < ?
     AND (step <> CAST(step AS INTEGER) OR abs(step) > ${Number.MAX_SAFE_INTEGER}) LIMIT 1`,
  );
  return series.every(({ id, count }) => find.get(id * MAX_SEQ, id * MAX_SEQ + count) === undefined);
}
