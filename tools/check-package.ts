/**
 * Packs the npm package, installs the tarball into an empty folder, and uses it as a stranger would: the command, the
 * Python client inside it, and the client for Node jobs.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'waddle-package-'));
const MAX_UNPACKED_BYTES = 3 * 1024 * 1024;
/** Installed packages find this Node first, as on a machine whose Node is new enough. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}` };

function run(cwd: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}

function expect(condition: boolean, what: string): void {
  if (!condition) throw new Error(`packaging: ${what}`);
  process.stdout.write(`ok: ${what}\n`);
}

try {
  // What prepack does; its scripts would print into the JSON.
  run(root, process.execPath, 'tools/build.ts', '--clean');
  const packed = JSON.parse(
    run(root, 'npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', folder),
  );
  const [{ filename, unpackedSize, files }] = packed as [
    { filename: string; unpackedSize: number; files: { path: string }[] },
  ];
  expect(
    unpackedSize < MAX_UNPACKED_BYTES,
    `unpacked size ${(unpackedSize / 2 ** 20).toFixed(2)} MiB is under ${MAX_UNPACKED_BYTES / 2 ** 20} MiB`,
  );
  const paths = files.map(({ path }) => path);
  expect(
    paths.includes('python/waddle/__init__.py') && paths.includes('python/waddle/py.typed'),
    'python/ is inside',
  );
  expect(
    !paths.some((path) => path.includes('__pycache__') || path.includes('.test.')),
    'no caches, no tests',
  );

  const home = join(folder, 'app');
  mkdirSync(home);
  writeFileSync(join(home, 'package.json'), '{"private": true, "type": "module"}\n');
  run(home, 'npm', 'install', '--no-progress', '--no-audit', '--no-fund', join(folder, filename));
  const waddle = join(home, 'node_modules', '.bin', 'waddle');
  expect(run(home, waddle, '--help').includes('Commands:'), 'waddle --help');
  writeFileSync(
    join(home, 'train.py'),
    'import waddle\nrun = waddle.init()\nrun.log_metric("loss", 0, 0.5)\n',
  );
  run(home, waddle, 'run', '--quiet', '--', 'python3', 'train.py');
  const script =
    "import { init } from 'waddleml/client';\nconst run = await init({});\nrun.logMetric('loss', 0, 0.25);\n";
  writeFileSync(join(home, 'train.mjs'), script);
  run(home, waddle, 'run', '--quiet', '--', 'node', 'train.mjs');
  const runs = JSON.parse(run(home, waddle, 'ls', '--columns', 'metrics.loss', '--json')) as {
    status: string;
  }[];
  expect(
    runs.length === 2 && runs.every(({ status }) => status === 'completed'),
    'a Python and a Node job are recorded',
  );
  expect(readdirSync(home).includes('.waddle'), 'runs lie in .waddle/');
} finally {
  rmSync(folder, { recursive: true, force: true });
}
