import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Fixture, makeFixture } from './git-fixture.ts';
import { takeSnapshot } from './snapshot.ts';

let f: Fixture;
beforeEach(() => {
  f = makeFixture();
  f.init();
  f.write('train.py', 'print(1)\n');
  f.write('lib/model.py', 'x = 1\n');
});
afterEach(() => f.remove());

describe('the common path', () => {
  test('a clean workspace is HEAD, its tree pinned, and no commit is made', async () => {
    const head = f.commit();
    const before = f.fingerprint();
    const s = await f.snapshot();
    expect(s).toMatchObject({
      store: 'repository',
      repository: f.repo,
      git_dir: join(f.repo, '.git'),
      prefix: '',
      base: head,
      commit: head,
      commit_object: null,
      branch: 'main',
      state: 'normal',
      dirty: false,
      incomplete: false,
      left_out: [],
      nested: [],
      changed: [],
      changed_count: 0,
      object_format: 'sha1',
      warnings: [],
    });
    expect(s.tree).toBe(f.git('rev-parse', 'HEAD^{tree}').trim());
    expect(f.git('for-each-ref', '--format=%(refname)', 'refs/waddle').trim()).toBe(
      `refs/waddle/tree/${s.tree}`,
    );
    expect(f.fingerprint()).toEqual(before);
  });

  test('staged, unstaged and untracked changes go in, ignored files do not, and nothing of the user moves', async () => {
    f.write('.gitignore', '*.ckpt\n/out/\n');
    f.write('gone.py', 'bye\n');
    f.write('both.py', 'v0\n');
    const head = f.commit();
    f.write('both.py', 'staged\n');
    f.write('staged.py', 'new and staged\n');
    f.git('add', '.');
    f.write('both.py', 'unstaged\n');
    f.write('train.py', 'print(2)\n');
    f.write('notes/idea.md', 'untracked\n');
    f.write('w.ckpt', 'weights');
    f.write('out/log', 'x');
    execFileSync('rm', [join(f.repo, 'gone.py')]);
    const status = f.git('status', '--porcelain');
    const before = f.fingerprint();
    const s = await f.snapshot();
    expect(f.files(s.tree)).toEqual({
      '100644 .gitignore': '*.ckpt\n/out/\n',
      '100644 both.py': 'unstaged\n',
      '100644 lib/model.py': 'x = 1\n',
      '100644 notes/idea.md': 'untracked\n',
      '100644 staged.py': 'new and staged\n',
      '100644 train.py': 'print(2)\n',
    });
    expect(s).toMatchObject({
      base: head,
      dirty: true,
      incomplete: false,
      store: 'repository',
      changed_count: 5,
    });
    expect(s.changed).toEqual([
      { path: 'both.py', status: 'M' },
      { path: 'gone.py', status: 'D' },
      { path: 'notes/idea.md', status: 'A' },
      { path: 'staged.py', status: 'A' },
      { path: 'train.py', status: 'M' },
    ]);
    expect(f.git('cat-file', 'commit', s.commit ?? '')).toBe(s.commit_object);
    expect(f.git('rev-parse', `${s.commit}^`).trim()).toBe(head);
    expect(f.fingerprint()).toEqual(before);
    expect(f.git('status', '--porcelain')).toBe(status);
    expect(f.git('log', '--all', '--format=%H').trim()).toBe(head);
    expect(f.git('stash', 'list')).toBe('');
  });

  test('the same content gives the same commit, whoever takes it and when', async () => {
    f.commit();
    f.write('train.py', 'print(2)\n');
    const one = await f.snapshot();
    f.git('config', 'user.name', 'Somebody Else');
    f.git('config', 'i18n.commitEncoding', 'ISO-8859-1');
    f.env.GIT_AUTHOR_DATE = '2001-01-01T00:00:00Z';
    const two = await f.snapshot();
    expect(two.commit).toBe(one.commit);
    const other = await f.snapshot({ message: 'tried a larger step – ünïcode' });
    expect(other.tree).toBe(one.tree);
    expect(other.commit).not.toBe(one.commit);
    expect(f.git('log', '-1', '--format=%s', other.commit ?? '').trim()).toBe(
      'tried a larger step – ünïcode',
    );
  });

  test('the tree outlives the branch and a collection', async () => {
    f.commit();
    f.write('train.py', 'print(2)\n');
    const dirty = await f.snapshot();
    const clean = f.commit('two');
    const pinned = await f.snapshot();
    f.git('reset', '--quiet', '--hard', 'HEAD^');
    f.git('reflog', 'expire', '--expire=now', '--all');
    f.git('gc', '--quiet', '--prune=now');
    expect(pinned.base).toBe(clean);
    expect(spawnSync('git', ['cat-file', '-e', clean], { cwd: f.repo, env: f.env }).status).not.toBe(0);
    expect(f.files(dirty.tree)['100644 train.py']).toBe('print(2)\n');
    expect(f.files(pinned.tree)['100644 train.py']).toBe('print(2)\n');
  });

  test('--no-auto-commit stores nothing and says whether the workspace was dirty', async () => {
    const head = f.commit();
    expect(await f.snapshot({ autoCommit: false })).toMatchObject({
      store: 'none',
      base: head,
      commit: head,
      dirty: false,
    });
    f.write('new.py', 'x');
    const objects = f.git('count-objects', '-v');
    expect(await f.snapshot({ autoCommit: false })).toMatchObject({
      commit: head,
      dirty: true,
      changed: [{ path: 'new.py', status: 'A' }],
      warnings: [],
    });
    expect(f.git('count-objects', '-v')).toBe(objects);
    expect(f.git('for-each-ref', 'refs/waddle')).toBe('');
    expect(readdirSync(join(f.privateDir, 'indexes'))).toEqual([]);
  });

  test.each([
    ['in the same second', 0],
    ['in a later second', 1000],
  ])('same-second, same-size edits are seen by a snapshot %s', async (_, later) => {
    // The commit and the edit have to fall into one second of the files' clock, which lags behind ours by some milliseconds.
    const seconds = new Set<number>();
    const note = (path: string) => seconds.add(Math.floor(statSync(join(f.repo, path)).mtimeMs / 1000));
    while (seconds.size !== 1) {
      seconds.clear();
      await sleep(1020 - (Date.now() % 1000));
      f.write('train.py', 'print(1)\n');
      note('train.py');
      f.commit();
      note('.git/index');
      f.write('train.py', 'print(2)\n');
      note('train.py');
    }
    await sleep(later);
    const s = await f.snapshot();
    expect(f.files(s.tree)['100644 train.py']).toBe('print(2)\n');
  });

  test('from a subfolder and through a symbolic link, the whole repository is recorded', async () => {
    const head = f.commit();
    f.write('train.py', 'print(2)\n');
    const link = join(f.root, 'link');
    symlinkSync(f.repo, link);
    const s = await f.snapshot({ cwd: join(link, 'lib') });
    expect(s).toMatchObject({ repository: f.repo, prefix: 'lib', base: head });
    expect(f.files(s.tree)['100644 train.py']).toBe('print(2)\n');
  });

  test('.waddle is never part of it, at any depth', async () => {
    f.commit();
    mkdirSync(join(f.repo, '.waddle/git'), { recursive: true });
    f.write('.waddle/waddle.sqlite', 'db');
    f.write('lib/.waddle/runs/x.jsonl', '{}');
    const s = await f.snapshot({ privateDir: join(f.repo, '.waddle/git') });
    expect(s).toMatchObject({ dirty: false, left_out: [] });
    expect(s.commit).toBe(s.base);
    f.write('new.py', '1');
    const t = await f.snapshot({ privateDir: join(f.repo, '.waddle/git') });
    expect(Object.keys(f.files(t.tree)).some((path) => path.includes('.waddle'))).toBe(false);
  });

  test('eight at once agree', async () => {
    f.commit();
    for (let i = 0; i < 50; i += 1) f.write(`new${i}.py`, `${i}`);
    const all = await Promise.all(Array.from({ length: 8 }, () => f.snapshot()));
    expect(new Set(all.map((s) => s.commit)).size).toBe(1);
    expect(all.flatMap((s) => s.warnings)).toEqual([]);
  });

  test('at most ten git processes', async () => {
    f.commit();
    f.write('train.py', 'print(2)\n');
    f.write('new.py', '1');
    execFileSync('rm', [join(f.repo, 'lib/model.py')]);
    const trace = join(f.root, 'bin');
    mkdirSync(trace);
    const real = execFileSync('sh', ['-c', 'command -v git'], { env: f.env }).toString().trim();
    writeFileSync(join(trace, 'git'), `#!/bin/sh\necho x >> ${f.root}/count\nexec ${real} "$@"\n`);
    chmodSync(join(trace, 'git'), 0o755);
    await f.snapshot({ env: { ...f.env, PATH: `${trace}:${f.env.PATH}` } });
    const count = execFileSync('wc', ['-l', join(f.root, 'count')]).toString();
    expect(Number.parseInt(count, 10)).toBeLessThanOrEqual(10);
  });
});

describe('what is left out', () => {
  test('large untracked files, by name, size and time; tracked ones have no cap', async () => {
    f.write('tracked.bin', 'small');
    f.commit();
    f.write('tracked.bin', Buffer.alloc(3000));
    f.write('data/big.bin', Buffer.alloc(2000));
    utimesSync(join(f.repo, 'data/big.bin'), 1_700_000_000, 1_700_000_000);
    const s = await f.snapshot({ policy: { maxFileBytes: 1000 } });
    expect(s.left_out).toEqual([{ path: 'data/big.bin', size: 2000, mtime: 1_700_000_000, reason: 'size' }]);
    expect(s).toMatchObject({ incomplete: true, dirty: true });
    expect(s.warnings[0]).toMatchObject({ code: 'left-out-size' });
    expect(s.warnings[0]?.message).toContain('data/big.bin');
    expect(f.files(s.tree)['100644 tracked.bin']).toHaveLength(3000);
  });

  test('the content of untracked secrets is nowhere in the repository', async () => {
    f.write('tracked/.env', 'OK=1\n');
    f.commit();
    f.write('.env', 'PASSWORD=hunter2\n');
    f.write('keys/id_ed25519', 'hunter2\n');
    f.write('id_mapping.py', 'ids\n');
    f.write('id_rsa.pub', 'public\n');
    f.write('.env.example', 'PASSWORD=\n');
    f.write('tracked/.env', 'OK=2\n');
    const s = await f.snapshot();
    expect(s.left_out.map((each) => [each.path, each.reason])).toEqual([
      ['.env', 'secret'],
      ['keys/id_ed25519', 'secret'],
    ]);
    const paths = Object.keys(f.files(s.tree));
    expect(paths).toEqual(
      expect.arrayContaining(['100644 .env.example', '100644 id_mapping.py', '100644 id_rsa.pub']),
    );
    expect(f.files(s.tree)['100644 tracked/.env']).toBe('OK=2\n');
    const secret = execFileSync('git', ['hash-object', join(f.repo, '.env')])
      .toString()
      .trim();
    expect(spawnSync('git', ['cat-file', '-e', secret], { cwd: f.repo, env: f.env }).status).not.toBe(0);
  });

  test('too many and too much: code first, and a folder of data as a whole or not at all', async () => {
    f.commit();
    for (let i = 0; i < 150; i += 1) f.write(`images/${i}.png`, 'p');
    f.write('zz_script.py', 'x'.repeat(50));
    const s = await f.snapshot({ policy: { maxFiles: 1 } });
    expect(Object.keys(f.files(s.tree))).toContain('100644 zz_script.py');
    expect(s.left_out).toMatchObject([{ path: 'images/', size: 150, reason: 'count' }]);
    const t = await f.snapshot({ policy: { maxTotalBytes: 60 } });
    expect(t.left_out).toMatchObject([{ path: 'images/', size: 150, reason: 'total' }]);
  });

  test("the user's exclusions and what programs make again leave nothing incomplete", async () => {
    f.commit();
    f.write('data/a.csv', '1');
    f.write('lib/__pycache__/model.pyc', '1');
    f.write('env/pyvenv.cfg', '1');
    f.write('env/lib/site.py', '1');
    const s = await f.snapshot({ policy: { exclude: ['/data/'] } });
    expect(s.left_out).toEqual(
      ['data/', 'env/', 'lib/__pycache__/'].map((path) => ({
        path,
        size: null,
        mtime: null,
        reason: 'excluded',
      })),
    );
    expect(s).toMatchObject({ incomplete: false, dirty: false, warnings: [] });
    expect(s.commit).toBe(s.base);
  });

  test('.waddleignore excludes more, at the top, in the working folder and in a nested repository', async () => {
    f.write('tracked.log', 'kept\n');
    f.commit();
    f.write('.waddleignore', '# mine\r\n*.log\r\n!keep.log\r\n/out/\r\n');
    f.write('sub/.waddleignore', 'only-here.txt\n/a/*.bin\n!again.log\n');
    for (const path of [
      'x.log',
      'keep.log',
      'out/a',
      'sub/out/a',
      'sub/x.log',
      'sub/again.log',
      'only-here.txt',
    ])
      f.write(path, path);
    for (const path of [
      'sub/only-here.txt',
      'sub/d/only-here.txt',
      'sub/a/x.bin',
      'sub/d/a/x.bin',
      'back.log',
    ])
      f.write(path, path);
    f.write('tracked.log', 'changed\n');
    f.gitIn(f.repo, 'init', '--quiet', 'inner');
    f.write('inner/.waddleignore', '*.tmp\n');
    f.write('inner/a.tmp', '1');
    f.write('inner/b.log', '1');
    f.write('inner/c', '1');
    const s = await f.snapshot({ cwd: join(f.repo, 'sub'), policy: { exclude: ['!back.log'] } });
    expect(s.left_out.map((each) => `${each.path} ${each.reason}`)).toEqual(
      [
        'inner/a.tmp excluded',
        'inner/b.log excluded',
        'out/ excluded',
        'sub/a/x.bin excluded',
        'sub/d/only-here.txt excluded',
        'sub/only-here.txt excluded',
        'sub/x.log excluded',
        'x.log excluded',
      ].sort(),
    );
    expect(s.incomplete).toBe(false);
    const files = Object.keys(f.files(s.tree)).map((each) => each.split(' ')[1]);
    for (const path of [
      'back.log',
      'keep.log',
      'only-here.txt',
      'sub/again.log',
      'sub/d/a/x.bin',
      'sub/out/a',
    ])
      expect(files).toContain(path);
    expect(f.files(s.tree)['100644 tracked.log']).toBe('changed\n');
    // Beside one in a folder without repository too.
    const plain = await f.snapshot({ cwd: mkdtempWith({ '.waddleignore': 'a\n', a: '1', b: '2' }) });
    expect(Object.keys(f.files(plain.tree, plain.git_dir ?? ''))).toEqual([
      '100644 .waddleignore',
      '100644 b',
    ]);
  });

  test('when time is over the untracked files are given up, the tracked ones are not', async () => {
    f.commit();
    f.write('train.py', 'print(2)\n');
    f.write('new.py', '1');
    const s = await f.snapshot({ timeoutMs: 0 });
    expect(f.files(s.tree)['100644 train.py']).toBe('print(2)\n');
    expect(s.left_out).toEqual([{ path: './', size: null, mtime: null, reason: 'time' }]);
    expect(s.incomplete).toBe(true);
  });

  test('an abort rejects and leaves nothing behind', async () => {
    f.commit();
    f.write('slow.dat', 'one');
    f.write('.gitattributes', 'slow.dat filter=slow\n');
    f.git('config', 'filter.slow.clean', `sh -c 'echo x > ${f.root}/started; sleep 30'`);
    const abort = new AbortController();
    const running = f.snapshot({ signal: abort.signal });
    const look = setInterval(() => {
      if (!existsSync(join(f.root, 'started'))) return;
      clearInterval(look);
      abort.abort(new Error('stopped'));
    }, 5);
    await expect(running).rejects.toThrow('stopped');
    expect(
      existsSync(join(f.privateDir, 'indexes')) ? readdirSync(join(f.privateDir, 'indexes')) : [],
    ).toEqual([]);
  });

  test('a file that changes while it is read is named', async () => {
    f.commit();
    f.write('slow.dat', 'one');
    f.write('.gitattributes', 'slow.dat filter=slow\n');
    // The filter writes to the file that git is reading: a change at the worst moment, every time.
    f.git('config', 'filter.slow.clean', `sh -c 'cat; echo more >> ${f.repo}/slow.dat'`);
    const s = await f.snapshot();
    expect(s.left_out.map((each) => [each.path, each.reason])).toEqual([['slow.dat', 'unstable']]);
    expect(s.incomplete).toBe(true);
  });
});

test('git missing altogether', async () => {
  f.commit();
  const s = await takeSnapshot({
    cwd: f.repo,
    env: { PATH: '/nonexistent', HOME: f.root },
    privateDir: f.privateDir,
  });
  expect(s).toMatchObject({ store: 'none', tree: null, commit: null, incomplete: true });
  expect(s.warnings[0]?.code).toBe('git-missing');
});

/** A folder of its own with these files, outside of any repository. */
function mkdtempWith(files: Record<string, string>): string {
  const folder = mkdtempSync(join(f.root, 'plain-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
  return folder;
}
