/** The content of a space in PostgreSQL as a store in memory, so that it can be compared with one that SQLite made. */
import type { SQLInputValue } from 'node:sqlite';
import { BUCKET } from '../../src/postgres/chunks.ts';
import { decodeColumns } from '../../src/postgres/column-codec.ts';
import type { Database } from '../../src/postgres/database.ts';
import { openStore, type Store } from '../../src/store/open.ts';
import { MAX_SEQ } from '../../src/store/schema.ts';

const TABLES = [
  'runs',
  'params',
  'param_leaves',
  'tags',
  'tag_facts',
  'edits',
  'series',
  'metric_summaries',
  'artifacts',
  'console',
  'warnings',
  'attempts',
  'kept_events',
  'snapshots',
  'environments',
  'journals',
  'broken_lines',
  'links',
  'tombstones',
  'run_texts',
];

/** Must be closed. */
export async function copySpace(database: Database, space: string): Promise<Store> {
  const store = openStore(':memory:');
  await database.transaction(
    space,
    async (session) => {
      for (const table of TABLES) {
        const columns = store.db.prepare(`PRAGMA table_info("${table}")`).all();
        const names = columns.map(({ name }) => `"${name}"`).join(', ');
        const insert = store.prepare(
          `INSERT INTO ${table} (${names}) VALUES (${columns.map(() => '?').join(', ')})`,
        );
        for (const row of await session.rows(`SELECT ${names} FROM ${table}`)) {
          insert.run(...columns.map(({ name }) => row[String(name)] as SQLInputValue));
        }
      }
      const sample = store.prepare('INSERT INTO samples (id, step, dt, value) VALUES (?, ?, ?, ?)');
      for (const row of await session.rows('SELECT * FROM sample_chunks')) {
        const [steps, times, values] = decodeColumns(row.body as Buffer, Number(row.count));
        const base = Number(row.series) * MAX_SEQ + Number(row.seq0);
        for (let index = 0; index < Number(row.count); index += 1) {
          const value = values?.[index] ?? 0;
          sample.run(
            base + index,
            steps?.[index] ?? 0,
            times?.[index] ?? 0,
            Number.isNaN(value) ? null : value,
          );
        }
      }
      const rollup = store.prepare(
        `INSERT INTO rollups (series, level, seq, count, nan_count, min, max, sum, first, last, step0, step1, dt0, dt1, segment)
         VALUES (${Array(15).fill('?').join(', ')})`,
      );
      for (const row of await session.rows('SELECT * FROM rollup_chunks')) {
        const columns = decodeColumns(row.body as Buffer, Number(row.count));
        for (let index = 0; index < Number(row.count); index += 1) {
          const fields = Object.values(BUCKET).map((place) => {
            const value = columns[place]?.[index] ?? 0;
            return Number.isNaN(value) ? null : value;
          });
          rollup.run(Number(row.series), Number(row.level), ...fields);
        }
      }
    },
    'snapshot',
  );
  return store;
}
