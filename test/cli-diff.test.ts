import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunDiff } from '../src/cli/run-diff.ts';
import { ROOT, Sandbox, WADDLE } from './support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.remove());

type Json = RunDiff & { code: { patch: string | null; patch_base64: string | null } };

const LINES = Array.from({ length: 30 }, (_, line) => `line ${line}\n`).join('');

/** Runs a job that logs `lr` and `loss`, and gives its id. */
function run(name: string, lr: number, loss: number, env: Record<string, string> = {}): string {
  const script = `import waddle; r = waddle.init(); r.log_param("model", {"lr": ${lr}, "same": 1}); r.log_metric("loss", 1, ${loss})`;
  const done = spawnSync(WADDLE, ['run', '--name', name, '--', 'python3', '-c', script], {
    cwd: sandbox.folder,
    env: { ...sandbox.env, ...env },
    encoding: 'utf8',
  });
  expect(done.status, done.stderr).toBe(0);
  return /run (\w{12})/.exec(done.stderr)?.[1] ?? '';
}

describe('diff', () => {
  it('tells two runs apart, in every part, and its patch applies', () => {
    sandbox.write('train.py', LINES);
    sandbox.write('old_name.py', `${LINES}# moved\n`);
    sandbox.write('gone.py', 'gone\n');
    sandbox.write('data/a.csv', '1');
    sandbox.write('data/b.csv', '1');
    sandbox.write('.gitignore', 'data/\n');
    sandbox.write('uv.lock', 'one');
    sandbox.write('waddle.json', JSON.stringify({ snapshot: { fingerprint: ['data'] } }));
    sandbox.git('add', '.');
    sandbox.git('commit', '--quiet', '-m', 'two');
    run('one', 0.1, 2, { PYTHONHASHSEED: '1' });
    sandbox.write('train.py', LINES.replace('line 7\n', 'line seven\n'));
    renameSync(join(sandbox.folder, 'old_name.py'), join(sandbox.folder, 'new näme.py'));
    rmSync(join(sandbox.folder, 'gone.py'));
    sandbox.write('weights.bin', '\u0000\u0001\u0002');
    sandbox.write('latin.txt', 'x');
    writeFileSync(join(sandbox.folder, 'latin.txt'), Buffer.from('caf\xe9\n', 'latin1'));
    sandbox.write('data/b.csv', '22');
    rmSync(join(sandbox.folder, 'data/a.csv'));
    sandbox.write('uv.lock', 'two');
    const second = run('two', 0.2, 1.5, { PYTHONHASHSEED: '2' });

    const found = sandbox.json<Json>('diff', 'one', 'two');
    expect(found.code.equal).toBe(false);
    expect(found.code.files).toEqual([
      { path: 'gone.py', old_path: null, status: 'D', added: 0, removed: 1, submodule: false },
      { path: 'latin.txt', old_path: null, status: 'A', added: 1, removed: 0, submodule: false },
      { path: 'new näme.py', old_path: 'old_name.py', status: 'R', added: 0, removed: 0, submodule: false },
      { path: 'train.py', old_path: null, status: 'M', added: 1, removed: 1, submodule: false },
      { path: 'uv.lock', old_path: null, status: 'M', added: 1, removed: 1, submodule: false },
      { path: 'weights.bin', old_path: null, status: 'A', added: null, removed: null, submodule: false },
    ]);
    expect(found.code.patch).toBe(null);
    expect(Buffer.from(found.code.patch_base64 ?? '', 'base64').toString('latin1')).toContain('+caf\xe9');
    expect(found.params).toEqual([{ key: 'model.lr', a: 0.1, b: 0.2 }]);
    expect(found.environment?.map((row) => row.key)).toEqual([
      'lock_files.uv.lock',
      'variables.PYTHONHASHSEED',
    ]);
    expect(found.packages).toEqual([]);
    expect(found.data).toMatchObject([
      {
        key: 'data/',
        a: { files: 2, bytes: 2 },
        b: { files: 1, bytes: 2 },
        changed: [
          { path: 'a.csv', change: 'removed' },
          { path: 'b.csv', change: 'changed' },
        ],
      },
    ]);
    expect(found.command?.map((row) => row.key)).toEqual(['command']);
    expect(found.results?.find((row) => row.key === 'loss')).toEqual({
      key: 'loss',
      a: 2,
      b: 1.5,
      difference: -0.5,
    });

    // What a person sees, in a pipe: no colours, no pager, everything whole.
    const { stdout } = sandbox.waddle('diff', 'one', second.slice(0, 6));
    expect(stdout).not.toContain('\u001b');
    for (const text of [
      'rename from old_name.py',
      'rename to new näme.py',
      '-line 7',
      '+line seven',
      'Binary files',
    ])
      expect(stdout).toContain(text);
    for (const text of [
      'Params\n  model.lr  0.1  0.2\n',
      '    removed a.csv\n',
      'loss',
      '-0.5',
      'Environment\n',
      "command  python3 -c 'import waddle; r = ",
    ])
      expect(stdout).toContain(text);
    expect(stdout).not.toContain('model.same');

    expect(sandbox.waddle('diff', 'one', 'two', '--params').stdout).toMatch(
      /^--- one \w{12} \(\w{10}\)\n\+\+\+ two \w{12} \(\w{10}\)\n\nParams\n {2}model.lr {2}0.1 {2}0.2\n$/,
    );
    expect(sandbox.waddle('diff', 'one', 'two', '--name-only').stdout).toBe(
      'gone.py\nlatin.txt\nnew näme.py\ntrain.py\nuv.lock\nweights.bin\n',
    );
    const stat = sandbox.waddle('diff', 'one', 'two', '--stat').stdout;
    expect(stat).toContain(' old_name.py => new näme.py | 0\n');
    expect(stat).toContain(' 6 files changed, 3 insertions(+), 3 deletions(-)\n');
    expect(stat).toContain('Params');
    const code = sandbox.waddle('diff', 'one', 'two', '--code', '--stat').stdout;
    expect(code).not.toContain('Params');

    // Back to the first, by the patch (binary files aside: they are only named).
    const names = ['train.py', 'old_name.py', 'uv.lock', 'gone.py'];
    const patch = sandbox.waddle('diff', 'two', 'one', '--code').stdout;
    const parts = patch
      .split(/^(?=diff --git )/m)
      .filter((part) => !/latin|weights/.test(part.split('\n')[0] ?? ''));
    execFileSync('git', ['apply'], { cwd: sandbox.folder, env: sandbox.env, input: parts.join('') });
    for (const name of names) expect(sandbox.git('diff', 'HEAD', '--', name)).toBe('');
  });

  it('against the workspace, without writing a byte into the repository', () => {
    sandbox.write('train.py', 'one\n');
    sandbox.git('add', '.');
    sandbox.git('commit', '--quiet', '-m', 'two');
    run('one', 0.1, 2);
    expect(sandbox.waddle('diff', 'one').stdout).toContain('The code is the same.');
    sandbox.write('train.py', 'two\n');
    sandbox.write('new.py', 'new\n');
    sandbox.write('.env', 'SECRET=1\n');
    const before = objects();
    const found = sandbox.json<Json>('diff', '@last');
    expect(found.b).toMatchObject({ kind: 'workspace', id: null });
    expect(found.b.lacking.map((each) => each.path)).toEqual(['.env']);
    expect(found.code.files.map((file) => `${file.status} ${file.path}`)).toEqual(['A new.py', 'M train.py']);
    expect([found.params, found.results, found.command]).toEqual([null, null, null]);
    expect(found.environment).toEqual([]);
    expect(found.packages).toEqual([]);
    expect(objects()).toEqual(before);
    expect(readdirSync('/tmp').filter((name) => name.startsWith('waddle-diff-'))).toEqual([]);
  });

  /** Everything under `.git`, by name and time. */
  function objects(): string {
    return execFileSync('find', ['.git', '-printf', '%p %T@ %s\n'], {
      cwd: sandbox.folder,
      encoding: 'utf8',
    });
  }

  it('against a branch or commit, on either side', () => {
    sandbox.write('train.py', 'one\n');
    sandbox.git('add', '.');
    sandbox.git('commit', '--quiet', '-m', 'two');
    sandbox.write('train.py', 'two\n');
    run('one', 0.1, 2);
    const forward = sandbox.json<Json>('diff', 'main', 'one');
    expect(forward.a).toMatchObject({ kind: 'revision', name: 'main' });
    expect(forward.code.patch).toContain('-one\n+two\n');
    expect(sandbox.json<Json>('diff', 'one', 'HEAD~1').code.files.map((file) => file.status)).toEqual(['D']);
    expect(sandbox.waddle('diff', 'one', 'nothing').stderr).toContain('nor a branch or commit');
    expect(sandbox.waddle('diff', 'one', '--output=x').status).toBe(2);
    expect(sandbox.waddle('diff', 'main', 'HEAD').status).toBe(1);
  });

  it('of runs whose code is in different stores', () => {
    sandbox.write('train.py', 'one\n');
    const first = run('one', 0.1, 2);
    // A repository that git cannot use any more: the second run's code goes to Waddle's own store.
    renameSync(join(sandbox.folder, '.git/index'), join(sandbox.folder, '.git/index.good'));
    writeFileSync(join(sandbox.folder, '.git/index'), 'broken');
    sandbox.write('train.py', 'two\n');
    const second = run('two', 0.1, 2);
    expect(sandbox.json<{ snapshot: { store: string } }>('show', second).snapshot.store).toBe('private');
    expect(sandbox.json<{ snapshot: { store: string } }>('show', first).snapshot.store).toBe('repository');
    for (const [a, b, patch] of [
      [first, second, '-one\n+two\n'],
      [second, first, '-two\n+one\n'],
    ] as const) {
      const found = sandbox.json<Json>('diff', a, b);
      expect(found.code.problem).toBe(null);
      expect(found.code.files.map((file) => file.path)).toEqual(['train.py']);
      expect(found.code.patch).toContain(patch);
    }
  });

  it('inside nested repositories', () => {
    sandbox.git('init', '--quiet', 'lib');
    sandbox.write('lib/model.py', 'one\n');
    sandbox.write('lib/deep/x.py', 'x\n');
    run('one', 0.1, 2);
    sandbox.write('lib/model.py', 'two\n');
    run('two', 0.1, 2);
    const found = sandbox.json<Json>('diff', 'one', 'two');
    expect(found.code.files).toMatchObject([{ path: 'lib/model.py', status: 'M', added: 1, removed: 1 }]);
    expect(found.code.patch).toContain('--- a/lib/model.py\n+++ b/lib/model.py\n');
    expect(found.code.patch).not.toContain('Subproject');
    rmSync(join(sandbox.folder, 'lib'), { recursive: true });
    const gone = sandbox.json<Json>('diff', 'one');
    expect(gone.a.lacking.map((each) => each.path)).toEqual(['lib/']);
  });

  it('says why, where the code of a run is not there', () => {
    run('one', 0.1, 2);
    sandbox.waddle('run', '--no-auto-commit', '--name', 'bare', '--', 'true');
    sandbox.write('new.py', '1');
    sandbox.waddle('run', '--no-auto-commit', '--name', 'unrecorded', '--', 'true');
    expect(sandbox.json<Json>('diff', 'one', 'bare').code.equal).toBe(true);
    const shown = sandbox.waddle('diff', 'one', 'unrecorded');
    expect(shown.status).toBe(0);
    expect(shown.stdout).toContain('was not recorded');
    expect(shown.stdout).toContain('model.lr');
    const code = sandbox.waddle('diff', 'one', 'unrecorded', '--code');
    expect([code.status, code.stdout]).toEqual([1, '']);
  });

  it('in colour through the pager on a terminal, and without it in a pipe', () => {
    sandbox.write('train.py', 'one\n');
    run('one', 0.1, 2);
    sandbox.write('train.py', 'two\n');
    run('two', 0.1, 2);
    mkdirSync(join(sandbox.folder, 'bin'));
    const pager = sandbox.write('bin/mypager', '#!/bin/sh\necho "PAGED LESS=$LESS"\ncat\n');
    chmodSync(pager, 0o755);
    const shown = (env: Record<string, string>, ...argv: string[]) => {
      const { stdout } = spawnSync(
        'python3',
        [join(ROOT, 'test/support/terminal.py'), '[]', WADDLE, ...argv],
        {
          cwd: sandbox.folder,
          env: { ...sandbox.env, TERM: 'xterm-256color', ...env },
          encoding: 'utf8',
        },
      );
      return (JSON.parse(stdout) as { output: string }).output;
    };
    const paged = shown({ PAGER: pager }, 'diff', 'one', 'two');
    expect(paged).toContain('PAGED LESS=FRX');
    expect(paged.replaceAll('\u001b[m', '')).toContain('\u001b[32m+\u001b[32mtwo');
    expect(shown({ PAGER: 'false', GIT_PAGER: pager }, 'diff', 'one', 'two')).toContain('PAGED');
    sandbox.git('config', 'core.pager', pager);
    expect(shown({ PAGER: 'false' }, 'diff', 'one', 'two')).toContain('PAGED');
    const plain = shown({ GIT_PAGER: 'cat', NO_COLOR: '1' }, 'diff', 'one', 'two');
    expect(plain).toContain('two');
    expect(plain).not.toContain('\u001b[3');
    expect(shown({ GIT_PAGER: 'no-such-pager-anywhere' }, 'diff', 'one', 'two')).toContain('mtwo');
    const piped = spawnSync(WADDLE, ['diff', 'one', 'two'], {
      cwd: sandbox.folder,
      env: { ...sandbox.env, GIT_PAGER: pager },
      encoding: 'utf8',
    });
    expect(piped.stdout).not.toContain('PAGED');
  });
});
