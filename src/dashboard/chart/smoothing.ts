/**
 * An exponential moving average that is right at both edges: a running mean of values whose weights fade (no bias
 * towards a start value). The weight decays with the distance in x as a share of the shown range, so
 * that the same setting looks the same at every zoom and every number of samples.
 *
 * `weight` is 0 (nothing) to 0.999; at 0.9 a value loses half of its say after about 0.7 % of the width.
 * NaN values are left out and stay NaN; infinities too.
 */
export function smooth(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  n: number,
  weight: number,
  range: number,
): Float64Array {
  const out = new Float64Array(n);
  const scale = range > 0 && Number.isFinite(range) ? WIDTH / range : 1;
  let [average, weights, last] = [0, 0, x[0] ?? 0];
  for (let index = 0; index < n; index++) {
    const value = y[index] ?? Number.NaN;
    if (!Number.isFinite(value)) {
      out[index] = Number.NaN;
      continue;
    }
    const here = x[index] ?? last;
    const decay = weight ** Math.max(0, (here - last) * scale);
    last = here;
    weights = weights * decay + 1;
    average += (value - average) / weights;
    out[index] = average;
  }
  return out;
}

/** Units of decay across the shown range. */
const WIDTH = 1000;
