/** `waddle reproduce`: the recorded code, run again, and its results compared. */
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Sandbox, WADDLE } from './support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.remove());

interface Result {
  id: string;
  reproduces: string;
  status: string;
  equal: boolean;
  metrics: { key: string; before: unknown; now: unknown; difference: number | null; equal: boolean }[];
  differences: { kind: string; key: string; before: string | null; now: string | null }[];
}

/** The command's exit code, its `--json`, and what it said. */
function reproduce(...args: string[]): { status: number | null; result: Result; said: string } {
  const { status, stdout, stderr } = sandbox.waddle('reproduce', ...args, '--json');
  return { status, result: JSON.parse(stdout === '' ? '{}' : stdout) as Result, said: stderr };
}

const kinds = (result: Result, kind: string) => result.differences.filter((each) => each.kind === kind);

test('months later: rebased, collected, edited, in another folder with other variables, and still the same', () => {
  sandbox.git('checkout', '--quiet', '-b', 'side');
  sandbox.write('.gitignore', 'data/\n');
  sandbox.write('data/offset.txt', '5\n');
  sandbox.write('waddle.json', JSON.stringify({ run: { link: ['data'], project: 'demo' } }));
  sandbox.write('lib.py', 'FACTOR = 3\n');
  sandbox.write(
    'examples/train.py',
    [
      'import os, random, lib',
      'def waddle_main(run, argv):',
      '    random.seed(int(os.environ["MY_SEED"]))',
      '    offset = int(open("data/offset.txt").read())',
      '    run.log_param("rate", float(argv[1]))',
      '    for step in range(3):',
      '        run.log({"loss": random.random() * lib.FACTOR + offset + float(argv[1]), "bad": float("nan")}, step=step)',
      '    run.log_metric("hash", 0, hash("text") % 1000)',
      '    print(os.getcwd(), os.environ.get("CUDA_LAUNCH_BLOCKING"), os.environ.get("TORCH_HOME"))',
    ].join('\n'),
  );
  sandbox.git('add', '.');
  sandbox.git('commit', '--quiet', '-m', 'side');
  sandbox.write('lib.py', 'FACTOR = 4\n');
  Object.assign(sandbox.env, { MY_SEED: '7', PYTHONHASHSEED: '12', CUDA_LAUNCH_BLOCKING: '1' });
  const ran = sandbox.waddle('run', '--entry', 'examples.train', '--name', 'first', '--', '--rate', '0.5');
  expect([ran.status, ran.stderr]).toEqual([0, expect.stringContaining('completed')]);

  sandbox.git('checkout', '--quiet', '--force', 'main');
  sandbox.git('branch', '--quiet', '-D', 'side');
  sandbox.git('reflog', 'expire', '--expire=now', '--all');
  sandbox.git('gc', '--quiet', '--prune=now');
  sandbox.write('lib.py', 'FACTOR = 100\n');
  Object.assign(sandbox.env, { MY_SEED: '8', PYTHONHASHSEED: '13', TORCH_HOME: '/now' });
  sandbox.env.CUDA_LAUNCH_BLOCKING = '0';
  sandbox.write('waddle.json', JSON.stringify({ run: { link: ['data'] } }));
  const { status, result, said } = reproduce('first');
  expect([status, said]).toEqual([0, expect.stringContaining('nothing is known to differ from then')]);
  expect(result).toMatchObject({ status: 'completed', equal: true, differences: [] });
  expect(result.metrics.map(({ key, difference, equal }) => [key, difference, equal])).toEqual([
    ['bad', null, true],
    ['hash', 0, true],
    ['loss', 0, true],
  ]);
  expect(said).toMatch(/\.waddle\/pool\/\w+\/code 1 None\n/);

  const first = sandbox.json<{ run: { id: string; commit_sha: string } }>('show', 'first').run;
  const again = sandbox.json<{ run: Record<string, unknown>; params: unknown; snapshot: unknown }>(
    'show',
    result.id,
  );
  expect(again.run).toMatchObject({
    reproduces: first.id,
    commit_sha: first.commit_sha,
    entry: 'examples.train',
    argv: ['--rate', '0.5'],
    project: 'demo',
    cwd: sandbox.folder,
    status: 'completed',
  });
  expect(result.reproduces).toBe(first.id);
  expect(again.params).toEqual({ rate: 0.5 });

  // As a person sees it; and the reproduced one can be reproduced.
  sandbox.write('deep/file', '');
  const shown = spawnSync(WADDLE, ['reproduce', result.id, '--name', 'third'], {
    cwd: join(sandbox.folder, 'deep'),
    env: sandbox.env,
    encoding: 'utf8',
  });
  expect(shown.status).toBe(0);
  expect(shown.stdout).toMatch(/metric +then +now +difference\nbad +NaN +NaN +0\nhash +\d+ +\d+ +0\nloss +/);
  expect(shown.stderr).toContain('is reproduced: all metrics are equal');
  // It tells where it was called, not where the run of then lay.
  const third = sandbox.json<{ run: { cwd: string } }>('show', 'third').run;
  expect(third.cwd).toBe(join(sandbox.folder, 'deep'));
});

test('other data gives other results: 3, within a tolerance 0; the job failing is a 1', () => {
  sandbox.write('.gitignore', 'data.txt\n');
  sandbox.write(
    'waddle.json',
    JSON.stringify({ run: { link: ['data.txt'] }, snapshot: { fingerprint: ['data.txt'] } }),
  );
  sandbox.write('data.txt', '1.0');
  sandbox.write('.env', 'secret');
  sandbox.write(
    'train.py',
    'import waddle\nrun = waddle.init()\nrun.log({"loss": float(open("data.txt").read()), "still": 1})\n',
  );
  sandbox.waddle('run', '--name', 'base', '--', 'python3', 'train.py');
  expect(reproduce('base')).toMatchObject({ status: 0, result: { equal: true } });
  sandbox.write('data.txt', '1.001');
  const other = reproduce('base');
  expect(other.status).toBe(3);
  expect(other.result).toMatchObject({ equal: false, status: 'completed' });
  expect(other.result.metrics.map(({ key, equal }) => [key, equal])).toEqual([
    ['loss', false],
    ['still', true],
  ]);
  expect(kinds(other.result, 'data')).toHaveLength(1);
  expect(kinds(other.result, 'left-out').map(({ key }) => key)).toEqual(['.env']);
  expect(reproduce('base', '--tolerance', '0.002').status).toBe(0);
  expect(reproduce('base', '--tolerance', '0.2%').status).toBe(0);
  expect(reproduce('base', '--tolerance', '0.0001').status).toBe(3);
  expect(reproduce('base', '--key', 'still').status).toBe(0);
  expect(sandbox.waddle('reproduce', 'base', '--tolerance', 'much').status).toBe(2);

  const runs = sandbox.json<unknown[]>('ls').length;
  const strict = sandbox.waddle('reproduce', 'base', '--strict');
  expect([strict.status, strict.stderr]).toEqual([1, expect.stringContaining('--strict allows none')]);
  expect(strict.stderr).toMatch(/data data\.txt: 1 files/);
  expect(sandbox.json<unknown[]>('ls')).toHaveLength(runs);

  rmSync(join(sandbox.folder, 'data.txt'));
  const failed = reproduce('base');
  expect([failed.status, failed.said]).toEqual([1, expect.stringContaining('could not be reproduced')]);
  expect(failed.result).toMatchObject({ status: 'failed', equal: false });
});

test('commands with absolute paths and a folder of the repository; what cannot be run again says so', () => {
  const script = sandbox.write('sub/job.sh', 'pwd; cat ../value; echo "$1"\n');
  sandbox.write('value', 'old\n');
  sandbox.waddle('run', '--name', 'sh', '--', 'sh', script, 'arg');
  writeFileSync(script, 'echo changed\n');
  const { stdout, status, stderr } = sandbox.waddle('reproduce', 'sh');
  expect(stdout).toMatch(/^\S+\/code\ncat: |^\S+\/code\n/);
  expect([status, stderr]).toEqual([0, expect.stringContaining('no metrics to compare')]);
  expect(stdout).toContain('arg\n');

  sandbox.waddle('run', '--no-auto-commit', '--name', 'loose', '--', 'true');
  expect(sandbox.waddle('reproduce', 'loose').stderr).toContain('was not recorded');
  expect(sandbox.waddle('reproduce', 'nothing').status).toBe(1);
});
