/** Installs the npm package of `build/` into an empty folder, and uses it as a stranger would. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { built, expect, output } from './check.ts';

const folder = mkdtempSync(join(tmpdir(), 'waddle-npm-'));
/** Installed packages find this Node first, as on a machine whose Node is new enough. */
const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH ?? ''}` };

try {
  const tarball = built('.tgz');
  const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).split('\n');
  for (const file of ['python/waddle/__init__.py', 'python/waddle/py.typed', 'dist/client.d.ts', 'LICENSE']) {
    expect(files.includes(`package/${file}`), `${file} is inside`);
  }
  expect(!files.some((file) => /__pycache__|\.test\./.test(file)), 'no caches, no tests');

  const home = join(folder, 'app');
  mkdirSync(home);
  const here = { cwd: home, env };
  writeFileSync(join(home, 'package.json'), '{"private": true, "type": "module"}\n');
  output(here, 'npm', 'install', '--no-progress', '--no-audit', '--no-fund', tarball);
  const waddle = join(home, 'node_modules', '.bin', 'waddle');
  const version = output(here, waddle, '--version');
  expect(/^\d+\.\d+\.\d+/.test(version), `waddle --version: ${version.trim()}`);
  expect(output(here, 'npx', '--no', '--', 'waddleml', '--version') === version, 'npx waddleml, installed');
  expect(output(here, 'npx', '--no', '--', 'waddle', '--version') === version, 'npx waddle, installed');
  const elsewhere = { cwd: folder, env };
  expect(
    output(elsewhere, 'npx', '--yes', '--', `file:${tarball}`, '--version') === version,
    'npx, not installed before',
  );

  const python = 'import waddle\nrun = waddle.init()\nrun.log_metric("loss", 0, 0.5)\n';
  writeFileSync(join(home, 'train.py'), python);
  output(here, waddle, 'run', '--quiet', '--', 'python3', 'train.py');
  const script =
    "import { init } from 'waddleml/client';\nconst run = await init({});\nrun.logMetric('loss', 0, 0.25);\n";
  writeFileSync(join(home, 'train.mjs'), script);
  output(here, waddle, 'run', '--quiet', '--', 'node', 'train.mjs');
  const runs = JSON.parse(output(here, waddle, 'ls', '--columns', 'metrics.loss', '--json')) as {
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
