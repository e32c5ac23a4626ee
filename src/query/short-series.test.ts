import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { answerNow } from '../store/answer-now.ts';
import { readSeries } from './chart.ts';
import { addRun, T0, type TemporaryStore, temporaryStore } from './fixture.ts';
import { readShortSeries, shortName } from './short-series.ts';

let temporary: TemporaryStore;

beforeEach(() => {
  temporary = temporaryStore();
});

afterEach(() => temporary.remove());

it('gives the samples themselves, segment by segment, as the charts have them', () => {
  const { store } = temporary;
  let number = 0;
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.oneof(fc.double(), fc.constant(Number.NaN))), {
        minLength: 1,
        maxLength: 60,
      }),
      fc.constantFrom('step' as const, 'time' as const),
      (samples, axis) => {
        const run = `run${number++}`;
        addRun(store, { id: run, metrics: { loss: { 'job-aaaaaaaa': samples, 'job-bbbbbbbb': [[1, 2]] } } });
        const short = answerNow(store, readShortSeries([{ run, key: 'loss' }], axis, 100)).get(
          shortName(run, 'loss'),
        );
        const chart = answerNow(store, readSeries({ run, key: 'loss', points: 1000, axis }));
        expect(short?.lines.map(({ writer, segment }) => [writer, segment])).toEqual(
          chart.lines.map(({ writer, segment }) => [writer, segment]),
        );
        for (const [index, line] of chart.lines.entries()) {
          expect(short?.lines[index]?.x).toEqual(line.x0);
          expect(short?.lines[index]?.value).toEqual(line.first);
        }
        expect(short?.ends.get('job-aaaaaaaa')).toBe(samples.length);
      },
    ),
    { numRuns: 200 },
  );
});

it('leaves out what is longer, unknown or removed', () => {
  const { store } = temporary;
  addRun(store, {
    id: 'a',
    metrics: { short: [[0, 1]], long: Array.from({ length: 11 }, (_, i) => [i, i] as const) },
  });
  addRun(store, { id: 'b', own: { removed: 1 }, metrics: { short: [[0, 1]] } });
  const asked = ['a', 'b', 'c'].flatMap((run) => ['short', 'long', 'none'].map((key) => ({ run, key })));
  expect([...answerNow(store, readShortSeries(asked, 'time', 10)).values()]).toEqual([
    {
      run: 'a',
      key: 'short',
      lines: [
        {
          writer: 'job-aaaaaaaa',
          rank: null,
          segment: 0,
          x: Float64Array.of(T0 / 1000),
          value: Float64Array.of(1),
        },
      ],
      ends: new Map([['job-aaaaaaaa', 1]]),
    },
  ]);
});
