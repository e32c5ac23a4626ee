import { setImmediate } from 'node:timers/promises';
import { WaddleError } from '../errors/waddle-error.ts';
import type { SeriesColumn, SeriesRequest } from '../protocol/api.ts';
import { type EncodableSeries, encodeSeriesBody } from '../protocol/series-body.ts';
import { type ChartLine, readSeries } from '../query/chart.ts';
import { type KeptSamples, readShortSeries, type ShortSeries, shortName } from '../query/short-series.ts';
import { type Engine, type Question, row, rows, type SampleColumns, together } from '../store/question.ts';
import { MAX_SEQ } from '../store/schema.ts';
import { KeptBytes } from './kept-bytes.ts';
import { formatCursor } from './live/cursor.ts';
import { nowCursor } from './live/stream-state.ts';

/** So many milliseconds of reading, then others have their turn. */
const TURN_MS = 10;
const MAX_SERIES = 100_000;
/** Short series are looked for so many at a time. */
const TOGETHER = 50;
/** So many samples are fewer bytes than one bucket: two columns instead of nine. */
const SAMPLES_OF_A_BUCKET = 4;
/** Of float64, in the columns of one answer. */
const MAX_BYTES = 256 * 1024 * 1024;

const COLUMNS: readonly SeriesColumn[] = ['x0', 'x1', 'min', 'max', 'first', 'last', 'mean', 'count', 'nan'];
/** Where each bucket is one sample, the rest is the same. A NaN is one in `first` too. */
const RAW_COLUMNS: readonly SeriesColumn[] = ['x0', 'first'];

/** Of all projects that this process serves together. */
const MOST_KEPT = 24 * 1024 * 1024;
/** A page that is loaded again, or opened by a second person, gets the same bytes while nothing has changed. */
const answers = new KeptBytes<Buffer>(MOST_KEPT, (body) => body.length);
/** Another part of the same charts, as after a zoom, is made of the same samples. */
const read = new KeptBytes<SampleColumns>(
  MOST_KEPT,
  ({ step, dt, value }) => step.byteLength + dt.byteLength + value.byteLength,
);

const numbers = new WeakMap<Engine, number>();
let count = 0;

/** Tells what is kept of one project from what is kept of another. */
function numberOf(engine: Engine): number {
  const number = numbers.get(engine) ?? ++count;
  numbers.set(engine, number);
  return number;
}

/**
 * Reads the asked series and gives the body. Gives way to others between series, and up where `aborted` says
 * so (null then). @throws WaddleError `series-too-many`
 */
export async function seriesReply(
  engine: Engine,
  request: SeriesRequest,
  aborted: () => boolean,
): Promise<Buffer | null> {
  const project = numberOf(engine);
  const { name, cursor } = await engine.answer(nameOf(project, request));
  const known = answers.get(name);
  if (known !== undefined) return known;
  const kept: KeptSamples = {
    get: (series) => read.get(`${project} ${series}`),
    set: (series, columns) => read.set(`${project} ${series}`, columns),
  };
  // Whatever is committed while this reads comes again in the live stream; `end` tells what was had.
  const pairs = await engine.answer(askedPairs(request));
  const lines: EncodableSeries[] = [];
  let bytes = 0;
  let turn = performance.now();
  const keep = (more: readonly EncodableSeries[]) => {
    for (const line of more) {
      bytes += line.columns.length * line.n * 8;
      lines.push(line);
    }
    if (bytes > MAX_BYTES) throw tooMany(`the answer would be over ${MAX_BYTES / 1024 / 1024} MB`);
  };
  for (let at = 0; at < pairs.length; at += TOGETHER) {
    const some = pairs.slice(at, at + TOGETHER);
    const short = await engine.answer(shortSeries(some, request, kept));
    for (let next = 0; next < some.length; next += engine.breadth) {
      const few = some.slice(next, next + engine.breadth);
      const found = await engine.answer(
        together(few.map((pair) => readPair(short.get(shortName(pair.run, pair.key)), pair, request))),
      );
      for (const each of found) keep(each);
      if (performance.now() - turn > TURN_MS) {
        await setImmediate();
        turn = performance.now();
        if (aborted()) return null;
      }
    }
  }
  // One write: thousands of small ones cost more than a copy.
  const body = Buffer.concat(encodeSeriesBody(cursor, request.axis ?? 'step', lines));
  answers.set(name, body);
  return body;
}

/** The question on this state of the data, and the state alone. */
function* nameOf(project: number, request: SeriesRequest): Question<{ name: string; cursor: string }> {
  const cursor = formatCursor(yield* nowCursor());
  return { name: `${project} ${cursor} ${JSON.stringify(request)}`, cursor };
}

interface Pair {
  run: string;
  key: string;
}

function tooMany(why: string): WaddleError {
  return new WaddleError('series-invalid', why, 'Ask for fewer series or points at a time.', { exitCode: 2 });
}

function* askedPairs(request: SeriesRequest): Question<Pair[]> {
  const pairs = [...(request.series ?? [])];
  const { runs = [], keys = [] } = request;
  if (runs.length * keys.length > MAX_SERIES)
    throw tooMany(`${runs.length * keys.length} series were asked for`);
  if (runs.length > 0 && keys.length > 0) {
    // Only those that are there: 200 runs by 1,000 keys may be few series.
    const found = yield* rows(
      `SELECT r.id AS run, m.key FROM runs r CROSS JOIN metric_summaries m ON m.run = r.num
       WHERE r.removed = 0 AND r.id IN (SELECT value FROM json_each(?))
         AND m.key IN (SELECT value FROM json_each(?))`,
      runs,
      keys,
    );
    const [runAt, keyAt] = [placesOf(runs), placesOf(keys)];
    found.sort(
      (a, b) =>
        (runAt.get(String(a.run)) ?? 0) - (runAt.get(String(b.run)) ?? 0) ||
        (keyAt.get(String(a.key)) ?? 0) - (keyAt.get(String(b.key)) ?? 0),
    );
    for (const each of found) pairs.push({ run: String(each.run), key: String(each.key) });
  }
  return pairs;
}

function placesOf(names: readonly string[]): Map<string, number> {
  return new Map(names.map((name, index) => [name, index]));
}

function shortSeries(
  some: readonly Pair[],
  { axis, points }: SeriesRequest,
  kept: KeptSamples,
): Question<Map<string, ShortSeries>> {
  const limit = Math.max(500, Math.min(points * SAMPLES_OF_A_BUCKET, 20_000));
  return readShortSeries(some, (axis ?? 'step') === 'step' ? 'step' : 'time', limit, kept);
}

function* readPair(
  short: ShortSeries | undefined,
  { run, key }: Pair,
  request: SeriesRequest,
): Question<EncodableSeries[]> {
  const start = request.axis === 'relative' ? yield* startOf(run) : 0;
  if (short !== undefined) return shortLines(short, start, request);
  return yield* readLines(run, key, start, request);
}

/** Samples as they are, of the range and one more on each side. */
function shortLines(short: ShortSeries, start: number, request: SeriesRequest): EncodableSeries[] {
  return short.lines.flatMap(({ writer, rank, segment, x, value }) => {
    if (start !== 0) for (let i = 0; i < x.length; i++) x[i] = (x[i] ?? 0) - start;
    const [first, end] = rangeOf(x, request.from, request.to);
    if (first >= end) return [];
    return {
      run: short.run,
      key: short.key,
      writer,
      rank,
      segment,
      n: end - first,
      arrival: false,
      raw: true,
      end: short.ends.get(writer) ?? 0,
      columns: [
        ['x0', x.subarray(first, end)],
        ['first', value.subarray(first, end)],
      ],
    };
  });
}

/** Indexes of what lies in the range, with one neighbour on each side, so that a line runs to the edges. */
function rangeOf(x: Float64Array, from: number | undefined, to: number | undefined): [number, number] {
  let first = 0;
  let end = x.length;
  // A clock may have gone back: what lies between the first and the last sample in the range belongs to the line.
  if (from !== undefined) while (first < end && (x[first] ?? 0) < from) first += 1;
  if (to !== undefined) while (end > first && (x[end - 1] ?? 0) > to) end -= 1;
  const [least, greatest] = [x[0] ?? 0, x.at(-1) ?? 0];
  // Wholly on one side of the range: nothing to draw.
  if ((from !== undefined && greatest < from) || (to !== undefined && least > to)) return [0, 0];
  return [Math.max(0, first - 1), Math.min(x.length, end + 1)];
}

function* readLines(
  run: string,
  key: string,
  start: number,
  request: SeriesRequest,
): Question<EncodableSeries[]> {
  const { axis = 'step', points, from, to } = request;
  const chart = yield* readSeries({
    run,
    key,
    points,
    axis: axis === 'step' ? 'step' : 'time',
    from: from === undefined ? undefined : from + start,
    to: to === undefined ? undefined : to + start,
  });
  if (chart.lines.length === 0) return [];
  const ends = yield* endsOf(run, key);
  return chart.lines.map((line) => {
    if (start !== 0) shift(line, start);
    const raw = line.count.every((count) => count === 1);
    const asked: readonly SeriesColumn[] = raw ? RAW_COLUMNS : (request.columns ?? COLUMNS);
    return {
      run,
      key,
      writer: line.writer,
      rank: line.rank,
      segment: line.segment,
      n: line.x0.length,
      arrival: chart.axis === 'arrival',
      raw,
      end: ends.get(line.writer) ?? 0,
      columns: asked.map((name): [SeriesColumn, Float64Array] => [name, line[name]]),
    };
  });
}

function shift(line: ChartLine, start: number): void {
  for (const column of [line.x0, line.x1])
    for (let i = 0; i < column.length; i++) column[i] = (column[i] ?? 0) - start;
}

function* startOf(run: string): Question<number> {
  return Number((yield* row('SELECT r.started_at FROM runs r WHERE r.id = ?', run))?.started_at ?? 0);
}

/** Samples of each writer, over the parts of its series. */
function* endsOf(run: string, key: string): Question<Map<string, number>> {
  const found = yield* rows(
    `SELECT s.writer, max(s.part * ${MAX_SEQ} + s.count) AS n FROM runs r JOIN series s ON s.run = r.num AND s.key = ?
     WHERE r.id = ? GROUP BY s.writer`,
    key,
    run,
  );
  return new Map(found.map((each) => [String(each.writer), Number(each.n)]));
}
