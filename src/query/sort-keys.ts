/** What a table of runs is sorted by, key by key. */
import type { SqlValue } from '../store/question.ts';
import type { Sql } from './filter-sql.ts';

export interface Key {
  sql: string;
  column: string;
  /** Its place in a cursor. */
  at: number;
  descending: boolean;
}

export const NO_RANK = '0';
export const NO_NUMBER = '0.0';
export const NO_TEXT = "''";
/** What is the same for all runs is no key: an ORDER BY takes no constants. */
const CONSTANTS: ReadonlySet<string> = new Set([NO_RANK, NO_NUMBER, NO_TEXT]);

const STARTED: Key = { sql: 'coalesce(r.started_at, -1e300)', column: 'o_started', at: 3, descending: true };

/** The order's columns over `runs r` and what is joined to it. */
export function keysOf(
  { rank, number = NO_NUMBER, text = NO_TEXT }: { rank: string; number?: string; text?: string },
  descending: boolean,
): { keys: Key[]; columns: string } {
  const keys: Key[] = [
    { sql: rank, column: 'o_rank', at: 0, descending: false },
    { sql: number, column: 'o_number', at: 1, descending },
    { sql: text, column: 'o_text', at: 2, descending },
    STARTED,
    { sql: 'r.id', column: 'o_id', at: 4, descending: true },
  ];
  return {
    keys: keys.filter((key) => !CONSTANTS.has(key.sql)),
    columns: keys.map(({ sql, column }) => `${sql} AS ${column}`).join(', '),
  };
}

/** As it is sorted by. NULL is the least there is, as in `o_started`; and said so plainly, an index has the newest first. */
export function sortedBy({ sql }: Key): string {
  return sql === STARTED.sql ? 'r.started_at' : sql;
}

export function orderBy(keys: readonly Key[], expression: (key: Key) => string): string {
  return keys.map((key) => `${expression(key)}${key.descending ? ' DESC NULLS LAST' : ''}`).join(', ');
}

/** (a, b, …) after (?, ?, …), key by key. */
export function afterPlace(keys: readonly Key[], place: readonly SqlValue[]): Sql {
  const [key, ...rest] = keys;
  if (key === undefined) return { text: 'FALSE', values: [] };
  const value = place[key.at] ?? null;
  const inner = afterPlace(rest, place);
  const operator = key.descending ? '<' : '>';
  return {
    text: `(${key.sql} ${operator} ? OR (${key.sql} = ? AND ${inner.text}))`,
    values: [value, value, ...inner.values],
  };
}
