/** `waddle run --isolate`: jobs in copies of the recorded code. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { takeSlot } from '../src/runner/pool-lock.ts';
import { killIsolated } from './support/kill-isolated.ts';
import { ended, Sandbox, until, WADDLE } from './support/sandbox.ts';

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
});
afterEach(() => sandbox.remove());

const newestId = () => sandbox.json<{ id: string }[]>('ls', '--limit', '1')[0]?.id ?? '';
const outputs = (id: string) => join(sandbox.folder, '.waddle/runs', id, 'outputs');
const read = (path: string) => readFileSync(path, 'utf8');
const slots = () =>
  readdirSync(join(sandbox.folder, '.waddle/pool')).filter((name) => /^[0-9a-f]+$/.test(name));

test('the job runs in a copy, sees what is linked, and what it writes is kept', () => {
  sandbox.write('.gitignore', 'data/\nruns/\n');
  sandbox.write('data/input.txt', 'input\n');
  sandbox.write('notes.txt', 'old\n');
  sandbox.write('waddle.json', JSON.stringify({ run: { link: ['data', 'nowhere'], isolate: true } }));
  sandbox.write(
    'sub/train.py',
    [
      'import os',
      'print(open("../data/input.txt").read().strip(), os.environ["PWD"] == os.getcwd())',
      'os.makedirs("../runs/deep"); open("../runs/deep/model.bin", "w").write("model")',
      'open("out.txt", "w").write("out"); open("../notes.txt", "w").write("new"); os.remove("../README")',
      'open("../data/made.txt", "w").write("made")',
    ].join('\n'),
  );
  const inSub = 'cd sub && python3 train.py';
  const job = (...args: string[]) => sandbox.waddle('run', ...args, '--', 'sh', '-c', inSub);
  const said = job();
  expect([said.status, said.stdout]).toEqual([0, 'input True\n']);
  expect(said.stderr).toContain('nowhere is not there');
  expect(said.stderr).toContain('removed in its copy of the code: README');
  const id = newestId();
  expect(read(join(outputs(id), 'runs/deep/model.bin'))).toBe('model');
  expect(read(join(outputs(id), 'sub/out.txt'))).toBe('out');
  expect(read(join(outputs(id), 'notes.txt'))).toBe('new');
  expect(read(join(sandbox.folder, 'data/made.txt'))).toBe('made');
  expect(read(join(sandbox.folder, 'notes.txt'))).toBe('old\n');
  for (const path of ['runs', 'sub/out.txt']) expect(existsSync(join(sandbox.folder, path))).toBe(false);
  expect(sandbox.json<{ drift: unknown; warnings: { code: string }[] }>('show', id)).toMatchObject({
    drift: null,
    warnings: [{ code: 'outputs-kept' }],
  });

  // The next one meets nothing of it, in the same copy; other code is other code.
  sandbox.write('sub/train.py', 'import os; print(sorted(os.listdir("..")), open("../notes.txt").read())\n');
  expect(job().stdout).toBe(
    "['.git', '.gitignore', 'README', 'data', 'notes.txt', 'sub', 'waddle.json'] old\n\n",
  );
  expect(slots()).toHaveLength(1);
  expect(existsSync(outputs(newestId()))).toBe(false);
  expect(job('--no-isolate').stdout).toContain('.waddle');
});

test('entries import from the copy, and a Node entry runs from it', () => {
  sandbox.write('lib.py', 'VALUE = 1\n');
  sandbox.write('train.py', 'import lib, os\ndef waddle_main(run, argv):\n    print(lib.__file__)\n');
  sandbox.write('deep/train.ts', 'export default (run, argv) => { console.log(import.meta.filename); };\n');
  const python = sandbox.waddle('run', '--isolate', '--entry', 'train');
  expect(python.stdout).toMatch(/^\S+\/\.waddle\/pool\/\w+\/code\/lib\.py\n$/);
  const node = sandbox.waddle('run', '--isolate', '--entry', 'deep/train.ts');
  expect(node.stdout).toMatch(/^\S+\/\.waddle\/pool\/\w+\/code\/deep\/train\.ts\n$/);
  const both = sandbox.waddle('run', '--isolate', '--no-auto-commit', '--entry', 'train');
  expect([both.status, both.stderr]).toEqual([2, expect.stringContaining('--no-auto-commit')]);
  sandbox.write('waddle.json', JSON.stringify({ run: { link: ['../outside'] } }));
  expect(sandbox.waddle('run', '--isolate', '--entry', 'train').status).toBe(2);
});

test('parallel jobs do not meet; a copy whose supervisor was killed is taken over once the job is gone', async () => {
  sandbox.write(
    'train.py',
    'import os, time, sys\nopen("mine", "x").write(sys.argv[1])\nprint(os.getcwd(), flush=True)\ntime.sleep(1.5)\nassert open("mine").read() == sys.argv[1]\n',
  );
  const started = [1, 2, 3, 4].map((n) =>
    sandbox.start(WADDLE, ['run', '--isolate', '--', 'python3', 'train.py', String(n)]),
  );
  expect((await Promise.all(started.map(ended))).map(({ status }) => status)).toEqual([0, 0, 0, 0]);
  expect(slots()).toHaveLength(4);
  const kept = sandbox.json<{ id: string }[]>('ls').map(({ id }) => read(join(outputs(id), 'mine')));
  expect(kept.sort()).toEqual(['1', '2', '3', '4']);

  sandbox.write('train.py', 'import time\nopen("left", "w").write("left")\ntime.sleep(600)\n');
  const victim = sandbox.start(WADDLE, ['run', '--isolate', '--name', 'victim', '--', 'python3', 'train.py']);
  const copy = () =>
    slots().find((slot) => existsSync(join(sandbox.folder, '.waddle/pool', slot, 'code/left')));
  await until(() => copy() !== undefined, 'the job writes');
  const slot = copy() ?? '';
  victim.kill('SIGKILL');
  await ended(victim);
  const job = sandbox.waddle('run', '--isolate', '--', 'sh', '-c', 'pwd');
  expect(job.stdout).not.toContain(slot);
  const id =
    sandbox.json<{ id: string; name: string }[]>('ls').find(({ name }) => name === 'victim')?.id ?? '';
  const [{ pid } = { pid: 0 }] = JSON.parse(
    `[${readdirSync(join(sandbox.folder, '.waddle/runs', id))
      .filter((name) => name.startsWith('supervisor-'))
      .flatMap((name) => read(join(sandbox.folder, '.waddle/runs', id, name)).split('\n'))
      .filter((line) => line.includes('"k":"job"'))
      .join(',')}]`,
  ) as { pid: number }[];
  process.kill(pid, 'SIGKILL');
  await until(() => !existsSync(`/proc/${pid}`), 'the job is gone');
  // Free ones are taken first; with all of those held, the dead one's is.
  const pool = join(sandbox.folder, '.waddle/pool');
  const held = [1, 2, 3].map((n) => takeSlot(pool, `run${n}`, (all) => all));
  expect(held.map((each) => each.takenOver)).toEqual([false, false, false]);
  const next = sandbox.waddle('run', '--isolate', '--', 'sh', '-c', 'pwd; ls');
  expect(next.stdout).toBe(`${join(pool, slot, 'code')}\nREADME\ntrain.py\n`);
  expect(read(join(outputs(id), 'left'))).toBe('left');
  for (const each of held) each.release();
});

test('killed at random moments: the next job sees exactly its own code', async () => {
  for (let n = 0; n < 300; n += 1) sandbox.write(`code/file${n}`, `${n}\n`);
  const { killed, copies } = await killIsolated({ sandbox, rounds: 3, seed: 11 });
  expect(killed).toBeGreaterThan(0);
  expect(copies).toBeLessThanOrEqual(2);
});

test('declared outputs become artifacts; the rest is kept beside the run', () => {
  sandbox.write(
    'waddle.json',
    JSON.stringify({ run: { outputs: ['models/', '**/*.png', 'never'], isolate: true } }),
  );
  sandbox.write(
    'job.sh',
    'mkdir -p models plots/deep; echo w > models/a.bin; echo v > models/b.bin; echo p > plots/deep/one.png; echo l > log.txt\n',
  );
  const said = sandbox.waddle('run', '--', 'sh', 'job.sh');
  expect(said.stderr).toContain('logged as artifacts: models, plots/deep/one.png');
  const { artifacts } = sandbox.json<{ artifacts: { name: string; type: string }[] }>('show', '@last');
  expect(artifacts.map(({ name, type }) => [name, type])).toEqual([
    ['models', 'folder'],
    ['plots/deep/one.png', 'file'],
  ]);
  expect(read(join(outputs(newestId()), 'log.txt'))).toBe('l\n');
  expect(existsSync(join(outputs(newestId()), 'models'))).toBe(false);
  sandbox.waddle('get', '@last', 'models', 'back');
  expect(read(join(sandbox.folder, 'back/b.bin'))).toBe('v\n');
});
