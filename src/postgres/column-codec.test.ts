import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeColumns, encodeColumns } from './column-codec.ts';

const same = (columns: number[][]) => {
  const length = columns[0]?.length ?? 0;
  const back = decodeColumns(encodeColumns(columns, length), length);
  expect(back.length).toBe(columns.length);
  for (const [index, column] of columns.entries()) {
    for (let at = 0; at < length; at += 1) {
      if (!Object.is(back[index]?.[at], column[at])) {
        throw new Error(`column ${index}, row ${at}: ${column[at]} became ${back[index]?.[at]}`);
      }
    }
  }
};

describe('columns of numbers', () => {
  it('come back bit by bit', () => {
    same([[]]);
    same([[0], [-0], [Number.NaN], [Number.POSITIVE_INFINITY], [Number.NEGATIVE_INFINITY]]);
    same([[Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 0]]);
    same([[2 ** 50 - 1, 1 - 2 ** 50, 2 ** 50 - 1, 0]]);
    same([
      [5e-324, 1.7e308],
      [0.5, -3.25],
    ]);
    fc.assert(
      fc.property(
        fc
          .integer({ min: 0, max: 60 })
          .chain((length) =>
            fc.array(
              fc.oneof(
                fc.array(fc.double(), { minLength: length, maxLength: length }),
                fc.array(fc.float(), { minLength: length, maxLength: length }),
                fc.array(fc.maxSafeInteger(), { minLength: length, maxLength: length }),
                fc.array(fc.integer(), { minLength: length, maxLength: length }),
              ),
              { minLength: 1, maxLength: 13 },
            ),
          ),
        same,
      ),
      { numRuns: 300 },
    );
  });

  it('are small: even steps and times cost nothing, a single-precision value under 4 bytes', () => {
    const length = 4096;
    const steps = Array.from({ length }, (_, index) => index);
    const times = steps.map((step) => step * 250);
    const values = steps.map((step) => Math.fround(Math.exp(-step / 900) + 0.1 * Math.sin(step * 12.9898)));
    const bytes = encodeColumns([steps, times, values], length).length;
    expect(bytes).toBeLessThan(4 * length);
    expect(encodeColumns([steps, times], length).length).toBeLessThan(60);
  });
});
