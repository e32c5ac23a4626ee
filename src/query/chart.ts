import { WaddleError } from '../errors/waddle-error.ts';
import {
  type ChartAxis,
  type ChartBucket,
  type Columns,
  type CoverPart,
  cover,
  type Question,
  rows,
  together,
} from '../store/question.ts';
import { MAX_SEQ } from '../store/schema.ts';
import { FAN_OUT, MAX_SEGMENTS, TOP_LEVEL } from '../store/series.ts';
import { type MetricSeries, metricSeries } from './metric-series.ts';

export interface ChartOptions {
  run: string;
  key: string;
  /** Columns of the chart, in pixels or so: each line has at most one bucket for each, and two more at the edges. */
  points: number;
  /** Part of the axis to show, both ends included; without them all of it. */
  from?: number | undefined;
  to?: number | undefined;
  axis?: 'step' | 'time' | undefined;
}

/**
 * A line without gaps to draw: samples of one writer between two steps back. Columns of equal length, a bucket each, in
 * order; a bucket of one sample has x0 = x1 and min = max = first = last. NaN where a bucket has no other value.
 */
export interface ChartLine {
  writer: string;
  rank: number | null;
  /** How often the writer's step had gone back before. */
  segment: number;
  x0: Float64Array;
  x1: Float64Array;
  min: Float64Array;
  max: Float64Array;
  first: Float64Array;
  last: Float64Array;
  /** Of the values that are not NaN. */
  mean: Float64Array;
  count: Float64Array;
  /** How many of `count` are NaN. */
  nan: Float64Array;
}

export interface Chart {
  axis: ChartAxis;
  /** The ends of the axis: those asked for, else those of the data. Null where there is no data. */
  from: number | null;
  to: number | null;
  /** True where every bucket is one sample: no zoom shows more. */
  raw: boolean;
  /** Of one writer in order; the writers by name. */
  lines: ChartLine[];
}

/**
 * A metric for a chart, from the rollups: it costs what its columns cost, not what its samples cost, and no spike is
 * lost, since a bucket keeps the least and the greatest value. It descends the pyramid only where a bucket is wider
 * than a column or crosses an end of the range, so unevenly spread steps are as sharp as even ones, and a narrow range reaches the single samples. The
 * buckets next to the range are given too, so that lines run to the edges. By time, a bucket in which a clock went back
 * is known by the times of its first and last sample alone. An unknown run or key has no lines.
 */
export function* readSeries(options: ChartOptions): Question<Chart> {
  const { points } = options;
  if (!Number.isSafeInteger(points) || points < 1 || points > 100_000) {
    throw new WaddleError(
      'points-invalid',
      `a chart of ${points} points cannot be drawn`,
      'ask for 1 to 100000',
      {
        exitCode: 2,
      },
    );
  }
  const all = yield* metricSeries(options.run, options.key);
  const arrival = all.some((series) => series.segment >= MAX_SEGMENTS);
  const axis: ChartAxis = options.axis === 'time' ? 'time' : arrival ? 'arrival' : 'step';
  const [least, greatest] = rangeOf(all, axis);
  const view: View = { axis, points, from: options.from ?? least, to: options.to ?? greatest };
  const ranks = yield* ranksOf(options.run);
  const found = yield* together(all.map((series) => seriesBuckets(series, view)));
  const lines: ChartLine[] = [];
  let raw = true;
  for (const [index, series] of all.entries()) {
    const { toOwn } = unitsOf(series, axis);
    const columns: Columns = { from: toOwn(view.from), to: toOwn(view.to), width: 0 };
    const buckets = found[index] ?? [];
    raw &&= buckets.every((bucket) => bucket.count === 1);
    for (const segment of splitSegments(buckets)) {
      const merged = mergeColumns(segment, columns, points);
      lines.push(lineOf(series, ranks.get(series.writer) ?? null, axis, merged));
    }
  }
  const none = all.length === 0;
  return { axis, from: none ? null : view.from, to: none ? null : view.to, raw, lines };
}

interface View {
  axis: ChartAxis;
  points: number;
  from: number;
  to: number;
}

function rangeOf(all: readonly MetricSeries[], axis: ChartAxis): [number, number] {
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  for (const series of all) {
    const parts = seqOffset(series);
    const ends = {
      step: [series.minStep, series.maxStep],
      time: [series.firstTs, series.lastTs],
      arrival: [parts, parts + series.count - 1],
    } as const;
    const [from, to] = ends[axis];
    least = Math.min(least, from);
    greatest = Math.max(greatest, to);
  }
  return [least, greatest];
}

function* ranksOf(run: string): Question<Map<string, number>> {
  const found = yield* rows(
    'SELECT j.writer, j.rank FROM runs r JOIN journals j ON j.run = r.num WHERE r.id = ? AND j.rank IS NOT NULL',
    run,
  );
  return new Map(found.map((row) => [String(row.writer), Number(row.rank)]));
}

/** Samples of the writer in earlier parts, so that arrival counts through. */
function seqOffset(series: MetricSeries): number {
  return series.part * MAX_SEQ;
}

/** From the axis to the series' own units (see `Columns`), and back. */
function unitsOf(
  series: MetricSeries,
  axis: ChartAxis,
): { toOwn: (x: number) => number; toAxis: (x: number) => number } {
  if (axis === 'step') return { toOwn: (x) => x, toAxis: (x) => x };
  const offset = axis === 'time' ? series.t0 : -seqOffset(series);
  if (axis === 'arrival') return { toOwn: (x) => x + offset, toAxis: (x) => x - offset };
  return { toOwn: (x) => Math.round(x * 1000) - offset, toAxis: (x) => (x + offset) / 1000 };
}

/** The buckets that the view needs, in order of arrival. */
function* seriesBuckets(series: MetricSeries, view: View): Question<ChartBucket[]> {
  const { axis, points } = view;
  const { toOwn } = unitsOf(series, axis);
  const [from, to] = [toOwn(view.from), toOwn(view.to)];
  const columns: Columns = { from, to, width: (to - from) / points };
  const each: Columns = { from, to, width: -1 };
  const whole: CoverPart = { level: TOP_LEVEL, from: 0, to: series.count, segment: series.segment };
  const [top = []] = yield* cover(series.id, axis, each, [whole]);
  let buckets = inView(columns, top);
  while (buckets.some((bucket) => bucket.openable > 0)) {
    // Few samples are left in view: each is shown alone.
    const all = samplesInside(columns, buckets) <= points;
    const width = all ? -1 : openingWidth(buckets, columns.width, points);
    const opens = (bucket: ChartBucket | undefined): bucket is ChartBucket =>
      bucket !== undefined &&
      bucket.openable > 0 &&
      (bucket.x1 - bucket.x0 > width || (touches(columns, bucket) && (bucket.x0 < from || bucket.x1 > to)));
    const parts: CoverPart[] = [];
    // Of each part, how many buckets that stay come before it.
    const places: number[] = [];
    const kept: ChartBucket[] = [];
    for (let index = 0; index < buckets.length; index++) {
      const bucket = buckets[index];
      if (bucket === undefined) break;
      if (!opens(bucket)) {
        kept.push(bucket);
        continue;
      }
      // Neighbours that are opened too are read in one sweep.
      let end = bucket.seq + bucket.count;
      for (let next = buckets[index + 1]; opens(next); next = buckets[index + 1]) {
        if (next.seq !== end || next.segment !== bucket.segment || next.openable !== bucket.openable) break;
        end += next.count;
        index++;
      }
      parts.push({ level: bucket.openable - 1, from: bucket.seq, to: end, segment: bucket.segment });
      places.push(kept.length);
    }
    const opened = yield* cover(series.id, axis, all ? each : columns, parts);
    const finer: ChartBucket[] = [];
    let at = 0;
    for (const [index, place] of places.entries()) {
      for (const bucket of kept.slice(at, place)) finer.push(bucket);
      at = place;
      for (const bucket of opened[index] ?? []) finer.push(bucket);
    }
    for (const bucket of kept.slice(at)) finer.push(bucket);
    buckets = inView(columns, finer);
    if (parts.length === 0) break;
  }
  return buckets;
}

function touches({ from, to }: Columns, bucket: ChartBucket): boolean {
  return bucket.x1 >= from && bucket.x0 <= to;
}

function samplesInside(columns: Columns, buckets: readonly ChartBucket[]): number {
  let samples = 0;
  for (const bucket of buckets) if (touches(columns, bucket)) samples += bucket.count;
  return samples;
}

/**
 * Buckets wider than this are opened: than a column, or, where many long segments lie on top of each other, so many of
 * the widest as there are columns.
 */
function openingWidth(buckets: readonly ChartBucket[], column: number, points: number): number {
  const widths = buckets.flatMap(({ openable, x0, x1 }) =>
    openable > 0 && x1 - x0 > column ? [x1 - x0] : [],
  );
  const affordable = points + FAN_OUT;
  if (widths.length <= affordable) return column;
  return widths.sort((a, b) => b - a)[affordable] ?? column;
}

/** Those that touch the range, and in each segment one more on either side, or the two that the range lies between. */
function inView(columns: Columns, buckets: ChartBucket[]): ChartBucket[] {
  const { from, to } = columns;
  return buckets.filter((bucket, index) => {
    if (touches(columns, bucket)) return true;
    const [before, after] = [buckets[index - 1], buckets[index + 1]];
    if (before !== undefined && before.segment === bucket.segment && bucket.x0 > to && before.x0 <= to)
      return true;
    return after !== undefined && after.segment === bucket.segment && bucket.x1 < from && after.x1 >= from;
  });
}

function splitSegments(buckets: readonly ChartBucket[]): ChartBucket[][] {
  const segments: ChartBucket[][] = [];
  for (const bucket of buckets) {
    const last = segments.at(-1);
    if (last !== undefined && last[0]?.segment === bucket.segment) last.push(bucket);
    else segments.push([bucket]);
  }
  return segments;
}

/** One bucket a column, where there are more buckets than columns. */
function mergeColumns(
  buckets: readonly ChartBucket[],
  { from, to }: Columns,
  points: number,
): readonly ChartBucket[] {
  if (buckets.length <= points) return buckets;
  const scale = to > from ? points / (to - from) : 0;
  const columnOf = ({ x0, x1 }: ChartBucket): number => {
    if (x1 < from) return -1;
    return x0 > to ? points : Math.max(0, Math.min(points - 1, Math.floor((x0 - from) * scale)));
  };
  const merged: ChartBucket[] = [];
  let column = Number.NaN;
  for (const bucket of buckets) {
    const at = columnOf(bucket);
    const last = merged.at(-1);
    if (last === undefined || at !== column) merged.push({ ...bucket });
    else absorb(last, bucket);
    column = at;
  }
  return merged;
}

function absorb(into: ChartBucket, next: ChartBucket): void {
  if (next.count > next.nan) {
    const empty = into.count === into.nan;
    into.min = empty ? next.min : Math.min(into.min, next.min);
    into.max = empty ? next.max : Math.max(into.max, next.max);
    into.sum = empty ? next.sum : into.sum + next.sum;
  }
  into.count += next.count;
  into.nan += next.nan;
  into.last = next.last;
  into.x1 = Math.max(into.x1, next.x1);
}

function lineOf(
  series: MetricSeries,
  rank: number | null,
  axis: ChartAxis,
  buckets: readonly ChartBucket[],
): ChartLine {
  const { toAxis } = unitsOf(series, axis);
  const column = (read: (bucket: ChartBucket) => number) => Float64Array.from(buckets, read);
  return {
    writer: series.writer,
    rank,
    segment: buckets[0]?.segment ?? 0,
    x0: column((bucket) => toAxis(bucket.x0)),
    x1: column((bucket) => toAxis(bucket.x1)),
    min: column((bucket) => bucket.min),
    max: column((bucket) => bucket.max),
    first: column((bucket) => bucket.first),
    last: column((bucket) => bucket.last),
    mean: column((bucket) => bucket.sum / (bucket.count - bucket.nan)),
    count: column((bucket) => bucket.count),
    nan: column((bucket) => bucket.nan),
  };
}
