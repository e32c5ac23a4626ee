/** The examples are real jobs: they learn something, with and without Waddle. */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ROOT, Sandbox } from './support/sandbox.ts';

interface Shown {
  run: { status: string; project: string };
  params: Record<string, unknown>;
  tags: Record<string, string>;
  metrics: Record<string, { last: number; count: number }>;
  artifacts: { name: string; kind: string; size: number }[];
}

let sandbox: Sandbox;
beforeEach(() => {
  sandbox = new Sandbox();
  cpSync(join(ROOT, 'examples'), join(sandbox.folder, 'examples'), {
    recursive: true,
    filter: (source) => !source.includes('__pycache__'),
  });
});
afterEach(() => sandbox.remove());

it.each(['examples.ml_sample', 'examples/ml_sample.ts'])(
  '%s learns under Waddle, and all of it is kept',
  (entry) => {
    const args = [
      '--entry',
      entry,
      '--project',
      'demo',
      '--name',
      'sample',
      '--',
      '--epochs',
      '60',
      '--learning-rate',
      '0.03',
    ];
    const { status, stderr } = sandbox.waddle('run', ...args);
    expect(status, stderr).toBe(0);
    const shown = sandbox.json<Shown>('show', 'sample');
    expect(shown.run).toMatchObject({ status: 'completed', project: 'demo' });
    expect(shown.params).toMatchObject({
      epochs: 60,
      learning_rate: 0.03,
      data: { train: 332, validation: 110 },
    });
    expect(shown.tags).toMatchObject({ model: 'linear_regression' });
    expect(shown.metrics['train/loss']?.count).toBe(60);
    expect(shown.metrics['val/r2']?.last).toBeGreaterThan(0.3);
    const names = shown.artifacts.map(({ name }) => name).sort();
    expect(names).toEqual(['predictions.f64', 'weights.json']);
    expect(shown.artifacts.find(({ name }) => name === 'predictions.f64')?.size).toBe(110 * 16);
    expect(sandbox.waddle('get', 'sample', 'weights.json', 'out.json').status).toBe(0);
    const weights = execFileSync('cat', ['out.json'], { cwd: sandbox.folder, encoding: 'utf8' });
    expect(Object.keys((JSON.parse(weights) as { weights: object }).weights).length).toBe(10);
  },
);

it('run without Waddle too', () => {
  for (const [command, args] of [
    ['python3', ['-m', 'examples.ml_sample', '--epochs', '5']],
    [process.execPath, ['examples/ml_sample.ts', '--epochs', '5']],
  ] as const) {
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: sandbox.folder,
      env: sandbox.env,
      encoding: 'utf8',
    });
    expect(status, stderr).toBe(0);
    expect(stdout).toContain('val R2');
  }
});

const torch = spawnSync('python3', ['-c', 'import torch, sklearn']).status === 0;

it.skipIf(!torch)(
  'torch_digits learns the digits, both ways (skipped where torch or scikit-learn is not installed)',
  () => {
    for (const job of [
      ['--entry', 'examples.torch_digits'],
      ['--', 'python3', 'examples/torch_digits.py'],
    ]) {
      const { status, stderr } = sandbox.waddle(
        'run',
        '--quiet',
        ...job,
        ...(job[0] === '--' ? [] : ['--']),
        '--epochs',
        '3',
      );
      expect(status, stderr).toBe(0);
      expect(sandbox.json<Shown>('show', '@last').run.status).toBe('completed');
    }
  },
  180_000,
);
