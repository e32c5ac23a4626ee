/**
 * `npm run package`: what people install, into `build/`: the npm package, the wheel and the source distribution, each with
 * the command line, the dashboard and the Python client.
 *
 * The same commit makes the same bytes in any folder: entries are sorted, modes are fixed, and every time is the commit's
 * (or SOURCE_DATE_EPOCH).
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const out = join(root, 'build');
/** Pinned: its name is in the wheel. */
const HATCHLING = '1.33.0';
/** Of the npm package, unpacked and without its dependencies. */
const MAX_NPM_BYTES = 3 * 1024 * 1024;
const MAX_WHEEL_BYTES = 3 * 1000 * 1000;

function run(cwd: string, command: string, args: string[], env: NodeJS.ProcessEnv = process.env): string {
  return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

/** What is published, in a folder of its own, outside of any repository. */
function lay(tree: string): void {
  run(root, process.execPath, ['tools/build.ts', '--out', join(tree, 'dist')]);
  for (const pattern of [
    'python/waddle/*',
    'python/wheel.py',
    'schema/*',
    'LICENSE',
    'README.md',
    'pyproject.toml',
  ]) {
    for (const file of globSync(pattern, { cwd: root })) {
      if (file.includes('__pycache__') || !statSync(join(root, file)).isFile()) continue;
      mkdirSync(dirname(join(tree, file)), { recursive: true });
      cpSync(join(root, file), join(tree, file));
    }
  }
  // What only a checkout needs would be carried about, and its scripts mean nothing elsewhere.
  const {
    scripts: _,
    devDependencies: __,
    ...published
  } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown>;
  writeFileSync(join(tree, 'package.json'), `${JSON.stringify(published, null, 2)}\n`);
  for (const file of globSync('dist/**/*.*', { cwd: tree })) {
    if (readFileSync(join(tree, file), 'utf8').includes(root)) throw new Error(`${file} names this folder`);
  }
  for (const file of globSync('**/*', { cwd: tree })) {
    const folder = statSync(join(tree, file)).isDirectory();
    chmodSync(join(tree, file), folder || file === join('dist', 'waddle.js') ? 0o755 : 0o644);
  }
}

/** A Python that has hatchling, kept in `.cache/`. */
function hatchling(): string {
  const env = join(root, '.cache', `hatchling-${HATCHLING}`);
  const python = join(env, 'bin', 'python');
  if (!existsSync(join(env, 'ready'))) {
    run(root, 'python3', ['-m', 'venv', '--clear', env]);
    run(root, python, ['-m', 'pip', 'install', '--quiet', `hatchling==${HATCHLING}`]);
    writeFileSync(join(env, 'ready'), '');
  }
  return python;
}

function commitTime(): string {
  return process.env.SOURCE_DATE_EPOCH ?? run(root, 'git', ['log', '-1', '--format=%ct']).trim();
}

function expectUnder(what: string, bytes: number, limit: number): void {
  const text = `${what}: ${(bytes / 1e6).toFixed(2)} MB of at most ${(limit / 1e6).toFixed(2)}`;
  if (bytes >= limit) throw new Error(text);
  process.stdout.write(`${text}\n`);
}

const work = mkdtempSync(join(tmpdir(), 'waddle-package-'));
try {
  const tree = join(work, 'tree');
  const made = join(work, 'made');
  mkdirSync(tree);
  mkdirSync(made);
  lay(tree);
  const packed = run(tree, 'npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', made]);
  const [npm] = JSON.parse(packed) as [{ unpackedSize: number }];
  const env = { ...process.env, SOURCE_DATE_EPOCH: commitTime() };
  run(tree, hatchling(), ['-m', 'hatchling', 'build', '-t', 'sdist', '-t', 'wheel', '-d', made], env);

  expectUnder('npm package, unpacked', npm.unpackedSize, MAX_NPM_BYTES);
  const files = globSync('*', { cwd: made }).sort();
  for (const file of files) {
    const { size } = statSync(join(made, file));
    if (file.endsWith('.whl')) expectUnder('wheel', size, MAX_WHEEL_BYTES);
  }
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out);
  for (const file of files) {
    const bytes = readFileSync(join(made, file));
    writeFileSync(join(out, file), bytes);
    process.stdout.write(`${createHash('sha256').update(bytes).digest('hex')}  build/${file}\n`);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
