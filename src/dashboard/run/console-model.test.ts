import { expect, test } from 'vitest';
import type { ConsoleLine, ConsolePage } from '../../protocol/api.ts';
import {
  append,
  appendLive,
  lastPlaced,
  leavesHole,
  MAX_LINES,
  prepend,
  stretchOf,
} from './console-model.ts';

const line = (n: number, more: Partial<ConsoleLine> = {}): ConsoleLine => ({
  at: `0.${n}.0.1`,
  attempt: 'a',
  stream: 1,
  n,
  ts: n,
  text: `line ${n}`,
  partial: false,
  ...more,
});
const page = (from: number, to: number, more: Partial<ConsolePage> = {}): ConsolePage => ({
  lines: Array.from({ length: to - from }, (_, index) => line(from + index)),
  more_before: from > 0,
  more_after: false,
  total: to,
  cursor: '0',
  ...more,
});
const live = (n: number, more: Partial<ConsoleLine> = {}) => line(n, { at: '', ...more });

test('pages join at both ends without a line twice', () => {
  const middle = stretchOf(page(10, 20, { more_after: true }));
  const whole = append(prepend(middle, page(0, 12)), page(18, 30));
  expect(whole.lines.map((one) => one.n)).toEqual(Array.from({ length: 30 }, (_, n) => n));
  expect([whole.moreBefore, whole.moreAfter, whole.total]).toEqual([false, false, 30]);
});

test('a partial line is replaced when it comes whole, and keeps its place', () => {
  const start = stretchOf({ ...page(0, 2), lines: [line(0), line(1, { partial: true, text: 'ha' })] });
  const whole = appendLive(start, [live(1, { text: 'half' }), live(2)]);
  expect(whole.lines.map((one) => one.text)).toEqual(['line 0', 'half', 'line 2']);
  expect(whole.lines[1]).toMatchObject({ partial: false, at: '0.1.0.1' });
  expect(whole.total).toBe(3);
  expect(lastPlaced(whole.lines)).toBe('0.1.0.1');
});

test('a page after live lines gives them their places', () => {
  const grown = appendLive(stretchOf(page(0, 2)), [live(2), live(3)]);
  const placed = append(grown, page(2, 5));
  expect(placed.lines.map((one) => one.at)).toEqual([0, 1, 2, 3, 4].map((n) => `0.${n}.0.1`));
});

test('where the end is not loaded, live lines only count', () => {
  const start = stretchOf(page(0, 10, { more_after: true, total: 50 }));
  const after = appendLive(start, [live(50), live(51)]);
  expect(after.lines).toHaveLength(10);
  expect(after.total).toBe(52);
});

test('a hole is noticed, in each stream by itself', () => {
  const start = stretchOf(page(0, 3));
  expect(leavesHole(start, [live(3), live(4)])).toBe(false);
  expect(leavesHole(start, [live(5)])).toBe(true);
  expect(leavesHole(start, [live(0, { stream: 2 })])).toBe(false);
  expect(leavesHole(start, [live(7, { stream: 2 })])).toBe(true);
});

test('no more lines are held than the page can bear', () => {
  const start = stretchOf(page(0, MAX_LINES));
  const grown = appendLive(start, [live(MAX_LINES)]);
  expect(grown.lines.length).toBeLessThanOrEqual(MAX_LINES);
  expect(grown.lines.at(-1)?.n).toBe(MAX_LINES);
  expect(grown.moreBefore).toBe(true);
  const back = prepend(stretchOf(page(1000, 1000 + MAX_LINES)), page(0, 1000));
  expect(back.lines[0]?.n).toBe(0);
  expect(back.moreAfter).toBe(true);
});
