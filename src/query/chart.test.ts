import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rounds } from '../../test/support/rounds.ts';
import { answerNow } from '../store/answer-now.ts';
import { FAN_OUT, MAX_SEGMENTS } from '../store/series.ts';
import { type Chart, readSeries } from './chart.ts';
import {
  type Asked,
  addRun,
  counted,
  type FixtureSample,
  T0,
  type TemporaryStore,
  temporaryStore,
} from './fixture.ts';
import { readSamples, type SampleRow } from './samples.ts';

let temporary: TemporaryStore;
let made = 0;
beforeAll(() => {
  temporary = temporaryStore();
});
afterAll(() => temporary.remove());

function runWith(metrics: readonly FixtureSample[] | Record<string, readonly FixtureSample[]>): string {
  const id = `run${String(++made).padStart(9, 'a')}`;
  temporary.store.transaction(() => addRun(temporary.store, { id, metrics: { loss: metrics } }));
  return id;
}

function chart(run: string, options: Partial<Parameters<typeof readSeries>[0]> = {}): Chart {
  return answerNow(temporary.store, readSeries({ run, key: 'loss', points: 100, ...options }));
}

/** A job's steps: mostly onwards, unevenly, sometimes staying, sometimes back (a resumption). */
const walk = fc
  .array(
    fc.tuple(
      fc.integer({ min: 1, max: 700 }),
      fc.constantFrom(0, 1, 1, 1, 0.25, 100, -1),
      fc.constantFrom(1, 0, 250, -3),
    ),
    { minLength: 1, maxLength: 6 },
  )
  .map((legs) => {
    const samples: [number, number, number][] = [];
    let [step, ms] = [0, 0];
    for (const [length, stride, tick] of legs) {
      if (stride < 0) step = Math.floor(step / 2);
      for (let index = 0; index < length; index++) {
        const value =
          index % 97 === 5 ? Number.NaN : Math.sin(samples.length / 9) + (index === 333 ? 1e6 : 0);
        samples.push([step, value, ms]);
        step += Math.max(0, stride);
        ms += tick;
      }
    }
    return samples;
  });

/** The segments of a writer's samples, plainly. */
function segmentsOf(samples: readonly (readonly [number, number, number])[]) {
  const segments: (readonly [number, number, number])[][] = [[]];
  for (const sample of samples) {
    const last = segments.at(-1)?.at(-1);
    if (last !== undefined && sample[0] < last[0]) segments.push([]);
    segments.at(-1)?.push(sample);
  }
  return segments;
}

describe('a chart', () => {
  it('holds each sample in one bucket, with its extremes, in order, at any width', () => {
    fc.assert(
      fc.property(walk, fc.integer({ min: 1, max: 3000 }), (samples, points) => {
        const segments = segmentsOf(samples);
        const { lines } = chart(runWith(samples), { points });
        expect(lines.map((line) => line.segment)).toEqual(segments.map((_, index) => index));
        for (const [index, line] of lines.entries()) {
          const segment = segments[index] ?? [];
          expect(line.x0.length).toBeLessThanOrEqual(points);
          let at = 0;
          for (let bucket = 0; bucket < line.x0.length; bucket++) {
            const held = segment.slice(at, at + (line.count[bucket] ?? 0));
            const values = held.map(([, value]) => value);
            const valid = values.filter((value) => !Number.isNaN(value));
            expect(line.x0[bucket]).toBe(held[0]?.[0]);
            expect(line.x1[bucket]).toBe(held.at(-1)?.[0]);
            expect(line.first[bucket]).toBe(values[0]);
            expect(line.last[bucket]).toBe(values.at(-1));
            expect(line.min[bucket]).toBe(valid.length === 0 ? Number.NaN : Math.min(...valid));
            expect(line.max[bucket]).toBe(valid.length === 0 ? Number.NaN : Math.max(...valid));
            expect(line.nan[bucket]).toBe(values.length - valid.length);
            at += held.length;
          }
          expect(at).toBe(segment.length);
        }
      }),
      { numRuns: rounds(25) },
    );
  });

  it('loses nothing of a range, and shows its samples singly where they fit', () => {
    const range = fc.tuple(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.double({ min: 0, max: 1, noNaN: true }),
    );
    const axes = fc.constantFrom('step' as const, 'time' as const);
    fc.assert(
      fc.property(walk, range, axes, fc.constantFrom(10, 100, 1000), (walked, ends, axis, points) => {
        // A bucket knows the times of its first and last sample alone: where a clock goes back inside, they are no bounds.
        const samples = walked.map(
          ([step, value, ms], index) => [step, value, axis === 'time' ? index * 7 : ms] as const,
        );
        const xs = samples.map(([step, , ms]) => (axis === 'step' ? step : (T0 + ms) / 1000));
        const [least, greatest] = [Math.min(...xs), Math.max(...xs)];
        const round = (x: number) => (axis === 'step' ? x : Math.round(x * 1000) / 1000);
        const [from, to] = ends.toSorted((a, b) => a - b).map((x) => round(least + x * (greatest - least)));
        if (from === undefined || to === undefined) return;
        const found = chart(runWith(samples), { points, from, to, axis });
        let inside = 0;
        for (const [index, [, value]] of samples.entries()) {
          const x = xs[index] ?? 0;
          if (x < from || x > to) continue;
          inside++;
          const held = found.lines.some((line) =>
            line.x0.some((x0, at) => {
              const fits = x0 <= x && x <= (line.x1[at] ?? 0);
              return (
                fits &&
                (Number.isNaN(value)
                  ? (line.nan[at] ?? 0) > 0
                  : (line.min[at] ?? 0) <= value && value <= (line.max[at] ?? 0))
              );
            }),
          );
          expect(held).toBe(true);
        }
        for (const line of found.lines) expect(line.x0.length).toBeLessThanOrEqual(points + 2);
        // Two neighbours a segment may come with it.
        if (axis === 'step' && inside + 2 * found.lines.length <= points) expect(found.raw).toBe(true);
      }),
      { numRuns: rounds(40) },
    );
  });

  it('tells writers apart, and says nothing of what is not there', () => {
    const run = runWith({
      'job-aaaaaaaa': [
        [0, 1],
        [1, 2],
      ],
      'job-bbbbbbbb': [
        [0, 5],
        [7, 6],
      ],
    });
    const found = chart(run);
    expect(found.lines.map((line) => [line.writer, [...line.last]])).toEqual([
      ['job-aaaaaaaa', [1, 2]],
      ['job-bbbbbbbb', [5, 6]],
    ]);
    expect(found).toMatchObject({ axis: 'step', from: 0, to: 7, raw: true });
    expect(chart('nosuchrunaaa')).toEqual({ axis: 'step', from: null, to: null, raw: true, lines: [] });
    expect(() => chart(run, { points: 0 })).toThrow('0 points');
  });

  it('draws the line that crosses a range between two samples', () => {
    const run = runWith([
      [0, 1],
      [10, 2],
      [20, 3],
    ]);
    const { lines } = chart(run, { from: 4, to: 6 });
    expect(lines.map((line) => [...line.x0])).toEqual([[0, 10]]);
  });

  it('is drawn by arrival past a thousand steps back', () => {
    const samples = Array.from(
      { length: 3 * (MAX_SEGMENTS + 50) },
      (_, index) => [index % 3, index] as const,
    );
    const run = runWith(samples);
    const found = chart(run, { points: 10_000 });
    expect(found.axis).toBe('arrival');
    expect(found.lines.reduce((sum, line) => sum + line.x0.length, 0)).toBe(samples.length);
    expect(found.to).toBe(samples.length - 1);
    const { rows } = answerNow(temporary.store, readSamples({ run, key: 'loss', limit: 100_000 }));
    expect(rows.map((row) => row.value)).toEqual(
      samples.toSorted((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, value]) => value),
    );
  });

  it('of 200,000 samples and of twenty long segments reads a few buckets for each column', () => {
    const even = runWith(
      Array.from({ length: 200_000 }, (_, index) => [index, index === 177_777 ? 9 : 0] as const),
    );
    const segments = runWith(Array.from({ length: 200_000 }, (_, index) => [index % 10_000, index] as const));
    for (const run of [even, segments]) {
      const asked: Asked = { sql: new Set(), rows: 0, samples: 0, buckets: 0 };
      answerNow(temporary.store, counted(readSeries({ run, key: 'loss', points: 1000 }), asked));
      // FAN_OUT for a column of one line (src/store/series.ts), and little more where many lines share the columns.
      expect(asked.buckets + asked.samples + asked.rows).toBeLessThan(2 * FAN_OUT * 1000);
    }
    expect(Math.max(...(chart(even, { points: 1000 }).lines[0]?.max ?? []))).toBe(9);
  });
});

describe('samples', () => {
  it('come by step, then arrival, page by page', () => {
    const writers = fc.array(walk, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(writers, fc.integer({ min: 1, max: 1500 }), (walks, limit) => {
        // Clocks that only go on: then arrival is one order over all writers.
        const forward = walks.map((samples) =>
          samples.map(([step, value], index) => [step, value, index] as const),
        );
        const named = forward.map((samples, index) => [`job-${'abc'[index]}aaaaaaa`, samples] as const);
        const run = runWith(Object.fromEntries(named));
        const expected = named
          .flatMap(([writer, samples]) => samples.map(([step, value, ms]) => ({ writer, step, value, ms })))
          .toSorted((a, b) => a.step - b.step || a.ms - b.ms || (a.writer < b.writer ? -1 : 1));
        const rows: SampleRow[] = [];
        let after: string | undefined;
        do {
          const page = answerNow(temporary.store, readSamples({ run, key: 'loss', limit, after }));
          expect(page.rows.length).toBeLessThanOrEqual(limit);
          rows.push(...page.rows);
          after = page.next ?? undefined;
        } while (after !== undefined);
        expect(rows.map(({ step, ts, value }) => [step, Math.round(ts * 1000) - T0, value])).toEqual(
          expected.map(({ step, value, ms }) => [step, ms, Number.isNaN(value) ? 'NaN' : value]),
        );
        expect(new Set(rows.map((row) => row.rowid)).size).toBe(rows.length);
      }),
      { numRuns: rounds(15) },
    );
  });

  it('of an unknown key are none, and a bad limit or cursor is refused', () => {
    const run = runWith([[0, 1]]);
    const { db } = temporary.store;
    expect(answerNow({ db }, readSamples({ run, key: 'nope' }))).toEqual({ rows: [], next: null });
    expect(() => answerNow({ db }, readSamples({ run, key: 'loss', limit: 1.5 }))).toThrow('limit');
    expect(() => answerNow({ db }, readSamples({ run, key: 'loss', after: 'x' }))).toThrow('cursor');
  });
});
