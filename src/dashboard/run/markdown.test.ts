import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Block, type Inline, readInline, readMarkdown } from './markdown.ts';

const plain = (pieces: readonly Inline[]): string =>
  pieces
    .map((piece) =>
      'children' in piece ? plain(piece.children) : piece.kind === 'break' ? '\n' : piece.text,
    )
    .join('');

function links(blocks: readonly (Block | Inline)[]): string[] {
  return blocks.flatMap((block): string[] => {
    const own = block.kind === 'link' ? [block.href] : [];
    if (block.kind === 'list') return block.items.flatMap(links);
    if (block.kind === 'table') return links([block.head, ...block.rows].flat(2));
    return 'children' in block ? [...own, ...links(block.children)] : own;
  });
}

test('headings, paragraphs, rules, code', () => {
  const blocks = readMarkdown('# Why\n\none\ntwo\n\n---\n\n```py\n# no heading\n<b>\n```\n\n    indented');
  expect(blocks.map((block) => block.kind)).toEqual(['heading', 'paragraph', 'rule', 'code', 'code']);
  expect(blocks[3]).toEqual({ kind: 'code', text: '# no heading\n<b>' });
  expect(blocks[4]).toEqual({ kind: 'code', text: 'indented' });
});

test('lists nest, count, and hold more than a line', () => {
  const [list, numbers] = readMarkdown('- a\n- b\n  - c\n\n  more of b\n- d\n\n3. x\n4. y');
  expect(list).toMatchObject({ kind: 'list', ordered: false });
  expect(list?.kind === 'list' && list.items.length).toBe(3);
  expect(list?.kind === 'list' && list.items[1]?.map((block) => block.kind)).toEqual([
    'paragraph',
    'list',
    'paragraph',
  ]);
  expect(numbers).toMatchObject({ kind: 'list', ordered: true, start: 3 });
});

test('a table has a head, aligned columns and rows of at most so many cells', () => {
  const cells = (rows: readonly Inline[][][]) => rows.map((row) => row.map(plain));
  const [before, table, after] = readMarkdown(
    'Results:\n| run | acc | `a\\|b` |\n|:-|--:|:-:|\n| one | **0.91** |\n| two | 0.93 | x | too many |\n\nso far',
  );
  expect([before?.kind, after?.kind]).toEqual(['paragraph', 'paragraph']);
  expect(table).toMatchObject({ kind: 'table', align: ['left', 'right', 'center'] });
  if (table?.kind !== 'table') return;
  expect(cells([table.head])).toEqual([['run', 'acc', 'a|b']]);
  expect(table.rows[0]?.[1]).toMatchObject([{ kind: 'strong' }]);
  expect(cells(table.rows)).toEqual([
    ['one', '0.91'],
    ['two', '0.93', 'x'],
  ]);
  const kinds = (text: string) => readMarkdown(text).map(({ kind }) => kind);
  expect(kinds('a | b\n--- | ---\n1 | 2\n- item')).toEqual(['table', 'list']);
  expect(kinds('a | b\n--- | --- | ---')).toEqual(['paragraph']);
  expect(kinds('a | b\n---')).toEqual(['paragraph', 'rule']);
});

test('emphasis needs a partner; words with underscores are words', () => {
  expect(readInline('a **b *c* d** e')).toMatchObject([
    { text: 'a ' },
    { kind: 'strong', children: [{ text: 'b ' }, { kind: 'em' }, { text: ' d' }] },
    { text: ' e' },
  ]);
  expect(readInline('snake_case_name and 2 * 3 * 4 and **open')).toEqual([
    { kind: 'text', text: 'snake_case_name and 2 * 3 * 4 and **open' },
  ]);
  expect(readInline('``a ` b`` \\*no\\*')).toEqual([
    { kind: 'code', text: 'a ` b' },
    { kind: 'text', text: ' *no*' },
  ]);
});

test('only http(s) is linked', () => {
  const text =
    '[a](https://x.org/p?q=1) [b](javascript:alert(1)) [c](data:text/html,x) [d](//evil) <https://y.org> see https://z.org/a_b. [e](JaVaScRiPt:x) [f](http://ok)';
  expect(links(readMarkdown(text))).toEqual([
    'https://x.org/p?q=1',
    'https://y.org',
    'https://z.org/a_b',
    'http://ok',
  ]);
});

test('HTML is text', () => {
  const [block] = readMarkdown('<img src=x onerror=alert(1)> <script>alert(1)</script>');
  expect(block?.kind === 'paragraph' && plain(block.children)).toBe(
    '<img src=x onerror=alert(1)> <script>alert(1)</script>',
  );
});

test('whatever is written, it is read, and every link is http(s)', () => {
  const unit = fc.constantFrom(
    '*',
    '_',
    '`',
    '[',
    ']',
    '(',
    ')',
    '<',
    '>',
    '#',
    '-',
    '1. ',
    '\n',
    ' ',
    '\t',
    'a',
    'http://x',
    'javascript:',
    '\\',
    '~~',
    '```',
    '|',
    '\n|-|-|\n',
  );
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 200 }), (text) => {
      for (const href of links(readMarkdown(text))) expect(href).toMatch(/^https?:\/\//);
    }),
  );
});

test('long and hostile notes are read before the test’s time is up', () => {
  readMarkdown('*'.repeat(5000));
  readMarkdown('[a]('.repeat(2000));
  readMarkdown('> '.repeat(5000));
  readMarkdown('- '.repeat(5000));
  readMarkdown(`${'|a'.repeat(2000)}\n${'|-'.repeat(2000)}\n${'b\n'.repeat(2000)}`);
  readMarkdown('| - '.repeat(5000));
});
