import { constants, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterMetrics } from '../events/metric-lines.ts';
import { type Decoded, decodeColumns } from './decode-columns.ts';
import { encodeColumns } from './encode-columns.ts';
import { IN_COLUMNS, joinSections } from './journal-columns.ts';

const back = (bytes: Uint8Array) => Buffer.from(decodeColumns(encodeColumns(bytes), bytes.length).text);
const same = (text: string) => {
  const bytes = Buffer.from(text);
  const decoded = decodeColumns(encodeColumns(bytes), bytes.length);
  expect(Buffer.from(decoded.text).equals(bytes), text).toBe(true);
  expectOnlyMetrics(decoded);
};

/** What it says of where there are only metrics is so. */
function expectOnlyMetrics({ text, others }: Decoded): void {
  if (others === undefined) return;
  const places = [0, ...others, text.length];
  for (let index = 0; index < places.length; index += 2) {
    const [from = 0, to = 0] = places.slice(index);
    expect(afterMetrics(text, from, to), Buffer.from(text).toString()).toBe(to);
  }
}

describe('a journal in columns', () => {
  it('comes back to the letter, as JavaScript and as Python write it', () => {
    for (const value of [
      '0',
      '-0',
      '1',
      '1.0',
      '-0.0',
      '0.1',
      '1e-05',
      '1e-5',
      '0.00001',
      '1e+16',
      '1e16',
      '1e21',
      '1e+21',
      '10000000000000000',
      '1E5',
      '01',
      '1.50',
      '5e-324',
      '1.7976931348623157e+308',
      '"NaN"',
      '"Infinity"',
      '"-Infinity"',
      'null',
      '123456789012345678901234567890',
      '1e400',
      '"other"',
      '',
      '+1',
      '.5',
    ]) {
      same(`{"k":"m","t":1764000000.123,"s":1,"v":{"loss":${value}}}\n`);
    }
    for (const time of [
      '1764000000',
      '1764000000.0',
      '1764000000.1',
      '1764000000.10',
      '1764000000.1234',
      '0',
      '0.5',
      '-1',
      '1e9',
      '999999999999.999',
    ]) {
      same(`{"k":"m","t":${time},"s":1,"v":{"loss":1}}\n`);
    }
    for (const step of ['0', '-1', '-0', '007', '0.5', '9007199254740992', '-9007199254740991', '1e3']) {
      same(`{"k":"m","t":1,"s":${step},"v":{"a":1,"b":2}}\n`);
    }
    same('{"k":"m","t":1,"s":1,"v":{}}\n{"k":"m","t":1,"s":1,"v":{"ä\\"}":1,"x,y":2,"":3}}\n');
    same('{"k":"m","t":1,"s":1,"v":{"a":1,}}\n{"k":"m","t":1,"s":1,"v":{"a":1 ,"b":2}}\n{"k":"m"');
    same('\n\n{"k":"c","t":1,"o":1,"n":0,"x":"text"}\n');
    same('');
  });

  const value = fc.oneof(
    fc.double().filter(Number.isFinite).map(String),
    fc.constantFrom('"NaN"', '1e-05', '1.0', 'x'),
  );
  const metric = fc
    .record({
      t: fc.nat(10 ** 9),
      s: fc.integer(),
      keys: fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c/d'), value), { maxLength: 4 }),
    })
    .map(
      ({ t, s, keys }) =>
        `{"k":"m","t":${t / 1000},"s":${s},"v":{${keys.map(([k, v]) => `"${k}":${v}`).join(',')}}}\n`,
    );
  const line = fc.oneof(
    { weight: 4, arbitrary: metric },
    fc.string().map((text) => `${text}\n`),
    fc.constant('\n'),
  );

  it('comes back for lines of any kind in any order', () => {
    fc.assert(
      fc.property(fc.array(line, { maxLength: 40 }), fc.string(), (lines, tail) =>
        same(lines.join('') + tail),
      ),
      { numRuns: 300 },
    );
  });

  it('comes back for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(back(bytes).equals(bytes)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it('is refused where it is not sound, and never longer than allowed', () => {
    const text = Buffer.from('{"k":"m","t":1,"s":1,"v":{"a":0.5}}\n{"k":"c"}\n'.repeat(20));
    const body = Buffer.from(encodeColumns(text));
    expect(() => decodeColumns(body, text.length - 1)).toThrow(/more than/);
    fc.assert(
      fc.property(fc.nat(body.length - 1), fc.nat(255), (at, byte) => {
        const bad = Buffer.from(body);
        bad[at] = byte;
        try {
          const decoded = decodeColumns(bad, 10_000);
          expect(decoded.text.length).toBeLessThanOrEqual(10_000);
          expectOnlyMetrics(decoded);
        } catch (error) {
          expect(error).toMatchObject({ code: 'columns-invalid' });
        }
      }),
      { numRuns: 500 },
    );
    for (let at = 0; at < body.length; at += 1) {
      expect(() => decodeColumns(body.subarray(0, at), 10_000)).toThrow(/not understood/);
    }
  });

  it('hides no line in what it calls a metric', () => {
    const body = (values: string, column: object = { type: 'text' }) => {
      const parts = ['{"k":"m","t":', ',"s":', values];
      const bytes = parts.join('').length + 3;
      const head = { kinds: [{ parts, columns: [{ type: 'text' }, column] }], lines: 1, bytes };
      const [header, one] = [Buffer.from(JSON.stringify(head)), Buffer.from('1\n')];
      return joinSections(IN_COLUMNS, [[header], [new Uint8Array(1)], [], [one], [one]]);
    };
    expect(decodeColumns(body(',"v":{"a":1}}'), 1000).others).toEqual([]);
    const hidden =
      '"a":1}}\n{"k":"update","t":1,"fields":{"project":"other"}}\n{"k":"m","t":1,"s":1,"v":{"a":1';
    // Characters of which one byte is left that is a newline or a brace.
    const wide = hidden.replaceAll(/[\n{}]/g, (each) => String.fromCharCode(each.charCodeAt(0) + 256));
    for (const values of [hidden, wide]) {
      expect(() => decodeColumns(body(`,"v":{${values}}}`), 1000)).toThrow(/not understood/);
    }
    for (const shapes of ['#', [1]]) {
      expect(() => decodeColumns(body(',"v":{"a":1}}', { type: 'text', shapes }), 1000)).toThrow(
        /not understood/,
      );
    }
  });

  it('takes at most 9 bytes a sample, of full doubles, one key a line', () => {
    let text = '';
    for (let s = 0; s < 50_000; s += 1) {
      text += `{"k":"m","t":${1764000000 + Math.floor(s / 3) / 1000},"s":${s},"v":{"train/loss":${Math.random() * Math.exp(-s / 1e4)}}}\n`;
    }
    const packed = zstdCompressSync(encodeColumns(Buffer.from(text)), {
      params: { [constants.ZSTD_c_compressionLevel]: 1 },
    });
    expect(packed.length / 50_000).toBeLessThan(9);
  });
});
