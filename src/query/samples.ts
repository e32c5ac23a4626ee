import { WaddleError } from '../errors/waddle-error.ts';
import { encodeNumber } from '../events/line.ts';
import type { MetricNumber } from '../events/schema.ts';
import { answerNow } from '../store/answer-now.ts';
import type { Store } from '../store/open.ts';
import type { Question } from '../store/question.ts';
import { MAX_SEQ } from '../store/schema.ts';
import { MergedSamples, type Sample } from './merged-samples.ts';
import { type MetricSeries, metricSeries } from './metric-series.ts';

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
export function* readSamples(options: {
  run: string;
  key: string;
  limit?: number | undefined;
  after?: string | undefined;
}): Question<SamplePage> {
  const limit = readLimit(options.limit);
  const place = options.after === undefined ? undefined : readPlace(options.after);
  const series = yield* metricSeries(options.run, options.key);
  let skip = place?.passed ?? 0;
  const merged = yield* MergedSamples.open(series, place?.step, limit + skip + 1);
  const rows: SampleRow[] = [];
  let step = Number.NaN;
  let atStep = 0;
  for (;;) {
    if (merged.hungry) yield* merged.feed();
    const sample = merged.take();
    if (sample === undefined) return { rows, next: null };
    if (rows.length === limit) return { rows, next: `${step}:${atStep}` };
    atStep = sample.step === step ? atStep + 1 : 1;
    step = sample.step;
    if (skip > 0 && step === place?.step) {
      skip--;
      continue;
    }
    skip = 0;
    rows.push(rowOf(sample));
  }
}

/** Without a key each page passes over those before it: not more than this many. */
const MAX_PASSED = 1_000_000;

/**
 * A page of all metrics' samples of a run, by step, then time. Throws `limit-invalid`, `cursor-invalid`, and
 * `query-invalid` where there are more than a million.
 */
export function* readAllSamples(options: {
  run: string;
  limit?: number | undefined;
  after?: string | undefined;
}): Question<SamplePage> {
  const limit = readLimit(options.limit);
  const from = options.after === undefined ? 0 : Number(/^\d{1,9}$/.exec(options.after)?.[0] ?? Number.NaN);
  if (Number.isNaN(from)) throw foreignCursor();
  const series = yield* metricSeries(options.run);
  const total = series.reduce((sum, { count }) => sum + count, 0);
  if (total > MAX_PASSED) {
    throw new WaddleError(
      'query-invalid',
      `this run has ${total} samples, too many to sort all at once`,
      'Name a key: ?key=loss',
      { exitCode: 2 },
    );
  }
  series.sort((a, b) => (a.writer === b.writer ? a.id - b.id : a.writer < b.writer ? -1 : 1));
  const merged = yield* MergedSamples.open(series, undefined, from + limit + 1);
  const rows: SampleRow[] = [];
  for (let passed = 0; ; passed++) {
    if (merged.hungry) yield* merged.feed();
    const sample = merged.take();
    if (sample === undefined) return { rows, next: null };
    if (rows.length === limit) return { rows, next: String(from + limit) };
    if (passed >= from) rows.push(rowOf(sample));
  }
}

function rowOf({ rowid, key, step, ts, value }: Sample): SampleRow {
  return { rowid, key, step, ts, value: encodeNumber(value) };
}

function readLimit(limit: number = DEFAULT_LIMIT): number {
  if (Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new WaddleError(
    'limit-invalid',
    `the limit ${limit} is not from 1 to ${MAX_LIMIT}`,
    'write for example: 2000',
    {
      exitCode: 2,
    },
  );
}

/** A place: a step, and how many samples of it have passed. */
function readPlace(after: string): { step: number; passed: number } {
  const match = /^(-?[\d.]+(?:e[+-]?\d+)?):(\d{1,15})$/.exec(after);
  const step = Number(match?.[1]);
  if (match === null || !Number.isFinite(step)) throw foreignCursor();
  return { step, passed: Number(match[2]) };
}

function foreignCursor(): WaddleError {
  return new WaddleError(
    'cursor-invalid',
    'the cursor does not belong to this list',
    'ask for the first page without one, and follow the links from there',
    { exitCode: 2 },
  );
}

/** All samples of a metric by step, then arrival, in constant memory. */
export function* iterateSamples(
  store: Pick<Store, 'db'>,
  series: readonly MetricSeries[],
): Generator<Sample> {
  const merged = answerNow(store, MergedSamples.open(series, undefined, Number.POSITIVE_INFINITY));
  for (;;) {
    if (merged.hungry) answerNow(store, merged.feed());
    const sample = merged.take();
    if (sample === undefined) return;
    yield sample;
  }
}

/** True where no sample of these series has a fraction in its step. Reads all their steps. */
export function hasWholeSteps({ db }: Pick<Store, 'db'>, series: readonly MetricSeries[]): boolean {
  const find = db.prepare(
    `SELECT 1 FROM samples WHERE id >= ? AND id < ?
     AND (step <> CAST(step AS INTEGER) OR abs(step) > ${Number.MAX_SAFE_INTEGER}) LIMIT 1`,
  );
  return series.every(({ id, count }) => find.get(id * MAX_SEQ, id * MAX_SEQ + count) === undefined);
}
