import type { Field } from '../query/fields.ts';
import type { Store } from '../store/open.ts';

/** Metrics and params that are proposed at most; what the terminal has no room for is left out later. */
const METRICS = 3;
const PARAMS = 3;

/**
 * Columns that tell these runs apart, for where none were asked for: the metrics that most of them have (those that
 * Waddle samples itself never), then the params that differ between them. The first is the likeliest to be wanted.
 */
export function proposeColumns(store: Store, runs: readonly string[]): Field[] {
  const ids = JSON.stringify(runs);
  const metrics = store
    .prepare(
      `SELECT m.key AS key, count(*) AS runs FROM json_each(?) n JOIN runs r ON r.id = n.value
       JOIN metric_summaries m ON m.run = r.num WHERE m.key NOT LIKE 'system/%'
       GROUP BY m.key ORDER BY runs DESC, length(m.key), m.key LIMIT ?`,
    )
    .all(ids, METRICS)
    .map((row): Field => ({ of: 'metric', key: String(row.key), stat: 'last' }));
  const params = store
    .prepare(
      `SELECT p.key AS key, count(*) AS runs FROM json_each(?) n JOIN runs r ON r.id = n.value
       JOIN param_leaves p ON p.run = r.num
       GROUP BY p.key HAVING count(DISTINCT p.text) > 1 ORDER BY runs DESC, length(p.key), p.key LIMIT ?`,
    )
    .all(ids, PARAMS)
    .map((row): Field => ({ of: 'param', key: String(row.key) }));
  const [first, second, ...rest] = metrics;
  return [first, second, ...params, ...rest].filter((field) => field !== undefined);
}
