import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseColumns, parseSort } from './columns.ts';
import { type Asked, addRun, ask, counted, isLocal, type TemporaryStore, temporaryStore } from './fixture.ts';
import { cellOf, listRuns } from './runs-table.ts';

describe('sorting and columns', () => {
  it('reads keys as filters do, with a direction', () => {
    expect(parseSort('metrics.loss.min:desc')).toEqual({
      field: { of: 'metric', key: 'loss', stat: 'min' },
      descending: true,
    });
    expect(parseSort('Started_At')).toEqual({ field: { of: 'run', name: 'started_at' }, descending: false });
    expect(parseSort('tags.`a:desc`').field).toEqual({ of: 'tag', key: 'a:desc' });
    expect(parseColumns('params.lr, metrics.loss.min,tags.`a,b` , status')).toHaveLength(4);
    expect(parseColumns('')).toEqual([]);
  });

  it('names what it does not understand', () => {
    expect(() => parseSort('los')).toThrow('the sorting "los" is not understood');
    expect(() => parseSort('')).toThrow('no field');
    expect(() => parseColumns('params.lr,nme')).toThrow('the column "nme" is not understood');
    expect(() => parseColumns('params.`lr')).toThrow('the column "params.`lr" is not understood');
    expect(() => parseColumns('params.lr desc')).toThrow('it is no field');
  });
});

describe('a small table', () => {
  let temporary: TemporaryStore;
  const ids = (options: Parameters<typeof listRuns>[0]) =>
    ask(temporary.store, listRuns(options)).rows.map((row) => row.id[0]);

  beforeAll(() => {
    temporary = temporaryStore();
    const runs = [
      { id: 'aaaaaaaaaaaa', at: 1, loss: [0.5], lr: 10, tag: '10' },
      { id: 'bbbbbbbbbbbb', at: 2, loss: [Number.NaN], lr: 9, tag: '9' },
      { id: 'cccccccccccc', at: 3, loss: undefined, lr: '8', tag: 'x' },
      { id: 'dddddddddddd', at: 4, loss: [Number.POSITIVE_INFINITY, 0.1], lr: 'high', tag: undefined },
      { id: 'eeeeeeeeeeee', at: 4, loss: [0.9, -1, Number.NaN, 0.7], lr: null, tag: 'ä' },
    ];
    for (const { id, at, loss, lr, tag } of runs) {
      addRun(temporary.store, {
        id,
        own: { started_at: at, ended_at: at + 5, project: at > 2 ? 'new' : 'old' },
        params: { lr, big: 2n ** 70n, nested: { a: { b: [1, 2] } }, __proto__x: 1 },
        tags: tag === undefined ? {} : { t: tag },
        metrics: loss === undefined ? {} : { loss: loss.map((value, step) => [step, value] as const) },
      });
    }
    addRun(temporary.store, { id: 'ffffffffffff', own: { started_at: 9, removed: 1 } });
    addRun(temporary.store, { id: 'gggggggggggg', own: { started_at: 8, archived: 1 } });
  });
  afterAll(() => temporary.remove());

  it('has the newest first, removed ones never, archived ones where asked', () => {
    expect(ids({})).toEqual(['e', 'd', 'c', 'b', 'a']);
    expect(ids({ archived: true })).toEqual(['g', 'e', 'd', 'c', 'b', 'a']);
    expect(ids({ project: 'old' })).toEqual(['b', 'a']);
    expect(ids({ limit: 2 })).toEqual(['e', 'd']);
  });

  it('sorts missing values last in both directions, and NaN just before them', () => {
    expect(ids({ sort: 'metrics.loss' })).toEqual(['d', 'a', 'e', 'b', 'c']);
    expect(ids({ sort: 'metrics.loss:desc' })).toEqual(['e', 'a', 'd', 'b', 'c']);
    expect(ids({ sort: 'metrics.loss.min:desc' })).toEqual(['a', 'd', 'e', 'c', 'b']);
    expect(ids({ sort: 'metrics.loss.max:desc' })[0]).toBe('d');
  });

  it('sorts numbers as numbers, before texts', () => {
    expect(ids({ sort: 'params.lr' })).toEqual(['c', 'b', 'a', 'd', 'e']);
    expect(ids({ sort: 'params.lr:desc' })).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(ids({ sort: 'tags.t' })).toEqual(['b', 'a', 'c', 'e', 'd']);
    expect(ids({ sort: 'name:desc' })).toEqual(['e', 'd', 'c', 'b', 'a']);
  });

  it.each(['', 'metrics.loss', 'metrics.loss.max:desc', 'params.lr:desc', 'tags.t', 'duration', 'entry'])(
    'pages by "%s" without losing or repeating a run, also while others come',
    (sort) => {
      const { db } = temporary.store;
      const whole = ids({ sort });
      const paged: (string | undefined)[] = [];
      let cursor: string | undefined;
      do {
        const page = ask(temporary.store, listRuns({ sort, limit: 2, cursor }));
        paged.push(...page.rows.map((row) => row.id[0]));
        cursor = page.next ?? undefined;
        if (paged.length === 2) addRun(temporary.store, { id: 'zzzzzzzzzzzz', own: { started_at: 99 } });
      } while (cursor !== undefined);
      db.prepare("DELETE FROM runs WHERE id LIKE 'zz%'").run();
      expect(paged.filter((id) => id !== 'z')).toEqual(whole);
    },
  );

  it('pages through runs whose start is not known, after all others', () => {
    const { db } = temporary.store;
    for (const id of ['h', 'i', 'j']) addRun(temporary.store, { id: id.repeat(12) });
    const pages: (string | undefined)[] = [];
    for (let cursor: string | undefined; ; ) {
      const page = ask(temporary.store, listRuns({ limit: 1, cursor }));
      pages.push(page.rows[0]?.id[0]);
      if (page.next === null) break;
      cursor = page.next;
    }
    expect(pages).toEqual(['e', 'd', 'c', 'b', 'a', 'j', 'i', 'h']);
    db.prepare('DELETE FROM runs WHERE started_at IS NULL').run();
  });

  it('refuses a cursor of another list, and a bad limit', () => {
    const { next } = ask(temporary.store, listRuns({ limit: 1 }));
    for (const cursor of [next ?? '', 'nonsense', Buffer.from('["x"]').toString('base64url')]) {
      expect(() => ask(temporary.store, listRuns({ sort: 'name', cursor }))).toThrow('does not belong');
    }
    expect(() => ask(temporary.store, listRuns({ limit: 0 }))).toThrow('no whole number above 0');
  });

  it('gives the asked params, tags and metrics, and nothing that was not asked', () => {
    const columns = parseColumns(
      'params.lr,params.big,params.nested.a.b,tags.t,metrics.loss,metrics.loss.max,name',
    );
    const { rows } = ask(temporary.store, listRuns({ columns }));
    expect(rows[0]).toMatchObject({
      id: 'eeeeeeeeeeee',
      params: { lr: null, big: 2n ** 70n, 'nested.a.b': [1, 2] },
      tags: { t: 'ä' },
      metrics: { loss: { last: 0.7, max: 0.9 } },
      archived: false,
      duration: 5,
      commit_sha: null,
    });
    expect(rows[3]?.metrics).toEqual({ loss: { last: 'NaN' } });
    expect(rows[1]?.metrics).toEqual({ loss: { last: 0.1, max: 'Infinity' } });
    expect(rows[2]?.metrics).toEqual({});
    expect(columns.map((field) => rows[4] && cellOf(rows[4], field))).toEqual([
      ...[10, 2n ** 70n, [1, 2], '10', 0.5, 0.5, 'aaaaaaaaaaaa'],
    ]);
    expect(ask(temporary.store, listRuns()).rows[0]).not.toHaveProperty('params');
  });
});

describe.runIf(isLocal())('a large table', () => {
  let temporary: TemporaryStore;
  beforeAll(() => {
    temporary = temporaryStore();
    const { db } = temporary.store;
    db.exec('BEGIN');
    db.exec(`
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
      INSERT INTO runs (num, id, name, project, status, journal_status, started_at, ended_at, revision, status_revision)
      SELECT i, printf('run%09d', i), 'run ' || i, 'p' || (i % 7), iif(i % 5 = 0, 'failed', 'completed'), 'completed', 1e9 + i, 1e9 + i + 60, 1, 1 FROM n;
      WITH RECURSIVE k(j) AS (SELECT 1 UNION ALL SELECT j + 1 FROM k WHERE j < 20)
      INSERT INTO metric_summaries (run, key, count, nan_count, inf_count, first, first_is_nan, last, last_is_nan, min, max, mean, writers, revision)
      SELECT num, 'metric' || j, 100, 0, 0, 1, 0, (num * 7919 % 10007) / 10007.0, 0, (num * 104729 % 10007) / 10007.0, 2, 1, 1, 1 FROM runs, k;
      INSERT INTO param_leaves SELECT num, 'lr', 'number', '' || num / 1e4, num / 1e4, 'lr' FROM runs;
      INSERT INTO tags SELECT num, 'model', iif(num % 2, 'linear', 'deep'), 1 FROM runs;
    `);
    db.exec('COMMIT');
  });
  afterAll(() => temporary.remove());

  it.each([
    ['the first page', { limit: 100 }, 101],
    [
      'a page by filter, sorting and columns',
      {
        filter:
          "params.lr > 0.001 and (metrics.metric1.min < 0.2 or tags.model = 'linear') and not status = 'failed'",
        sort: 'metrics.metric7.min:desc',
        columns: 'params.lr,metrics.metric1,metrics.metric2,metrics.metric3.min,tags.model',
        limit: 100,
      },
      6000,
    ],
    ['a regular expression', { filter: "name ~ '^run .*77$' and tags.model like 'lin%'", limit: 100 }, 500],
  ])(
    'of 10,000 runs with 20 metrics each: %s reads few rows, and those by indexes',
    (_name, options, most) => {
      const asked: Asked = { sql: new Set(), rows: 0, samples: 0, buckets: 0 };
      const { rows } = ask(temporary.store, counted(listRuns(options), asked));
      expect(rows.length).toBeGreaterThan(10);
      expect(asked.rows).toBeLessThanOrEqual(most);
      const { db } = temporary.store;
      const steps = [...asked.sql].flatMap((sql) => db.prepare(`EXPLAIN QUERY PLAN ${sql}`).all());
      const scans = steps.map(({ detail }) => String(detail)).filter((detail) => detail.startsWith('SCAN'));
      // Of the lists and pages that the question made itself, and of one index of the runs.
      expect(scans.filter((scan) => !/^SCAN (json_each |p$|r USING .*INDEX)/.test(scan))).toEqual([]);
    },
  );
});
