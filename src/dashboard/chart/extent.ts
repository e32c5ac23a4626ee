/** Which range an axis shows. */
import { bucketAt, type Line } from './line.ts';

export type Range = readonly [from: number, to: number];

/** The ends of the x of all lines; null where there are none. With `positive`, of what a log axis can show. */
export function xExtent(lines: readonly Line[], positive = false): Range | null {
  let [from, to] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const line of lines) {
    if (line.n === 0) continue;
    let first = line.x0[0] ?? 0;
    if (positive && first <= 0) first = line.x0[Math.min(line.n - 1, bucketAt(line, 0) + 1)] ?? 0;
    const last = line.x1[line.n - 1] ?? 0;
    if (positive && first <= 0) continue;
    from = Math.min(from, first);
    to = Math.max(to, last);
  }
  return from <= to ? [from, to] : null;
}

/** A series as y values over its line's x. */
export interface Drawn {
  line: Line;
  /** What the line goes through. */
  y: Float64Array;
  /** The envelope counts too. */
  envelope: boolean;
}

/**
 * The range of y within a range of x, with a margin. `clip` leaves out the outermost values (the 1st and 99th
 * percentile of what is drawn, each with half their distance), unless they lie near.
 */
export function yExtent(
  drawn: readonly Drawn[],
  x: Range,
  options: { log: boolean; clip: boolean },
): Range | null {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  const values: number[] = [];
  for (const { line, y, envelope } of drawn) {
    const from = Math.max(0, bucketAt(line, x[0]));
    const to = Math.min(line.n - 1, bucketAt(line, x[1]));
    const stride = options.clip ? Math.max(1, Math.ceil(((to - from) * drawn.length) / 20_000)) : 1;
    for (let index = from; index <= to; index++) {
      if ((line.x1[index] ?? 0) < x[0]) continue;
      const value = y[index] ?? Number.NaN;
      const bottom = envelope ? Math.min(value, line.min[index] ?? value) : value;
      const top = envelope ? Math.max(value, line.max[index] ?? value) : value;
      if (bottom > Number.NEGATIVE_INFINITY && bottom < low && (!options.log || bottom > 0)) low = bottom;
      if (top < Number.POSITIVE_INFINITY && top > high && (!options.log || top > 0)) high = top;
      if (options.log && value > 0 && value < low) low = value;
      if (options.clip && index % stride === 0 && Number.isFinite(value) && (!options.log || value > 0))
        values.push(value);
    }
  }
  if (low > high) return null;
  if (options.clip && values.length >= 20) {
    values.sort((a, b) => a - b);
    const at = (share: number) => values[Math.round(share * (values.length - 1))] ?? 0;
    const [bottom, top] = [at(0.01), at(0.99)];
    const room = (top - bottom) / 2;
    if (room > 0) [low, high] = [Math.max(low, bottom - room), Math.min(high, top + room)];
    if (options.log && low <= 0) low = bottom;
  }
  return padded(low, high, options.log);
}

/** A little room above and below; a flat line gets a range around it. */
export function padded(low: number, high: number, log: boolean): Range {
  if (log) {
    const [bottom, top] = [Math.log10(low), Math.log10(high)];
    const room = top - bottom < 1e-9 ? 0.5 : (top - bottom) * 0.05;
    return [10 ** (bottom - room), 10 ** (top + room)];
  }
  const span = high - low;
  if (!(span > Math.abs(high) * 1e-12)) {
    const room = high === 0 ? 1 : Math.abs(high) * 0.1;
    return [low - room, high + room];
  }
  // Halved, so that a span beyond the largest number does not overflow.
  const room = Number.isFinite(span) ? span * 0.05 : 0;
  const [bottom, top] = [low - room, high + room];
  // What is never negative does not get an axis that goes below zero.
  return [low >= 0 && bottom < 0 ? 0 : bottom, top];
}
