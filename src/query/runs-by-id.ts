import { WaddleError } from '../errors/waddle-error.ts';
import { type Question, rows, together } from '../store/question.ts';
import type { Field } from './fields.ts';
import { RUN_COLUMNS, type RunRow, readRunRow } from './run-row.ts';
import { addColumns } from './runs-table.ts';

/** The runs of these ids, in this order, with what the columns ask for. Throws `run-not-found`. */
export function* runsById(ids: readonly string[], columns: readonly Field[] = []): Question<RunRow[]> {
  const wanted = [...new Set(ids)];
  const found = new Map(
    (yield* rows(
      `SELECT r.num, ${RUN_COLUMNS} FROM runs r
       WHERE r.removed = 0 AND r.id IN (SELECT value FROM json_each(?))`,
      wanted,
    )).map((row) => [String(row.id), row]),
  );
  const nums: number[] = [];
  const runs = wanted.map((id) => {
    const row = found.get(id);
    if (row === undefined)
      throw new WaddleError('run-not-found', `there is no run ${id}`, 'see the runs with: waddle ls');
    nums.push(Number(row.num));
    return readRunRow(row);
  });
  yield* addColumns(columns, nums, runs);
  return runs;
}

export interface RunKeys {
  params: string[];
  tags: string[];
  metrics: string[];
}

/** The keys that any of these runs has, each kind in order. Params are flattened with dots. */
export function* runKeys(ids: readonly string[]): Question<RunKeys> {
  const [params = [], tags = [], metrics = []] = yield* together(
    ['param_leaves', 'tags', 'metric_summaries'].map((table) => keysIn(table, ids)),
  );
  return { params, tags, metrics };
}

function* keysIn(table: string, ids: readonly string[]): Question<string[]> {
  const found = yield* rows(
    `SELECT DISTINCT m.key FROM runs r CROSS JOIN ${table} m ON m.run = r.num
     WHERE r.removed = 0 AND r.id IN (SELECT value FROM json_each(?)) ORDER BY m.key`,
    ids,
  );
  return found.map((row) => String(row.key));
}
