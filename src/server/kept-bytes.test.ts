import { expect, test } from 'vitest';
import { KeptBytes } from './kept-bytes.ts';

test('keeps what was used last, within its bytes', () => {
  const kept = new KeptBytes<string>(100, (text) => text.length);
  for (const name of ['a', 'b', 'c']) kept.set(name, name.repeat(30));
  expect(kept.bytes).toBe(96);
  expect(kept.get('a')).toBe('a'.repeat(30));
  kept.set('d', 'd'.repeat(30));
  expect(kept.get('b'), 'the one used longest ago').toBeUndefined();
  expect(kept.get('a')).toBeDefined();
  kept.set('a', 'new');
  expect(kept.bytes).toBe(32 + 32 + 5);
  kept.set('e', 'e'.repeat(60));
  expect(kept.get('e'), 'more than half of all').toBeUndefined();
  expect(kept.bytes).toBeLessThanOrEqual(100);
});
