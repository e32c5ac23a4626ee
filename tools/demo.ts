/**
 * `npm run demo`: trains a real model on real data under Waddle, and shows what was kept. Works in a folder of its own
 * beside the checkout's other build products, so that a clone stays clean and the demo can be run again.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';

const root = join(import.meta.dirname, '..');
const folder = join(root, '.cache', 'demo');
const waddle = join(root, 'bin', 'waddle');

function step(command: string, args: string[]): void {
  process.stdout.write(
    `\n\u001b[1m$ ${[command === waddle ? 'waddle' : command, ...args].join(' ')}\u001b[0m\n`,
  );
  const { status, error } = spawnSync(command, args, { cwd: folder, stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** A small repository with the sample in it, one commit and one uncommitted change: what a day of work looks like. */
function prepare(): void {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  cpSync(join(root, 'examples'), join(folder, 'examples'), {
    recursive: true,
    filter: (source) => !source.includes('__pycache__'),
  });
  const git = (...args: string[]) =>
    spawnSync('git', ['-c', 'user.name=Demo', '-c', 'user.email=demo@example.com', ...args], { cwd: folder });
  git('init', '--quiet', '--initial-branch=main');
  git('add', '.');
  git('commit', '--quiet', '--no-gpg-sign', '--message', 'The sample');
}

prepare();
step(waddle, ['init']);
step(waddle, ['repo-link', '--name', 'main', '--path', '.']);
step(waddle, [
  'run',
  ...['--repo', 'main', '--entry', 'examples.ml_sample', '--project', 'demo', '--name', 'linear-regression'],
  ...['--', '--epochs', '40', '--learning-rate', '0.03'],
]);
step(waddle, ['show', '@last']);
step(waddle, ['ls', '--columns', 'params.epochs,metrics.val/r2']);
process.stdout.write(
  `\nThe run lies in ${relative(root, join(folder, '.waddle'))}. Look around from there: cd ${relative(root, folder)} && ${relative(folder, waddle)} --help\n`,
);
