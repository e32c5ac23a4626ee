import { chownSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type Fixture, isRoot, makeFixture } from './git-fixture.ts';
import { gitVersion, inspectRepository } from './repository.ts';

let f: Fixture;
beforeEach(() => {
  f = makeFixture();
});
afterEach(() => f.remove());

const inspect = (cwd = f.repo) => inspectRepository({ cwd, env: f.env });

test('top, git dirs, head, branch and state', async () => {
  f.init();
  expect(await inspect()).toMatchObject({ kind: 'repository', head: null, branch: 'main', state: 'unborn' });
  f.write('lib/a', 'a');
  const head = f.commit();
  const gitDir = join(f.repo, '.git');
  const whole = {
    kind: 'repository',
    top: f.repo,
    gitDir,
    commonDir: gitDir,
    head,
    branch: 'main',
    state: 'normal',
  };
  expect(await inspect(join(f.repo, 'lib'))).toMatchObject(whole);
  symlinkSync(join(f.repo, 'lib'), join(f.root, 'link'));
  expect(await inspect(join(f.root, 'link'))).toMatchObject(whole);
  f.git('checkout', '--quiet', '-b', 'feature/x');
  expect(await inspect()).toMatchObject({ branch: 'feature/x' });
  const linked = join(f.root, 'a\nb');
  f.git('worktree', 'add', '--quiet', '--detach', linked);
  expect(await inspect(linked)).toMatchObject({ top: linked, commonDir: gitDir, branch: null, head });
  f.git('bisect', 'start');
  expect(await inspect()).toMatchObject({ state: 'bisecting' });
});

test('what is wrong, by kind', async () => {
  expect(await inspect()).toMatchObject({ kind: 'none' });
  expect(await inspect('/nonexistent')).toMatchObject({ kind: 'none' });
  const bare = join(f.root, 'bare');
  mkdirSync(bare);
  f.gitIn(bare, 'init', '--quiet', '--bare');
  expect(await inspect(bare)).toMatchObject({ kind: 'bare' });
  f.init();
  f.write('a', 'a');
  f.commit();
  expect(await inspect(join(f.repo, '.git'))).toMatchObject({ kind: 'bare' });
  writeFileSync(join(f.repo, '.git/index'), 'garbage');
  expect(await inspect()).toMatchObject({ kind: 'corrupt' });
  const missing = await inspectRepository({ cwd: f.repo, env: { PATH: '/nonexistent' } });
  expect(missing).toMatchObject({ kind: 'git-missing' });
  if (isRoot) {
    chownSync(f.repo, 65534, 65534);
    chownSync(join(f.repo, '.git'), 65534, 65534);
    expect(await inspect()).toMatchObject({ kind: 'dubious-ownership' });
  }
});

test('the version of git', async () => {
  expect(await gitVersion(f.env)).toMatch(/^\d+\.\d+/);
  expect(await gitVersion({ PATH: '/nonexistent' })).toBe(null);
});
