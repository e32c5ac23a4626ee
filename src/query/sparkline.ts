import type { Chart } from './chart.ts';

const BLOCKS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/**
 * A small picture of a series: one block a column, the least value lowest. More values than columns are averaged; a
 * column without a finite value is a space, but infinities stand at the top or the bottom.
 */
export function sparkline(values: ArrayLike<number>, width: number): string {
  const columns = averaged(values, Math.max(1, Math.floor(width)));
  let [least, greatest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const value of columns) {
    if (!Number.isFinite(value)) continue;
    least = Math.min(least, value);
    greatest = Math.max(greatest, value);
  }
  return columns
    .map((value) => {
      if (Number.isNaN(value)) return ' ';
      if (!Number.isFinite(value)) return value > 0 ? BLOCKS[7] : BLOCKS[0];
      if (greatest === least) return BLOCKS[3];
      // Halved, so that a range beyond the largest number does not overflow.
      const part = (value / 2 - least / 2) / (greatest / 2 - least / 2);
      return BLOCKS[Math.min(7, Math.floor(part * 8))] ?? BLOCKS[0];
    })
    .join('');
}

function averaged(values: ArrayLike<number>, width: number): number[] {
  if (values.length <= width) return Array.from(values);
  return Array.from({ length: width }, (_, column) => {
    const from = Math.floor((column * values.length) / width);
    const to = Math.floor(((column + 1) * values.length) / width);
    let [mean, count, infinite] = [0, 0, Number.NaN];
    for (let index = from; index < to; index++) {
      const value = values[index] ?? Number.NaN;
      if (Number.isFinite(value)) mean += (value - mean) / ++count;
      else if (!Number.isNaN(value)) infinite = value;
    }
    return count > 0 ? mean : infinite;
  });
}

/** The sparkline of a chart's first writer, all its segments one after the other. */
export function chartSparkline(chart: Chart, width: number): string {
  const writer = chart.lines[0]?.writer;
  const lines = chart.lines.filter((line) => line.writer === writer);
  return sparkline(
    lines.flatMap((line) => Array.from(line.mean)),
    width,
  );
}
