import { afterEach, beforeEach, expect, it } from 'vitest';
import { WaddleError } from '../errors/waddle-error.ts';
import { answerNow } from './answer-now.ts';
import { findRun, nextClock } from './find-run.ts';
import { openStore, type Store } from './open.ts';

let store: Store;
beforeEach(() => {
  store = openStore(':memory:');
  const add = store.db.prepare(
    `INSERT INTO runs (id, name, project, status, journal_status, started_at, removed, revision, status_revision)
     VALUES (?, ?, 'default', 'completed', 'completed', ?, ?, 1, 1)`,
  );
  add.run('aaaabbbbcccc', 'duck', 1, 0);
  add.run('aaaacccccccc', 'goose', 2, 0);
  add.run('bbbbcccccccc', 'duck', 3, 0);
  add.run('ccccdddddddd', 'aaaabbbbcccc', 4, 0);
  add.run('dddddddddddd', 'gone', 5, 1);
  add.run('eeeeffffgggg', 'cccc', 6, 0);
});
afterEach(() => store.close());

function codeOf(text: string): string {
  try {
    answerNow(store, findRun(text));
  } catch (error) {
    if (error instanceof WaddleError) return `${error.code}: ${error.message}`;
    throw error;
  }
  throw new Error('found');
}

it('finds by id, name, prefix and age, in this order', () => {
  expect(answerNow(store, findRun('aaaabbbbcccc'))).toMatchObject({
    id: 'aaaabbbbcccc',
    by: 'id',
    alsoFits: ['ccccdddddddd'],
  });
  expect(answerNow(store, findRun('duck'))).toMatchObject({
    id: 'bbbbcccccccc',
    by: 'name',
    alsoFits: ['aaaabbbbcccc'],
  });
  expect(answerNow(store, findRun('aaaac'))).toMatchObject({
    id: 'aaaacccccccc',
    by: 'prefix',
    alsoFits: [],
  });
  expect(answerNow(store, findRun('cccc'))).toMatchObject({
    id: 'eeeeffffgggg',
    by: 'name',
    alsoFits: ['ccccdddddddd'],
  });
  expect(answerNow(store, findRun('@last')).id).toBe('eeeeffffgggg');
  expect(answerNow(store, findRun('@last~0')).id).toBe('eeeeffffgggg');
  expect(answerNow(store, findRun('@last~2')).id).toBe('bbbbcccccccc');
});

it('says what it does not find', () => {
  expect(codeOf('aaaa')).toMatch(/^run-ambiguous: .*aaaabbbbcccc \(duck\)/);
  expect(codeOf('aaa')).toMatch(/^run-not-found/);
  expect(codeOf('dddddddddddd')).toMatch(/^run-not-found/);
  expect(codeOf('@last~9')).toMatch(/^run-not-found/);
  expect(codeOf('@lasting')).toMatch(/^run-not-found/);
  expect(codeOf("'; DROP TABLE runs")).toMatch(/^run-not-found/);
  expect(codeOf('%')).toMatch(/^run-not-found/);
});

it('counts clocks on', () => {
  expect(answerNow(store, nextClock())).toBe(1);
});
