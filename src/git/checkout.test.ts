import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkoutTree } from './checkout.ts';
import { changedFiles, diffTrees } from './diff.ts';
import { type Fixture, makeFixture } from './git-fixture.ts';
import { findNestedTrees } from './nested-trees.ts';

let f: Fixture;
beforeEach(() => {
  f = makeFixture();
  f.init();
  f.write('train.py', 'print(1)\n');
  f.write('lib/model.py', 'x = 1\n');
});
afterEach(() => f.remove());

const into = () => join(f.root, 'out');

test('modes, links and odd names come back; the repository does not learn of it', async () => {
  f.commit();
  f.write('run.sh', '#!/bin/sh\n');
  chmodSync(join(f.repo, 'run.sh'), 0o755);
  symlinkSync('lib', join(f.repo, 'link'));
  f.write('new\nline', 'odd\n');
  const s = await f.snapshot();
  const before = f.fingerprint();
  const { warnings } = await checkoutTree({
    gitDir: s.git_dir ?? '',
    tree: s.tree ?? '',
    into: into(),
    env: f.env,
  });
  expect(warnings).toEqual([]);
  expect(readdirSync(into()).sort()).toEqual(['lib', 'link', 'new\nline', 'run.sh', 'train.py']);
  expect(readFileSync(join(into(), 'new\nline'), 'utf8')).toBe('odd\n');
  expect(readlinkSync(join(into(), 'link'))).toBe('lib');
  expect(statSync(join(into(), 'run.sh')).mode & 0o111).not.toBe(0);
  expect(f.fingerprint()).toEqual(before);
  expect(f.git('worktree', 'list', '--porcelain').match(/^worktree /gm)).toHaveLength(1);
  expect(readdirSync(f.root).filter((name) => name.startsWith('.waddle'))).toEqual([]);
  await expect(
    checkoutTree({ gitDir: s.git_dir ?? '', tree: s.tree ?? '', into: into(), env: f.env }),
  ).rejects.toMatchObject({ code: 'folder-not-empty' });
});

test('files outside the sparse cone come too, and CRLF comes back exact under autocrlf', async () => {
  f.write('far/away.py', 'far\n');
  f.git('config', 'core.autocrlf', 'true');
  f.write('windows.py', 'a\r\nb\r\n');
  f.commit();
  f.git('sparse-checkout', 'set', '--no-cone', '/*', '!/far/');
  const s = await f.snapshot();
  await checkoutTree({ gitDir: s.git_dir ?? '', tree: s.tree ?? '', into: into(), env: f.env });
  expect(readFileSync(join(into(), 'windows.py'), 'utf8')).toBe('a\r\nb\r\n');
  expect(readdirSync(into())).toContain('far');
});

test('where a required filter is missing, the stored content is written and a warning says so', async () => {
  f.write('.gitattributes', '*.bin filter=big\n');
  f.write('w.bin', 'pointer\n');
  f.commit();
  f.git('config', 'filter.big.smudge', '/nonexistent');
  f.git('config', 'filter.big.required', 'true');
  const tree = f.git('rev-parse', 'HEAD^{tree}').trim();
  const { warnings } = await checkoutTree({ gitDir: join(f.repo, '.git'), tree, into: into(), env: f.env });
  expect(warnings).toMatchObject([{ code: 'filter-missing' }]);
  expect(readFileSync(join(into(), 'w.bin'), 'utf8')).toBe('pointer\n');
});

test('nested repositories come from their own trees', async () => {
  f.commit();
  const inner = join(f.repo, 'inner');
  mkdirSync(inner);
  f.gitIn(inner, 'init', '--quiet', '-b', 'main');
  writeFileSync(join(inner, 'code.py'), 'inner\n');
  const s = await f.snapshot();
  const { nested, missing } = await findNestedTrees({ snapshot: s, env: f.env, privateDir: f.privateDir });
  expect(missing).toEqual([]);
  await checkoutTree({ gitDir: s.git_dir ?? '', tree: s.tree ?? '', into: into(), env: f.env, nested });
  expect(readFileSync(join(into(), 'inner/code.py'), 'utf8')).toBe('inner\n');
  rmSync(inner, { recursive: true });
  expect((await findNestedTrees({ snapshot: s, env: f.env, privateDir: f.privateDir })).missing).toEqual([
    'inner',
  ]);
});

test('a tree that is not there is an error that says so', async () => {
  f.commit();
  await expect(
    checkoutTree({ gitDir: join(f.repo, '.git'), tree: '1'.repeat(40), into: into(), env: f.env }),
  ).rejects.toMatchObject({ code: 'git-failed' });
});

test("diffs are plain patches, whatever the user's settings, with colour on demand", async () => {
  f.commit();
  for (const [key, value] of Object.entries({
    'diff.noprefix': 'true',
    'diff.external': '/nonexistent',
    'color.ui': 'always',
    'diff.mnemonicPrefix': 'true',
  })) {
    f.git('config', key, value);
  }
  f.write('train.py', 'print(2)\n');
  f.write('naïve.py', 'new\n');
  const s = await f.snapshot();
  const trees = { gitDir: s.git_dir ?? '', a: s.base, b: s.tree, env: f.env };
  const patch = await diffTrees(trees);
  expect(patch).toContain('diff --git a/train.py b/train.py\n');
  expect(patch).toContain('-print(1)\n+print(2)\n');
  expect(await diffTrees({ ...trees, nameOnly: true })).toBe('naïve.py\ntrain.py\n');
  expect(await diffTrees({ ...trees, stat: true })).toContain('2 files changed');
  expect(await diffTrees({ ...trees, color: true })).toContain('\u001b[');
  expect(await diffTrees({ ...trees, b: s.base })).toBe('');
  expect(await changedFiles(trees)).toEqual([
    { path: 'naïve.py', status: 'A' },
    { path: 'train.py', status: 'M' },
  ]);
  expect(await changedFiles({ ...trees, a: null })).toHaveLength(3);
  await expect(diffTrees({ ...trees, a: '1'.repeat(40) })).rejects.toMatchObject({ code: 'git-failed' });
});
