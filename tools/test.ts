/** `npm test`: every test of the project, TypeScript's and Python's. Arguments go to Vitest, and then only its tests run. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const filters = process.argv.slice(2);

function run(title: string, command: string, args: string[], env: NodeJS.ProcessEnv = {}): boolean {
  process.stdout.write(`\n── ${title}\n`);
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  });
  if (error !== undefined) process.stdout.write(`${command}: ${error.message}\n`);
  return status === 0;
}

const all = filters.length === 0 ? { WADDLE_TEST_ALL: '1' } : {};
const vitest = ['node_modules/vitest/vitest.mjs', 'run', ...filters];
const results = [run('TypeScript', process.execPath, vitest, all)];
if (filters.length === 0) {
  const python = process.env.WADDLE_TEST_PYTHON ?? 'python3';
  const args = ['-m', 'unittest', 'discover', '-s', 'python/tests', '-t', 'python'];
  results.push(run(`Python (${python})`, python, args, { PYTHONPATH: join(root, 'python') }));
}
process.exitCode = results.every(Boolean) ? 0 : 1;
