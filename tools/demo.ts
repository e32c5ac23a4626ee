/**
 * `npm run demo`: trains a real model on real data under Waddle, right in this checkout, and shows what was kept.
 * `waddle.json` and `.waddle/` are ignored here, so the clone stays clean; run it again for a second run to compare.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { styleText } from 'node:util';

const root = join(import.meta.dirname, '..');
const sample = [
  '--repo',
  'main',
  '--entry',
  'examples.ml_sample',
  '--project',
  'demo',
  '--name',
  'linear-regression',
];

function waddle(...args: string[]): void {
  process.stdout.write(`\n${styleText('bold', `$ waddle ${args.join(' ')}`)}\n`);
  const { status, error } = spawnSync(join(root, 'bin', 'waddle'), args, { cwd: root, stdio: 'inherit' });
  if (error !== undefined) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

if (!existsSync(join(root, 'waddle.json'))) waddle('init');
waddle('repo-link', '--name', 'main', '--path', '.');
waddle('run', ...sample, '--', '--epochs', '40', '--learning-rate', '0.03');
waddle('show', '@last');
process.stdout.write(`
Everything lies in .waddle/. Look around:
  ./bin/waddle serve --open
  ./bin/waddle ls --columns params.epochs,metrics.val/r2
  ./bin/waddle logs @last
  ./bin/waddle run --entry examples.ml_sample --project demo -- --epochs 200 && ./bin/waddle compare @last~1 @last
`);
