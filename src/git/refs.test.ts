import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, makeFixture } from './git-fixture.ts';
import { dropAllPins, keepPins, listPinned, pinTree, unpinTree } from './refs.ts';

let f: Fixture;
let place: { gitDir: string; env: Record<string, string> };
beforeEach(() => {
  f = makeFixture();
  f.init();
  f.write('a', 'a');
  f.commit();
  place = { gitDir: join(f.repo, '.git'), env: f.env };
});
afterEach(() => f.remove());

/** Trees that no commit holds. */
function trees(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    f.write('a', `version ${index}`);
    f.git('add', 'a');
    return f.git('write-tree').trim();
  });
}

const refs = () => f.git('for-each-ref', '--format=%(refname)', 'refs/waddle').split('\n').filter(Boolean);

test('pinned trees survive a collection; pinning twice is nothing', async () => {
  const [tree = ''] = trees(1);
  await pinTree({ ...place, tree });
  await pinTree({ ...place, tree });
  f.git('reset', '--quiet', '--hard');
  f.git('gc', '--quiet', '--prune=now');
  expect(f.git('cat-file', '-t', tree).trim()).toBe('tree');
  expect(await listPinned(place)).toEqual([tree]);
  // Packed by gc, it can be pinned and let go all the same.
  await pinTree({ ...place, tree });
  await unpinTree({ ...place, tree });
  expect(await listPinned(place)).toEqual([]);
  expect(refs()).toEqual([]);
});

test('from sixteen on they are one ref, and none is lost', async () => {
  const all = trees(40);
  for (const tree of all) await pinTree({ ...place, tree });
  expect(refs().length).toBeLessThan(17);
  expect(refs()).toContain('refs/waddle/trees');
  expect(await listPinned(place)).toEqual([...all].sort());
  f.git('reset', '--quiet', '--hard');
  f.git('gc', '--quiet', '--prune=now');
  for (const tree of all) expect(f.git('cat-file', '-t', tree).trim()).toBe('tree');
  expect(f.git('log', '--all', '--format=%s').trim()).toBe('one');
  f.git('fsck', '--strict');
});

test('pinned from many processes at once, none is lost', async () => {
  const all = trees(40);
  await Promise.all(all.map((tree) => pinTree({ ...place, tree })));
  expect(await listPinned(place)).toEqual([...all].sort());
});

test('refs that gc has packed are folded too', async () => {
  for (const tree of trees(30)) {
    await pinTree({ ...place, tree });
    f.git('pack-refs', '--all');
  }
  expect(refs().length).toBeLessThan(17);
});

test('what no run needs is let go, folded or not', async () => {
  const all = trees(20);
  for (const tree of all) await pinTree({ ...place, tree });
  const needed = new Set([all[0] ?? '', all[19] ?? '', 'unknown']);
  expect(await keepPins({ ...place, needed })).toEqual(all.slice(1, 19).sort());
  expect(await listPinned(place)).toEqual([all[0], all[19]].sort());
  expect(await keepPins({ ...place, needed })).toEqual([]);
  await unpinTree({ ...place, tree: all[0] ?? '' });
  expect(await listPinned(place)).toEqual([all[19]]);
  await dropAllPins(place);
  expect(refs()).toEqual([]);
});

test('a tree that is not there cannot be pinned', async () => {
  await expect(pinTree({ ...place, tree: '1'.repeat(40) })).rejects.toMatchObject({ code: 'pin-failed' });
});
