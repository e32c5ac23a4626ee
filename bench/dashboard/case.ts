import type { BenchOptions, Figure } from '../figure.ts';
import type { Browser } from './browser.ts';

export interface PageOptions extends BenchOptions {
  browser: Browser;
  /** One part failed; the others still count. */
  failed(error: unknown): void;
  /** For windows of another size. */
  openBrowser(height: number): Promise<Browser>;
}

export interface PageBench {
  name: string;
  run(options: PageOptions): Promise<Figure[]>;
}

/** A figure with the number to stay below (or, with `least`, to reach). */
export function figure(
  name: string,
  value: number,
  unit: string,
  goal?: { most: number } | { least: number },
): Figure {
  const stem = { name, value, unit, floor: null, against: null };
  if (goal === undefined) return stem;
  if ('most' in goal) return { ...stem, goal: `under ${goal.most} ${unit}`, reached: value < goal.most };
  return { ...stem, goal: `${goal.least} ${unit} or more`, reached: value >= goal.least };
}

export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
