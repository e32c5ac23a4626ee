import { describe, expect, it } from 'vitest';
import type { DecodedSeries } from '../../protocol/series-body.ts';
import { bandOf } from './bands.ts';
import { bucketSamples, fitSeries } from './bucket.ts';
import { gapWidth } from './draw-lines.ts';
import { padded, xExtent, yExtent } from './extent.ts';
import { applyMoves, layOut, sectionsOf } from './layout.ts';
import { appendPoints, bucketAt, type Line, lineOf, nearestBucket } from './line.ts';
import {
  assignLooks,
  COLOURS,
  formatLooks,
  hashId,
  keptApart,
  parseLooks,
  runColour,
} from './run-colours.ts';
import { smooth } from './smoothing.ts';

function series(x: number[], y: number[], more: Partial<DecodedSeries> = {}): DecodedSeries {
  const [x0, first] = [Float64Array.from(x), Float64Array.from(y)];
  const same = { x1: x0, min: first, max: first, last: first, mean: first, count: undefined, nan: undefined };
  const name = { run: 'r', key: 'k', writer: 'w', rank: null, segment: 0, arrival: false };
  return { ...name, n: x.length, raw: true, end: x.length, x0, first, ...same, ...more };
}

const lineAt = (x: number[], y: number[], more?: Partial<DecodedSeries>): Line => lineOf(series(x, y, more));
const range = (n: number): number[] => Array.from({ length: n }, (_, index) => index);

describe('smoothing', () => {
  it('begins at the first value and stays at a constant one', () => {
    expect([...smooth([0, 1, 2], [5, 5, 5], 3, 0.99, 2)]).toEqual([5, 5, 5]);
    expect(smooth([0, 1], [8, 0], 2, 0.9, 1)[0]).toBe(8);
  });

  it('looks the same at any number of samples', () => {
    const of = (n: number) => {
      const x = range(n + 1).map((index) => index / n);
      return (
        smooth(
          x,
          x.map((at) => (at < 0.5 ? 0 : 1)),
          n + 1,
          0.97,
          1,
        ).at(Math.round(n * 0.52)) ?? 0
      );
    };
    expect(Math.abs(of(1000) - of(4000))).toBeLessThan(0.02);
  });

  it('leaves out what is no number', () => {
    const out = smooth([0, 1, 2], [1, Number.NaN, 1], 3, 0.5, 1000);
    expect([...out]).toEqual([1, Number.NaN, 1]);
  });
});

describe('bucketing', () => {
  it('keeps every spike', () => {
    const y = range(1000).map((index) => (index === 617 ? 99 : 0));
    const { n, max, x0, x1 } = bucketSamples(Float64Array.from(range(1000)), Float64Array.from(y), 100);
    expect(n).toBe(100);
    expect(Math.max(...max)).toBe(99);
    expect([x0[61], x1[61], max[61]]).toEqual([610, 619, 99]);
  });

  it('tells what is no number', () => {
    const y = Float64Array.of(1, Number.NaN, Number.NaN, Number.NaN, 3, Number.POSITIVE_INFINITY);
    const { mean, nan, max } = bucketSamples(Float64Array.from(range(6)), y, 3);
    expect([...nan]).toEqual([1, 2, 0]);
    expect([...mean]).toEqual([1, Number.NaN, 3]);
    expect(max[2]).toBe(Number.POSITIVE_INFINITY);
  });

  it('leaves short series as they are', () => {
    const short = series(range(20), range(20));
    expect(fitSeries(short, 20)).toBe(short);
    expect(fitSeries(series(range(90), range(90)), 20)).toMatchObject({ raw: false, n: 18, end: 90 });
  });
});

describe('a line that grows', () => {
  const points = (seq: number, steps: number[]) => ({
    run: 'r',
    key: 'k',
    writer: 'w',
    seq,
    step: steps,
    t: steps.map((step) => 1000 + step),
    v: steps,
  });

  it('goes on where it ended, without a double', () => {
    const lines = [lineAt([0, 1, 2], [0, 1, 2])];
    expect(appendPoints(lines, points(2, [2, 3]), 'step', 0)).toBe('appended');
    expect(appendPoints(lines, points(2, [2, 3]), 'step', 0)).toBe('nothing');
    expect([...(lines[0]?.mean.subarray(0, lines[0].n) ?? [])]).toEqual([0, 1, 2, 3]);
    expect(lines[0]?.end).toBe(4);
  });

  it('reports a gap and adds nothing', () => {
    const lines = [lineAt([0, 1], [0, 1])];
    expect(appendPoints(lines, points(5, [5]), 'step', 0)).toBe('gap');
    expect(lines[0]?.n).toBe(2);
  });

  it('opens a new line where the step goes back', () => {
    const lines = [lineAt([0, 1, 2], [0, 1, 2])];
    appendPoints(lines, points(3, [1, 2]), 'step', 0);
    expect(lines.map((line) => [line.n, line.resumes])).toEqual([
      [3, false],
      [2, true],
    ]);
  });

  it('is measured from the start of its run by relative time', () => {
    const lines: Line[] = [];
    appendPoints(lines, points(0, [7]), 'relative', 1000);
    expect(lines[0]?.x0[0]).toBe(7);
  });
});

describe('ranges', () => {
  it('finds buckets by x', () => {
    const line = lineAt([0, 10, 20], [1, 2, 3]);
    expect([-1, 0, 15, 99].map((x) => bucketAt(line, x))).toEqual([-1, 0, 1, 2]);
    expect([nearestBucket(line, 14, 0), nearestBucket(line, 16, 0), nearestBucket(line, 30, 1)]).toEqual([
      1, 2, -1,
    ]);
  });

  it('covers what is drawn, and never goes below zero without need', () => {
    const line = lineAt([0, 1, 2], [0, 10, 5]);
    expect(xExtent([line])).toEqual([0, 2]);
    expect(yExtent([{ line, y: line.mean, envelope: true }], [0, 2], { log: false, clip: false })).toEqual([
      0, 10.5,
    ]);
    expect(padded(3, 3, false)).toEqual([2.7, 3.3]);
  });

  it('leaves outliers outside where asked', () => {
    const y = range(200).map((index) => (index === 100 ? 1e6 : Math.sin(index)));
    const line = lineAt(range(200), y);
    const of = (clip: boolean) =>
      yExtent([{ line, y: line.mean, envelope: false }], [0, 199], { log: false, clip })?.[1] ?? 0;
    expect(of(false)).toBeGreaterThan(1e6);
    expect(of(true)).toBeLessThan(4);
  });

  it('shows only what a log axis can', () => {
    const line = lineAt([0, 1, 2], [-5, 0.1, 10]);
    const range = yExtent([{ line, y: line.mean, envelope: false }], [0, 2], { log: true, clip: false });
    expect(range?.[0]).toBeGreaterThan(0);
    expect(xExtent([line], true)).toEqual([1, 2]);
  });

  it('sees a gap where steps are missing', () => {
    const steps = [...range(50), ...range(50).map((step) => step + 500)];
    expect(gapWidth(lineAt(steps, steps))).toBeLessThan(450);
    expect(gapWidth(lineAt(range(50), range(50)))).toBeGreaterThan(1);
  });
});

describe('bands', () => {
  it('holds every line, spikes between its places too', () => {
    const spike = lineAt(
      range(1000),
      range(1000).map((x) => (x === 501 ? 50 : 1)),
    );
    const flat = lineAt(
      range(1000),
      range(1000).map(() => 3),
    );
    const { mean, low, high } = bandOf([spike, flat], 0, 999, 20, 'minmax');
    expect(Math.max(...high)).toBe(50);
    expect(Math.min(...low)).toBe(1);
    expect(mean[0]).toBe(2);
  });

  it('is as thin as the line where there is one, whether its samples are fewer or more than the places', () => {
    for (const samples of [60, 5000]) {
      const falling = range(samples).map((index) => 2 ** (-index / samples));
      const { mean, low, high } = bandOf([lineAt(range(samples), falling)], 0, samples - 1, 240, 'minmax');
      expect([[...low], [...high]]).toEqual([[...mean], [...mean]]);
      falling[7] = 3;
      const spiked = bandOf([lineAt(range(samples), falling)], 0, samples - 1, 240, 'minmax');
      expect(Math.max(...spiked.high)).toBe(3);
    }
  });

  it('is a standard deviation wide where asked, without losing digits', () => {
    const [a, b] = [lineAt([0, 1], [1e9, 1e9]), lineAt([0, 1], [1e9 + 2, 1e9 + 2])];
    const { mean, low, high } = bandOf([a, b], 0, 1, 2, 'std');
    expect([mean[0], low[0], high[0]]).toEqual([1e9 + 1, 1e9, 1e9 + 2]);
  });
});

describe('colours', () => {
  it('keeps runs apart as long as there are colours, and stays with those that are shown', () => {
    const ids = range(30).map((index) => `run${index}`);
    const looks = assignLooks(ids, new Map());
    expect(new Set(ids.slice(0, COLOURS).map((id) => looks.get(id)?.slot)).size).toBe(COLOURS);
    expect(new Set([...looks.values()].map((look) => `${look.slot} ${look.dash}`)).size).toBe(30);
    expect(looks.get('run0')).toEqual({ slot: hashId('run0') % COLOURS, dash: 0 });
    expect(assignLooks([...ids, 'new'], looks).size).toBe(1);
  });

  it('keeps what a run had in another view, where that tells it from the others', () => {
    const had = new Map([
      ['a', { slot: 3, dash: 0 }],
      ['b', { slot: 3, dash: 1 }],
      ['c', { slot: 5, dash: 2 }],
    ]);
    expect([...keptApart(['a', 'b', 'c', 'd'], had).keys()]).toEqual(['a', 'c']);
    expect(keptApart(['a', 'b', ...range(COLOURS).map(String)], had).size).toBe(2);
    expect(parseLooks(formatLooks(had))).toEqual(had);
    expect(parseLooks('a:99.0 <b>:1.1 x')).toEqual(new Map());
  });

  it('has one lightness for each theme', () => {
    const lightness = (dark: boolean) =>
      new Set(range(COLOURS).map((slot) => runColour(slot, dark).split(' ')[0]));
    expect([lightness(true).size, lightness(false).size]).toEqual([1, 1]);
  });
});

describe('the grid', () => {
  it('groups by prefix: plain names first, the machine last, pinned before all', () => {
    const sections = sectionsOf(['train/a', 'loss', 'system/cpu', 'val/b'], ['val/b']);
    expect(sections.map((section) => section.title)).toEqual(['Pinned', 'Metrics', 'train', 'val', 'system']);
  });

  it('moves a panel before another', () => {
    expect(applyMoves(['a', 'b', 'c'], [['c', 'a']])).toEqual(['c', 'a', 'b']);
    expect(applyMoves(['a', 'b'], [['a', 'gone']])).toEqual(['a', 'b']);
  });

  it('fills rows, wide panels and folded sections too', () => {
    const sections = sectionsOf(['a', 'b', 'c', 'x/d'], []);
    const options = {
      width: 1000,
      height: 200,
      sizes: new Map([['b', { span: 2, height: 300 }]]),
      folded: new Set(['x']),
      moves: [],
    };
    const rows = layOut(sections, options).map((row) =>
      row.type === 'head' ? row.title : row.panels.map((panel) => panel.key).join(),
    );
    expect(rows).toEqual(['Metrics', 'a,b', 'c', 'x']);
    const [, row] = layOut(sectionsOf(['only'], []), { ...options, sizes: new Map(), moves: [] });
    expect(row?.type === 'panels' && row.panels[0]?.width).toBe(494);
  });
});
