/**
 * What is asked of a store, whichever engine holds it. A query is a generator: it yields what it wants to know and is told
 * the answer, so that one text of it runs on SQLite, which answers at once, and on PostgreSQL, which takes a while. An
 * engine answers all that one question asks on one state of the data.
 *
 * SQL is written in what both engines understand: `user`, `group` and `offset` in quotes, CASE and no iif, TRUE and FALSE
 * where a condition is meant (flags in columns are integers: `removed = 0`), CAST where a number's kind would be guessed
 * from the value beside it, every GROUP BY complete, NULLS FIRST or LAST said. Five things are spelled as SQLite does and
 * translated by `postgresSql`: `?`, `LIKE` (which knows no case of ASCII letters), `CROSS JOIN … ON` (which keeps the order
 * of the tables, and is a JOIN), `instr(text, part)`, and a list, which is an array among the values and
 * `IN (SELECT value FROM json_each(?))` in the text. Two functions are each engine's own:
 *
 * - `waddle_now()`: epoch seconds with fractions, the same throughout a question
 * - `waddle_number(text)`: the number (double precision) that a text holds, with white space around it; NULL where it holds
 *   none, or NaN. It holds one where it matches `^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$` (ASCII digits, JavaScript's
 *   white space; beyond the range it is ±Infinity or 0), or is exactly `Infinity` or `-Infinity`.
 */

export type SqlValue = string | number | bigint | null;

/** A value, or a list for `IN (SELECT value FROM json_each(?))`: all texts, or all whole numbers. */
export type Bound = SqlValue | readonly string[] | readonly number[];

/** A row by column. Numbers of every kind are `number`, a condition's value is one too (SQLite) or a boolean (PostgreSQL). */
export type Row = Record<string, unknown>;

/** Samples of one series (`series.id`) by number: from `from` on, and before `to`. */
export interface SampleRange {
  series: number;
  from: number;
  to: number;
}

/** Samples in order, one after the other without a hole; fewer than were asked for where the series ends before. */
export interface SampleColumns {
  step: Float64Array;
  /** Milliseconds after the series' `t0`; empty where they were not asked for. */
  dt: Float64Array;
  /** NaN is a value. */
  value: Float64Array;
}

/** What runs along the chart: steps, epoch seconds, or (past 1,000 steps back) the samples' numbers in arrival. */
export type ChartAxis = 'step' | 'time' | 'arrival';

/** Consecutive samples of one series and segment. `min`, `max` and `sum` are without NaN, and NaN where nothing is left. */
export interface ChartBucket {
  /** Number of its first sample. */
  seq: number;
  count: number;
  nan: number;
  min: number;
  max: number;
  sum: number;
  first: number;
  last: number;
  /** Its ends on the axis, in the series' own units. */
  x0: number;
  x1: number;
  segment: number;
  /** The level to look for its parts from; 0 where it shows all that is asked for. */
  openable: number;
}

/**
 * The part of the axis that is shown, in the series' own units (steps; milliseconds since its first sample, where a bucket
 * begins at the earlier of its two ends' times; numbers of arrival), and the width of a column of it.
 */
export interface Columns {
  from: number;
  to: number;
  /**
   * Buckets in the range that start in one column and are no wider are read as one, which is not openable; below 0, each
   * alone.
   */
  width: number;
}

/** Samples `from` … `to - 1` of a series, each in exactly one bucket. */
export interface CoverPart {
  /** From this level where it holds them, else from the levels below: the newest samples are in no bucket yet. */
  level: number;
  from: number;
  to: number;
  /** Of the samples that are in no bucket. */
  segment: number;
}

/** One thing that a query wants to know; beside each, what it is told. */
export type Ask =
  /** `Row[]` */
  | { kind: 'rows'; sql: string; values: readonly Bound[] }
  /** `SampleColumns[]`, one of each range */
  | { kind: 'samples'; ranges: readonly SampleRange[]; times: boolean }
  /** `number`: the first in the range whose step is not below `step`, else `to`. The steps do not go back in the range. */
  | { kind: 'first-at-step'; range: SampleRange; step: number }
  /** `ChartBucket[][]`, of each part those that cover it, in order */
  | { kind: 'cover'; series: number; axis: ChartAxis; columns: Columns; parts: readonly CoverPart[] }
  /** `unknown[]`, the answer to each */
  | { kind: 'several'; asks: readonly Ask[] };

/** A query that ends with a `T`. What it throws is thrown to who asked. */
export type Question<T> = Generator<Ask, T, unknown>;

/** All rows of a SELECT. */
export function* rows(sql: string, ...values: Bound[]): Question<Row[]> {
  return (yield { kind: 'rows', sql, values }) as Row[];
}

/** The only row of a SELECT, or its first. */
export function* row(sql: string, ...values: Bound[]): Question<Row | undefined> {
  return (yield* rows(sql, ...values))[0];
}

export function* samples(
  ranges: readonly SampleRange[],
  options: { times: boolean },
): Question<SampleColumns[]> {
  if (ranges.length === 0) return [];
  return (yield { kind: 'samples', ranges, times: options.times }) as SampleColumns[];
}

export function* firstAtStep(range: SampleRange, step: number): Question<number> {
  return (yield { kind: 'first-at-step', range, step }) as number;
}

export function* cover(
  series: number,
  axis: ChartAxis,
  columns: Columns,
  parts: readonly CoverPart[],
): Question<ChartBucket[][]> {
  if (parts.length === 0) return [];
  return (yield { kind: 'cover', series, axis, columns, parts }) as ChartBucket[][];
}

/** Answers independent questions side by side: each round of theirs is one ask. */
export function* together<T>(questions: readonly Question<T>[]): Question<T[]> {
  const results = new Array<T>(questions.length);
  let waiting = questions.map((question, index) => ({ question, index, told: undefined as unknown }));
  for (;;) {
    const asks: Ask[] = [];
    const asking: typeof waiting = [];
    for (const each of waiting) {
      const step = each.question.next(each.told);
      if (step.done === true) {
        results[each.index] = step.value;
        continue;
      }
      asks.push(step.value);
      asking.push(each);
    }
    const [only] = asks;
    if (only === undefined) return results;
    const answers = asks.length === 1 ? [yield only] : ((yield { kind: 'several', asks }) as unknown[]);
    for (const [index, each] of asking.entries()) each.told = answers[index];
    waiting = asking;
  }
}

/** A database that answers questions: what the server holds, and all that it knows of the engine. */
export interface Engine {
  /** So many questions are worth asking `together`: one where answers cost no waiting, more where each round does. */
  readonly breadth: number;
  /** Answers on one state of the data. */
  answer<T>(question: Question<T>): Promise<T>;
  /**
   * Calls `changed` when the data may have changed, soon after it did, by whatever process; also where the database was
   * replaced by another one. @returns what ends that
   */
  onChange(changed: () => void): () => void;
  /** Looks at once whether something changed: the caller has just written it. */
  look(): void;
  close(): Promise<void>;
}
