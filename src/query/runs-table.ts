import { WaddleError } from '../errors/waddle-error.ts';
import { encodeNumber } from '../events/line.ts';
import { type Question, type Row, rows } from '../store/question.ts';
import { parseSort, readColumns, type Sort } from './columns.ts';
import type { Field, MetricStat } from './fields.ts';
import { type Filter, parseFilter } from './filter-parser.ts';
import { compileFilter, type Sql, STAT_SQL } from './filter-sql.ts';
import { RUN_COLUMNS, type RunRow, readLeaf, readRunRow } from './run-row.ts';
import { runOrder } from './sort-sql.ts';
import { textConditions } from './text-sql.ts';

export interface ListOptions {
  /** The filter language, or a filter already understood; blank is none. */
  filter?: string | Filter | undefined;
  /** `KEY[:desc]`; without it the newest first. Runs that lack the key come last in both directions. */
  sort?: string | Sort | undefined;
  /** At most so many runs; without it all of them. */
  limit?: number | undefined;
  /** `next` of the page before, with the same sorting. */
  cursor?: string | undefined;
  /** Params, tags and metrics to give with each run: `a,b` or a list. */
  columns?: string | readonly (string | Field)[] | undefined;
  project?: string | undefined;
  /** Archived runs too. */
  archived?: boolean | undefined;
  /** Words that are all found in the run, in any case of letters (`textConditions`). */
  text?: string | undefined;
}

export interface RunPage {
  rows: RunRow[];
  /** Cursor of the next page; null at the end. */
  next: string | null;
}

/** The runs that a filter lets through; removed ones never. Throws `filter-invalid`, `sort-invalid`, `cursor-invalid`, … */
export function* listRuns(options: ListOptions = {}): Question<RunPage> {
  const filter = typeof options.filter === 'string' ? readFilter(options.filter) : options.filter;
  const sort = typeof options.sort === 'string' ? readSort(options.sort) : options.sort;
  const columns = readColumns(options.columns);
  const limit = readLimit(options.limit);

  const order = runOrder(sort);
  const conditions: Sql[] = [{ text: 'r.removed = 0', values: [] }];
  if (options.archived !== true) conditions.push({ text: 'r.archived = 0', values: [] });
  if (options.project !== undefined) conditions.push({ text: 'r.project = ?', values: [options.project] });
  if (filter !== undefined) conditions.push(yield* compileFilter(filter));
  if (options.text !== undefined) conditions.push(...textConditions(options.text));
  if (options.cursor !== undefined) conditions.push(order.after(options.cursor));
  // The page is found by number first, so that only its own runs are read in full.
  const found = yield* rows(
    `SELECT p.*, ${RUN_COLUMNS}
     FROM (SELECT r.num AS num, ${order.columns}
       FROM runs r ${order.join.text} WHERE ${conditions.map((condition) => condition.text).join(' AND ')}
       ORDER BY ${order.orderBy} ${limit === undefined ? '' : 'LIMIT ?'}) p
     CROSS JOIN runs r ON r.num = p.num ORDER BY ${order.orderByColumns}`,
    ...order.join.values,
    ...conditions.flatMap((condition) => condition.values),
    ...(limit === undefined ? [] : [limit + 1]),
  );
  const page = limit === undefined ? found : found.slice(0, limit);
  const last = page.at(-1);
  const runs = page.map(readRunRow);
  yield* addColumns(
    columns,
    page.map((row) => Number(row.num)),
    runs,
  );
  return { rows: runs, next: found.length > page.length && last !== undefined ? order.cursorOf(last) : null };
}

function readFilter(text: string): Filter | undefined {
  return text.trim() === '' ? undefined : parseFilter(text);
}

function readSort(text: string): Sort | undefined {
  return text.trim() === '' ? undefined : parseSort(text);
}

function readLimit(limit: number | undefined): number | undefined {
  if (limit === undefined || (Number.isSafeInteger(limit) && limit > 0)) return limit;
  throw new WaddleError(
    'limit-invalid',
    `the limit ${limit} is no whole number above 0`,
    'write for example: 20',
    {
      exitCode: 2,
    },
  );
}

/** Adds what the columns ask for, with one query for each kind of it. `nums` are the rows' numbers in the database. */
export function* addColumns(
  columns: readonly Field[],
  nums: readonly number[],
  runs: readonly RunRow[],
): Question<void> {
  if (runs.length === 0) return;
  const at = new Map(nums.map((num, index) => [num, index]));
  const runOf = (num: unknown): RunRow | undefined => runs[at.get(Number(num)) ?? -1];
  const keysOf = (of: 'param' | 'tag' | 'metric'): string[] | undefined => {
    const keys = new Set(columns.flatMap((field) => (field.of === of ? [field.key] : [])));
    return keys.size === 0 ? undefined : [...keys];
  };
  const query = (table: string, wanted: string, keys: string[]): Question<Row[]> =>
    rows(
      `SELECT ${wanted} FROM ${table} m
       WHERE m.run IN (SELECT value FROM json_each(?)) AND m.key IN (SELECT value FROM json_each(?))`,
      nums,
      keys,
    );

  const params = keysOf('param');
  if (params !== undefined) {
    for (const run of runs) run.params = {};
    for (const row of yield* query('param_leaves', 'm.run, m.key, m.type, m.text', params)) {
      setOwn(runOf(row.run)?.params, String(row.key), readLeaf(row.type, row.text));
    }
  }
  const tags = keysOf('tag');
  if (tags !== undefined) {
    for (const run of runs) run.tags = {};
    for (const row of yield* query('tags', 'm.run, m.key, m.value', tags)) {
      setOwn(runOf(row.run)?.tags, String(row.key), String(row.value));
    }
  }
  const metrics = keysOf('metric');
  if (metrics !== undefined) {
    for (const run of runs) run.metrics = {};
    const stats = new Map<string, Set<MetricStat>>();
    for (const field of columns) {
      if (field.of !== 'metric') continue;
      stats.set(field.key, (stats.get(field.key) ?? new Set()).add(field.stat));
    }
    const wanted = Object.entries(STAT_SQL).map(([stat, sql]) => `${sql.value} AS "${stat}"`);
    const names = `m.run, m.key, m.last_is_nan, m.first_is_nan, ${wanted.join(', ')}`;
    for (const row of yield* query('metric_summaries', names, metrics)) {
      const values: Partial<Record<MetricStat, ReturnType<typeof encodeNumber>>> = {};
      for (const stat of stats.get(String(row.key)) ?? []) {
        const isNan =
          (stat === 'last' && row.last_is_nan === 1) || (stat === 'first' && row.first_is_nan === 1);
        if (isNan) values[stat] = 'NaN';
        else if (row[stat] !== null) values[stat] = encodeNumber(Number(row[stat]));
      }
      setOwn(runOf(row.run)?.metrics, String(row.key), values);
    }
  }
}

/** Sets a key that may be `__proto__`. */
export function setOwn<T>(target: Record<string, T> | undefined, key: string, value: T): void {
  if (target === undefined) return;
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
  } else target[key] = value;
}

/** What a row holds for a column; undefined where the run lacks it. */
export function cellOf(row: RunRow, field: Field): unknown {
  switch (field.of) {
    case 'run': {
      const value = field.name === 'commit' ? row.commit_sha : row[field.name];
      return value ?? undefined;
    }
    case 'param':
      return own(row.params, field.key);
    case 'tag':
      return own(row.tags, field.key);
    case 'metric':
      return own(row.metrics, field.key)?.[field.stat];
  }
}

function own<T>(record: Record<string, T> | undefined, key: string): T | undefined {
  return record !== undefined && Object.hasOwn(record, key) ? record[key] : undefined;
}
