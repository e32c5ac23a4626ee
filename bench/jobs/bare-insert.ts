/**
 * `bare-insert.ts FOLDER SAMPLES`: the floor of ingest. Rows of the same shape and values as the store's, already in
 * memory, into a table of the same shape, 100 rows a statement, 65,536 a transaction, and nothing else: no file to read,
 * no JSON, no rollups, no summaries.
 */
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { lossAt, seeded } from '../journals.ts';

const [folder = '', text = ''] = process.argv.slice(2);
const samples = Number(text);
const ROWS = 100;
const db = new DatabaseSync(join(folder, 'bare.sqlite'));
db.exec(`
  PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -16384;
  CREATE TABLE samples (id INTEGER PRIMARY KEY, step NUMERIC NOT NULL, dt INTEGER NOT NULL, value REAL);
`);
const insert = db.prepare(`INSERT INTO samples VALUES ${Array(ROWS).fill('(?, ?, ?, ?)').join(', ')}`);
const random = seeded(1);
const rows: number[][] = [];
for (let seq = 0; seq < samples; seq += ROWS) {
  const values: number[] = [];
  for (let at = seq; at < seq + ROWS; at += 1) values.push(2 ** 28 + at, at, at * 15, lossAt(at, random));
  rows.push(values);
}
const began = performance.now();
let waiting = 0;
db.exec('BEGIN');
for (const values of rows) {
  insert.run(...values);
  waiting += ROWS;
  if (waiting >= 65_536) {
    db.exec('COMMIT; BEGIN');
    waiting = 0;
  }
}
db.exec('COMMIT');
const ms = performance.now() - began;
db.close();
process.stdout.write(`${JSON.stringify({ ms, samples: rows.length * ROWS })}\n`);
