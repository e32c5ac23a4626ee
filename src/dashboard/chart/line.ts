/** A drawn line as columns that grow: what the server gave, and the live points after it. */
import type { LivePoints } from '../../protocol/api.ts';
import type { DecodedSeries } from '../../protocol/series-body.ts';

export type Axis = 'step' | 'time' | 'relative';

/** One segment of one writer's series of a run. Only the first `n` values of a column count. */
export interface Line {
  run: string;
  writer: string;
  rank: number | null;
  segment: number;
  /** Its x is the number of the sample, whatever the axis. */
  arrival: boolean;
  /** Each bucket is one sample: min, max and mean are the same array. */
  raw: boolean;
  /** Samples of the writer's series that are in its lines; a live point of a greater `seq` means a gap. */
  end: number;
  n: number;
  x0: Float64Array;
  x1: Float64Array;
  min: Float64Array;
  max: Float64Array;
  mean: Float64Array;
  nan: Float64Array | undefined;
  /** Counts every change, so that what is derived can be kept. */
  version: number;
  /** It came after another line of the same series: a resumed run, or steps that went back. */
  resumes: boolean;
}

export function lineOf(series: DecodedSeries): Line {
  const { run, writer, rank, segment, arrival, raw, end, n, x0, x1, min, max, mean, first } = series;
  const columns = raw ? { x0, x1: x0, min: first, max: first, mean: first } : { x0, x1, min, max, mean };
  const nan = raw ? undefined : series.nan;
  return { run, writer, rank, segment, arrival, raw, end, n, ...columns, nan, version: 0, resumes: false };
}

/** Marks the lines that continue an earlier one of their run, by where they begin. */
export function markResumed(lines: readonly Line[]): void {
  const seen = new Set<string>();
  for (const line of lines) {
    const name = `${line.run} ${line.rank}`;
    line.resumes = seen.has(name);
    seen.add(name);
  }
}

function grown(column: Float64Array, length: number): Float64Array {
  const bigger = new Float64Array(Math.max(64, length * 2));
  bigger.set(column.subarray(0, length));
  return bigger;
}

function push(line: Line, x: number, value: number): void {
  const at = line.n;
  if (at >= line.x0.length) {
    line.x0 = grown(line.x0, at);
    line.mean = grown(line.mean, at);
    line.x1 = line.raw ? line.x0 : grown(line.x1, at);
    line.min = line.raw ? line.mean : grown(line.min, at);
    line.max = line.raw ? line.mean : grown(line.max, at);
    if (line.nan) line.nan = grown(line.nan, at);
  }
  line.x0[at] = x;
  line.mean[at] = value;
  if (!line.raw) {
    line.x1[at] = x;
    line.min[at] = value;
    line.max[at] = value;
  }
  if (line.nan) line.nan[at] = Number.isNaN(value) ? 1 : 0;
  line.n = at + 1;
}

/**
 * Appends live points of one key to the lines of their writer, in place; a step back opens a new line. Points that are
 * there already are skipped. `gap`: points between are missing, and nothing was appended.
 */
export function appendPoints(
  lines: Line[],
  points: LivePoints,
  axis: Axis,
  startedAt: number,
): 'appended' | 'nothing' | 'gap' {
  let line = lines.findLast((one) => one.run === points.run && one.writer === points.writer);
  const end = line?.end ?? 0;
  if (points.seq > end) return 'gap';
  const skip = end - points.seq;
  if (skip >= points.v.length) return 'nothing';
  for (let index = skip; index < points.v.length; index++) {
    const step = points.step[index] ?? 0;
    const t = points.t[index] ?? 0;
    const x = line?.arrival
      ? points.seq + index
      : axis === 'step'
        ? step
        : axis === 'time'
          ? t
          : t - startedAt;
    const value = Number(points.v[index]);
    const last = line === undefined || line.n === 0 ? Number.NEGATIVE_INFINITY : (line.x1[line.n - 1] ?? 0);
    if (line === undefined || (x < last && !line.arrival)) {
      const earlier: Line | undefined = line;
      const column = new Float64Array(64);
      const x0 = new Float64Array(64);
      line = {
        run: points.run,
        writer: points.writer,
        rank: earlier?.rank ?? null,
        segment: (earlier?.segment ?? -1) + 1,
        arrival: false,
        raw: true,
        end: points.seq + index,
        n: 0,
        x0,
        x1: x0,
        min: column,
        max: column,
        mean: column,
        nan: undefined,
        version: 0,
        resumes: lines.some((one) => one.run === points.run),
      };
      lines.push(line);
    }
    push(line, x, value);
    line.end = points.seq + index + 1;
  }
  if (line) line.version++;
  return 'appended';
}

/** Index of the last bucket that begins at or before `x`; -1 before the first. */
export function bucketAt(line: Line, x: number): number {
  let [low, high] = [0, line.n - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    if ((line.x0[middle] ?? 0) <= x) low = middle + 1;
    else high = middle - 1;
  }
  return high;
}

/** The bucket nearest to `x`, or -1 where `x` lies outside the line by more than `slack`. */
export function nearestBucket(line: Line, x: number, slack: number): number {
  if (line.n === 0) return -1;
  const before = Math.max(0, bucketAt(line, x));
  const after = Math.min(line.n - 1, before + 1);
  const [left, right] = [Math.max(0, x - (line.x1[before] ?? 0)), Math.abs((line.x0[after] ?? 0) - x)];
  const nearest = right < left ? after : before;
  const distance = Math.max((line.x0[nearest] ?? 0) - x, x - (line.x1[nearest] ?? 0), 0);
  const inside = x >= (line.x0[0] ?? 0) && x <= (line.x1[line.n - 1] ?? 0);
  return inside || distance <= slack ? nearest : -1;
}
