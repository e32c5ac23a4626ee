/** Samples put together: what the server does for long series, done here for those that it sends whole. */
import type { DecodedSeries } from '../../protocol/series-body.ts';

type Columns = Pick<DecodedSeries, 'x0' | 'x1' | 'min' | 'max' | 'mean' | 'nan'>;

/**
 * Buckets of as many consecutive samples each, at most `points` of them; the last may hold fewer. Least and greatest are
 * kept, so that no spike is lost; the mean is of finite values where there is one. `nan` counts samples that are none.
 */
export function bucketSamples(
  x: Float64Array,
  y: Float64Array,
  points: number,
): Columns & { n: number; nan: Float64Array } {
  const size = Math.max(1, Math.ceil(x.length / points));
  const n = Math.ceil(x.length / size);
  const [x0, x1, min, max] = [
    new Float64Array(n),
    new Float64Array(n),
    new Float64Array(n),
    new Float64Array(n),
  ];
  const [mean, nan] = [new Float64Array(n), new Float64Array(n)];
  for (let bucket = 0; bucket < n; bucket++) {
    const [from, to] = [bucket * size, Math.min(x.length, (bucket + 1) * size)];
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    let [middle, finite, infinite, none] = [0, 0, Number.NaN, 0];
    for (let index = from; index < to; index++) {
      const value = y[index] ?? Number.NaN;
      if (Number.isNaN(value)) {
        none++;
        continue;
      }
      if (value < low) low = value;
      if (value > high) high = value;
      if (Number.isFinite(value)) middle += (value - middle) / ++finite;
      else infinite = value;
    }
    x0[bucket] = x[from] ?? 0;
    x1[bucket] = x[to - 1] ?? 0;
    min[bucket] = none === to - from ? Number.NaN : low;
    max[bucket] = none === to - from ? Number.NaN : high;
    mean[bucket] = finite > 0 ? middle : infinite;
    nan[bucket] = none;
  }
  return { n, x0, x1, min, max, mean, nan };
}

/** A series of many more samples than its chart has pixels, in buckets; any other as it is. */
export function fitSeries(series: DecodedSeries, points: number): DecodedSeries {
  if (!series.raw || series.n < points * 1.5) return series;
  return { ...series, ...bucketSamples(series.x0, series.first, points), raw: false };
}
