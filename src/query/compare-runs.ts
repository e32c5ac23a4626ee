import { WaddleError } from '../errors/waddle-error.ts';
import { parseExactJson, stringifyExactJson } from '../events/line.ts';
import { flattenParam } from '../store/params.ts';
import { type Question, together } from '../store/question.ts';
import { type MetricDetail, type RunDetail, runDetail } from './run-detail.ts';
import type { RunRow } from './run-row.ts';

/** One key of several runs: the values in the order of the runs, undefined where a run lacks it. */
export interface ComparedRow<T = unknown> {
  key: string;
  values: (T | undefined)[];
  differs: boolean;
}

/** Runs side by side. In each part what differs comes first, then by key. */
export interface Comparison {
  runs: RunRow[];
  /** The runs' own fields: status, code, command and the like. */
  own: ComparedRow[];
  /** Flattened with dots. */
  params: ComparedRow[];
  tags: ComparedRow<string>[];
  /** They differ where their last values do. */
  metrics: ComparedRow<MetricDetail>[];
  /** Flattened with dots. */
  environment: ComparedRow[];
}

const OWN = [
  'status',
  'project',
  'group',
  'entry',
  'command',
  'commit_sha',
  'repo',
  'cwd',
  'duration',
  'exit_code',
  'host',
  'user',
] as const;

/** Compares the runs of these ids, in this order. Throws `run-not-found`. */
export function* compareRuns(ids: readonly string[]): Question<Comparison> {
  const found = yield* together(ids.map(runDetail));
  const details = found.map((detail, index) => {
    if (detail !== undefined) return detail;
    throw new WaddleError('run-not-found', `there is no run ${ids[index]}`, 'see the runs with: waddle ls');
  });
  const compare = <T>(read: (detail: RunDetail) => Iterable<[string, T]>, differ?: (value: T) => unknown) =>
    comparedRows(
      details.map((detail) => new Map(read(detail))),
      differ ?? ((value) => value),
    );
  return {
    runs: details.map((detail) => detail.run),
    own: compare<unknown>(({ run }) =>
      OWN.flatMap((name): [string, unknown][] => (run[name] === null ? [] : [[name, run[name]]])),
    ),
    params: compare<unknown>(({ params }) => flattened(params)),
    tags: compare(({ tags }) => Object.entries(tags)),
    metrics: compare(
      ({ metrics }) => Object.entries(metrics),
      (metric) => metric.last,
    ),
    environment: compare<unknown>(({ environment }) => flattened(environment ?? {})),
  };
}

/** By dotted key; of two that give the same one, the longer key's. */
function flattened(values: Record<string, unknown>): [string, unknown][] {
  return Object.entries(values)
    .sort(([a], [b]) => a.length - b.length)
    .flatMap(([key, value]) => flattenParam(key, value))
    .map(({ key, type, text }) => [key, type === 'string' ? text : parseExactJson(text)]);
}

function comparedRows<T>(maps: readonly Map<string, T>[], told: (value: T) => unknown): ComparedRow<T>[] {
  const keys = [...new Set(maps.flatMap((map) => [...map.keys()]))].sort();
  const rows = keys.map((key) => {
    const values = maps.map((map) => map.get(key));
    const texts = values.map((value) => (value === undefined ? undefined : stringifyExactJson(told(value))));
    return { key, values, differs: texts.some((text) => text !== texts[0]) };
  });
  return [...rows.filter((row) => row.differs), ...rows.filter((row) => !row.differs)];
}
