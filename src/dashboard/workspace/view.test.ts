import { describe, expect, it } from 'vitest';
import { nextLink } from '../api/client.ts';
import { mergeInterests } from '../api/live.ts';
import { formatBytes, formatNumber, formatTicks } from '../format/numbers.ts';
import { formatAge, formatDuration, formatSince } from '../format/times.ts';
import { stepsOf } from '../format/units.ts';
import { silentSince } from '../shell/heard.ts';
import { readRoute } from '../shell/router.ts';
import { type ColumnWidths, usualWidths } from './column-widths.ts';
import { type Column, compareValues, metricColumn, paramColumn, readColumn, titleAmong } from './columns.ts';
import { completionsAt } from './filter-completion.ts';
import { isFilter, readView, type View, writeView } from './view.ts';

describe('the view in the link', () => {
  it('is empty where nothing differs', () => {
    expect(writeView(readView(''))).toBe('');
  });

  it('comes back whole', () => {
    const view: View = {
      ...readView(''),
      find: "params.lr > 0.1 and name = 'a&b'",
      archived: true,
      sort: { id: 'metrics.`a,b`.min', desc: true },
      group: 'tags.model',
      columns: ['params.`a,b`', 'duration'],
      widths: new Map([['params.`a:b`', 240]]),
      hidden: ['aaaaaaaaaaaa'],
      only: [],
      settings: { axis: 'relative', logX: true, logY: true, smoothing: 0.95, clip: true, spread: 'std' },
      range: [10.5, Number.POSITIVE_INFINITY],
      pinned: ['a/b', 'ü&='],
      folded: ['train'],
      moves: [['x', 'y']],
      sizes: new Map([['a:b', { span: 2, height: 300 }]]),
      rail: 0,
    };
    expect(readView(writeView(view))).toEqual(view);
  });

  it('takes what is malformed as absent', () => {
    const view = readView('smooth=abc&from=x&to=3&rail=-5&x=sideways&size=9x&move=a&sort=&height=1e9');
    expect(view).toEqual({ ...readView(''), rail: 0, height: 900 });
  });

  it('tells a filter from words', () => {
    expect(['params.lr > 1', "tags.model like 'a%'", 'tags.x is null', 'not (a = 1)'].map(isFilter)).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect(['resnet', 'likely story', 'lr 0.1'].map(isFilter)).toEqual([false, false, false]);
  });
});

describe('routes', () => {
  it.each([
    ['/', '', { page: 'workspace' }],
    ['/runs/abc', '', { page: 'run', id: 'abc', tab: 'overview' }],
    ['/runs/abc/console', '', { page: 'run', id: 'abc', tab: 'console' }],
    ['/compare', '?runs=a,b', { page: 'compare', runs: ['a', 'b'] }],
    ['/runs/%E0%A4%A', '', { page: 'run', id: '%E0%A4%A', tab: 'overview' }],
    ['/elsewhere', '', { page: 'unknown', path: '/elsewhere' }],
  ])('%s%s', (path, search, route) => {
    expect(readRoute(path, search)).toEqual(route);
  });
});

describe('columns', () => {
  it.each([
    [metricColumn('loss', 'min'), { of: 'metric', key: 'loss', stat: 'min' }],
    [metricColumn('loss.min', 'last'), { of: 'metric', key: 'loss.min', stat: 'last' }],
    [metricColumn('a b`c', 'max'), { of: 'metric', key: 'a b`c', stat: 'max' }],
    [paramColumn('optimizer.lr'), { of: 'param', key: 'optimizer.lr' }],
    [paramColumn('a,b'), { of: 'param', key: 'a,b' }],
    ['duration', { of: 'run', key: 'duration' }],
  ])('%s is read back', (id, column) => {
    expect(readColumn(id)).toEqual({ ...column, id });
  });

  it('names nothing for what it does not know', () => {
    expect([readColumn('nonsense'), readColumn('params.'), readColumn('toString')]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  it('tells a param from a metric of the same name', () => {
    const columns = ['params.lr', 'metrics.lr.last', 'tags.model', 'params.seed'].flatMap(
      (id) => readColumn(id) ?? [],
    );
    expect(columns.map((column) => titleAmong(column, columns))).toEqual([
      'lr (param)',
      'lr',
      'model',
      'seed',
    ]);
  });

  it('sorts numbers before texts, and texts as people do', () => {
    expect(['b', 2, 'a10', 'a9', 1].sort(compareValues)).toEqual([1, 2, 'a9', 'a10', 'b']);
  });
});

describe('completion of filters', () => {
  const keys = {
    params: [{ key: 'lr', runs: 1, numeric: true }],
    tags: [{ key: 'model', runs: 1, values: ["it's", 'linear'] }],
    metrics: [{ key: 'train/loss', runs: 1 }],
  };
  const texts = (text: string) => completionsAt(text, text.length, keys).map((one) => one.text);

  it('offers fields, values of tags and statuses', () => {
    expect(texts('par')).toEqual(['params.lr']);
    expect(texts('status = ')).toContain("'running'");
    expect(texts("tags.model = 'i")).toEqual(["'it''s'"]);
    expect(texts('params.lr > 1 and loss')).toContain('metrics.train/loss.min');
  });

  it('offers nothing inside a text', () => {
    expect(texts("name like 'par")).toEqual([]);
  });
});

describe('numbers and times', () => {
  it.each([
    [0, '0'],
    [0.034170261, '0.03417'],
    [12345.6, '12.35k'],
    [999_999, '1M'],
    [1.5e-7, '1.5e−7'],
    [-3, '−3'],
    [Number.NaN, 'NaN'],
    [Number.NEGATIVE_INFINITY, '−∞'],
    [1e300, '1e300'],
  ])('%s is %s', (value, text) => {
    expect(formatNumber(value)).toBe(text);
  });

  it('gives ticks what tells them apart', () => {
    expect(formatTicks([0, 0.5, 1])).toEqual(['0', '0.5', '1.0']);
    expect(formatTicks([0, 10_000, 20_000])).toEqual(['0', '10k', '20k']);
    expect(formatTicks([1000.001, 1000.002])).toEqual(['1000.001', '1000.002']);
    expect(formatTicks([0, 2_500_000, 5_000_000])).toEqual(['0', '2.5M', '5.0M']);
    expect(formatTicks([0, 0.25, 0.5])).toEqual(['0', '0.25', '0.50']);
  });

  it('writes bytes, durations and ages', () => {
    expect([formatBytes(0), formatBytes(1536), formatBytes(2 ** 31)]).toEqual(['0 B', '1.5 KiB', '2 GiB']);
    expect([0.25, 59.7, 61, 3600, 90_000].map(formatDuration)).toEqual([
      '250ms',
      '1m',
      '1m 01s',
      '1h',
      '1d 1h',
    ]);
    expect([formatAge(100, 110), formatAge(0, 7200)]).toEqual(['now', '2h ago']);
    const day = 86_400;
    expect(
      [50, 3599, day - 1, 59 * day, 100 * day, 364 * day, 720 * day].map((age) => formatSince(0, age)),
    ).toEqual(['1m', '1h', '1d', '59d', '3mo', '12mo', '2y']);
  });

  it('puts ticks of bytes where their labels are round', () => {
    const steps = stepsOf('system/memory_used_bytes');
    expect(steps?.(3 * 2 ** 30)).toContain(2 ** 29);
    expect(steps?.(900)).toContain(50);
    expect(steps?.(73 * 2 ** 30)).toContain(2 ** 20);
    expect(stepsOf('loss')).toBeUndefined();
  });

  it('tells of a run that has fallen silent', () => {
    const heard = (status: 'running' | 'completed', ago: number | null) =>
      silentSince({ status, last_event_at: ago === null ? null : 10_000 - ago }, 10_000);
    expect([heard('running', 20), heard('running', null), heard('completed', 900)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(heard('running', 900)).toMatch(/ ago$/);
  });

  it('shares a table’s room among the name and texts, and keeps numbers whole', () => {
    const columns = ['started_at', 'tags.note', 'metrics.loss.last']
      .map(readColumn)
      .filter((one) => one !== undefined);
    const numeric = (column: Column) => column.of === 'metric';
    const least = usualWidths(columns, 500, false, numeric);
    const wide = usualWidths(columns, 1000, false, numeric);
    expect(wide.of.get('metrics.loss.last')).toBe(least.of.get('metrics.loss.last'));
    expect(wide.of.get('tags.note')).toBeGreaterThan(least.of.get('tags.note') ?? 0);
    const sum = (widths: ColumnWidths) =>
      [...widths.of.values()].reduce((total, one) => total + one, widths.name);
    expect(sum(wide)).toBeLessThanOrEqual(1000);
    expect(sum(usualWidths(columns.slice(0, 1), 320, true, numeric))).toBe(320);
  });
});

describe('the live connection', () => {
  it('asks for all that is shown in one message', () => {
    const merged = mergeInterests([
      { runs: ['a'], keys: ['x'] },
      { runs: ['a', 'b'], keys: ['y'], table: true },
      { console: 'b' },
    ]);
    expect(merged).toMatchObject({ runs: ['a', 'b'], keys: ['x', 'y'], table: true, console: 'b' });
  });

  it('finds the next page', () => {
    expect(nextLink('</api/runs?cursor=x&limit=2>; rel="next"')).toBe('/api/runs?cursor=x&limit=2');
    expect(nextLink(null)).toBeUndefined();
  });
});
