/** `waddle checkout`, as its users meet it: real runs, real folders, and processes that are killed in the middle. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { killCheckouts } from './support/kill-checkouts.ts';
import { Sandbox } from './support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.remove());

const newestId = () => sandbox.json<{ id: string }[]>('ls', '--limit', '1')[0]?.id ?? '';
const gitIn = (folder: string, ...args: string[]) => sandbox.git('-C', folder, ...args).trim();

interface Result {
  folder: string | null;
  branch: string | null;
  commit: string;
  recorded: boolean;
  left_out: { path: string; reason: string }[];
}

test('the code of a run comes back in a folder beside the repository, and git works there', () => {
  sandbox.write('train.py', 'print(1)\n');
  sandbox.write('.env', 'TOKEN=secret\n');
  symlinkSync('train.py', join(sandbox.folder, 'link'));
  expect(sandbox.waddle('run', '--name', 'Base line/1', '--', 'python3', 'train.py').status).toBe(0);
  const id = newestId();
  sandbox.write('train.py', 'print(2)\n');
  const said = sandbox.waddle('checkout', 'Base line/1');
  expect([said.status, said.stdout]).toEqual([0, `${join(dirname(sandbox.folder), `Base-line-1-${id}`)}\n`]);
  expect(said.stderr).toMatch(/Not recorded, so not there:\n {2}\.env \(.*secret\)/);
  const folder = said.stdout.trim();
  expect(readdirSync(folder).sort()).toEqual(['.git', 'README', 'link', 'train.py']);
  expect(readFileSync(join(folder, 'train.py'), 'utf8')).toBe('print(1)\n');
  expect(gitIn(folder, 'status', '--porcelain')).toBe('');
  expect(gitIn(folder, 'fsck', '--no-dangling')).toBe('');
  expect(
    sandbox
      .git('status', '--porcelain')
      .split('\n')
      .filter((line) => line.includes('Base')),
  ).toEqual([]);
  const again = sandbox.waddle('checkout', '@last');
  expect([again.status, again.stderr]).toEqual([1, expect.stringContaining('not an empty folder')]);

  mkdirSync(join(sandbox.folder, 'empty'));
  const result = sandbox.json<Result>('checkout', '@last', 'empty');
  expect(result).toMatchObject({ recorded: true, commit: gitIn(folder, 'rev-parse', 'HEAD') });
  expect(readdirSync(join(sandbox.folder, 'empty')).sort()).toEqual(['.git', 'README', 'link', 'train.py']);
  sandbox.write('occupied/file', '');
  expect(sandbox.waddle('checkout', '@last', 'occupied').status).toBe(1);
  expect(sandbox.waddle('checkout', '@last', 'train.py').status).toBe(1);
  expect(readdirSync(join(sandbox.folder, 'occupied'))).toEqual(['file']);
});

test('--into-branch makes a branch and nothing else; a run without code is an error that says so', () => {
  sandbox.write('train.py', 'print(1)\n');
  sandbox.waddle('run', '--', 'python3', 'train.py');
  const status = sandbox.git('status', '--porcelain', '--branch');
  const result = sandbox.json<Result>('checkout', '@last', '--into-branch', 'old');
  expect(result).toMatchObject({ folder: null, branch: 'old', recorded: true });
  expect(sandbox.git('rev-parse', 'old').trim()).toBe(result.commit);
  expect(sandbox.git('show', 'old:train.py')).toBe('print(1)\n');
  expect(sandbox.git('status', '--porcelain', '--branch')).toBe(status);
  expect(sandbox.waddle('checkout', '@last', '--into-branch', 'old').stderr).toContain('already');
  expect(sandbox.waddle('checkout', '@last', '--into-branch', 'no..no').status).toBe(2);

  sandbox.waddle('run', '--no-auto-commit', '--', 'true');
  const said = sandbox.waddle('checkout', '@last');
  expect([said.status, said.stderr]).toEqual([1, expect.stringContaining('was not recorded')]);
  expect(sandbox.waddle('checkout', 'nothing').status).toBe(1);
});

test('after a rebase and gc --prune=now, and where there is no repository', () => {
  sandbox.git('checkout', '--quiet', '-b', 'side');
  sandbox.write('train.py', 'print(1)\n');
  sandbox.git('add', '.');
  sandbox.git('commit', '--quiet', '-m', 'side');
  sandbox.waddle('run', '--name', 'clean', '--', 'true');
  sandbox.write('train.py', 'print(2)\n');
  sandbox.waddle('run', '--name', 'dirty', '--', 'true');
  sandbox.git('checkout', '--quiet', '--force', 'main');
  sandbox.git('branch', '--quiet', '-D', 'side');
  sandbox.git('reflog', 'expire', '--expire=now', '--all');
  sandbox.git('gc', '--quiet', '--prune=now');
  for (const [name, content, recorded] of [
    ['clean', 'print(1)\n', false],
    ['dirty', 'print(2)\n', true],
  ] as const) {
    const result = sandbox.json<Result>('checkout', name);
    expect(result.recorded).toBe(recorded);
    expect(readFileSync(join(result.folder ?? '', 'train.py'), 'utf8')).toBe(content);
    expect(gitIn(result.folder ?? '', 'status', '--porcelain')).toBe('');
    expect(gitIn(result.folder ?? '', 'fsck', '--no-dangling')).toBe('');
  }

  rmSync(join(sandbox.folder, '.git'), { recursive: true });
  rmSync(join(sandbox.folder, '.waddle'), { recursive: true });
  writeFileSync(join(sandbox.folder, 'train.py'), 'print(3)\n');
  sandbox.waddle('run', '--name', 'bare', '--', 'true');
  const result = sandbox.json<Result>('checkout', 'bare');
  expect(readFileSync(join(result.folder ?? '', 'train.py'), 'utf8')).toBe('print(3)\n');
  expect(sandbox.waddle('checkout', 'bare', '--into-branch', 'x').stderr).toContain('no repository');
});

test('killed at random moments: the repository is clean, and the next checkout works', async () => {
  sandbox.write('train.py', 'print(1)\n');
  for (let n = 0; n < 400; n += 1) sandbox.write(`data${n % 20}/file${n}.txt`, `${n}\n`.repeat(200));
  sandbox.waddle('run', '--name', 'victim', '--', 'true');
  const { killed } = await killCheckouts({ sandbox, run: 'victim', rounds: 4, seed: 7 });
  expect(killed).toBeGreaterThan(0);
  expect(existsSync(join(sandbox.folder, '.git/index.lock'))).toBe(false);
});
