import stringWidth from 'string-width';
import { expect, it } from 'vitest';
import { cut, displayWidth } from './table.ts';

it('takes the short way only where it tells the same width', () => {
  const differing: string[] = [];
  for (let code = 0x20; code < 0x1_0000; code++) {
    const letter = String.fromCodePoint(code);
    for (const text of [letter, `a${letter}é`, `${letter}\ufe0f`]) {
      if (displayWidth(text) !== stringWidth(text)) differing.push(`${code.toString(16)} in ${text}`);
    }
  }
  expect(differing).toEqual([]);
});

it('cuts to columns, never inside a character', () => {
  expect(cut('naïve – ✓ done', 9)).toBe('naïve – …');
  expect(cut('模型模型', 5)).toBe('模型…');
  expect(cut('👩‍👩‍👧ab', 3)).toBe('👩‍👩‍👧…');
});
