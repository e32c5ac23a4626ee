import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { makeBranch } from './branch.ts';
import { type CheckedOut, checkoutCode, repointCode } from './checkout.ts';
import { changedFiles, diffTrees } from './diff.ts';
import { type Fixture, makeFixture } from './git-fixture.ts';
import { findRecordedCode, type RecordedCode } from './recorded-code.ts';
import type { Snapshot } from './snapshot-record.ts';

let f: Fixture;
beforeEach(() => {
  f = makeFixture();
  f.init();
  f.write('train.py', 'print(1)\n');
  f.write('lib/model.py', 'x = 1\n');
});
afterEach(() => f.remove());

const into = () => join(f.root, 'out');
const codeOf = (snapshot: Snapshot): Promise<RecordedCode> =>
  findRecordedCode({ snapshot, env: f.env, privateDir: f.privateDir, places: [f.repo] });
const checkout = async (snapshot: Snapshot, folder = into()): Promise<CheckedOut> =>
  checkoutCode({ code: await codeOf(snapshot), into: folder, env: f.env });
/** git as a user calls it in the folder. */
const gitOut = (...args: string[]) => f.gitIn(into(), ...args).trimEnd();

/** Every file below a folder with its mode and content, `.git` and `.waddle` aside. */
function contentOf(folder: string): Record<string, string> {
  const result: Record<string, string> = {};
  // Names are bytes: each stands as a character.
  const walk = (path: Buffer, name: string): void => {
    const stat = lstatSync(path);
    if (stat.isSymbolicLink()) result[name] = `-> ${readlinkSync(path)}`;
    else if (stat.isDirectory()) {
      for (const each of readdirSync(path, 'latin1')) {
        if (each === '.git' || each === '.waddle') continue;
        walk(Buffer.concat([path, Buffer.from(`/${each}`, 'latin1')]), `${name}/${each}`);
      }
    } else result[name] = `${(stat.mode & 0o111) !== 0 ? 'x' : '-'} ${readFileSync(path, 'latin1')}`;
  };
  walk(Buffer.from(folder), '');
  return result;
}

function forgetHistory(): void {
  f.git('reflog', 'expire', '--expire=now', '--all');
  f.git('gc', '--quiet', '--prune=now');
}

test('modes, links and odd names come back; the repository does not learn of it', async () => {
  f.commit();
  f.write('run.sh', '#!/bin/sh\n');
  chmodSync(join(f.repo, 'run.sh'), 0o755);
  symlinkSync('lib', join(f.repo, 'link'));
  f.write('new\nline', 'odd\n');
  f.write(Buffer.from([0xff, 0xfe, 0x61]), 'bytes\n');
  const s = await f.snapshot();
  const before = f.fingerprint();
  const { warnings, head } = await checkout(s);
  expect(warnings).toEqual([]);
  expect(head).toEqual({ commit: s.commit, recorded: true, shallow: false });
  expect(statSync(join(into(), 'run.sh')).mode & 0o111).not.toBe(0);
  expect(contentOf(into())).toEqual(contentOf(f.repo));
  expect(readdirSync(into(), 'latin1')).toContain('\xff\xfea');
  expect(f.fingerprint()).toEqual(before);
  expect(f.git('worktree', 'list', '--porcelain').match(/^worktree /gm)).toHaveLength(1);
  expect(readdirSync(f.root).filter((name) => name.startsWith('.waddle'))).toEqual([]);
  await expect(checkout(s)).rejects.toMatchObject({ code: 'folder-not-empty' });
});

test('git works in the folder: HEAD, status, history, new commits; the store stays as it was', async () => {
  const first = f.commit();
  f.write('train.py', 'print(2)\n');
  const s = await f.snapshot();
  await checkout(s);
  expect(gitOut('rev-parse', 'HEAD')).toBe(s.commit);
  expect(gitOut('status', '--porcelain')).toBe('');
  expect(gitOut('log', '--format=%H')).toBe(`${s.commit}\n${first}`);
  expect(gitOut('diff', 'HEAD~1', '--name-only')).toBe('train.py');
  expect(gitOut('fsck', '--no-dangling')).toBe('');
  const before = f.fingerprint();
  writeFileSync(join(into(), 'train.py'), 'print(3)\n');
  gitOut('commit', '--quiet', '-a', '-m', 'mine');
  expect(gitOut('status', '--porcelain')).toBe('');
  expect(f.fingerprint()).toEqual(before);
  expect(() => f.git('cat-file', '-e', gitOut('rev-parse', 'HEAD'))).toThrow();
});

test('after the branch is gone and all is collected: the same files, history from the run on', async () => {
  f.commit();
  f.git('checkout', '--quiet', '-b', 'side');
  f.write('side.py', 'side\n');
  const base = f.commit('on the side');
  f.write('side.py', 'changed\n');
  const dirty = await f.snapshot();
  const files = contentOf(f.repo);
  f.git('checkout', '--quiet', '--force', 'side');
  const clean = await f.snapshot();
  f.git('checkout', '--quiet', 'main');
  f.git('branch', '-D', 'side');
  forgetHistory();
  expect(() => f.git('cat-file', '-e', base)).toThrow();
  const { head } = await checkout(dirty);
  expect(head).toEqual({ commit: dirty.commit, recorded: true, shallow: true });
  expect(contentOf(into())).toEqual(files);
  expect(gitOut('log', '--format=%H')).toBe(dirty.commit);
  expect(gitOut('status', '--porcelain')).toBe('');
  expect(gitOut('fsck', '--no-dangling')).toBe('');

  rmSync(into(), { recursive: true });
  const again = await checkout(clean);
  expect(clean.commit).toBe(base);
  expect(again.head).toMatchObject({ recorded: false });
  expect(readFileSync(join(into(), 'side.py'), 'utf8')).toBe('side\n');
  expect(gitOut('status', '--porcelain')).toBe('');
  expect(gitOut('log', '--format=%H %s')).toBe(`${again.head.commit} Waddle snapshot of the workspace`);
});

test('SHA-256, shallow, alternates, no commit yet, no repository at all', async () => {
  rmSync(join(f.repo, '.git'), { recursive: true });
  const folder = await f.snapshot();
  expect(folder.store).toBe('private');
  await checkout(folder, join(f.root, 'no-repository'));
  expect(contentOf(join(f.root, 'no-repository'))).toEqual(contentOf(f.repo));

  f.init('--object-format=sha256');
  const unborn = await f.snapshot();
  await checkout(unborn, join(f.root, 'unborn'));
  expect(contentOf(join(f.root, 'unborn'))).toEqual(contentOf(f.repo));
  f.commit();
  f.write('train.py', 'print(2)\n');
  const s = await f.snapshot();
  expect(s.commit).toHaveLength(64);
  await checkout(s);
  expect(gitOut('rev-parse', 'HEAD')).toBe(s.commit);
  expect(gitOut('status', '--porcelain')).toBe('');

  rmSync(into(), { recursive: true });
  f.commit('two');
  f.gitIn(f.root, 'clone', '--quiet', '--depth=1', `file://${f.repo}`, 'clone:odd "name"');
  const clone = join(f.root, 'clone:odd "name"');
  writeFileSync(join(clone, 'train.py'), 'print(3)\n');
  const shallow = await f.snapshot({ cwd: clone });
  await checkout(shallow);
  expect(gitOut('log', '--format=%s').split('\n')).toHaveLength(2);
  expect(gitOut('fsck', '--no-dangling')).toBe('');
  expect(readFileSync(join(into(), 'train.py'), 'utf8')).toBe('print(3)\n');
});

test('a moved repository is found by the folder one stands in', async () => {
  f.commit();
  const s = await f.snapshot();
  const moved = join(f.root, 'moved');
  renameSync(f.repo, moved);
  await expect(codeOf(s)).rejects.toMatchObject({ code: 'code-missing' });
  const found = await findRecordedCode({
    snapshot: s,
    env: f.env,
    privateDir: f.privateDir,
    places: [join(moved, 'lib')],
  });
  expect(found.gitDir).toBe(join(moved, '.git'));
  await expect(codeOf({ ...s, store: 'none', dirty: true })).rejects.toMatchObject({
    code: 'code-not-recorded',
  });
});

test('files outside the sparse cone come too, and CRLF comes back exact under autocrlf', async () => {
  f.write('far/away.py', 'far\n');
  f.git('config', 'core.autocrlf', 'true');
  f.write('windows.py', 'a\r\nb\r\n');
  f.commit();
  f.git('sparse-checkout', 'set', '--no-cone', '/*', '!/far/');
  const s = await f.snapshot();
  await checkout(s);
  expect(readFileSync(join(into(), 'windows.py'), 'utf8')).toBe('a\r\nb\r\n');
  expect(readdirSync(into())).toContain('far');
  gitOut('update-index', '--really-refresh');
  expect(gitOut('status', '--porcelain')).toBe('');
});

test('filters of the repository run; where one is missing, the stored content is written and a warning says so', async () => {
  f.write('.gitattributes', '*.bin filter=big\n');
  f.git('config', 'filter.big.clean', 'tr a-z A-Z');
  f.git('config', 'filter.big.smudge', 'tr A-Z a-z');
  f.git('config', 'filter.big.required', 'true');
  f.write('w.bin', 'content\n');
  f.commit();
  const s = await f.snapshot();
  await checkout(s, join(f.root, 'with'));
  expect(readFileSync(join(f.root, 'with/w.bin'), 'utf8')).toBe('content\n');
  f.git('config', 'filter.big.smudge', '/nonexistent');
  f.git('config', 'filter.big.clean', '/nonexistent');
  const { warnings } = await checkout(s);
  expect(warnings).toMatchObject([{ code: 'filter-missing' }]);
  expect(readFileSync(join(into(), 'w.bin'), 'utf8')).toBe('CONTENT\n');
  gitOut('update-index', '--really-refresh');
  expect(gitOut('status', '--porcelain')).toBe('');
});

test('nested repositories and submodules come from their own trees, each a repository', async () => {
  const library = join(f.root, 'library');
  mkdirSync(library);
  f.gitIn(library, 'init', '--quiet', '-b', 'main');
  writeFileSync(join(library, 'lib.py'), 'library\n');
  f.gitIn(library, 'add', '.');
  f.gitIn(library, 'commit', '--quiet', '-m', 'library');
  f.git('submodule', '--quiet', 'add', library, 'deep/sub');
  f.commit();
  writeFileSync(join(f.repo, 'deep/sub/lib.py'), 'changed\n');
  const inner = join(f.repo, 'inner');
  mkdirSync(inner);
  f.gitIn(inner, 'init', '--quiet', '-b', 'main');
  writeFileSync(join(inner, 'code.py'), 'inner\n');
  const s = await f.snapshot();
  await checkout(s);
  expect(contentOf(into())).toEqual(contentOf(f.repo));
  expect(gitOut('status', '--porcelain')).toBe('');
  const sub = s.nested.find((each) => each.path === 'deep/sub');
  expect(f.gitIn(join(into(), 'deep/sub'), 'rev-parse', 'HEAD').trim()).toBe(sub?.commit);
  expect(f.gitIn(join(into(), 'deep/sub'), 'log', '--format=%s')).toContain('library');

  // The commit of the submodule may be collected over there; its tree is pinned.
  f.gitIn(join(f.repo, 'deep/sub'), 'gc', '--quiet', '--prune=now');
  rmSync(into(), { recursive: true });
  await checkout(s);
  expect(readFileSync(join(into(), 'deep/sub/lib.py'), 'utf8')).toBe('changed\n');
  expect(gitOut('status', '--porcelain')).toBe('');
  rmSync(inner, { recursive: true });
  expect((await codeOf(s)).missing).toEqual(['inner']);
});

test('a store that has lost objects is an error that says so, and so is a damaged record', async () => {
  f.commit();
  const s = await f.snapshot();
  const blob = f.git('rev-parse', 'HEAD:train.py').trim();
  unlinkSync(join(f.repo, '.git/objects', blob.slice(0, 2), blob.slice(2)));
  await expect(checkout(s)).rejects.toMatchObject({ code: 'git-failed' });
  rmSync(into(), { recursive: true });
  f.write('train.py', 'print(2)\n');
  const dirty = await f.snapshot();
  await expect(checkout({ ...dirty, commit_object: `${dirty.commit_object}x` })).rejects.toMatchObject({
    code: 'code-damaged',
  });
});

test('a copy is pointed at other code: what differs is written, what does not belong goes', async () => {
  const inner = join(f.repo, 'inner');
  f.write('.gitignore', 'ignored/\n');
  f.write('gone/later.py', 'old\n');
  f.commit();
  const a = await f.snapshot();
  const before = contentOf(f.repo);
  rmSync(join(f.repo, 'gone'), { recursive: true });
  f.write('gone', 'a file now\n');
  f.write('lib/model.py', 'x = 2\n');
  mkdirSync(inner);
  f.gitIn(inner, 'init', '--quiet', '-b', 'main');
  writeFileSync(join(inner, 'code.py'), 'inner\n');
  const b = await f.snapshot();
  const after = contentOf(f.repo);
  const point = async (snapshot: Snapshot, nested: string[]) =>
    repointCode({
      code: await codeOf(snapshot),
      folder: into(),
      indexes: join(f.root, 'indexes'),
      before: nested,
      env: f.env,
    });
  await point(a, []);
  expect(contentOf(into())).toEqual(before);
  const untouched = lstatSync(join(into(), 'train.py')).ino;
  for (const [snapshot, files, nested] of [
    [b, after, []],
    [a, before, ['inner']],
    [b, after, []],
    [b, after, ['inner']],
    [a, before, ['inner']],
  ] as const) {
    // As jobs leave a folder behind.
    mkdirSync(join(into(), 'ignored/deep'), { recursive: true });
    writeFileSync(join(into(), 'ignored/deep/weights.bin'), 'weights');
    writeFileSync(join(into(), 'lib/model.py'), 'x = 9\n');
    writeFileSync(join(into(), '.git/index.lock'), '');
    gitOutQuiet('checkout', '--quiet', '-b', 'mine');
    mkdirSync(join(into(), 'stray'));
    f.gitIn(join(into(), 'stray'), 'init', '--quiet');
    symlinkSync(f.repo, join(into(), 'to-workspace'));
    await point(snapshot, [...nested]);
    expect(contentOf(into())).toEqual(files);
    expect(gitOut('status', '--porcelain', '--ignored')).toBe('');
    expect(gitOut('rev-parse', 'HEAD')).toBe(snapshot.commit);
    expect(existsSync(join(f.repo, 'train.py'))).toBe(true);
  }
  expect(lstatSync(join(into(), 'train.py')).ino).toBe(untouched);
});

function gitOutQuiet(...args: string[]): void {
  try {
    execFileSync('git', args, { cwd: into(), env: f.env, stdio: 'ignore' });
  } catch {
    // The lock that the test has just left.
  }
}

test('a copy whose folder was replaced by a link does not lead the next code out of it', async () => {
  f.commit();
  const inner = join(f.repo, 'vendor/inner');
  mkdirSync(inner, { recursive: true });
  f.gitIn(inner, 'init', '--quiet', '-b', 'main');
  writeFileSync(join(inner, 'code.py'), 'inner\n');
  const s = await f.snapshot();
  const precious = join(f.root, 'precious');
  mkdirSync(join(precious, 'inner'), { recursive: true });
  writeFileSync(join(precious, 'inner/keep'), 'keep\n');
  const options = { folder: into(), indexes: join(f.root, 'indexes'), env: f.env };
  await repointCode({ ...options, code: await codeOf(s), before: [] });
  rmSync(join(into(), 'vendor'), { recursive: true });
  symlinkSync(precious, join(into(), 'vendor'));
  const { nested: _, ...rest } = await codeOf(s);
  await repointCode({ ...options, code: { ...rest, nested: [] }, before: ['vendor/inner'] });
  expect(readdirSync(join(precious, 'inner'))).toEqual(['keep']);
  await repointCode({ ...options, code: await codeOf(s), before: [] });
  expect(readdirSync(join(precious, 'inner'))).toEqual(['keep']);
  expect(readFileSync(join(into(), 'vendor/inner/code.py'), 'utf8')).toBe('inner\n');
});

test('a branch at the recorded commit, and nothing else in the repository', async () => {
  f.commit();
  f.write('train.py', 'print(2)\n');
  const s = await f.snapshot();
  f.git('gc', '--quiet', '--prune=now');
  const before = f.fingerprint();
  const place = { gitDir: join(f.repo, '.git'), env: f.env };
  const made = await makeBranch({ ...place, code: await codeOf(s), name: 'old/run' });
  expect(made).toEqual({ commit: s.commit, recorded: true });
  const after = f.fingerprint();
  const added = Object.keys(after).filter((path) => before[path] !== after[path]);
  expect(added.map((path) => path.slice(f.repo.length))).toEqual([
    '/.git/refs/heads/old/',
    '/.git/refs/heads/old/run',
  ]);
  expect(f.git('show', 'old/run:train.py')).toBe('print(2)\n');
  for (const [name, code] of [
    ['old/run', 'branch-exists'],
    ['old', 'git-failed'],
    ['a..b', 'branch-invalid'],
    ['-x', 'branch-invalid'],
  ] as const) {
    await expect(makeBranch({ ...place, code: await codeOf(s), name })).rejects.toMatchObject({ code });
  }
});

test('a branch from the private store, and one whose parent is gone', async () => {
  const before = await f.snapshot({ cwd: f.repo, folder: f.repo });
  f.commit();
  rmSync(join(f.repo, '.git'), { recursive: true });
  const s = await f.snapshot();
  expect([before.store, s.store]).toEqual(['repository', 'private']);
  f.init();
  const gitDir = join(f.repo, '.git');
  expect(await makeBranch({ gitDir, env: f.env, code: await codeOf(s), name: 'one' })).toMatchObject({
    recorded: true,
  });
  expect(f.git('show', 'one:train.py')).toBe('print(1)\n');
  f.commit('base');
  f.write('train.py', 'print(2)\n');
  const dirty = await f.snapshot();
  f.git('checkout', '--quiet', '--orphan', 'fresh');
  f.git('branch', '-D', 'main');
  f.commit('fresh');
  forgetHistory();
  const made = await makeBranch({ gitDir, env: f.env, code: await codeOf(dirty), name: 'two' });
  expect(made.recorded).toBe(false);
  expect(f.git('log', '--format=%H', 'two').trim()).toBe(made.commit);
  expect(f.git('fsck', '--no-dangling')).toBe('');
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
