import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseLine } from '../events/line.ts';
import { Applier } from './apply.ts';
import { openStore, type Store } from './open.ts';
import { FAN_OUT, MAX_SEGMENTS, TOP_LEVEL } from './series.ts';

const clock = { now: () => 0, mono: () => 0 };

let store: Store;
beforeEach(() => {
  store = openStore(':memory:');
});
afterEach(() => store.close());

/** Logs `loss` at these steps, a transaction for each list, each by an applier that remembers nothing. */
function log(batches: number[][], maxSeq?: number): void {
  let place = 0;
  for (const steps of batches) {
    new Applier(store, { clock, ...(maxSeq === undefined ? {} : { maxSeq }) }).transact((batch) => {
      const journal = batch.journal('abcdefghijkl', 'job-aaaaaaaa');
      place = journal.offset;
      for (const s of steps) {
        batch.apply(journal, place, parseLine(JSON.stringify({ k: 'm', t: place, s, v: { loss: s } })));
        place += 1;
      }
      batch.advance(journal, place);
    });
  }
}

const all = (sql: string) =>
  store.db
    .prepare(sql)
    .all()
    .map((row) => ({ ...row }));
const count = (length: number, from = 0) => Array.from({ length }, (_, index) => from + index);

it('goes on in a new part where a series is full', () => {
  log([count(25), count(30, 25), count(7, 55)], 10);
  expect(all('SELECT part, count, t0 FROM series ORDER BY part')).toEqual(
    count(7).map((part) => ({ part, count: part === 6 ? 2 : 10, t0: part * 10_000 })),
  );
  expect(all('SELECT count(*) AS n, min(step) AS min, max(step) AS max FROM metrics')).toEqual([
    { n: 62, min: 0, max: 61 },
  ]);
  expect(all('SELECT count, first, last, last_step, writers FROM metric_summaries')).toEqual([
    { count: 62, first: 0, last: 61, last_step: 61, writers: 1 },
  ]);
  expect(all('SELECT count(*) AS n FROM changes')).toEqual([{ n: 9 }]);
});

it('builds every level, whatever the portions', () => {
  const length = FAN_OUT ** 3 + FAN_OUT ** 2 + 5;
  log([count(length)]);
  const whole = all(
    'SELECT level, seq, count, min, max, sum, first, last, step0, step1 FROM rollups ORDER BY level, seq',
  );
  expect(all('SELECT level, count(*) AS n FROM rollups GROUP BY level')).toEqual([
    { level: 1, n: FAN_OUT ** 2 + FAN_OUT },
    { level: 2, n: FAN_OUT + 1 },
    { level: 3, n: 1 },
  ]);
  expect(whole.at(-1)).toMatchObject({
    level: 3,
    seq: 0,
    count: FAN_OUT ** 3,
    min: 0,
    max: FAN_OUT ** 3 - 1,
  });
  store.close();
  store = openStore(':memory:');
  log([count(1), count(FAN_OUT, 1), count(700, FAN_OUT + 1), count(length - FAN_OUT - 701, FAN_OUT + 701)]);
  expect(
    all(
      'SELECT level, seq, count, min, max, sum, first, last, step0, step1 FROM rollups ORDER BY level, seq',
    ),
  ).toEqual(whole);
});

it('starts a segment where the step goes back, so often and no more', () => {
  log([
    [0, 1, 1, 2, 0],
    [1, 5, 3],
  ]);
  expect(
    all(
      'SELECT level, seq, count, segment, step0, step1 FROM rollups WHERE level IN (1, 6) ORDER BY level, seq',
    ),
  ).toEqual([
    { level: 1, seq: 0, count: 4, segment: 0, step0: 0, step1: 2 },
    { level: 1, seq: 4, count: 3, segment: 1, step0: 0, step1: 5 },
    { level: TOP_LEVEL, seq: 0, count: 4, segment: 0, step0: 0, step1: 2 },
    { level: TOP_LEVEL, seq: 4, count: 3, segment: 1, step0: 0, step1: 5 },
  ]);
  store.close();
  store = openStore(':memory:');
  log([count(2 * MAX_SEGMENTS).map((n) => -n), count(100).map((n) => -n)]);
  expect(all('SELECT segment, count FROM series')).toEqual([
    { segment: MAX_SEGMENTS, count: 2 * MAX_SEGMENTS + 100 },
  ]);
  expect(all('SELECT count(*) AS n FROM rollups WHERE level = 6')).toEqual([{ n: MAX_SEGMENTS }]);
});

it('costs no more than 45 bytes a sample', () => {
  const length = 50_000;
  for (let from = 0; from < length; from += 5000) log([count(5000, from)]);
  const pages =
    Number(all('PRAGMA page_count')[0]?.page_count) * Number(all('PRAGMA page_size')[0]?.page_size);
  // An empty database has some 50 pages of tables and indexes.
  expect((pages - 70 * 4096) / length).toBeLessThan(45);
});

it('reads the view by series, never by scanning all samples', () => {
  log([count(3)]);
  for (const query of [
    'SELECT count(*) FROM metrics',
    "SELECT max(value) FROM metrics WHERE key = 'loss' GROUP BY run_id",
    "SELECT step, value FROM metrics WHERE run_id = 'abcdefghijkl' AND key = 'loss' ORDER BY step",
  ]) {
    const plan = all(`EXPLAIN QUERY PLAN ${query}`).map((row) => String(row.detail));
    expect(plan.filter((detail) => detail.includes('SCAN m'))).toEqual([]);
    expect(plan.some((detail) => /SEARCH m USING INTEGER PRIMARY KEY/.test(detail))).toBe(true);
  }
});
