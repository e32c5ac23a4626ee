import { WaddleError } from '../errors/waddle-error.ts';
import { encodeNumber } from '../events/line.ts';
import { type Question, type Row, rows } from '../store/question.ts';
import { parseSort, readColumns, type Sort } from './columns.ts';
import type { Field, MetricStat } from './fields.ts';
import { type Filter, parseFilter } from './filter-parser.ts';
import { compileFilter, type Sql, STAT_SQL } from './filter-sql.ts';
import { RUN_COLUMNS, type RunRow, readLeaf, readRunRow } from './run-row.ts';
import { type RunOrder, runOrder } from './sort-sql.ts';
import type { Source, Stage, Ties } from './sort-stages.ts';
import { textConditions, textSelection } from './text-sql.ts';

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
  const selections: Sql[] = [];
  if (options.archived !== true) conditions.push({ text: 'r.archived = 0', values: [] });
  if (options.project !== undefined) conditions.push({ text: 'r.project = ?', values: [options.project] });
  if (filter !== undefined) {
    const compiled = yield* compileFilter(filter);
    conditions.push(compiled.condition);
    selections.push(...compiled.selections);
  }
  if (options.text !== undefined) {
    conditions.push(...textConditions(options.text));
    const selection = textSelection(options.text);
    if (selection !== null) selections.push(selection);
  }
  if (sort !== undefined && options.project !== undefined) {
    selections.push({
      text: 'SELECT r.num AS run FROM runs r WHERE r.project = ?',
      values: [options.project],
    });
  }
  const few = limit === undefined ? null : yield* fewRuns(selections);
  if (few !== null) conditions.push(amongRuns(few));
  const found = yield* findRuns(order, conditions, {
    cursor: options.cursor,
    wanted: limit === undefined ? undefined : limit + 1,
    few: few !== null,
  });
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

/** So many runs are looked at one by one sooner than all are read in the order of an index. */
const FEW = 4000;

/** The numbers of runs that all selections name, where these are few; else null. */
function* fewRuns(selections: readonly Sql[]): Question<number[] | null> {
  let few: number[] | null = null;
  for (const { text, values } of selections) {
    const found = yield* rows(`${text} LIMIT ?`, ...values, FEW + 1);
    if (found.length > FEW) continue;
    const nums = new Set(found.map((row) => Number(row.run)));
    few = few === null ? [...nums] : few.filter((num) => nums.has(num));
  }
  return few;
}

/** @param options.few the conditions let few through: they are sorted */
function* findRuns(
  order: RunOrder,
  conditions: readonly Sql[],
  { cursor, wanted, few }: { cursor: string | undefined; wanted: number | undefined; few: boolean },
): Question<Row[]> {
  const stages = few ? null : order.stages(cursor);
  if (stages === null || wanted === undefined)
    return yield* readAtOnce(order, conditions, { cursor, wanted });
  return yield* readByStages(order, stages, conditions, { cursor, wanted });
}

function amongRuns(nums: number[]): Sql {
  return { text: 'r.num IN (SELECT value FROM json_each(?))', values: [nums] };
}

function* readAtOnce(
  order: RunOrder,
  conditions: readonly Sql[],
  { cursor, wanted }: { cursor: string | undefined; wanted: number | undefined },
): Question<Row[]> {
  const all = cursor === undefined ? conditions : [...conditions, order.after(cursor)];
  const source = { from: `runs r ${order.join.text}`, columns: order.columns, orderBy: order.orderBy };
  const where = { text: 'TRUE', values: [] };
  const { text, values } = selectSource({ ...source, where }, all, wanted);
  return yield* readPage(order, { text, values: [...order.join.values, ...values] });
}

function* readByStages(
  order: RunOrder,
  stages: readonly Stage[],
  conditions: readonly Sql[],
  { cursor, wanted }: { cursor: string | undefined; wanted: number },
): Question<Row[]> {
  const found: Row[] = [];
  for (const { sources, ties } of stages) {
    const left = wanted - found.length;
    if (left <= 0) break;
    const page = ties === null ? null : yield* readTies(order, ties, conditions, { cursor, wanted: left });
    found.push(...(page ?? (yield* readPage(order, mergedSources(order, sources, conditions, left)))));
  }
  return found;
}

function mergedSources(
  order: RunOrder,
  sources: readonly Source[],
  conditions: readonly Sql[],
  limit: number,
): Sql {
  const parts = sources.map((source) => selectSource(source, conditions, limit));
  const [only] = parts;
  if (only !== undefined && parts.length === 1) return only;
  return {
    text: `SELECT * FROM (${parts.map(({ text }, at) => `SELECT * FROM (${text}) s${at}`).join(' UNION ALL ')}) u
      ORDER BY ${order.orderByColumns} LIMIT ?`,
    values: [...parts.flatMap(({ values }) => values), limit],
  };
}

/** All of a page that is of one stage, by what the first values are; null where that does not tell. */
function* readTies(
  order: RunOrder,
  { leading, of }: Ties,
  conditions: readonly Sql[],
  { cursor, wanted }: { cursor: string | undefined; wanted: number },
): Question<Row[] | null> {
  const most = wanted * 10;
  const found = yield* rows(`${leading.text} LIMIT ?`, ...leading.values, most + 1);
  if (found.length <= most) return null;
  // Of those that are as the last one there may be more.
  const end = found.at(-1)?.value as string | number;
  const nums = found.filter(({ value }) => value !== end).map(({ run }) => Number(run));
  const tied = nums.length === 0 ? of(end) : null;
  if (tied === null && nums.length < wanted) return null;
  const page =
    tied === null
      ? yield* readAtOnce(order, [...conditions, amongRuns(nums)], { cursor, wanted })
      : yield* readPage(order, selectSource(tied, conditions, wanted));
  return page.length < wanted ? null : page;
}

function selectSource(
  { from, columns, where, orderBy }: Source,
  conditions: readonly Sql[],
  limit: number | undefined,
): Sql {
  const all = [where, ...conditions];
  return {
    text: `SELECT r.num AS num, ${columns} FROM ${from} WHERE ${all.map(({ text }) => text).join(' AND ')}
      ORDER BY ${orderBy} ${limit === undefined ? '' : 'LIMIT ?'}`,
    values: [...all.flatMap(({ values }) => values), ...(limit === undefined ? [] : [limit])],
  };
}

/** The page is found by number first, so that only its own runs are read in full. */
function readPage(order: RunOrder, { text, values }: Sql): Question<Row[]> {
  return rows(
    `SELECT p.*, ${RUN_COLUMNS} FROM (${text}) p CROSS JOIN runs r ON r.num = p.num ORDER BY ${order.orderByColumns}`,
    ...values,
  );
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
