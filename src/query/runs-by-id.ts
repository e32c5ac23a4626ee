import type { DatabaseSync } from 'node:sqlite';
import { WaddleError } from '../errors/waddle-error.ts';
import { readConsistently } from './consistent-read.ts';
import type { Field } from './fields.ts';
import { RUN_COLUMNS, type RunRow, readRunRow } from './run-row.ts';
import { addColumns } from './runs-table.ts';

/** The runs of these ids, in this order, with what the columns ask for. Throws `run-not-found`. */
export function runsById(db: DatabaseSync, ids: readonly string[], columns: readonly Field[] = []): RunRow[] {
  return readConsistently(db, () => {
    const find = db.prepare(`SELECT r.num, ${RUN_COLUMNS} FROM runs r WHERE r.id = ? AND r.removed = 0`);
    const nums: number[] = [];
    const rows = [...new Set(ids)].map((id) => {
      const row = find.get(id);
      if (row === undefined)
        throw new WaddleError('run-not-found', `there is no run ${id}`, 'see the runs with: waddle ls');
      nums.push(Number(row.num));
      return readRunRow(row);
    });
    addColumns(db, columns, nums, rows);
    return rows;
  });
}

/** The keys that any of these runs has, each kind in order. Params are flattened with dots. */
export function runKeys(
  db: DatabaseSync,
  ids: readonly string[],
): { params: string[]; tags: string[]; metrics: string[] } {
  const keysIn = (table: string) =>
    db
      .prepare(
        `SELECT DISTINCT m.key FROM json_each(?) i JOIN runs r ON r.id = i.value AND r.removed = 0
         JOIN ${table} m ON m.run = r.num ORDER BY m.key`,
      )
      .all(JSON.stringify(ids))
      .map((row) => String(row.key));
  return { params: keysIn('param_leaves'), tags: keysIn('tags'), metrics: keysIn('metric_summaries') };
}
