import type { DatabaseSync } from 'node:sqlite';
import { decodeNumber } from '../events/line.ts';
import { type Field, METRIC_STATS } from '../query/fields.ts';
import type { Sample } from '../query/merged-samples.ts';
import { type MetricSeries, metricSeries } from '../query/metric-series.ts';
import type { RunRow } from '../query/run-row.ts';
import { type RunKeys, runKeys, runsById } from '../query/runs-by-id.ts';
import { hasWholeSteps, iterateSamples } from '../query/samples.ts';
import { answerNow } from '../store/answer-now.ts';
import type { Cell, CellType, Table, TableColumn } from './table.ts';

/** What tables are made of: runs of these ids, and of their metrics all, or those of these keys. */
export interface TableSource {
  db: DatabaseSync;
  runs: readonly string[];
  keys?: readonly string[] | undefined;
  /** The format tells whole numbers from others: it is worth reading all steps to know. */
  typed: boolean;
}

const isOwn = <T>(record: Record<string, T> | undefined, key: string): T | undefined =>
  record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;

/** The series of each run by key, keys in order. */
function seriesByKey(source: TableSource, run: string): Map<string, MetricSeries[]> {
  const wanted = source.keys === undefined ? undefined : new Set(source.keys);
  const found = new Map<string, MetricSeries[]>();
  for (const series of answerNow(source, metricSeries(run))) {
    if (wanted !== undefined && !wanted.has(series.key)) continue;
    const list = found.get(series.key);
    if (list === undefined) found.set(series.key, [series]);
    else list.push(series);
  }
  return found;
}

function stepType(source: TableSource): CellType {
  if (!source.typed) return 'number';
  const whole = source.runs.every((run) =>
    seriesByKey(source, run)
      .values()
      .every((series) => hasWholeSteps(source, series)),
  );
  return whole ? 'integer' : 'number';
}

/** A row a sample: by run, key, step, then arrival. `writer` tells ranks and workers apart. */
export function metricsTable(source: TableSource): Table {
  return {
    columns: [
      { name: 'run_id', type: 'text', required: true },
      { name: 'key', type: 'text', required: true },
      { name: 'step', type: stepType(source), required: true },
      { name: 'ts', type: 'number', required: true },
      { name: 'value', type: 'number', required: true },
      { name: 'writer', type: 'text', required: true },
    ],
    rows: metricRows(source),
  };
}

function* metricRows(source: TableSource): Generator<readonly Cell[]> {
  for (const run of source.runs) {
    for (const [key, series] of seriesByKey(source, run)) {
      for (const { step, ts, value, writer } of iterateSamples(source, series)) {
        yield [run, key, step, ts, value, writer];
      }
    }
  }
}

/**
 * A row a run and step, a column a metric. Where a metric has several samples of one step (several ranks, a resumed
 * job), the last one to arrive stands; `ts` is the time of the latest sample in the row.
 */
export function wideMetricsTable(source: TableSource): Table {
  const keys = new Set<string>();
  for (const run of source.runs) for (const key of seriesByKey(source, run).keys()) keys.add(key);
  const sorted = [...keys].sort();
  return {
    columns: [
      { name: 'run_id', type: 'text', required: true },
      { name: 'step', type: stepType(source), required: true },
      { name: 'ts', type: 'number', required: true },
      ...keyColumns('metrics', sorted, ['run_id', 'step', 'ts'], () => 'number'),
    ],
    rows: wideRows(source, sorted),
  };
}

/** Keys as columns; one that is called as another column gets the kind before its name. */
function keyColumns(
  kind: string,
  keys: readonly string[],
  taken: readonly string[],
  typeOf: (key: string) => CellType,
): TableColumn[] {
  const names = new Set([...taken, ...keys.filter((key) => !taken.includes(key))]);
  return keys.map((key) => {
    let name = key;
    while (taken.includes(key) && names.has(name)) name = `${kind}.${name}`;
    names.add(name);
    return { name, type: typeOf(key) };
  });
}

function* wideRows(source: TableSource, keys: readonly string[]): Generator<readonly Cell[]> {
  for (const run of source.runs) {
    const series = seriesByKey(source, run);
    const readers = keys.flatMap((key, column) => {
      const list = series.get(key);
      if (list === undefined) return [];
      const samples = iterateSamples(source, list);
      return [{ column, samples, head: samples.next().value as Sample | undefined }];
    });
    for (;;) {
      let step = Number.POSITIVE_INFINITY;
      for (const { head } of readers) if (head !== undefined && head.step < step) step = head.step;
      if (step === Number.POSITIVE_INFINITY) break;
      const row: Cell[] = new Array(keys.length + 3).fill(undefined);
      let ts = Number.NEGATIVE_INFINITY;
      for (const reader of readers) {
        while (reader.head !== undefined && reader.head.step === step) {
          row[reader.column + 3] = reader.head.value;
          ts = Math.max(ts, reader.head.ts);
          reader.head = reader.samples.next().value as Sample | undefined;
        }
      }
      row[0] = run;
      row[1] = step;
      row[2] = ts;
      yield row;
    }
  }
}

function rowsWith(source: TableSource, columns: (keys: RunKeys) => Field[]): RunRow[] {
  return answerNow(source, runsById(source.runs, columns(answerNow(source, runKeys(source.runs)))));
}

const paramFields = (keys: readonly string[]): Field[] => keys.map((key) => ({ of: 'param', key }));

/** A row a parameter, flattened with dots. */
export function paramsTable(source: TableSource): Table {
  const rows = rowsWith(source, (keys) => paramFields(keys.params));
  return {
    columns: [
      { name: 'run_id', type: 'text', required: true },
      { name: 'key', type: 'text', required: true },
      { name: 'type', type: 'text', required: true },
      { name: 'value', type: 'json' },
    ],
    rows: rows.flatMap((row) =>
      Object.entries(row.params ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([key, value]) => [row.id, key, jsonType(value), value]),
    ),
  };
}

function jsonType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'bigint' ? 'number' : typeof value;
}

/** A row a run, a column a parameter. */
export function wideParamsTable(source: TableSource): Table {
  const { params } = answerNow(source, runKeys(source.runs));
  const rows = answerNow(source, runsById(source.runs, paramFields(params)));
  const typeOf = (key: string) => commonType(rows.map((row) => isOwn(row.params, key)));
  return {
    columns: [
      { name: 'run_id', type: 'text', required: true },
      ...keyColumns('params', params, ['run_id'], typeOf),
    ],
    rows: rows.map((row) => [row.id, ...params.map((key) => isOwn(row.params, key))]),
  };
}

/** The type that all values have; `json` where they differ. */
function commonType(values: readonly unknown[]): CellType {
  const types = new Set<CellType>();
  for (const value of values) {
    if (value === undefined || value === null) continue;
    if (typeof value === 'number') types.add(Number.isSafeInteger(value) ? 'integer' : 'number');
    else types.add(typeof value === 'string' ? 'text' : typeof value === 'boolean' ? 'boolean' : 'json');
  }
  if (types.size === 2 && types.has('integer') && types.has('number')) return 'number';
  const [only] = types;
  return types.size === 1 && only !== undefined ? only : types.size === 0 ? 'text' : 'json';
}

type OwnColumn = Exclude<keyof RunRow, 'params' | 'tags' | 'metrics'>;

const OWN_COLUMNS: Record<OwnColumn, CellType> = {
  id: 'text',
  name: 'text',
  project: 'text',
  status: 'text',
  started_at: 'number',
  ended_at: 'number',
  duration: 'number',
  entry: 'text',
  command: 'json',
  argv: 'json',
  cwd: 'text',
  repo: 'text',
  commit_sha: 'text',
  exit_code: 'integer',
  signal: 'text',
  reason: 'text',
  host: 'text',
  user: 'text',
  group: 'text',
  notes: 'text',
  parent: 'text',
  reproduces: 'text',
  archived: 'boolean',
  error_type: 'text',
  error_message: 'text',
  last_event_at: 'number',
};

/** A row a run: its own fields, its params, tags and metrics each as one JSON object, or (`wide`) a column for each. */
export function runsTable(source: TableSource, wide: boolean): Table {
  const keys = answerNow(source, runKeys(source.runs));
  const metrics =
    source.keys === undefined ? keys.metrics : keys.metrics.filter((key) => source.keys?.includes(key));
  const rows = answerNow(
    source,
    runsById(source.runs, [
      ...paramFields(keys.params),
      ...keys.tags.map((key): Field => ({ of: 'tag', key })),
      ...metrics.flatMap((key) => METRIC_STATS.map((stat): Field => ({ of: 'metric', key, stat }))),
    ]),
  );
  const own = Object.entries(OWN_COLUMNS) as [OwnColumn, CellType][];
  const columns: TableColumn[] = own.map(([name, type]) => ({ name, type, required: name === 'id' }));
  if (!wide) {
    for (const name of ['params', 'tags', 'metrics']) columns.push({ name, type: 'json' });
    const cells = (row: RunRow) => [
      ...own.map(([name]) => row[name]),
      row.params ?? {},
      row.tags ?? {},
      row.metrics ?? {},
    ];
    return { columns, rows: rows.map(cells) };
  }
  for (const key of keys.params) {
    columns.push({ name: `params.${key}`, type: commonType(rows.map((row) => isOwn(row.params, key))) });
  }
  for (const key of keys.tags) columns.push({ name: `tags.${key}`, type: 'text' });
  const stats = ['last', 'min', 'max'] as const;
  for (const key of metrics) {
    for (const stat of stats) columns.push({ name: `metrics.${key}.${stat}`, type: 'number' });
  }
  const cells = (row: RunRow): Cell[] => [
    ...own.map(([name]) => row[name]),
    ...keys.params.map((key) => isOwn(row.params, key)),
    ...keys.tags.map((key) => isOwn(row.tags, key)),
    ...metrics.flatMap((key) => {
      const found = isOwn(row.metrics, key);
      return stats.map((stat) => decodeNumber(found?.[stat]));
    }),
  ];
  return { columns, rows: rows.map(cells) };
}
