import fc from 'fast-check';
import { expect, test } from 'vitest';
import { columnsOf, readAnsi, stripAnsi } from './ansi.ts';

const ESC = '\x1b';

test('colours and weight become looks, and end where they end', () => {
  const pieces = readAnsi(`a${ESC}[1;31mb${ESC}[0mc${ESC}[92md${ESC}[39me`);
  expect(pieces.map(({ text, look }) => [text, look?.fg ?? null, look?.bold ?? false])).toEqual([
    ['a', null, false],
    ['b', 1, true],
    ['c', null, false],
    ['d', 10, false],
    ['e', null, false],
  ]);
});

test('256 and true colours, with semicolons or colons', () => {
  expect(readAnsi(`${ESC}[38;5;208mx`)[0]?.look?.fg).toBe('rgb(255 135 0)');
  expect(readAnsi(`${ESC}[48;5;3mx`)[0]?.look?.bg).toBe(3);
  expect(readAnsi(`${ESC}[38;5;232mx`)[0]?.look?.fg).toBe('rgb(8 8 8)');
  expect(readAnsi(`${ESC}[38;2;999;80;220;4mx`)[0]?.look).toMatchObject({
    fg: 'rgb(255 80 220)',
    underline: true,
  });
  expect(readAnsi(`${ESC}[38:2:1:2:3mx`)[0]?.look?.fg).toBe('rgb(1 2 3)');
  expect(readAnsi(`${ESC}[38;5;999mx`)[0]?.look).toBeNull();
});

test('other sequences are dropped with all they carry', () => {
  expect(stripAnsi(`${ESC}]0;title\x07text`)).toBe('text');
  expect(stripAnsi(`${ESC}]8;;javascript:alert(1)${ESC}\\link${ESC}]8;;${ESC}\\`)).toBe('link');
  expect(stripAnsi(`${ESC}[2J${ESC}[10;10H${ESC}[?25lx${ESC}(By${ESC}7z`)).toBe('xyz');
  expect(stripAnsi('a\x00b\x07c\x7fd\te')).toBe('abcd\te');
  expect(stripAnsi(`${ESC}`)).toBe('');
});

test('a line that went back to its beginning shows what came last', () => {
  expect(stripAnsi('10%\r50%\r100%\r')).toBe('100%');
});

test('whatever comes, no control character is left', () => {
  fc.assert(
    fc.property(
      fc.string({
        unit: fc.constantFrom(ESC, '[', ']', 'm', ';', '3', '8', '\r', '\x07', 'a', '\\', '\x9b', 'é'),
      }),
      (line) => {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
        expect(stripAnsi(line)).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
      },
    ),
  );
});

test('columns: wide characters are two, marks none', () => {
  expect(columnsOf('plain')).toBe(5);
  expect(columnsOf('日本')).toBe(4);
  expect(columnsOf('e\u0301')).toBe(1);
  expect(columnsOf('a\tb')).toBe(9);
});
