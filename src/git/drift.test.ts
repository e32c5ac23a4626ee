import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findDrift } from './drift.ts';
import { type Fixture, makeFixture } from './git-fixture.ts';
import type { Snapshot } from './snapshot-record.ts';

let f: Fixture;
beforeEach(() => {
  f = makeFixture();
});
afterEach(() => f.remove());

const drift = (snapshot: Snapshot) =>
  findDrift({ snapshot, cwd: f.repo, env: f.env, privateDir: f.privateDir });
const indexes = () => readdirSync(join(f.privateDir, 'indexes')).filter((name) => !name.startsWith('cache-'));

test('changed and removed files, but neither new nor touched ones', async () => {
  f.init();
  for (const name of ['same', 'edited', 'removed', 'touched', 'quick']) f.write(`${name}.py`, 'v1\n');
  f.commit();
  f.write('edited.py', 'v2\n');
  f.write('untracked.py', 'v1\n');
  const s = await f.snapshot();
  expect(await drift(await f.snapshot())).toEqual([]);
  const before = f.fingerprint();
  // Same second and same size: the hardest edit to see.
  f.write('quick.py', 'v3\n');
  f.write('edited.py', 'v4 and longer\n');
  f.write('untracked.py', 'v5\n');
  f.write('new.py', 'new\n');
  rmSync(join(f.repo, 'removed.py'));
  utimesSync(join(f.repo, 'touched.py'), 1_700_000_000, 1_700_000_000);
  expect(await drift(s)).toEqual([
    { path: 'edited.py', change: 'changed' },
    { path: 'quick.py', change: 'changed' },
    { path: 'removed.py', change: 'removed' },
    { path: 'untracked.py', change: 'changed' },
  ]);
  expect(indexes()).toEqual([]);
  const user = (all: Record<string, string>) =>
    Object.entries(all).filter(([path]) => path.includes('/.git/'));
  expect(user(f.fingerprint())).toEqual(user(before));
});

test.each([0, 1000])('an edit of the same second and size, looked for %i ms later', async (later) => {
  f.init();
  f.write('train.py', 'v1\n');
  f.write('clean.py', 'v1\n');
  f.commit();
  // By the files' clock, which lags behind ours by some milliseconds.
  const second = () => Math.floor(statSync(join(f.repo, 'train.py')).mtimeMs / 1000);
  let s: Snapshot;
  let begun: number;
  do {
    await sleep(1020 - (Date.now() % 1000));
    f.write('train.py', 'v2\n');
    begun = second();
    s = await f.snapshot();
    f.write('train.py', 'v3\n');
  } while (second() !== begun);
  await sleep(later);
  expect(await drift(s)).toEqual([{ path: 'train.py', change: 'changed' }]);
});

test('works from another process, and without the index that was kept', async () => {
  f.init();
  f.write('train.py', 'v1\n');
  f.commit();
  const s: Snapshot = JSON.parse(JSON.stringify(await f.snapshot()));
  expect(indexes()).toHaveLength(1);
  f.write('train.py', 'v2\n');
  const script = `
    import { findDrift } from ${JSON.stringify(join(import.meta.dirname, 'drift.ts'))};
    process.stdout.write(JSON.stringify(await findDrift(${JSON.stringify({ snapshot: s, cwd: f.repo, env: f.env, privateDir: f.privateDir })})));`;
  const out = execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  expect(JSON.parse(out)).toEqual([{ path: 'train.py', change: 'changed' }]);
  expect(indexes()).toEqual([]);
  expect(await drift(s)).toEqual([{ path: 'train.py', change: 'changed' }]);
});

test('each run of a sweep has its own check', async () => {
  f.init();
  f.write('train.py', 'v1\n');
  f.commit();
  const all = await Promise.all([1, 2, 3].map(() => f.snapshot()));
  expect(indexes()).toHaveLength(3);
  f.write('train.py', 'v2\n');
  for (const s of all) expect(await drift(s)).toHaveLength(1);
  expect(indexes()).toEqual([]);
});

test('for a folder without repository, and for files that were left out', async () => {
  f.write('train.py', 'v1\n');
  f.write('.env', 'a');
  const s = await f.snapshot();
  f.write('train.py', 'v2\n');
  f.write('.env', 'b');
  f.write('new.py', '');
  expect(await drift(s)).toEqual([{ path: 'train.py', change: 'changed' }]);
});

test('a tracked file that could not be kept is no drift', async () => {
  f.init();
  f.write('train.py', 'v1\n');
  f.write('pipe', 'v1\n');
  f.commit();
  rmSync(join(f.repo, 'pipe'));
  execFileSync('mkfifo', [join(f.repo, 'pipe')]);
  expect(await drift(await f.snapshot())).toEqual([]);
});

test('inside a nested repository, also when that is gone', async () => {
  f.init();
  f.write('train.py', 'v1\n');
  f.commit();
  const inner = join(f.repo, 'inner');
  mkdirSync(inner);
  f.gitIn(inner, 'init', '--quiet', '-b', 'main');
  writeFileSync(join(inner, 'lib.py'), 'v1\n');
  f.gitIn(inner, 'add', '.');
  f.gitIn(inner, 'commit', '--quiet', '-m', 'x');
  writeFileSync(join(inner, 'lib.py'), 'v2\n');
  const s = await f.snapshot();
  expect(await drift(await f.snapshot())).toEqual([]);
  writeFileSync(join(inner, 'lib.py'), 'v3\n');
  expect(await drift(s)).toEqual([{ path: 'inner/lib.py', change: 'changed' }]);
  renameSync(inner, join(f.root, 'moved'));
  expect(await drift(s)).toEqual([{ path: 'inner/', change: 'removed' }]);
});

test('a read-only repository, compared with the tree in the private store', async () => {
  f.init();
  f.write('train.py', 'v1\n');
  f.commit();
  f.write('train.py', 'v2\n');
  writeFileSync(join(f.repo, '.git/refs/waddle'), 'in the way');
  const s = await f.snapshot();
  expect(s.store).toBe('private');
  expect(await drift(s)).toEqual([]);
  rmSync(join(f.repo, 'train.py'));
  expect(await drift(s)).toEqual([{ path: 'train.py', change: 'removed' }]);
});

test('without a snapshot there is nothing to compare', async () => {
  f.init();
  f.commit();
  expect(await drift(await f.snapshot({ autoCommit: false }))).toEqual([]);
});
