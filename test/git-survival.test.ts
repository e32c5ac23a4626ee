/** What must survive in the user's repository, with the real command line and the user's own git beside it. */
import { execFileSync, spawn } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { killGit } from './campaigns/git-kills.ts';
import { ended, Sandbox, until, WADDLE } from './support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.remove());

interface Shown {
  snapshot: { tree: string; store: string; incomplete: boolean };
}

describe('eight at once', () => {
  it("agree on one tree, and the user's own add and commit in a loop beside them never fail", async () => {
    for (let file = 0; file < 200; file += 1) sandbox.write(`src/${file}.py`, `value = ${file}\n`);
    sandbox.git('add', '.');
    sandbox.git('commit', '--quiet', '-m', 'code');
    for (let file = 0; file < 40; file += 1) sandbox.write(`src/${file}.py`, `changed = ${file}\n`);
    for (let file = 0; file < 40; file += 1) sandbox.write(`new/${file}.py`, `new = ${file}\n`);
    // The files stay as they are, whatever is committed meanwhile.
    const loop = sandbox.write(
      '../loop.sh',
      `while [ ! -e ../stop ]; do
         git add . && git commit --quiet -m x && git reset --quiet HEAD~1 && git status --porcelain > /dev/null || echo "$?" >> ../failed
         echo round >> ../rounds
       done`,
    );
    const user = spawn('sh', [loop], {
      cwd: sandbox.folder,
      env: sandbox.env,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    user.stderr.on('data', (chunk) => {
      said += String(chunk);
    });
    const outside = (name: string) => {
      try {
        return readFileSync(join(sandbox.folder, '..', name), 'utf8');
      } catch {
        return '';
      }
    };
    await until(() => outside('rounds') !== '', 'the user commits');
    const runs = Array.from({ length: 8 }, () => sandbox.start(WADDLE, ['run', '--', 'sleep', '0.3']));
    const ends = await Promise.all(runs.map(ended));
    sandbox.write('../stop', '');
    await ended(user);
    expect(ends.map((end) => end.status)).toEqual(Array(8).fill(0));
    expect([outside('failed'), said]).toEqual(['', '']);
    expect(outside('rounds').split('\n').length).toBeGreaterThan(3);
    const ids = sandbox.json<{ id: string }[]>('ls').map((run) => run.id);
    const snapshots = ids.map((id) => sandbox.json<Shown>('show', id).snapshot);
    expect(snapshots).toHaveLength(8);
    expect(new Set(snapshots.map((each) => each.tree)).size).toBe(1);
    expect(snapshots.map((each) => [each.store, each.incomplete])).toEqual(
      Array(8).fill(['repository', false]),
    );
    expect(globSync('.git/**/*.lock', { cwd: sandbox.folder })).toEqual([]);
    expect(sandbox.git('fsck', '--strict')).not.toMatch(/error|missing|broken/);
  });
});

describe('kill -9', () => {
  it('at random moments of a snapshot and of a gc leaves a sound repository and no lock', async () => {
    // A short round; test/campaigns/git-kills.ts runs as many as one likes.
    const { killed } = await killGit({ rounds: 4, seed: 1 });
    expect(killed).toBeGreaterThan(0);
  }, 120_000);
});

describe('secrets', () => {
  it('are in no object, no journal and no other file of Waddle’s', () => {
    const names = [
      '.env',
      '.env.production',
      'config/.env',
      'server.pem',
      'tls/server.key',
      'keys/id_rsa',
      '.netrc',
    ];
    const more = ['home/.aws/credentials', 'credentials.json', '.ssh/id_ed25519', 'secrets.yaml', 'lib/.env'];
    sandbox.git('init', '--quiet', 'lib');
    sandbox.write('lib/model.py', 'nested\n');
    const all = [...names, ...more];
    for (const [at, name] of all.entries()) sandbox.write(name, `prefix hunter2-${at}-hunter2 suffix\n`);
    sandbox.env.PYTHON_TOKEN = 'hunter2-in-the-environment';
    sandbox.env.CUDA_API_KEY = 'hunter2-in-the-environment';
    sandbox.write('train.py', 'print("hello")\n');
    expect(sandbox.waddle('run', '--', 'python3', '-c', 'import time; time.sleep(0.6)').status).toBe(0);
    // Where the private store is used, too.
    sandbox.write('.git/index', 'broken');
    expect(sandbox.waddle('run', '--', 'true').status).toBe(0);
    expect(sandbox.json<Shown>('show', '@last').snapshot.store).toBe('private');
    sandbox.waddle('diff', '@last');
    expect(
      sandbox
        .json<{ snapshot: { left_out: { path: string }[] } }>('show', '@last~1')
        .snapshot.left_out.map((each) => each.path)
        .sort(),
    ).toEqual(all.sort());
    for (const gitDir of ['.git', 'lib/.git', '.waddle/git']) {
      const objects = execFileSync(
        'git',
        ['--git-dir', gitDir, 'cat-file', '--batch-all-objects', '--unordered', '--batch'],
        { cwd: sandbox.folder, env: sandbox.env },
      );
      expect(objects.includes('train.py') || gitDir === 'lib/.git').toBe(true);
      expect(objects.includes('hunter2')).toBe(false);
    }
    for (const path of globSync('.waddle/**/*', { cwd: sandbox.folder, withFileTypes: true })) {
      if (path.isFile())
        expect(readFileSync(join(path.parentPath, path.name)).includes('hunter2')).toBe(false);
    }
    expect(sandbox.waddle('show', '@last~1', '--json').stdout).not.toContain('hunter2');
  });
});
