import { expect, test } from 'vitest';
import type { Comparison } from '../../protocol/api.ts';
import {
  type Column,
  columnsOf,
  keptBy,
  niceTicks,
  readBrushes,
  scaleOf,
  usualAxes,
  usualParam,
  writeBrushes,
} from './columns.ts';

const metric = (last: number | 'NaN') => ({ last, min: last === 'NaN' ? null : last, max: last });
const comparison = {
  runs: [{ duration: 1 }, { duration: 60 }, { duration: null }],
  own: [],
  params: [
    { key: 'lr', values: [0.001, 0.01, 0.1], differs: true },
    { key: 'model', values: ['big', 'small', null], differs: true },
    { key: 'seed', values: [1, 1, 1], differs: false },
  ],
  tags: [],
  metrics: [
    { key: 'train/acc', values: [metric(0.5), metric(0.6), metric(0.7)], differs: true },
    { key: 'val/loss', values: [metric(2), metric(1), metric('NaN')], differs: true },
    { key: 'system/cpu_percent', values: [metric(2), metric(1), metric(3)], differs: true },
  ],
  environment: [],
} as unknown as Comparison;
const columns = columnsOf(comparison);
const byId = (id: string): Column => {
  const found = columns.find((one) => one.id === id);
  if (found === undefined) throw new Error(id);
  return found;
};

test('params, results and durations are columns; what is missing or no number is none', () => {
  expect(byId('params.model')).toMatchObject({ numeric: false, values: ['big', 'small', undefined] });
  expect(byId('metrics.val/loss.last')).toMatchObject({ numeric: true, values: [2, 1, undefined] });
  expect(columns.some((one) => one.id.includes('system/'))).toBe(false);
  expect(byId('run.duration').values).toEqual([1, 60, undefined]);
});

test('the usual axes are what differs, then a result', () => {
  expect(usualParam(columns)?.id).toBe('params.lr');
  expect(usualAxes(columns)).toEqual(['params.lr', 'params.model', 'metrics.train/acc.last']);
});

test('numbers over decades are placed by their logarithm', () => {
  const scale = scaleOf(byId('params.lr'));
  expect(scale.log).toBe(true);
  expect(scale.at(0.01)).toBeCloseTo(0.5);
  expect(scale.ticks.map((tick) => tick.text)).toEqual(['0.001', '0.01', '0.1']);
  expect(scale.at(undefined)).toBeUndefined();
});

test('texts stand at equal distances, a single value in the middle', () => {
  const scale = scaleOf(byId('params.model'));
  expect(scale.ticks.map((tick) => tick.text)).toEqual(['big', 'small']);
  expect(scaleOf(byId('params.seed')).at(1)).toBe(0.5);
});

test('ticks are round', () => {
  expect(niceTicks(0.3, 9.7, false)).toEqual([2, 4, 6, 8]);
  expect(niceTicks(0.0005, 2, true)).toEqual([0.001, 0.01, 0.1, 1]);
});

test('brushes are kept in a link', () => {
  const brushes = new Map([['params.a;b~c', [0.1, 0.5] as const]]);
  expect([...readBrushes(writeBrushes(brushes))]).toEqual([['params.a;b~c', [0.1, 0.5]]]);
  expect(readBrushes('x~1~0;%zz~0~1;').size).toBe(0);
});

test('a run is kept where it lies within every range', () => {
  expect(keptBy(columns, new Map([['params.lr', [0, 0.6]]]), 3)).toEqual([true, true, false]);
  expect(keptBy(columns, new Map([['params.model', [0, 1]]]), 3)).toEqual([true, true, false]);
  expect(keptBy(columns, new Map([['gone', [0, 0.1]]]), 3)).toEqual([true, true, true]);
});
