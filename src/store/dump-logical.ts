import type { Store } from './open.ts';

/** Columns that number things in one database, or tell of this reader alone. */
const LOCAL = new Set([
  'num',
  'id',
  'run',
  'journal',
  'series',
  'revision',
  'status_revision',
  'grown_at',
  'grown_mono',
  'sealed',
  'torn',
]);

type Row = Record<string, unknown>;

/**
 * All that the database holds, as text in an order of its own: equal for two databases of the same journals, whoever
 * ingested them, in which order and in how many steps. What only life or time tells (`crashed`) is as the journals leave
 * it.
 */
export function dumpLogical(store: Store): string {
  const ids = new Map<unknown, unknown>([[0, null]]);
  for (const row of store.db.prepare('SELECT num, id FROM runs').all()) ids.set(row.num, row.id);
  const journals = new Map<unknown, string>();
  for (const row of store.db.prepare('SELECT id, run, writer FROM journals').all()) {
    journals.set(row.id, `${ids.get(row.run)}/${row.writer}`);
  }
  const series = new Map<unknown, string>();
  for (const row of store.db.prepare('SELECT id, run, key, writer, part FROM series').all()) {
    series.set(row.id, JSON.stringify([ids.get(row.run), row.key, row.writer, row.part]));
  }
  const lines: string[] = [];
  const add = (table: string, rows: Row[], name: (row: Row) => unknown) => {
    for (const row of rows) {
      const kept = Object.entries(row).filter(([column]) => !LOCAL.has(column));
      lines.push(`${table} ${plain([name(row), ...kept])}`);
    }
  };
  const all = (sql: string) => store.db.prepare(sql).all();

  const crashed = new Set<unknown>();
  for (const run of all('SELECT * FROM runs')) {
    const judged = run.status !== run.journal_status;
    if (judged) crashed.add(run.num);
    add('run', [judged ? { ...run, status: run.journal_status, ended_at: null } : run], () => run.id);
  }
  for (const attempt of all('SELECT * FROM attempts')) {
    const latest = all('SELECT run, max(number) AS number FROM attempts GROUP BY run').find(
      (row) => row.run === attempt.run,
    );
    const judged = crashed.has(attempt.run) && latest?.number === attempt.number;
    add('attempt', [judged ? { ...attempt, status: 'running', ended_at: null } : attempt], (row) =>
      ids.get(row.run),
    );
  }
  for (const table of [
    'params',
    'param_leaves',
    'tags',
    'tag_facts',
    'edits',
    'metric_summaries',
    'artifacts',
    'warnings',
    'kept_events',
    'snapshots',
    'environments',
    'series',
    'run_texts',
  ]) {
    add(table, all(`SELECT * FROM ${table}`), (row) => ids.get(row.run));
  }
  for (const row of all('SELECT * FROM console')) {
    add('console', [row], () => [ids.get(row.run), journals.get(row.journal)]);
  }
  for (const row of all('SELECT * FROM journals')) {
    add('journal', [{ ...row, broken: Number(row.broken) - (row.torn === null ? 0 : 1) }], () =>
      journals.get(row.id),
    );
  }
  add(
    'broken',
    all(`SELECT b.* FROM broken_lines b JOIN journals j ON j.id = b.journal
      WHERE j.torn IS NULL OR j.torn <> b.offset`),
    (row) => journals.get(row.journal),
  );
  add(
    'sample',
    all('SELECT id >> 28 AS series, id & 268435455 AS seq, step, dt, value FROM samples'),
    (row) => series.get(row.series),
  );
  add('rollup', all('SELECT * FROM rollups'), (row) => series.get(row.series));
  add('link', all('SELECT * FROM links'), () => null);
  for (const row of all('SELECT * FROM tombstones')) add('tombstone', [row], () => row.run);
  return lines.sort().join('\n');
}

/** JSON in which infinities and bytes are told apart. */
function plain(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) => {
    if (typeof item === 'number' && !Number.isFinite(item)) return String(item);
    if (item instanceof Uint8Array) return Buffer.from(item).toString('base64');
    return item;
  });
}
