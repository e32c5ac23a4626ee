import { expect, test } from 'vitest';
import { readDelimited, separatorOf } from './delimited.ts';

test('quotes, line ends and empty cells', () => {
  const rows = readDelimited('a,"b, c"\r\n"say ""hi""",\n\n"two\nlines",3', ',', { maxRows: 10, cut: false });
  expect(rows).toEqual([
    ['a', 'b, c'],
    ['say "hi"', ''],
    ['two\nlines', '3'],
  ]);
});

test('of a cut text the last row is left out; rows are bounded', () => {
  expect(readDelimited('a,b\n1,2\n3', ',', { maxRows: 10, cut: true })).toEqual([
    ['a', 'b'],
    ['1', '2'],
  ]);
  expect(readDelimited('1\n2\n3\n', ',', { maxRows: 2, cut: false })).toHaveLength(2);
});

test('the separator is found', () => {
  expect(separatorOf('a;b\n1;2', 'x.csv')).toBe(';');
  expect(separatorOf('a\tb', 'x.tsv')).toBe('\t');
  expect(separatorOf('one', 'x.csv')).toBe(',');
});
