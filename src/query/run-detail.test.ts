import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringifyExactJson } from '../events/line.ts';
import { readSeries } from './chart.ts';
import { compareRuns } from './compare-runs.ts';
import { addRun, ask, type TemporaryStore, temporaryStore } from './fixture.ts';
import { runDetail } from './run-detail.ts';
import { chartSparkline, sparkline } from './sparkline.ts';

let temporary: TemporaryStore;
const snapshot = {
  store: 'repository',
  prefix: '',
  base: 'b'.repeat(40),
  tree: 't'.repeat(40),
  commit: 'c'.repeat(40),
  commit_object: 'tree …',
  branch: 'main',
  state: 'normal',
  dirty: true,
  incomplete: true,
  left_out: [{ path: 'big.bin', size: 1e9, reason: 'size' }],
  nested: [],
  changed: [],
  changed_count: 0,
  warnings: [],
  duration_ms: 12,
};

beforeAll(() => {
  temporary = temporaryStore();
  const num = addRun(temporary.store, {
    id: 'aaaaaaaaaaaa',
    own: {
      started_at: 10,
      ended_at: 20,
      commit_sha: 'c'.repeat(40),
      command: '["python","a.py"]',
      snapshot: JSON.stringify(snapshot),
      environment: '{"python":{"version":"3.11"},"packages":{"numpy":"2.0"}}',
    },
    params: { lr: 0.1, seed: 2n ** 64n, optimizer: { name: 'sgd', betas: [0.9, 0.99] }, ['__proto__']: 1 },
    tags: { model: 'linear' },
    metrics: {
      loss: [
        [0, 3],
        [1, Number.NaN],
        [2, 1],
        [3, Number.NaN],
      ],
      wild: [[0, Number.POSITIVE_INFINITY]],
    },
  });
  temporary.store.db
    .prepare(
      `INSERT INTO artifacts (run, name, kind, type, created_at, sha256, size, writer, place, revision, inline)
       VALUES (?, 'a b/../ü.json', 'model', 'file', 12, ?, 3, 'job-aaaaaaaa', 0, 1, x'616263')`,
    )
    .run(num, 'f'.repeat(64));
  addRun(temporary.store, {
    id: 'bbbbbbbbbbbb',
    own: {
      started_at: 30,
      ended_at: 40,
      parent: 'aaaaaaaaaaaa',
      environment: '{"python":{"version":"3.12"}}',
    },
    params: { lr: 0.1, optimizer: { name: 'adam' } },
    metrics: { loss: [[0, 3]] },
  });
  addRun(temporary.store, { id: 'cccccccccccc', own: { removed: 1 } });
});
afterAll(() => temporary.remove());

it('tells all of a run, in JSON that keeps NaN and every digit', () => {
  const detail = ask(temporary.store, runDetail('aaaaaaaaaaaa'));
  const json = JSON.parse(stringifyExactJson(detail)) as Record<string, unknown>;
  expect(stringifyExactJson(detail?.params)).toContain('18446744073709551616');
  expect(json).toMatchObject({
    run: { id: 'aaaaaaaaaaaa', duration: 10, command: ['python', 'a.py'], archived: false },
    params: { lr: 0.1, optimizer: { name: 'sgd', betas: [0.9, 0.99] } },
    tags: { model: 'linear' },
    metrics: {
      loss: { last: 'NaN', first: 3, min: 1, max: 3, mean: 2, count: 4, nan: 2, last_step: 3, max_step: 3 },
      wild: { last: 'Infinity', min: 'Infinity', nan: 0 },
    },
    artifacts: [
      { name: 'a b/../ü.json', kind: 'model', created_at: 12, sha256: 'f'.repeat(64), size: 3, inline: true },
    ],
    snapshot: {
      base: 'b'.repeat(40),
      state: 'normal',
      incomplete: true,
      left_out: [{ path: 'big.bin', reason: 'size' }],
    },
    children: [{ id: 'bbbbbbbbbbbb' }],
  });
  expect(detail?.snapshot).not.toHaveProperty('commit_object');
  expect(Object.hasOwn(detail?.params ?? {}, '__proto__')).toBe(true);
  const uri = new URL(detail?.artifacts[0]?.uri ?? '', 'http://localhost');
  expect(uri.pathname).toBe(`/api/runs/aaaaaaaaaaaa/artifacts/${'f'.repeat(64)}`);
  expect(uri.searchParams.get('name')).toBe('a b/../ü.json');
});

it('knows nothing of unknown and removed runs', () => {
  expect(ask(temporary.store, runDetail('nosuchrunaaa'))).toBeUndefined();
  expect(ask(temporary.store, runDetail('cccccccccccc'))).toBeUndefined();
  expect(() => ask(temporary.store, compareRuns(['cccccccccccc']))).toThrow('there is no run cccccccccccc');
});

it('compares runs, what differs first', () => {
  const { runs, params, metrics, environment } = ask(
    temporary.store,
    compareRuns(['aaaaaaaaaaaa', 'bbbbbbbbbbbb']),
  );
  expect(runs.map((run) => run.id)).toEqual(['aaaaaaaaaaaa', 'bbbbbbbbbbbb']);
  expect(params.map((row) => [row.key, row.differs])).toEqual([
    ['__proto__', true],
    ['optimizer.betas', true],
    ['optimizer.name', true],
    ['seed', true],
    ['lr', false],
  ]);
  expect(params.find((row) => row.key === 'optimizer.name')?.values).toEqual(['sgd', 'adam']);
  expect(params.find((row) => row.key === 'seed')?.values).toEqual([2n ** 64n, undefined]);
  expect(metrics.map((row) => [row.key, row.values.map((metric) => metric?.last)])).toEqual([
    ['loss', ['NaN', 3]],
    ['wild', ['Infinity', undefined]],
  ]);
  expect(environment.map((row) => row.key)).toEqual(['packages.numpy', 'python.version']);
});

it('draws small pictures', () => {
  expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8)).toBe('▁▂▃▄▅▆▇█');
  expect(sparkline([5, 5, 5], 10)).toBe('▄▄▄');
  expect(sparkline([], 10)).toBe('');
  expect(sparkline([1, Number.NaN, 2, Number.POSITIVE_INFINITY], 10)).toBe('▁ ██');
  expect(sparkline([-1e308, 1e308], 2)).toBe('▁█');
  expect(
    sparkline(
      Array.from({ length: 1000 }, (_, index) => index),
      8,
    ),
  ).toBe('▁▂▃▄▅▆▇█');
  const chart = ask(temporary.store, readSeries({ run: 'aaaaaaaaaaaa', key: 'loss', points: 20 }));
  expect(chartSparkline(chart, 20)).toBe('█ ▁ ');
});
