import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { checkoutCode } from './checkout.ts';
import { type Fixture, makeFixture } from './git-fixture.ts';
import { makePack, takePack } from './pack.ts';
import { findRecordedCode } from './recorded-code.ts';
import { listPinned } from './refs.ts';
import type { Snapshot } from './snapshot-record.ts';

let f: Fixture;
beforeEach(() => {
  f = makeFixture();
  f.init();
  for (let n = 0; n < 300; n += 1) f.write(`src/file${n}.py`, `# ${n}\n${'value = 42\n'.repeat(n)}`);
});
afterEach(() => f.remove());

const packed = (s: Snapshot, base: string | null = s.base) => ({
  commit: s.commit ?? '',
  commitObject: s.commit_object,
  tree: s.tree ?? '',
  base,
});

function clone(...args: string[]): string {
  f.gitIn(f.root, 'clone', '--quiet', ...args, f.repo, 'clone');
  return join(f.root, 'clone');
}

test('a thin pack of three changed files is small, and becomes the code in another clone', async () => {
  f.commit();
  const other = clone();
  for (const n of [100, 200, 299]) f.write(`src/file${n}.py`, `# other\n${'value = 43\n'.repeat(n)}`);
  const s = await f.snapshot();
  // The commit is loose and on no branch: a collection drops it, the record brings it back.
  f.git('gc', '--quiet', '--prune=now');
  const file = join(f.root, 'code.pack');
  await makePack({ gitDir: join(f.repo, '.git'), code: packed(s), file, env: f.env });
  expect(statSync(file).size).toBeLessThan(5 * 1024);
  const gitDir = join(other, '.git');
  await takePack({ gitDir, code: packed(s), file, env: f.env });
  expect(await listPinned({ gitDir, env: f.env })).toEqual([s.tree]);
  expect(f.gitIn(other, 'fsck', '--no-dangling')).toBe('');
  expect(f.gitIn(other, 'log', '--all', '--format=%H').trim().split('\n')).toHaveLength(1);
  f.gitIn(other, 'gc', '--quiet', '--prune=now');
  const code = await findRecordedCode({
    snapshot: { ...s, repository: '/nowhere', git_dir: '/nowhere/.git' },
    env: f.env,
    privateDir: f.privateDir,
    places: [other],
  });
  expect(code.gitDir).toBe(gitDir);
  const { head } = await checkoutCode({ code, into: join(f.root, 'out'), env: f.env });
  expect(head).toMatchObject({ commit: s.commit, recorded: true, shallow: false });
  expect(f.gitIn(join(f.root, 'out'), 'show', 'HEAD:src/file299.py')).toContain('value = 43');
  // Taking it again changes nothing.
  await takePack({ gitDir, code: packed(s), file, env: f.env });
});

test('a pack without base stands by itself; one whose base is unknown, cut or of another run is refused', async () => {
  f.commit();
  f.write('src/file1.py', 'changed\n');
  const s = await f.snapshot();
  const gitDir = join(f.repo, '.git');
  const whole = join(f.root, 'whole.pack');
  const thin = join(f.root, 'thin.pack');
  await makePack({ gitDir, code: packed(s, null), file: whole, env: f.env });
  await makePack({ gitDir, code: packed(s), file: thin, env: f.env });
  const empty = join(f.root, 'empty.git');
  f.gitIn(f.root, 'init', '--quiet', '--bare', empty);
  const take = (code: ReturnType<typeof packed>, file: string) =>
    takePack({ gitDir: empty, code, file, env: f.env });
  await expect(take(packed(s), thin)).rejects.toMatchObject({ code: 'pack-base-missing' });
  await expect(take(packed(s, null), thin)).rejects.toMatchObject({ code: 'pack-failed' });
  const cut = join(f.root, 'cut.pack');
  writeFileSync(cut, 'PACK nothing');
  await expect(take(packed(s, null), cut)).rejects.toMatchObject({ code: 'pack-failed' });
  await expect(take({ ...packed(s, null), tree: '1'.repeat(40) }, whole)).rejects.toMatchObject({
    code: 'pack-failed',
  });
  expect(await listPinned({ gitDir: empty, env: f.env })).toEqual([]);
  await take(packed(s, null), whole);
  expect(await listPinned({ gitDir: empty, env: f.env })).toEqual([s.tree]);
});
