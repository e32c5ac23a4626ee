import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { closestTree } from './tree-places.ts';

test('a pack is made on the tree that shares the most, and of nested repositories on a state of the same one', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'waddle-trees-'));
  try {
    const git = (...args: string[]) => execFileSync('git', args, { cwd: folder, encoding: 'utf8' }).trim();
    git('init', '--quiet');
    const treeOf = (files: Record<string, string>) => {
      git('rm', '-r', '--quiet', '--cached', '--ignore-unmatch', '.');
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(join(folder, path, '..'), { recursive: true });
        writeFileSync(join(folder, path), text);
        git('add', '--force', path);
      }
      return git('write-tree');
    };
    const nested = treeOf({ 'lib/a.py': 'nested', 'nested.md': 'nested' });
    const far = treeOf({ 'src/a.py': '1', 'tests/b.py': '1' });
    const near = treeOf({ 'src/a.py': '2', 'tests/b.py': '2' });
    const tree = treeOf({ 'src/a.py': '2', 'tests/b.py': '3' });
    const changed = treeOf({ 'src/a.py': '4', 'tests/b.py': '4' });
    const closest = (of: string, ...candidates: string[]) =>
      closestTree(join(folder, '.git'), of, candidates, process.env);
    expect(await closest(tree, nested, far, near)).toBe(near);
    // Everything in it has changed: the names tell whose tree it is.
    expect(await closest(changed, nested, far, near)).toBe(far);
    expect(await closest(changed, '0'.repeat(40))).toBeNull();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
