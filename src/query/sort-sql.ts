import { WaddleError } from '../errors/waddle-error.ts';
import { decodeNumber, encodeNumber } from '../events/line.ts';
import type { SqlValue } from '../store/question.ts';
import type { Sort } from './columns.ts';
import { fieldText } from './fields.ts';
import { OWN_SQL, type Sql, STAT_SQL } from './filter-sql.ts';
import { afterPlace, keysOf, NO_NUMBER, NO_RANK, NO_TEXT, orderBy, sortedBy } from './sort-keys.ts';
import { type Stage, stagesOf } from './sort-stages.ts';

/**
 * The order of a table of runs, as columns that are never NULL: `rank` (0 numbers, 1 texts, 2 NaN, 3 no value: in both
 * directions in this order), then the number, then the text, then the newest first, then the id. A place in it can be
 * said exactly, so that a page goes on where the last one ended, whatever was added meanwhile.
 */
export interface RunOrder {
  join: Sql;
  /** SELECT list of the order's own columns: `o_rank, o_number, o_text, o_started, o_id`. */
  columns: string;
  /** By the table, and by the order's own columns. */
  orderBy: string;
  orderByColumns: string;
  /** Condition on `runs r` that begins after a cursor. */
  after: (cursor: string) => Sql;
  /** Cursor of a row that has the order's columns and `id`. */
  cursorOf: (row: Record<string, unknown>) => string;
  /**
   * The same order rank by rank, each in the order of an index, so that a page is read without all that follows it; with a
   * cursor, what comes after. Null where no index has the order.
   */
  stages: (cursor: string | undefined) => Stage[] | null;
}

/** What a field sorts by: an SQL rank, number and text over the join. */
function sortExpressions(sort: Sort | undefined): { join: Sql; rank: string; number: string; text: string } {
  const none: Sql = { text: '', values: [] };
  if (sort === undefined) return { join: none, rank: NO_RANK, number: NO_NUMBER, text: NO_TEXT };
  const { field } = sort;
  if (field.of === 'run') {
    const sql = OWN_SQL[field.name];
    const numeric = field.name === 'started_at' || field.name === 'ended_at' || field.name === 'duration';
    return {
      join: none,
      rank: `CASE WHEN ${sql} IS NULL THEN 3 ELSE ${numeric ? 0 : 1} END`,
      number: numeric ? `coalesce(${sql}, 0)` : NO_NUMBER,
      text: numeric ? NO_TEXT : `coalesce(${sql}, '')`,
    };
  }
  if (field.of === 'metric') {
    const { value, isNan } = STAT_SQL[field.stat];
    return {
      join: {
        text: 'LEFT JOIN metric_summaries m ON m.run = r.num AND m.key = ?',
        values: [field.key],
      },
      rank: `CASE WHEN ${value} IS NOT NULL THEN 0 WHEN ${isNan} THEN 2 ELSE 3 END`,
      number: `CAST(coalesce(${value}, 0) AS DOUBLE PRECISION)`,
      text: NO_TEXT,
    };
  }
  const [table, value] = field.of === 'param' ? ['param_leaves', 's.text'] : ['tags', 's.value'];
  const held = `waddle_number(${value})`;
  const asNumber =
    field.of === 'param' ? `CASE s.type WHEN 'number' THEN s.number WHEN 'string' THEN ${held} END` : held;
  const missing = field.of === 'param' ? "(s.key IS NULL OR s.type = 'null')" : 's.key IS NULL';
  return {
    join: { text: `LEFT JOIN ${table} s ON s.run = r.num AND s.key = ?`, values: [field.key] },
    rank: `CASE WHEN ${missing} THEN 3 WHEN ${asNumber} IS NOT NULL THEN 0 ELSE 1 END`,
    number: `coalesce(${asNumber}, 0)`,
    text: `CASE WHEN ${missing} OR ${asNumber} IS NOT NULL THEN '' ELSE ${value} END`,
  };
}

/** The order for a sorting; without one, the newest first. */
export function runOrder(sort: Sort | undefined): RunOrder {
  const { join, rank, number, text } = sortExpressions(sort);
  const descending = sort?.descending ?? false;
  const { keys, columns } = keysOf({ rank, number, text }, descending);
  const signature = sort === undefined ? '' : `${fieldText(sort.field)}:${descending ? 'desc' : 'asc'}`;
  return {
    join,
    columns,
    orderBy: orderBy(keys, sortedBy),
    orderByColumns: orderBy(keys, (key) => key.column),
    after: (cursor) => {
      return afterPlace(keys, readCursor(cursor, signature));
    },
    cursorOf: (row) => {
      const place = [
        Number(row.o_rank),
        encodeNumber(Number(row.o_number)),
        String(row.o_text),
        Number(row.o_started),
        String(row.id),
      ];
      return Buffer.from(JSON.stringify([signature, ...place])).toString('base64url');
    },
    stages: (cursor) => stagesOf(sort, cursor === undefined ? null : readCursor(cursor, signature)),
  };
}

function readCursor(cursor: string, signature: string): SqlValue[] {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    value = undefined;
  }
  if (Array.isArray(value) && value.length === 6 && value[0] === signature) {
    const [rank, number, text, started, id] = value.slice(1) as unknown[];
    const decoded = decodeNumber(number);
    const numbers = Number.isInteger(rank) && decoded !== undefined && typeof started === 'number';
    if (numbers && typeof text === 'string' && typeof id === 'string')
      return [Number(rank), decoded, text, started, id];
  }
  throw new WaddleError(
    'cursor-invalid',
    'the cursor does not belong to this list',
    'ask for the first page without a cursor, and follow the links from there with the same sorting',
    { exitCode: 2 },
  );
}
