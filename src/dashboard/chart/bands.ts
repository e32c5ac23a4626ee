/** Many lines as one: mean and spread over a common grid of x. */
import { bucketAt, type Line } from './line.ts';

export type Spread = 'minmax' | 'std';

/** Columns of equal length on a common x; `low` and `high` bound the band, `count` is how many lines are there. */
export interface Band {
  x: Float64Array;
  mean: Float64Array;
  low: Float64Array;
  high: Float64Array;
}

/**
 * The band of some lines on `points` evenly spaced places between their ends. A line counts where it has values, and is
 * interpolated between its buckets. With `std` the band is one standard deviation (of the lines, not the samples) each
 * way; with `minmax` it holds all of every line's envelope.
 */
export function bandOf(
  lines: readonly Line[],
  from: number,
  to: number,
  points: number,
  spread: Spread,
): Band {
  const x = new Float64Array(points);
  const sum = new Float64Array(points);
  const squares = new Float64Array(points);
  const count = new Float64Array(points);
  const low = new Float64Array(points).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(points).fill(Number.NEGATIVE_INFINITY);
  const step = points > 1 ? (to - from) / (points - 1) : 0;
  for (let place = 0; place < points; place++) x[place] = from + place * step;
  // Squares are of the distance from this, for which large values lose no digits.
  const origin = firstFinite(lines);
  for (const line of lines) {
    if (line.n === 0) continue;
    const [begin, end] = [line.x0[0] ?? 0, line.x1[line.n - 1] ?? 0];
    let at = Math.max(0, bucketAt(line, from));
    let before = Number.NaN;
    for (let place = 0; place < points; place++) {
      const here = x[place] ?? 0;
      if (here < begin - step / 2) continue;
      if (here > end + step / 2) break;
      // The bucket that this place lies in; and those between two places count for the band too, so that no spike is lost.
      let [bottom, top] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      const around = (index: number) => {
        bottom = Math.min(bottom, finiteOr(line.min[index], bottom));
        top = Math.max(top, finiteOr(line.max[index], top));
      };
      if (here <= (line.x1[at] ?? 0) || Number.isNaN(before)) around(at);
      while (at + 1 < line.n && (line.x0[at + 1] ?? 0) <= here) around(++at);
      const value = valueAt(line, at, here);
      const last = Number.isFinite(before) ? before : value;
      before = value;
      if (!Number.isFinite(value)) continue;
      // What lies between the values at two places is on the way from one to the other, and would only make stairs.
      if (bottom >= Math.min(last, value)) bottom = value;
      if (top <= Math.max(last, value)) top = value;
      const apart = value - origin;
      sum[place] = (sum[place] ?? 0) + apart;
      squares[place] = (squares[place] ?? 0) + apart * apart;
      count[place] = (count[place] ?? 0) + 1;
      if (Math.min(bottom, value) < (low[place] ?? 0)) low[place] = Math.min(bottom, value);
      if (Math.max(top, value) > (high[place] ?? 0)) high[place] = Math.max(top, value);
    }
  }
  const mean = new Float64Array(points);
  for (let place = 0; place < points; place++) {
    const n = count[place] ?? 0;
    if (n === 0) {
      mean[place] = low[place] = high[place] = Number.NaN;
      continue;
    }
    const apart = (sum[place] ?? 0) / n;
    mean[place] = origin + apart;
    if (spread === 'std') {
      const deviation = Math.sqrt(Math.max(0, (squares[place] ?? 0) / n - apart * apart));
      low[place] = origin + apart - deviation;
      high[place] = origin + apart + deviation;
    }
  }
  return { x, mean, low, high };
}

const finiteOr = (value: number | undefined, other: number): number =>
  value !== undefined && Number.isFinite(value) ? value : other;

function firstFinite(lines: readonly Line[]): number {
  for (const line of lines) {
    for (let index = 0; index < line.n; index++) {
      const value = line.mean[index] ?? Number.NaN;
      if (Number.isFinite(value)) return value;
    }
  }
  return 0;
}

function valueAt(line: Line, at: number, x: number): number {
  const value = line.mean[at] ?? Number.NaN;
  const end = line.x1[at] ?? 0;
  if (x <= end || at + 1 >= line.n) return value;
  const next = line.mean[at + 1] ?? Number.NaN;
  const width = (line.x0[at + 1] ?? 0) - end;
  return width > 0 && Number.isFinite(next) ? value + ((next - value) * (x - end)) / width : value;
}

/** A band as a line of its own, so that it is drawn, measured and read like any other. */
export function lineOfBand(name: string, band: Band): Line {
  return {
    run: name,
    writer: name,
    rank: null,
    segment: 0,
    arrival: false,
    raw: false,
    end: 0,
    n: band.x.length,
    x0: band.x,
    x1: band.x,
    min: band.low,
    max: band.high,
    mean: band.mean,
    nan: undefined,
    version: 0,
    resumes: false,
  };
}
