/** Code of all kinds of repositories over a collector: pushed on one machine, checked out on another that has none of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { TestCollector } from './collector-fixture.ts';
import { Sandbox } from './support/sandbox.ts';

const collector = new TestCollector();
let here: Sandbox;
let there: Sandbox;

beforeAll(() => collector.start());
afterAll(() => collector.remove());
beforeEach(async () => {
  here = new Sandbox({ git: false });
  there = new Sandbox({ git: false });
  const token = await collector.token({ space: `s${Date.now()}` });
  for (const { env } of [here, there])
    Object.assign(env, { WADDLE_TOKEN: token, WADDLE_REMOTE: collector.url });
  expect(there.waddle('init').status).toBe(0);
});
afterEach(async () => {
  await here.remove();
  await there.remove();
});

const git = (...args: string[]) =>
  here.git(
    '-c',
    'user.name=Test',
    '-c',
    'user.email=t@example.com',
    '-c',
    'protocol.file.allow=always',
    ...args,
  );

/** Runs `true` on the machine here, and gives what the other one checks out of it. */
async function carried(): Promise<(path: string) => string> {
  expect(here.waddle('run', '--', 'true').status).toBe(0);
  const [run] = here.json<{ id: string }[]>('ls');
  const pushed = await here.later('push', '--json');
  expect([pushed.status, pushed.stderr]).toEqual([0, expect.anything()]);
  expect(JSON.parse(pushed.stdout)).toMatchObject({ problems: [] });
  const pulled = await there.later('pull', '--json');
  expect(JSON.parse(pulled.stdout)).toMatchObject({ runs: [run?.id], problems: [] });
  expect(there.waddle('checkout', run?.id ?? '', 'out')).toMatchObject({ status: 0 });
  return (path) => readFileSync(join(there.folder, 'out', path), 'utf8');
}

test('a repository of SHA-256, with what was not committed', async () => {
  git('init', '--quiet', '--object-format=sha256', '--initial-branch=main');
  here.write('train.py', 'print(1)\n');
  git('add', '.');
  git('commit', '--quiet', '-m', 'first');
  here.write('train.py', 'print(2)\n');
  here.write('new.py', 'print(3)\n');
  const read = await carried();
  expect([read('train.py'), read('new.py')]).toEqual(['print(2)\n', 'print(3)\n']);
});

test('a repository with a submodule and another one nested in it', async () => {
  for (const inner of ['library', 'nested']) {
    here.write(`${inner}/code.py`, `print("${inner}")\n`);
    git('-C', inner, 'init', '--quiet', '--initial-branch=main');
    git('-C', inner, 'add', '.');
    git('-C', inner, 'commit', '--quiet', '-m', 'first');
  }
  git('init', '--quiet', '--initial-branch=main');
  here.write('train.py', 'print(1)\n');
  here.write('.gitignore', 'library/\n');
  git('add', 'train.py', '.gitignore');
  git('submodule', '--quiet', 'add', './library', 'vendor');
  git('commit', '--quiet', '-m', 'first');
  here.write('vendor/code.py', 'print("changed in the submodule")\n');
  here.write('nested/more.py', 'print("never committed")\n');
  const read = await carried();
  expect(read('train.py')).toBe('print(1)\n');
  expect(read('vendor/code.py')).toBe('print("changed in the submodule")\n');
  expect([read('nested/code.py'), read('nested/more.py')]).toEqual([
    'print("nested")\n',
    'print("never committed")\n',
  ]);
});
