/** One measured figure, beside the floor that it is a ratio of. */
export interface Figure {
  name: string;
  /** What was measured, median over the rounds. */
  value: number;
  unit: string;
  /** The same work at its barest, measured in turn in the same run; null where the figure stands alone. */
  floor: number | null;
  /** What the floor is. */
  against: string | null;
  /** The figure to reach, as a person would say it, and whether it was reached. */
  goal?: string;
  reached?: boolean;
}

export interface BenchOptions {
  /** Small inputs: shows that everything runs, not how fast. */
  quick: boolean;
  /** An empty folder on a local disk, removed at the end. */
  scratch: string;
  /** The checkout. */
  root: string;
  say(text: string): void;
}

/** A benchmark: a name for `--only`, and its figures. */
export interface Bench {
  name: string;
  run(options: BenchOptions): Promise<Figure[]>;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const high = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? high : ((sorted[middle - 1] ?? Number.NaN) + high) / 2;
}

/** Rounds of A and B in turn (A B A B …), so that a machine whose speed drifts drifts for both; medians of each. */
export async function inTurn(
  rounds: number,
  a: () => Promise<number> | number,
  b: () => Promise<number> | number,
): Promise<[number, number]> {
  const as: number[] = [];
  const bs: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    as.push(await a());
    bs.push(await b());
  }
  return [median(as), median(bs)];
}

/** Wall time of a synchronous piece of work, in milliseconds. */
export function timed(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}
