import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsoleLines, CUT_MARK, LINE_LIMIT } from './console-lines.ts';

/** The lines of a text given in one piece, and what is left unfinished. */
function linesOf(...pieces: (string | Buffer)[]): { lines: string[]; partial: string | null } {
  const reader = new ConsoleLines();
  const lines = pieces.flatMap((piece) => reader.feed(Buffer.from(piece as string)));
  return { lines, partial: reader.partial };
}

describe('ConsoleLines', () => {
  it.each<[string, string[], string | null]>([
    ['a\nb\n', ['a', 'b'], null],
    ['a\n\nb', ['a', ''], 'b'],
    ['crlf\r\n\r\n', ['crlf', ''], null],
    ['\r 10%\r 50%\r100%\n', ['100%'], null],
    [' 10%\r 50%\r', [], ' 50%'],
    ['busy\r    \rdone\n', ['done'], null],
    ['', [], null],
  ])('%j', (text, lines, partial) => {
    expect(linesOf(text)).toEqual({ lines, partial });
  });

  it('replaces what is not UTF-8', () => {
    expect(linesOf(Buffer.from([0x61, 0xff, 0x0a, 0xc3, 0x0a])).lines).toEqual(['a\ufffd', '\ufffd']);
  });

  it('cuts an endless line between characters, and keeps all of it', () => {
    const text = `x${'🦆'.repeat(LINE_LIMIT)}`;
    const { lines } = linesOf(`${text}\n`);
    expect(lines.length).toBe(5);
    for (const line of lines) expect(Buffer.byteLength(line)).toBeLessThanOrEqual(LINE_LIMIT + 3);
    expect(lines.map((line) => line.replace(new RegExp(`${CUT_MARK}$`), '')).join('')).toBe(text);
  });

  it('forgets the earlier states of a bar that never ends its line', () => {
    const reader = new ConsoleLines();
    for (let step = 0; step < 20_000; step += 1)
      expect(reader.feed(Buffer.from(`\r${step} of many`))).toEqual([]);
    expect(reader.partial).toBe('19999 of many');
  });

  it('finds the same lines however the bytes are cut into reads', () => {
    const alphabet = fc.constantFrom(0x0a, 0x0d, 0x61, 0xc3, 0xa9, 0xf0, 0x9f, 0xa6, 0x86, 0xff, 0x00);
    const long = fc
      .tuple(fc.integer({ min: LINE_LIMIT - 5, max: LINE_LIMIT * 2 + 5 }), fc.constantFrom(0x62, 0xa9))
      .map(([length, byte]) => Array<number>(length).fill(byte));
    const content = fc.array(
      fc.oneof(
        { weight: 20, arbitrary: fc.array(alphabet, { maxLength: 12 }) },
        { weight: 1, arbitrary: long },
      ),
      {
        maxLength: 12,
      },
    );
    const cuts = fc.array(fc.integer({ min: 1, max: 70_000 }), { maxLength: 30 });
    fc.assert(
      fc.property(content, cuts, (parts, lengths) => {
        const bytes = Buffer.from(parts.flat());
        const whole = new ConsoleLines();
        const lines = whole.feed(bytes);
        const pieced = new ConsoleLines();
        const found: string[] = [];
        let at = 0;
        for (const length of lengths) {
          found.push(...pieced.feed(bytes.subarray(at, at + length)));
          at = Math.min(bytes.length, at + length);
        }
        found.push(...pieced.feed(bytes.subarray(at)));
        expect(found).toEqual(lines);
        expect(pieced.partial).toBe(whole.partial);
      }),
      { numRuns: 300 },
    );
  });
});
