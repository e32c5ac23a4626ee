/** What runs can be placed by: their params, results and own numbers, as columns with a scale. Pure. */
import type { Comparison, MetricNumber, MetricSummary } from '../../protocol/api.ts';
import { formatNumber } from '../format/numbers.ts';
import { formatDuration } from '../format/times.ts';
import { formatOf } from '../format/units.ts';
import { formatValue, isObject } from '../run/values.ts';

export interface Column {
  /** `params.lr`, `metrics.val/loss.min`, `run.duration`. */
  id: string;
  title: string;
  of: 'param' | 'metric' | 'run';
  /** Its values differ between the runs. */
  differs: boolean;
  /** One for each run, in their order; undefined where a run lacks it. */
  values: readonly (number | string | undefined)[];
  numeric: boolean;
  format: (value: number) => string;
}

const STATS = ['last', 'min', 'max'] as const;

export function columnsOf(comparison: Comparison): Column[] {
  const params = comparison.params.map((row): Column => {
    const values = row.values.map(plain);
    return column(`params.${row.key}`, row.key, 'param', row.differs, values, (value) => formatValue(value));
  });
  const metrics = comparison.metrics
    .filter((row) => !row.key.startsWith('system/'))
    .flatMap((row) =>
      STATS.map((stat): Column => {
        const values = row.values.map((value) => statOf(value, stat));
        const title = stat === 'last' ? row.key : `${row.key} (${stat})`;
        return column(
          `metrics.${row.key}.${stat}`,
          title,
          'metric',
          distinct(values) > 1,
          values,
          formatOf(row.key) ?? ((value) => formatNumber(value)),
        );
      }),
    );
  const durations = comparison.runs.map((run) => run.duration ?? undefined);
  return [
    ...params,
    ...metrics,
    column('run.duration', 'duration', 'run', distinct(durations) > 1, durations, formatDuration),
  ];
}

function column(
  id: string,
  title: string,
  of: Column['of'],
  differs: boolean,
  values: readonly (number | string | undefined)[],
  format: (value: number) => string,
): Column {
  const held = values.filter((value) => value !== undefined);
  return {
    id,
    title,
    of,
    differs,
    values,
    numeric: held.length > 0 && held.every((value) => typeof value === 'number'),
    format,
  };
}

const distinct = (values: readonly unknown[]): number => new Set(values).size;

function plain(value: unknown): number | string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint') return Number(value);
  return formatValue(value);
}

function statOf(value: unknown, stat: (typeof STATS)[number]): number | undefined {
  if (!isObject(value)) return undefined;
  const one = (value as Partial<MetricSummary>)[stat] as MetricNumber | null | undefined;
  const number = one === null || one === undefined ? Number.NaN : Number(one);
  return Number.isFinite(number) ? number : undefined;
}

/** The axes that say most where none were chosen: the params that differ, and a result. */
export function usualAxes(columns: readonly Column[], most = 7): string[] {
  const params = columns.filter(
    (one) => one.of === 'param' && one.differs && one.values.some((v) => v !== undefined),
  );
  // What every run has says more than what one has.
  const rank = (one: Column) => one.values.filter((value) => value === undefined).length;
  const chosen = params.toSorted((a, b) => rank(a) - rank(b)).slice(0, most - 1);
  const result = usualResult(columns);
  return [...params.filter((one) => chosen.includes(one)), ...(result ? [result] : [])].map((one) => one.id);
}

/** The result that a stranger would look at: a validation loss, else a loss, else whatever most runs have. */
export function usualResult(columns: readonly Column[]): Column | undefined {
  const results = columns.filter((one) => one.of === 'metric' && one.id.endsWith('.last') && one.numeric);
  const held = (one: Column) => one.values.filter((value) => value !== undefined).length;
  const score = (one: Column) =>
    held(one) * 10 +
    (/loss|error/i.test(one.title) ? 4 : 0) +
    (/val|eval|test/i.test(one.title) ? 3 : 0) +
    (one.differs ? 2 : 0);
  return results.toSorted((a, b) => score(b) - score(a))[0];
}

/** The param that was varied most: over the most decades, else with the most values. */
export function usualParam(columns: readonly Column[]): Column | undefined {
  const score = ({ numeric, values }: Column): number => {
    const held = values.filter((value) => value !== undefined);
    const numbers = held.filter((value) => typeof value === 'number');
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    return (numeric && low > 0 ? Math.log10(high / low) * 100 : 0) + distinct(held) + (numeric ? 1 : 0);
  };
  return columns
    .filter((one) => one.of === 'param' && one.differs)
    .toSorted((a, b) => score(b) - score(a))[0];
}

export interface Tick {
  /** 0 at the bottom (or left) to 1. */
  at: number;
  text: string;
}

export interface Scale {
  at: (value: number | string | undefined) => number | undefined;
  ticks: readonly Tick[];
  log: boolean;
}

const PAD = 0.04;

/** Numbers on a line (logarithmic where they span two decades), texts at equal distances. */
export function scaleOf(column: Column): Scale {
  const held = column.values.filter((value) => value !== undefined);
  if (!column.numeric) {
    const texts = [...new Set(held.map(String))].sort((a, b) =>
      a.localeCompare(b, undefined, { numeric: true }),
    );
    const place = (text: string) =>
      texts.length === 1 ? 0.5 : PAD + (texts.indexOf(text) / (texts.length - 1)) * (1 - 2 * PAD);
    return {
      at: (value) => (value === undefined ? undefined : place(String(value))),
      ticks: texts.length > 12 ? [] : texts.map((text) => ({ at: place(text), text })),
      log: false,
    };
  }
  const numbers = held.filter((value) => typeof value === 'number');
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const log = low > 0 && high / low >= 30;
  const to = (value: number) => (log ? Math.log10(value) : value);
  const [from, end] = [to(low), to(high)];
  const at = (value: number) =>
    end > from ? PAD + ((to(value) - from) / (end - from)) * (1 - 2 * PAD) : 0.5;
  const few = [...new Set(numbers)].sort((a, b) => a - b);
  // Where there are few values, these are the ticks: a sweep's own steps.
  const marks = few.length <= 6 ? few : niceTicks(low, high, log);
  return {
    at: (value) => (typeof value === 'number' ? at(value) : undefined),
    ticks: apart(marks.map((value) => ({ at: at(value), text: column.format(value) }))),
    log,
  };
}

/** Ticks that would touch their neighbour are left out. */
function apart(ticks: readonly Tick[]): Tick[] {
  const kept: Tick[] = [];
  for (const tick of ticks) {
    const last = kept.at(-1);
    if (last === undefined || tick.at - last.at >= 0.055) kept.push(tick);
  }
  return kept;
}

export function niceTicks(low: number, high: number, log: boolean): number[] {
  if (log) {
    const list: number[] = [];
    for (let power = Math.ceil(Math.log10(low) - 1e-9); power <= Math.log10(high) + 1e-9; power++)
      list.push(10 ** power);
    return list.length > 1 ? list : [low, high];
  }
  if (!(high > low)) return [low];
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((one) => one * power >= rough) ?? 10) * power;
  const list: number[] = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-6; value += step)
    list.push(Number(value.toPrecision(12)));
  return list;
}

/** Ranges chosen on axes, by column: 0 to 1 of the axis. */
export type Brushes = ReadonlyMap<string, readonly [from: number, to: number]>;

export function readBrushes(text: string): Brushes {
  return new Map(
    text.split(';').flatMap((part): [string, [number, number]][] => {
      const match = /^(.+)~([\d.]+)~([\d.]+)$/.exec(part);
      const [from, to] = [Number(match?.[2]), Number(match?.[3])];
      if (match?.[1] === undefined || !(from < to)) return [];
      try {
        return [[decodeURIComponent(match[1]), [from, to]]];
      } catch {
        return [];
      }
    }),
  );
}

export const writeBrushes = (brushes: Brushes): string =>
  [...brushes]
    .map(([id, [from, to]]) => `${encodeURIComponent(id)}~${from.toFixed(3)}~${to.toFixed(3)}`)
    .join(';');

/** Which runs lie within every chosen range; a run that lacks a value lies in none. */
export function keptBy(columns: readonly Column[], brushes: Brushes, runs: number): boolean[] {
  const chosen = [...brushes].flatMap(([id, range]) => {
    const column = columns.find((one) => one.id === id);
    return column === undefined ? [] : [{ column, scale: scaleOf(column), range }];
  });
  return Array.from({ length: runs }, (_, index) =>
    chosen.every(({ column, scale, range: [from, to] }) => {
      const at = scale.at(column.values[index]);
      return at !== undefined && at >= from && at <= to;
    }),
  );
}
