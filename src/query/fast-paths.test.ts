/** A page is read off indexes, and where all runs are asked for, they are sorted: both must say the same. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rounds } from '../../test/support/rounds.ts';
import { addRun, ask, isLocal, type TemporaryStore, temporaryStore } from './fixture.ts';
import { type ListOptions, listRuns } from './runs-table.ts';

const RUNS = 90;
/** A key as long as PostgreSQL takes one: 900 bytes. */
const WIDE = '\u{1f986}'.repeat(225);
const LONG = 'long '.repeat(130);
const TEXTS = [
  'adam',
  'adam',
  'adam',
  'sgd',
  'Lion',
  '10',
  ' 9',
  '-3e2',
  '.5',
  'Infinity',
  '-Infinity',
  'Infinity ',
  'NaN',
  '',
  ' ',
  '\u00a07',
  '\u2003',
  '\u00e4',
  'I',
  ':',
  `${LONG}a`,
  `${LONG}b`,
  `${LONG}a`,
  'x.y',
  '50%',
  'a_b',
];
const VALUES = [
  ...TEXTS,
  1,
  1,
  1,
  2,
  0.5,
  -3,
  1e300,
  2n ** 70n,
  true,
  false,
  null,
  [1],
  {},
  undefined,
  undefined,
];
const METRICS = [
  0.5,
  0.5,
  0.25,
  -1,
  7,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  undefined,
];
const FIELDS = [
  'params.p',
  'params.p',
  'params.many',
  'tags.t',
  'tags.many',
  'metrics.m',
  'metrics.m.max',
  'metrics.m.min',
  'metrics.m.mean',
  'metrics.m.count',
  'metrics.m.first',
  'metrics.same.max',
  'params.none',
  'name',
  'started_at',
  'status',
];
const FILTERS = [
  '',
  '',
  'params.p = 1',
  "params.p = 'adam'",
  'params.p > 0',
  "params.p < 'm'",
  "params.p in ('sgd', 1, true)",
  "tags.t = '10'",
  'tags.t = 10',
  "tags.t >= 'a'",
  "params.p = 'Infinity'",
  'metrics.m < 0.4',
  "metrics.m = 'NaN'",
  'metrics.m.max >= 0.5 and params.p is not null',
  "name = 'n3'",
  "name ~ '^n[12]'",
  "name ~ 'n.*1$' and params.many = 1",
  "params.p ~ 'da'",
  "params.p != 'adam'",
  "tags.t in ('adam', 'sgd') and metrics.m.min < 1",
  "params.p > 0 or tags.t = 'sgd'",
  `params.p = '${LONG}a'`,
  `tags.t > '${LONG}a'`,
  "id = 'nothing'",
  'params.p = 1180591620717411303424',
];
const WORDS = [
  '',
  '',
  '',
  'adam',
  'ADAM n1',
  'nothing',
  '%',
  '_',
  'fail',
  'x.y',
  'tt',
  '\u00e4',
  'many 1',
  'lion',
];

describe('a page', () => {
  let temporary: TemporaryStore;
  beforeAll(() => {
    temporary = temporaryStore();
    // Made from a number, not at random: what fails, fails again.
    const pick = <T>(list: readonly T[], run: number, salt: number): T =>
      list[(run * (salt * 2 + 7) + run * run * salt) % list.length] as T;
    temporary.store.db.exec('BEGIN');
    for (let run = 0; run < RUNS; run += 1) {
      const param = pick(VALUES, run, 3);
      const metric = pick(METRICS, run, 5);
      const tag = run % 7 === 0 ? undefined : pick(TEXTS, run, 2);
      addRun(temporary.store, {
        id: `r${String(run).padStart(11, '0')}`,
        own: {
          name: `n${run % 30}`,
          project: run % 3 === 0 ? 'one' : 'two',
          status: run % 11 === 0 ? 'failed' : 'completed',
          started_at: run % 13 === 0 ? null : Math.floor(run / 4),
          archived: run % 17 === 0 ? 1 : 0,
          removed: run % 19 === 0 ? 1 : 0,
        },
        params: {
          ...(param === undefined ? {} : { p: param }),
          many: run % 40 === 0 ? 2 : 1,
          [WIDE]: WIDE.repeat(3),
        },
        tags: {
          ...(tag === undefined ? {} : { t: tag }),
          many: run % 40 === 0 ? 'other' : 'the same',
          [WIDE]: WIDE.repeat(3),
        },
        metrics: {
          ...(metric === undefined
            ? {}
            : {
                m: [
                  [0, metric],
                  [1, run % 5 === 0 ? Number.NaN : (run % 4) / 2],
                ] as const,
              }),
          same: [[0, 1]],
        },
      });
    }
    temporary.store.db.exec('COMMIT');
  });
  afterAll(() => temporary.remove());

  const asked = fc.record({
    filter: fc.constantFrom(...FILTERS),
    sort: fc.constantFrom('', ...FIELDS, ...FIELDS.map((field) => `${field}:desc`)),
    text: fc.constantFrom(...WORDS),
    archived: fc.boolean(),
    project: fc.constantFrom(undefined, undefined, 'one'),
  });
  const read = (options: ListOptions) => ask(temporary.store, listRuns(options));

  it('after the other holds what the whole table holds, in its order', () => {
    fc.assert(
      fc.property(asked, fc.integer({ min: 1, max: 9 }), (options, limit) => {
        const whole = read(options).rows.map(({ id }) => id);
        const paged: string[] = [];
        let cursor: string | undefined;
        // A table of one page more would never end.
        for (let page = 0; page <= RUNS; page += 1) {
          const { rows, next } = read({ ...options, limit, cursor });
          paged.push(...rows.map(({ id }) => id));
          if (next === null) break;
          cursor = next;
        }
        expect(paged).toEqual(whole);
      }),
      { numRuns: rounds(isLocal() ? 300 : 60) },
    );
  });

  it('has the runs in which all words stand', () => {
    const { db } = temporary.store;
    const texts = new Map<string, string[]>();
    const add = (id: unknown, ...values: unknown[]) => {
      const known = texts.get(String(id)) ?? [];
      texts.set(String(id), [
        ...known,
        ...values.filter((value) => value !== null).map((value) => ascii(String(value))),
      ]);
    };
    const ascii = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
    for (const row of db.prepare('SELECT id, name, project, status FROM runs WHERE removed = 0').all())
      add(row.id, ...Object.values(row));
    for (const table of ['param_leaves', 'tags']) {
      const value = table === 'tags' ? 'value' : 'text';
      const sql = `SELECT r.id, s.key, s.${value} FROM ${table} s JOIN runs r ON r.num = s.run WHERE r.removed = 0`;
      for (const { id, ...row } of db.prepare(sql).all()) add(id, ...Object.values(row));
    }
    for (const text of [...WORDS, 'completed', 'one 1', 'r0', '1180591620717411303424']) {
      const words = ascii(text)
        .split(' ')
        .filter((word) => word !== '');
      const expected = [...texts]
        .filter(([, held]) => words.every((word) => held.some((one) => one.includes(word))))
        .map(([id]) => id);
      const found = read({ text, archived: true, limit: 1000 }).rows.map(({ id }) => id);
      expect([text, found.sort()]).toEqual([text, expected.sort()]);
    }
  });
});
