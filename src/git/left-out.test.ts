import { expect, test } from 'vitest';
import { foldLeftOut } from './left-out.ts';
import type { LeftOut } from './snapshot-record.ts';

const entry = (path: string, reason: LeftOut['reason'] = 'size'): LeftOut => ({
  path,
  size: 2,
  mtime: 5,
  reason,
});
const many = (count: number, folder: string) =>
  Array.from({ length: count }, (_, i) => entry(`${folder}${i}`));

test('a few are named one by one, in order', () => {
  expect(foldLeftOut([entry('b'), entry('a/x')], () => []).map((each) => each.path)).toEqual(['a/x', 'b']);
});

test('many are named by the topmost folder of which nothing is kept', () => {
  const list = [...many(150, 'data/raw/'), ...many(3, 'src/'), entry('.env', 'secret')];
  expect(foldLeftOut(list, () => ['src/code.py', 'train.py'])).toEqual([
    entry('.env', 'secret'),
    { path: 'data/', size: 300, mtime: 5, reason: 'size' },
    entry('src/0'),
    entry('src/1'),
    entry('src/2'),
  ]);
});

test('far too many stand by their folder, though a part of it is kept', () => {
  const folded = foldLeftOut([...many(1500, 'data/'), entry('top')], () => ['data/kept']);
  expect(folded).toEqual([{ path: 'data/', size: 3000, mtime: 5, reason: 'size' }, entry('top')]);
});
