/**
 * The order of a table of runs, read off the indexes of what runs are sorted by: rank by rank, and as much of each as a page
 * needs. `sort-sql.ts` says what the order is; this is the same order.
 */
import type { SqlValue } from '../store/question.ts';
import type { Sort } from './columns.ts';
import { HOLDING_NUMBERS, INDEXED, indexedText, type Sql, STAT_SQL } from './filter-sql.ts';
import { afterPlace, keysOf } from './sort-keys.ts';

/** A SELECT over `runs r`, and how it is sorted. */
export interface Source {
  /** What stands after FROM. */
  from: string;
  /** SELECT list: the order's columns. */
  columns: string;
  where: Sql;
  orderBy: string;
}

/** Runs of one rank. */
export interface Stage {
  /** Each in the order of the table; to be merged by the order's columns. */
  sources: Source[];
  ties: Ties | null;
}

/** Where many runs have the same value, or the index has another order, the values are looked at before the runs. */
export interface Ties {
  /** Selects runs (`run`) and what the index has of their values (`value`), in order, without looking at the runs. */
  leading: Sql;
  /** The runs of a value, the newest first; null where there may be others among them. */
  of(value: SqlValue): Source | null;
}

const NEWEST = 'r.started_at DESC NULLS LAST, r.id DESC';

/** Rows of a table that are of one rank. */
interface Values {
  /** As `s`; null where the runs are those without a row. */
  table: string | null;
  rank: number;
  where: Sql;
  /** What the rank sorts by. */
  by?: { number: string } | { text: string };
  /** What the index has of it. */
  index?: string;
  /** The condition that it is a bound value, where `Ties` are worth it. */
  same?: string;
}

/** The stages of a sorting, after a place in it; null where no index has the order. */
export function stagesOf(sort: Sort | undefined, place: readonly SqlValue[] | null): Stage[] | null {
  if (sort === undefined || sort.field.of === 'run') return null;
  const reached = Number(place?.[0] ?? 0);
  return [...Map.groupBy(valuesOf(sort.field), ({ rank }) => rank)]
    .filter(([rank]) => rank >= reached)
    .map(([rank, all]) => stageOf(all, sort.descending, rank === reached ? place : null));
}

function stageOf(all: readonly Values[], descending: boolean, place: readonly SqlValue[] | null): Stage {
  const [only] = all;
  return {
    sources: all.map((values) => sourceOf(values, descending, place)),
    ties: only !== undefined && all.length === 1 ? tiesOf(only, descending, place) : null,
  };
}

function sourceOf(
  { table, rank, where, by, index }: Values,
  descending: boolean,
  place: readonly SqlValue[] | null,
): Source {
  const { keys, columns } = keysOf({ rank: String(rank), ...by }, descending);
  // Within a stage the rank is no key.
  const within = keys.filter(({ column }) => column !== 'o_rank');
  const after: Sql = place === null ? { text: 'TRUE', values: [] } : afterPlace(within, place);
  const sorted = index === undefined ? [] : [index, ...(by !== undefined && 'text' in by ? [by.text] : [])];
  return {
    from: table === null ? 'runs r' : `${table} s CROSS JOIN runs r ON r.num = s.run`,
    columns,
    where: { text: `${where.text} AND ${after.text}`, values: [...where.values, ...after.values] },
    orderBy: [...sorted.map((sql) => (descending ? `${sql} DESC` : sql)), NEWEST].join(', '),
  };
}

function tiesOf(values: Values, descending: boolean, place: readonly SqlValue[] | null): Ties | null {
  const { table, where, by, index, same } = values;
  if (table === null || by === undefined || index === undefined || same === undefined) return null;
  const begin = place?.['text' in by ? 2 : 1];
  const bound =
    begin === undefined
      ? ''
      : ` AND ${index} ${descending ? '<=' : '>='} ${'text' in by ? indexedText('?') : NUMBER}`;
  return {
    leading: {
      text: `SELECT s.run AS run, ${index} AS value FROM ${table} s WHERE ${where.text}${bound}
        ORDER BY ${index}${descending ? ' DESC' : ''}`,
      values: [...where.values, ...(begin === undefined ? [] : [begin])],
    },
    of: (tied) => {
      // It may be the beginning of many.
      if (typeof tied === 'string' && tied.length >= INDEXED) return null;
      const source = sourceOf(values, descending, place);
      return {
        ...source,
        from: `runs r CROSS JOIN ${table} s ON s.run = r.num`,
        where: { text: `${source.where.text} AND ${same}`, values: [...source.where.values, tied] },
        orderBy: NEWEST,
      };
    },
  };
}

const NUMBER = 'CAST(? AS DOUBLE PRECISION)';

function valuesOf(field: Exclude<Sort['field'], { of: 'run' }>): Values[] {
  const where = (text: string): Sql => ({ text, values: [field.key] });
  const lacking = (table: string, also: string): Values => ({
    table: null,
    rank: 3,
    where: where(`NOT EXISTS (SELECT 1 FROM ${table} s WHERE s.run = r.num AND s.key = ?${also})`),
  });
  if (field.of === 'metric') {
    const table = 'metric_summaries';
    const column = `s.${field.stat}`;
    const isNan = STAT_SQL[field.stat].isNan.replace('m.', 's.');
    return [
      {
        table,
        rank: 0,
        where: where(`s.key = ? AND ${column} IS NOT NULL`),
        by: { number: `CAST(${column} AS DOUBLE PRECISION)` },
        index: column,
        // In the order of the last value the index is.
        ...(field.stat === 'last' ? {} : { same: `${column} = ${NUMBER}` }),
      },
      ...(isNan === 'FALSE'
        ? []
        : [{ table, rank: 2, where: where(`s.key = ? AND ${column} IS NULL AND ${isNan}`) }]),
      lacking(table, ` AND (${column} IS NOT NULL OR ${isNan})`),
    ];
  }
  return field.of === 'param' ? paramValues(where, lacking) : tagValues(where, lacking);
}

type Where = (text: string) => Sql;
type Lacking = (table: string, also: string) => Values;

function paramValues(where: Where, lacking: Lacking): Values[] {
  const table = 'param_leaves';
  const others = "s.key = ? AND s.type <> 'number'";
  // CASE: the kind is looked at in the row, and is no reason to take another index.
  const held = "CASE s.type WHEN 'string' THEN waddle_number(s.text) END";
  const isText = most(
    `CASE s.type WHEN 'null' THEN NULL WHEN 'string' THEN ${oneUnless('waddle_number(s.text)')} ELSE 1 END`,
  );
  return [
    {
      table,
      rank: 0,
      where: where("s.key = ? AND s.type = 'number' AND s.number IS NOT NULL"),
      by: { number: 's.number' },
      index: 's.number',
    },
    ...holding(table, others, 's.text', held, where),
    {
      table,
      rank: 1,
      where: where(`${others} AND ${isText}`),
      by: { text: 's.text' },
      index: indexedText('s.text'),
      same: 's.text = ?',
    },
    lacking(table, " AND s.type <> 'null'"),
  ];
}

function tagValues(where: Where, lacking: Lacking): Values[] {
  const held = 'waddle_number(s.value)';
  return [
    ...holding('tags', 's.key = ?', 's.value', held, where),
    {
      table: 'tags',
      rank: 1,
      where: where(`s.key = ? AND ${most(oneUnless(held))}`),
      by: { text: 's.value' },
      index: indexedText('s.value'),
      same: 's.value = ?',
    },
    lacking('tags', ''),
  ];
}

/**
 * A condition that nearly all rows meet, as one of the few of an expression that PostgreSQL expects that of: it takes `= 1` and `IS
 * NULL` for what one row in two hundred meets, and then reads and sorts all of them where the first thousand of an index would do.
 */
function most(expression: string): string {
  return `${expression} IS NOT NULL`;
}

function oneUnless(expression: string): string {
  return `CASE WHEN ${expression} IS NULL THEN 1 END`;
}

/** Texts that hold a number: no index has these in order, but it has those that may. */
function holding(table: string, which: string, text: string, held: string, where: Where): Values[] {
  return HOLDING_NUMBERS.map((range) => ({
    table,
    rank: 0,
    where: where(`${which} AND ${range(indexedText(text))} AND ${held} IS NOT NULL`),
    by: { number: held },
    index: held,
  }));
}
