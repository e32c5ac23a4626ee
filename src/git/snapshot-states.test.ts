/** The states a user's repository can be in, and the outcome of each. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { bringBackCommit } from './commit.ts';
import { findDrift } from './drift.ts';
import { type Fixture, isRoot, makeFixture, snapshotUnprivileged } from './git-fixture.ts';

let f: Fixture;
beforeEach(() => {
  f = makeFixture();
});
afterEach(() => f.remove());

function start(): string {
  f.init();
  f.write('train.py', 'print(1)\n');
  f.write('lib/model.py', 'x = 1\n');
  return f.commit();
}

describe('history', () => {
  test('no commit yet: a commit without parent', async () => {
    f.init();
    f.write('train.py', 'print(1)\n');
    const s = await f.snapshot();
    expect(s).toMatchObject({
      store: 'repository',
      base: null,
      state: 'unborn',
      branch: 'main',
      dirty: true,
    });
    expect(s.changed).toEqual([{ path: 'train.py', status: 'A' }]);
    expect(f.git('cat-file', 'commit', s.commit ?? '')).not.toContain('parent');
    f.git('add', '.');
    expect((await f.snapshot()).commit).toBe(s.commit);
  });

  test('an empty repository has the empty tree', async () => {
    f.init();
    expect(await f.snapshot()).toMatchObject({
      dirty: false,
      changed_count: 0,
      state: 'unborn',
      store: 'repository',
    });
  });

  test('detached HEAD, shallow clone and linked worktree', async () => {
    const head = start();
    f.git('checkout', '--quiet', '--detach');
    expect(await f.snapshot()).toMatchObject({
      branch: null,
      base: head,
      state: 'normal',
      store: 'repository',
    });
    f.git('checkout', '--quiet', 'main');
    f.commit('two');

    const clone = join(f.root, 'clone');
    f.gitIn(f.root, 'clone', '--quiet', '--depth=1', `file://${f.repo}`, clone);
    writeFileSync(join(clone, 'train.py'), 'print(2)\n');
    const shallow = await f.snapshot({ cwd: clone });
    expect(shallow).toMatchObject({ store: 'repository', dirty: true, warnings: [] });

    const linked = join(f.root, 'linked');
    f.git('worktree', 'add', '--quiet', linked, '-b', 'side');
    writeFileSync(join(linked, 'train.py'), 'print(3)\n');
    const s = await f.snapshot({ cwd: linked });
    expect(s).toMatchObject({
      repository: linked,
      git_dir: join(f.repo, '.git'),
      branch: 'side',
      changed_count: 1,
    });
    expect(f.files(s.tree)['100644 train.py']).toBe('print(3)\n');
    expect(existsSync(join(f.repo, '.git/refs/waddle/tree', s.tree ?? ''))).toBe(true);
  });

  test('a linked worktree of a bare repository', async () => {
    start();
    const bare = join(f.root, 'bare.git');
    f.gitIn(f.root, 'clone', '--quiet', '--bare', f.repo, bare);
    const linked = join(f.root, 'linked');
    f.gitIn(bare, 'worktree', 'add', '--quiet', linked, 'main');
    writeFileSync(join(linked, 'train.py'), 'print(2)\n');
    const s = await f.snapshot({ cwd: linked });
    expect(s).toMatchObject({ store: 'repository', git_dir: bare, changed_count: 1, warnings: [] });
    writeFileSync(join(linked, 'train.py'), 'print(3)\n');
    expect(await findDrift({ snapshot: s, cwd: linked, env: f.env, privateDir: f.privateDir })).toEqual([
      { path: 'train.py', change: 'changed' },
    ]);
  });

  test('a merge with conflicts: the text with its markers, and the state', async () => {
    start();
    f.write('both.py', 'base\n');
    f.write('deleted.py', 'base\n');
    f.commit('base');
    f.git('checkout', '--quiet', '-b', 'side');
    f.write('both.py', 'side\n');
    f.write('deleted.py', 'side\n');
    f.commit('side');
    f.git('checkout', '--quiet', 'main');
    f.write('both.py', 'main\n');
    rmSync(join(f.repo, 'deleted.py'));
    const head = f.commit('main');
    expect(() => f.git('merge', 'side')).toThrow();
    rmSync(join(f.repo, 'deleted.py'), { force: true });
    f.git('status');
    const before = f.fingerprint();
    const s = await f.snapshot();
    expect(s).toMatchObject({
      state: 'merging',
      branch: 'main',
      base: head,
      store: 'repository',
      incomplete: false,
    });
    expect(s.changed).toEqual([{ path: 'both.py', status: 'U' }]);
    expect(f.files(s.tree)['100644 both.py']).toContain('<<<<<<< HEAD');
    expect(Object.keys(f.files(s.tree))).not.toContain('100644 deleted.py');
    expect(f.fingerprint()).toEqual(before);
  });

  test('a rebase in progress names the branch that is rebased', async () => {
    start();
    f.git('checkout', '--quiet', '-b', 'side');
    f.write('train.py', 'side\n');
    f.commit('side');
    f.git('checkout', '--quiet', 'main');
    f.write('train.py', 'main\n');
    f.commit('main');
    f.git('checkout', '--quiet', 'side');
    expect(() => f.git('rebase', 'main')).toThrow();
    expect(await f.snapshot()).toMatchObject({ state: 'rebasing', branch: 'side', store: 'repository' });
  });

  test('a SHA-256 repository', async () => {
    f.init('--object-format=sha256');
    f.write('train.py', 'print(1)\n');
    f.commit();
    f.write('train.py', 'print(2)\n');
    const s = await f.snapshot();
    expect(s).toMatchObject({ object_format: 'sha256', store: 'repository', changed_count: 1 });
    expect(f.git('rev-parse', `${s.commit}^{tree}`).trim()).toBe(s.tree);
  });
});

describe('configuration', () => {
  test('no identity, signing that fails, hooks and an aliased status: none of them has a say', async () => {
    start();
    f.git('config', 'commit.gpgsign', 'true');
    f.git('config', 'gpg.program', '/nonexistent');
    f.git('config', 'user.useConfigOnly', 'true');
    f.git('config', 'status.showUntrackedFiles', 'no');
    f.git('config', 'status.relativePaths', 'true');
    f.git('config', 'log.showSignature', 'true');
    f.git('config', 'color.ui', 'always');
    f.git('config', 'core.fsmonitor', join(f.repo, '.git/hooks/pre-commit'));
    const hooks = [
      'pre-commit',
      'commit-msg',
      'post-commit',
      'reference-transaction',
      'post-index-change',
      'pre-auto-gc',
    ];
    for (const name of hooks) {
      const path = join(f.repo, '.git/hooks', name);
      writeFileSync(path, `#!/bin/sh\ntouch ${f.root}/fired\nexit 1\n`);
      chmodSync(path, 0o755);
    }
    f.write('train.py', 'print(2)\n');
    f.write('lib/new.py', '1');
    const s = await f.snapshot({ cwd: join(f.repo, 'lib') });
    expect(s).toMatchObject({ store: 'repository', changed_count: 2, warnings: [] });
    expect(existsSync(join(f.root, 'fired'))).toBe(false);
  });

  test("leaked GIT_* variables do not lead git to the user's index or elsewhere", async () => {
    const head = start();
    f.write('train.py', 'print(2)\n');
    f.git('status');
    const before = f.fingerprint();
    const s = await f.snapshot({
      env: {
        ...f.env,
        GIT_INDEX_FILE: join(f.repo, '.git/index'),
        GIT_DIR: '/nonexistent',
        GIT_WORK_TREE: '/',
        GIT_OBJECT_DIRECTORY: '/nonexistent',
        GIT_CONFIG_COUNT: '1',
        GIT_CONFIG_KEY_0: 'core.bare',
        GIT_CONFIG_VALUE_0: 'true',
        GIT_TRACE: join(f.root, 'trace'),
        GIT_NAMESPACE: 'x',
      },
    });
    expect(s).toMatchObject({ base: head, changed_count: 1, store: 'repository' });
    expect(f.fingerprint()).toEqual(before);
    expect(existsSync(join(f.root, 'trace'))).toBe(false);
  });

  test("the user's global excludes count", async () => {
    start();
    writeFileSync(join(f.root, 'home/ignore'), '*.swp\n');
    writeFileSync(join(f.root, 'home/.gitconfig'), `[core]\n\texcludesFile = ${f.root}/home/ignore\n`);
    f.write('a.swp', 'x');
    expect(await f.snapshot()).toMatchObject({ dirty: false, left_out: [] });
  });

  test('split index, sparse checkout, untracked cache, index version 4', async () => {
    start();
    f.write('far/away.py', 'far\n');
    f.commit('two');
    f.git('update-index', '--index-version', '4');
    f.git('update-index', '--untracked-cache');
    f.git('update-index', '--split-index');
    f.git('sparse-checkout', 'set', '--no-cone', '/*', '!/far/');
    expect(existsSync(join(f.repo, 'far'))).toBe(false);
    f.write('train.py', 'print(2)\n');
    f.write('new.py', '1');
    const s = await f.snapshot();
    expect(s).toMatchObject({ store: 'repository', changed_count: 2, incomplete: false });
    expect(f.files(s.tree)['100644 far/away.py']).toBe('far\n');
    expect(f.files(s.tree)['100644 train.py']).toBe('print(2)\n');
  });

  test('a sparse index', async () => {
    start();
    f.write('far/away.py', 'far\n');
    f.commit('two');
    f.git('sparse-checkout', 'set', '--cone', '--sparse-index', 'lib');
    f.write('lib/model.py', 'x = 2\n');
    const before = f.fingerprint();
    const s = await f.snapshot();
    expect(s).toMatchObject({ changed: [{ path: 'lib/model.py', status: 'M' }], incomplete: false });
    expect(f.files(s.tree)['100644 far/away.py']).toBe('far\n');
    expect(f.fingerprint()).toEqual(before);
    // What comes back outside the cone counts.
    f.write('far/away.py', 'near\n');
    expect(f.files((await f.snapshot()).tree)['100644 far/away.py']).toBe('near\n');
  });

  test('a working folder that is elsewhere (core.worktree)', async () => {
    start();
    const elsewhere = join(f.root, 'elsewhere');
    mkdirSync(elsewhere);
    f.git('config', 'core.worktree', elsewhere);
    writeFileSync(join(elsewhere, 'train.py'), 'print(7)\n');
    const s = await f.snapshot();
    expect(s.repository).toBe(elsewhere);
    expect(f.files(s.tree)).toEqual({ '100644 train.py': 'print(7)\n' });
  });

  test('assume-unchanged, skip-worktree and intent-to-add hide nothing', async () => {
    start();
    f.git('update-index', '--assume-unchanged', 'train.py');
    f.git('update-index', '--skip-worktree', 'lib/model.py');
    f.write('train.py', 'print(2)\n');
    f.write('lib/model.py', 'x = 2\n');
    f.write('intended.py', 'soon\n');
    f.git('add', '--intent-to-add', 'intended.py');
    const before = f.fingerprint();
    const s = await f.snapshot();
    expect(f.files(s.tree)).toEqual({
      '100644 intended.py': 'soon\n',
      '100644 lib/model.py': 'x = 2\n',
      '100644 train.py': 'print(2)\n',
    });
    expect(s.changed_count).toBe(3);
    expect(f.fingerprint()).toEqual(before);
  });

  test('a skipped file that is not there stays as in HEAD', async () => {
    const head = start();
    f.git('update-index', '--skip-worktree', 'lib/model.py');
    rmSync(join(f.repo, 'lib'), { recursive: true });
    expect(await f.snapshot()).toMatchObject({ commit: head });
  });

  test('CRLF under autocrlf comes in and is compared as git would; mixed line ends are named', async () => {
    start();
    f.git('config', 'core.autocrlf', 'true');
    f.git('config', 'core.safecrlf', 'true');
    f.write('windows.py', 'a\r\nb\r\n');
    f.write('mixed.py', 'a\r\nb\n');
    const s = await f.snapshot();
    expect(f.files(s.tree)['100644 windows.py']).toBe('a\nb\n');
    expect(s.warnings).toMatchObject([{ code: 'line-ends' }]);
    expect(s.warnings[0]?.message).toMatch(/: mixed\.py$/);
    expect(s.incomplete).toBe(false);
  });

  test('filters run; a required one that is missing leaves the content as it lies on disk', async () => {
    start();
    f.write('.gitattributes', '*.bin filter=big\n*.opt filter=optional\n');
    f.git('config', 'filter.big.clean', "sed 's/^/pointer to /'");
    f.git('config', 'filter.big.required', 'true');
    f.write('w.bin', 'weights\n');
    f.commit('with filter');
    f.write('v.bin', 'more\n');
    const s = await f.snapshot();
    expect(f.files(s.tree)['100644 v.bin']).toBe('pointer to more\n');
    expect(s.warnings).toEqual([]);

    f.git('config', 'filter.big.clean', '/nonexistent/clean %f');
    // Same size, other time: git status itself has to run the filter, and fails.
    utimesSync(join(f.repo, 'w.bin'), 1_700_000_000, 1_700_000_000);
    const raw = await f.snapshot();
    expect(raw.store).toBe('repository');
    expect(f.files(raw.tree)['100644 v.bin']).toBe('more\n');
    expect(raw.warnings).toMatchObject([{ code: 'filter-missing' }]);

    f.git('config', 'filter.optional.clean', '/nonexistent/optional');
    f.write('x.opt', 'optional\n');
    const optional = await f.snapshot();
    expect(f.files(optional.tree)['100644 x.opt']).toBe('optional\n');
    expect(optional.warnings[0]?.message).toContain('/nonexistent/optional');
  });

  test('a file that git cannot convert is kept raw', async () => {
    start();
    f.write('.gitattributes', '*.utf16 working-tree-encoding=UTF-16LE-BOM\n');
    f.write('bad.utf16', 'not utf16');
    f.write('good.py', 'fine\n');
    const s = await f.snapshot();
    expect(f.files(s.tree)).toMatchObject({ '100644 bad.utf16': 'not utf16', '100644 good.py': 'fine\n' });
    expect(s.warnings).toMatchObject([{ code: 'stored-raw' }]);
  });
});

describe('files', () => {
  test('odd names, links, modes and swaps are exact', async () => {
    start();
    f.write('swap/inner.py', 'folder\n');
    f.write('flat', 'file\n');
    f.write('linked/real.py', 'real\n');
    f.write('exec.sh', '#!/bin/sh\n');
    f.commit('two');
    rmSync(join(f.repo, 'swap'), { recursive: true });
    f.write('swap', 'now a file\n');
    rmSync(join(f.repo, 'flat'));
    f.write('flat/inner.py', 'now a folder\n');
    renameSync(join(f.repo, 'linked'), join(f.repo, 'moved'));
    symlinkSync('moved', join(f.repo, 'linked'));
    symlinkSync('/nowhere at all', join(f.repo, 'dangling'));
    chmodSync(join(f.repo, 'exec.sh'), 0o755);
    const names = [
      'new\nline',
      'quo"te',
      "apo'strophe",
      '-dash',
      ':colon',
      ':(top)x',
      'sp ace ',
      'tab\t',
      '*glob*',
      'a\\x41b',
      'naïve',
    ];
    for (const name of names) f.write(name, name);
    const odd = Buffer.from([0x6f, 0xff, 0xfe, 0x64]);
    f.write(odd, 'bytes');
    const s = await f.snapshot();
    const files = f.files(s.tree);
    expect(files).toMatchObject({
      '100644 swap': 'now a file\n',
      '100644 flat/inner.py': 'now a folder\n',
      '120000 linked': 'moved',
      '100644 moved/real.py': 'real\n',
      '120000 dangling': '/nowhere at all',
      '100755 exec.sh': '#!/bin/sh\n',
      [`100644 ${odd.toString('latin1')}`]: 'bytes',
    });
    for (const name of names) {
      const key = `100644 ${Buffer.from(name).toString('latin1')}`;
      expect(Buffer.from(files[key] ?? '', 'latin1').toString()).toBe(name);
    }
    expect(files).not.toHaveProperty(['100644 linked/real.py']);
    expect(s).toMatchObject({ incomplete: false, warnings: [] });
    expect(s.changed.map((each) => each.path)).toContain('o\\xff\\xfed');
    expect(s.changed).toContainEqual({ path: 'linked', status: 'A' });
  });

  test('a FIFO in place of a tracked file is named and does not hang', async () => {
    start();
    rmSync(join(f.repo, 'train.py'));
    execFileSync('mkfifo', [join(f.repo, 'train.py'), join(f.repo, 'other')]);
    const s = await f.snapshot();
    expect(s.left_out.map((each) => [each.path, each.reason])).toEqual([['train.py', 'special']]);
  });

  test('unreadable files and folders are named, the rest is kept', () => {
    start();
    f.write('closed.py', 'x');
    f.write('vault/inner.py', 'x');
    f.write('open.py', 'x');
    if (isRoot) execFileSync('chown', ['-R', '65534:65534', f.root]);
    chmodSync(join(f.repo, 'closed.py'), 0);
    chmodSync(join(f.repo, 'vault'), 0);
    const s = snapshotUnprivileged(f);
    chmodSync(join(f.repo, 'vault'), 0o755);
    expect(s.left_out.map((each) => [each.path, each.reason])).toEqual([
      ['closed.py', 'unreadable'],
      ['vault/', 'unreadable'],
    ]);
    expect(s).toMatchObject({ store: 'repository', incomplete: true });
    expect(s.changed).toEqual([{ path: 'open.py', status: 'A' }]);
  });
});

describe("where the user's repository cannot hold the snapshot", () => {
  test('a read-only .git: objects of our own beside the borrowed ones', async () => {
    const head = start();
    f.write('train.py', 'print(2)\n');
    if (isRoot) execFileSync('chown', ['-R', '65534:65534', f.root]);
    execFileSync('chmod', ['-R', 'a-w', join(f.repo, '.git')]);
    const before = f.fingerprint();
    const s = snapshotUnprivileged(f);
    expect(f.fingerprint()).toEqual(before);
    execFileSync('chmod', ['-R', 'u+w', join(f.repo, '.git')]);
    expect(s).toMatchObject({ store: 'private', git_dir: f.privateDir, base: head, changed_count: 1 });
    expect(s.warnings).toMatchObject([{ code: 'repository-read-only' }]);
    expect(existsSync(join(f.repo, '.git/refs/waddle'))).toBe(false);
    f.env.GIT_CONFIG_COUNT = '1';
    f.env.GIT_CONFIG_KEY_0 = 'safe.directory';
    f.env.GIT_CONFIG_VALUE_0 = '*';
    expect(f.files(s.tree, f.privateDir)).toEqual({
      '100644 lib/model.py': 'x = 1\n',
      '100644 train.py': 'print(2)\n',
    });
    f.gitIn(f.root, `--git-dir=${f.privateDir}`, 'fsck', '--strict', '--no-dangling');
  });

  test('a corrupt index', async () => {
    const head = start();
    f.write('new.py', '1');
    writeFileSync(join(f.repo, '.git/index'), 'garbage');
    const s = await f.snapshot();
    expect(s).toMatchObject({
      store: 'private',
      base: head,
      branch: 'main',
      changed_count: 1,
      incomplete: false,
    });
    expect(s.warnings).toMatchObject([{ code: 'index-corrupt' }]);
    expect(readFileSync(join(f.repo, '.git/index'), 'utf8')).toBe('garbage');
    expect(Object.keys(f.files(s.tree, f.privateDir))).toHaveLength(3);
  });

  test('a missing index is no trouble', async () => {
    start();
    f.write('big.bin', Buffer.alloc(2000));
    const head = f.commit('two');
    rmSync(join(f.repo, '.git/index'));
    const s = await f.snapshot({ policy: { maxFileBytes: 1000 } });
    expect(s).toMatchObject({ store: 'repository', commit: head, incomplete: false });
    expect(existsSync(join(f.repo, '.git/index'))).toBe(false);
  });

  test('no repository: the files that .gitignore lets through, the same commit again, no file read twice', async () => {
    f.write('train.py', 'print(1)\n');
    f.write('.gitignore', '*.ckpt\n');
    f.write('deep/.gitignore', 'out\n');
    f.write('deep/out/log', 'x');
    f.write('w.ckpt', 'x');
    f.write('.env', 'SECRET=1');
    f.write('node_modules/x/index.js', 'x');
    f.write('.venv/bin/python', 'x');
    f.write('huge.bin', Buffer.alloc(2000));
    const take = () => f.snapshot({ policy: { maxFileBytes: 1000 } });
    const s = await take();
    expect(s).toMatchObject({
      store: 'private',
      repository: f.repo,
      git_dir: f.privateDir,
      base: null,
      branch: null,
      dirty: true,
      incomplete: true,
    });
    expect(f.files(s.tree, f.privateDir)).toEqual({
      '100644 .gitignore': '*.ckpt\n',
      '100644 deep/.gitignore': 'out\n',
      '100644 train.py': 'print(1)\n',
    });
    expect(s.left_out.map((each) => each.reason)).toEqual(['secret', 'size']);
    expect(s.warnings[0]?.code).toBe('no-repository');
    expect((await take()).commit).toBe(s.commit);
    rmSync(join(f.repo, 'train.py'));
    f.write('other.py', '2');
    f.write('.gitignore', '');
    const t = await take();
    expect(Object.keys(f.files(t.tree, f.privateDir))).toEqual([
      '100644 .gitignore',
      '100644 deep/.gitignore',
      '100644 other.py',
      '100644 w.ckpt',
    ]);
    expect(existsSync(join(f.repo, '.git'))).toBe(false);
    f.gitIn(f.root, `--git-dir=${f.privateDir}`, 'gc', '--quiet', '--prune=now');
    expect(f.files(s.tree, f.privateDir)['100644 train.py']).toBe('print(1)\n');
  });

  test('of a home folder only the files directly in it', async () => {
    f.write('train.py', '1');
    f.write('.bash_history', 'secret');
    f.write('Documents/letter.txt', 'private');
    const s = await f.snapshot({ env: { ...f.env, HOME: f.repo } });
    expect(Object.keys(f.files(s.tree, f.privateDir))).toEqual(['100644 train.py']);
    expect(s.warnings.map((each) => each.code)).toContain('home-folder');
    expect(s).toMatchObject({ incomplete: true, left_out: [{ path: 'Documents/', reason: 'excluded' }] });
  });

  test('a bare repository', async () => {
    f.git('init', '--quiet', '--bare', '.');
    const before = f.fingerprint();
    const s = await f.snapshot();
    expect(s.store).toBe('private');
    expect(s.warnings[0]?.code).toBe('bare');
    expect(f.fingerprint()).toEqual(before);
  });

  test.runIf(isRoot)(
    'dubious ownership: not overridden, the fix printed, the whole repository kept',
    async () => {
      start();
      chownSync(f.repo, 65534, 65534);
      chownSync(join(f.repo, '.git'), 65534, 65534);
      const s = await f.snapshot({ cwd: join(f.repo, 'lib') });
      expect(s).toMatchObject({ store: 'private', repository: f.repo, prefix: 'lib' });
      expect(s.warnings[0]).toMatchObject({ code: 'dubious-ownership' });
      expect(s.warnings[0]?.hint).toContain(`safe.directory '${f.repo}'`);
      expect(Object.keys(f.files(s.tree, f.privateDir))).toHaveLength(2);
    },
  );

  test('broken: HEAD without its commit, a broken configuration, a .git file that leads nowhere', async () => {
    start();
    const kept = readFileSync(join(f.repo, '.git/config'));
    appendFileSync(join(f.repo, '.git/config'), '[broken');
    const config = await f.snapshot();
    expect(config).toMatchObject({ store: 'private', changed_count: 2 });
    expect(config.warnings[0]?.code).toBe('corrupt');
    writeFileSync(join(f.repo, '.git/config'), kept);

    writeFileSync(join(f.repo, '.git/refs/heads/main'), `${'1'.repeat(40)}\n`);
    const head = await f.snapshot();
    expect(head.tree).not.toBe(null);
    expect(head.warnings.length).toBeGreaterThan(0);

    rmSync(join(f.repo, '.git'), { recursive: true });
    f.write('.git', 'gitdir: /nowhere\n');
    const file = await f.snapshot();
    expect(file).toMatchObject({ store: 'private', changed_count: 2 });
    expect(file.warnings[0]?.code).toBe('corrupt');
  });

  test('refs that cannot be written, though permissions say nothing of it', async () => {
    const head = start();
    f.write('train.py', 'print(2)\n');
    writeFileSync(join(f.repo, '.git/refs/waddle'), 'in the way');
    const s = await f.snapshot();
    expect(s).toMatchObject({ store: 'private', base: head, changed_count: 1 });
    expect(s.warnings[0]?.code).toBe('repository-read-only');
  });

  test('nowhere to write at all: the run still has an outcome', async () => {
    f.write('train.py', '1');
    writeFileSync(join(f.root, 'file'), '');
    const s = await f.snapshot({ privateDir: join(f.root, 'file/git') });
    expect(s).toMatchObject({ store: 'none', tree: null, incomplete: true });
    expect(s.warnings[0]?.code).toBe('snapshot-failed');
  });
});

describe('repositories inside', () => {
  function submodule(): string {
    start();
    const library = join(f.root, 'library');
    mkdirSync(library);
    f.gitIn(library, 'init', '--quiet', '-b', 'main');
    writeFileSync(join(library, 'lib.py'), 'v1\n');
    f.gitIn(library, 'add', '.');
    f.gitIn(library, 'commit', '--quiet', '-m', 'lib');
    f.git('submodule', '--quiet', 'add', library, 'sub');
    f.commit('submodule');
    return join(f.repo, 'sub');
  }

  test('a clean submodule is HEAD, and its tree is recorded and pinned', async () => {
    const sub = submodule();
    f.git('status');
    const before = f.fingerprint();
    const s = await f.snapshot();
    const tree = f.gitIn(sub, 'rev-parse', 'HEAD^{tree}').trim();
    expect(s).toMatchObject({
      dirty: false,
      nested: [{ path: 'sub', tree, commit: f.gitIn(sub, 'rev-parse', 'HEAD').trim() }],
    });
    expect(s.commit).toBe(s.base);
    expect(existsSync(join(f.repo, '.git/modules/sub/refs/waddle/tree', tree))).toBe(true);
    expect(f.fingerprint()).toEqual(before);
  });

  test('a dirty submodule is recorded with what is uncommitted in it', async () => {
    const sub = submodule();
    writeFileSync(join(sub, 'lib.py'), 'v2\n');
    writeFileSync(join(sub, '.env'), 'secret');
    f.git('status');
    const before = f.fingerprint();
    const s = await f.snapshot();
    expect(s).toMatchObject({ dirty: true, changed: [{ path: 'sub', status: 'M' }], incomplete: true });
    expect(s.left_out.map((each) => each.path)).toEqual(['sub/.env']);
    const nested = s.nested[0];
    expect(f.files(s.tree)['160000 sub']).toBe(nested?.commit);
    expect(f.gitIn(sub, 'show', `${nested?.tree}:lib.py`)).toBe('v2\n');
    expect(f.fingerprint()).toEqual(before);
  });

  test('submodules: a new commit, one in conflict, one replaced by a file', async () => {
    const sub = submodule();
    const commitIn = (text: string): string => {
      writeFileSync(join(sub, 'lib.py'), text);
      f.gitIn(sub, 'commit', '--quiet', '--all', '-m', text.trim());
      return f.gitIn(sub, 'rev-parse', 'HEAD').trim();
    };
    f.gitIn(sub, 'checkout', '--quiet', '--detach');
    const first = f.gitIn(sub, 'rev-parse', 'HEAD').trim();
    f.git('checkout', '--quiet', '-b', 'side');
    const moved = commitIn('v2\n');
    const s = await f.snapshot();
    expect(f.files(s.tree)['160000 sub']).toBe(moved);
    f.commit('side');
    f.git('checkout', '--quiet', 'main');
    f.gitIn(sub, 'checkout', '--quiet', first);
    commitIn('v3\n');
    f.commit('main');
    expect(() => f.git('merge', 'side')).toThrow();
    const merging = await f.snapshot();
    expect(merging).toMatchObject({ state: 'merging', store: 'repository', incomplete: false });
    expect(f.files(merging.tree)['160000 sub']).toBe(f.gitIn(sub, 'rev-parse', 'HEAD').trim());
    f.git('merge', '--abort');
    rmSync(sub, { recursive: true });
    f.write('sub', 'a file\n');
    expect(f.files((await f.snapshot()).tree)['100644 sub']).toBe('a file\n');
  });

  test('a submodule whose git dir is broken is kept as files, and spoils nothing else', async () => {
    const sub = submodule();
    writeFileSync(join(sub, '.git'), 'gitdir: /nowhere\n');
    f.write('train.py', 'print(2)\n');
    const s = await f.snapshot();
    expect(s).toMatchObject({ store: 'repository', changed_count: 2, nested: [{ path: 'sub' }] });
    expect(s.warnings).toMatchObject([{ code: 'corrupt' }]);
    expect(f.files(s.nested[0]?.tree ?? '', f.privateDir)).toEqual({ '100644 lib.py': 'v1\n' });
    expect(await f.snapshot({ autoCommit: false })).toMatchObject({ dirty: true, warnings: [] });
  });

  test('an untracked folder with a broken .git file', async () => {
    start();
    f.write('odd/.git', 'gitdir: /nowhere\n');
    f.write('odd/code.py', 'x');
    const s = await f.snapshot();
    expect(s).toMatchObject({ store: 'repository', dirty: true });
    expect(JSON.stringify([s.nested, s.changed])).toContain('odd');
  });

  test('a submodule that is not there stays as in HEAD', async () => {
    submodule();
    f.git('submodule', '--quiet', 'deinit', '--all');
    expect(await f.snapshot()).toMatchObject({ dirty: false, nested: [], incomplete: false });
  });

  test('nested clones, with and without commits, and one within one', async () => {
    const head = start();
    for (const path of ['clone', 'clone/inner', 'fresh']) {
      const folder = join(f.repo, path);
      mkdirSync(folder);
      f.gitIn(folder, 'init', '--quiet', '-b', 'main');
      writeFileSync(join(folder, 'code.py'), `${path}\n`);
      if (path === 'clone') {
        f.gitIn(folder, 'add', '.');
        f.gitIn(folder, 'commit', '--quiet', '-m', 'x');
      }
    }
    const s = await f.snapshot();
    expect(s.base).toBe(head);
    expect(s.nested.map((each) => each.path)).toEqual(['clone', 'clone/inner', 'fresh']);
    expect(f.files(s.tree)).toMatchObject({
      '160000 clone': s.nested[0]?.commit,
      '160000 fresh': s.nested[2]?.commit,
    });
    expect(f.gitIn(join(f.repo, 'fresh'), 'show', `${s.nested[2]?.tree}:code.py`)).toBe('fresh\n');
    expect(f.gitIn(join(f.repo, 'clone/inner'), 'show', `${s.nested[1]?.tree}:code.py`)).toBe(
      'clone/inner\n',
    );
  });

  test('a linked worktree of the same repository inside it is not code of this one', async () => {
    const head = start();
    f.git('worktree', 'add', '--quiet', join(f.repo, 'wt'), '-b', 'side');
    const s = await f.snapshot();
    expect(s).toMatchObject({ commit: head, incomplete: false, nested: [] });
    expect(s.left_out).toMatchObject([{ path: 'wt/', reason: 'excluded' }]);
  });

  test('in a folder without repository too', async () => {
    f.write('train.py', '1');
    mkdirSync(join(f.repo, 'clone'));
    f.gitIn(join(f.repo, 'clone'), 'init', '--quiet', '-b', 'main');
    f.write('clone/code.py', 'x');
    const s = await f.snapshot();
    expect(s.nested).toMatchObject([{ path: 'clone' }]);
    expect(f.files(s.tree, f.privateDir)['160000 clone']).toBe(s.nested[0]?.commit);
  });
});

test('a commit is brought back bit for bit from its record', async () => {
  start();
  f.write('train.py', 'print(2)\n');
  const s = await f.snapshot({ message: 'ünïcode, "quotes"\n\nand a body\n' });
  f.git('gc', '--quiet', '--prune=now');
  expect(spawnSync('git', ['cat-file', '-e', s.commit ?? ''], { cwd: f.repo, env: f.env }).status).not.toBe(
    0,
  );
  const id = await bringBackCommit({
    gitDir: s.git_dir ?? '',
    commit_object: s.commit_object ?? '',
    env: f.env,
  });
  expect(id).toBe(s.commit);
  expect(f.git('rev-parse', `${id}^{tree}`).trim()).toBe(s.tree);
});
