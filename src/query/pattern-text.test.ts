import fc from 'fast-check';
import { RE2JS } from 're2js';
import { expect, it } from 'vitest';
import { requiredTexts } from './pattern-text.ts';

it.each([
  ['^duck-.*7$', ['duck-', '7']],
  ['run +ab?c', ['run ', 'a', 'c']],
  ['a|b', []],
  ['(?i)duck', []],
  ['ab(cd)?', ['ab']],
  ['x{0}', []],
  ['lr=0\\.1', ['lr=0']],
  ['[ab]c', []],
  ['', []],
])('%s holds %j', (pattern, texts) => {
  expect(requiredTexts(pattern)).toEqual(texts);
});

it('asks for nothing that a match may lack', () => {
  const piece = fc.constantFrom(
    'a',
    'b',
    'A',
    '-',
    '.',
    '*',
    '?',
    '+',
    '^',
    '$',
    '(a)',
    '(a)?',
    '[ab]',
    'b{0,1}',
    '\\w',
    '\\.',
    '|',
    'ä',
  );
  const text = fc.array(fc.constantFrom('a', 'b', 'A', '-', '.', 'ä', ''), { maxLength: 8 });
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 6 }),
      fc.array(text, { minLength: 5, maxLength: 30 }),
      (pieces, texts) => {
        const pattern = pieces.join('');
        let compiled: RE2JS;
        try {
          compiled = RE2JS.compile(pattern);
        } catch {
          return;
        }
        for (const one of texts.map((parts) => parts.join(''))) {
          if (!compiled.matcher(one).find()) continue;
          for (const required of requiredTexts(pattern)) expect(one).toContain(required);
        }
      },
    ),
    { numRuns: 2000 },
  );
});
