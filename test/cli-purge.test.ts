import { createHash } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ended, Sandbox, until, WADDLE } from './support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.remove());

/** Every file, link and folder with its bytes and mode, objects of git aside. */
function everything(): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (folder: string): void => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const short = relative(sandbox.folder, path);
      if (/(^|\/)\.git\/(modules\/.*)?objects$/.test(short)) continue;
      const stats = lstatSync(path);
      const bytes = stats.isFile() ? createHash('sha1').update(readFileSync(path)).digest('hex') : '';
      found[short] = `${stats.mode} ${bytes}`;
      if (stats.isDirectory()) walk(path);
    }
  };
  walk(sandbox.folder);
  return found;
}

const refs = () => sandbox.git('for-each-ref');

describe('purge', () => {
  it.each([
    ['no .gitignore', undefined],
    ['an untracked one', 'data/\n'],
    ['a tracked one without a newline at its end', 'data/'],
    ['one with CRLF', 'data/\r\nout/\r\n'],
  ])('leaves the repository as if Waddle had never been there, with %s', (_what, ignore) => {
    if (ignore !== undefined) sandbox.write('.gitignore', ignore);
    if (ignore === 'data/') {
      sandbox.git('add', '.gitignore');
      sandbox.git('commit', '--quiet', '-m', 'ignore');
    }
    sandbox.write('train.py', 'print(1)\n');
    sandbox.write('staged.py', '1\n');
    sandbox.git('add', 'staged.py');
    sandbox.git('init', '--quiet', 'lib');
    sandbox.write('lib/model.py', 'nested\n');
    sandbox.git('status');
    const before = everything();
    const known = refs();

    sandbox.waddle('init');
    for (const text of ['one', 'two', 'three']) {
      sandbox.write('train.py', `print('${text}')\n`);
      expect(sandbox.waddle('run', '--', 'python3', 'train.py').status).toBe(0);
    }
    sandbox.write('train.py', 'print(1)\n');
    expect(refs()).toContain('refs/waddle/tree/');
    expect(existsSync(join(sandbox.folder, 'lib/.git/refs/waddle'))).toBe(true);

    const dry = sandbox.waddle('purge', '--dry-run').stdout;
    expect(dry).toMatch(/^Would remove 3 runs, .*: \.waddle, \.gitignore\n/);
    expect(sandbox.waddle('purge').status).toBe(2);
    expect(refs()).toContain('refs/waddle/tree/');
    const done = sandbox.json<{ repositories: { pins: number }[] }>('purge', '--yes', '--config');
    expect(done.repositories.map((each) => each.pins).sort()).toEqual([1, 3]);
    expect(everything()).toEqual(before);
    expect(refs()).toBe(known);
    expect(sandbox.git('fsck', '--strict')).not.toContain('error');
    expect(sandbox.waddle('purge', '--yes').stdout).toBe('There is no trace of Waddle here.\n');
    sandbox.git('gc', '--quiet', '--prune=now');
    expect(sandbox.git('count-objects', '-v')).not.toContain('garbage: 1');
  });

  it('without --config keeps waddle.json, and follows a .waddle that lies on another disk', () => {
    mkdirSync(join(sandbox.folder, '../disk'));
    symlinkSync('../disk', join(sandbox.folder, '.waddle'));
    sandbox.waddle('init');
    expect(sandbox.waddle('run', '--', 'true').status).toBe(0);
    sandbox.git('pack-refs', '--all');
    writeFileSync(join(sandbox.folder, '../disk/mine'), '');
    expect(sandbox.waddle('purge', '--yes').stdout).toContain('Removed 1 run');
    expect(readdirSync(sandbox.folder).sort()).toEqual(['.git', 'README', 'waddle.json']);
    expect(readdirSync(join(sandbox.folder, '../disk'))).toEqual(['mine']);
    expect(refs()).not.toContain('waddle');
    expect(readFileSync(join(sandbox.folder, '.git/packed-refs'), 'utf8')).not.toContain('waddle');
  });

  it('refuses while a run is going', async () => {
    const run = sandbox.start(WADDLE, ['run', '--', 'sh', '-c', 'until [ -e go ]; do sleep 0.05; done']);
    await until(() => refs().includes('refs/waddle') && sandbox.waddle('ls').stdout.includes('▶'), 'it runs');
    const refused = sandbox.waddle('purge', '--yes');
    expect([refused.status, refused.stderr]).toEqual([1, expect.stringContaining('is still running')]);
    expect(existsSync(join(sandbox.folder, '.waddle/runs'))).toBe(true);
    sandbox.write('go', '');
    await ended(run);
    rmSync(join(sandbox.folder, 'go'));
    expect(sandbox.waddle('purge', '--yes').status).toBe(0);
  });

  it('keeps the pins that another project folder of the repository needs', () => {
    mkdirSync(join(sandbox.folder, 'sub'));
    sandbox.write('train.py', 'mine\n');
    expect(sandbox.waddle('run', '--', 'true').status).toBe(0);
    sandbox.write('train.py', 'theirs\n');
    sandbox.write('sub/waddle.json', '{}');
    expect(sandbox.waddle('run', '--dir', 'sub', '--', 'true').status).toBe(0);
    const purged = sandbox.waddle('purge', '--yes');
    expect(purged.stdout).toContain('1 of the pins');
    expect(existsSync(join(sandbox.folder, '.waddle'))).toBe(false);
    expect(refs().match(/refs\/waddle\/tree/g)).toHaveLength(1);
    const { snapshot } = sandbox.json<{ snapshot: { tree: string } }>('show', '@last', '--dir', 'sub');
    expect(refs()).toContain(`refs/waddle/tree/${snapshot.tree}`);
  });
});
