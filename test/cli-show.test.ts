import { beforeAll, describe, expect, test } from 'vitest';
import { displayWidth } from '../src/cli/table.ts';
import type { Layout } from '../src/journal/layout.ts';
import { newProject, START, waddle, writeRun } from './cli-fixture.ts';

let layout: Layout;
beforeAll(() => {
  process.env.TZ = 'UTC';
  layout = newProject();
  writeRun(layout, {
    id: 'aaaabbbbcccc',
    name: 'baseline',
    params: { lr: 0.1, epochs: 40, optimizer: { name: 'sgd', momentum: 0.9 }, note: 'a\nb', big: 1 },
    tags: { model: 'linear' },
    notes: 'looks good\nsecond line',
    metrics: {
      'train/loss': [1, 0.7, 0.5, 0.4, 0.3, 0.27, 0.26, 0.25],
      acc: [0.1, 'NaN', 0.5, 0.75],
      'system/cpu_percent': [50, 60],
    },
    artifacts: [
      { name: 'weights.json', bytes: '{"w":1}', inline: true, kind: 'model' },
      { name: 'checkpoints/best.bin', bytes: Buffer.alloc(12_345) },
    ],
    snapshot: {
      repository: '/home/ada/project',
      changed: [
        { path: 'train.py', status: 'M' },
        { path: 'naïve \u001b[31m.py', status: 'A' },
      ],
      changed_count: 2,
      left_out: [{ path: 'data.bin', size: 123_456_789, reason: 'size' }],
      incomplete: true,
    },
  });
  writeRun(layout, {
    id: 'ddddeeeeffff',
    name: 'a-very-long-name-of-a-run-that-nobody-would-type-but-a-script-does',
    at: 60,
    took: 3725,
    status: 'failed',
    exitCode: 1,
    params: { lr: 0.01, epochs: 40, 'very/long/name/of/a/parameter/that/does/not/fit/well': 'x'.repeat(100) },
    tags: { model: 'tree' },
    metrics: { 'train/loss': [2, 3], 'system/cpu_percent': [50, 60] },
    error: {
      type: 'ValueError',
      message: 'boom',
      traceback:
        'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nValueError: \u001b[2Jboom\n',
    },
    events: [{ k: 'warning', t: START, code: 'x', message: 'None is no metric', hint: 'log a number' }],
  });
});

test('show on a terminal of 80 columns', async () => {
  const said = await waddle(layout.project, ['show', 'baseline'], { terminal: true });
  expect(said.err).toBe('');
  for (const line of said.out.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
  expect(said.out.replaceAll(layout.project, '/project')).toMatchInlineSnapshot(`
    "✓ baseline  aaaabbbbcccc  completed after 13s, started 1h ago
      commit 3333333333 on main, 2 changed files, incomplete  ada@box:/tmp/waddle-c…

      project  demo
      command  examples.ml_sample --epochs 3
      time     2026-11-01 12:00:00 to 2026-11-01 12:00:12

    Notes
      looks good
      second line

    Params
      big        1
      epochs     40
      lr         0.1
      note       a\\nb
      optimizer  {"name":"sgd","momentum":0.9}

    Tags
      model  linear

    Metrics
      key         last   min   max  mean    samples  trend
      acc         0.75   0.1  0.75  0.45  4 (1 NaN)  ▁ ▅█
      train/loss  0.25  0.25     1  0.46          8  █▅▃▂▁▁▁▁
      and 1 system metric: --all

    Artifacts
      checkpoints/best.bin  file   12 kB
      weights.json          model    7 B

    Code
      commit      3333333333333333333333333333333333333333
      on top of   1111111111111111111111111111111111111111
      repository  /home/ada/project
      changed:
        M train.py
        A naïve \\x1b[31m.py
      left out:
        data.bin (size, 123 MB)
    "
  `);
});
test('show failed', async () => {
  const said = await waddle(layout.project, ['show', 'dddd'], { terminal: true });
  for (const line of said.out.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
  expect(said.out.replaceAll(layout.project, '/project')).toMatchInlineSnapshot(`
    "✗ a-very-long-name-of-a-run-…  ddddeeeeffff  failed after 1h02m, started 59m ago
      no commit  ada@box:/project

      project  demo
      command  examples.ml_sample --epochs 3
      time     2026-11-01 12:01:00 to 2026-11-01 13:03:05
      outcome  exit code 1

    Params
      epochs                                  40
      lr                                      0.01
      very/long/name/of/a/parameter/that/do…  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…

    Tags
      model  tree

    Metrics
      key         last  min  max  mean  samples  trend
      train/loss     3    2    3   2.5        2  ▁█
      and 1 system metric: --all

    Warnings
      ! None is no metric (log a number)

    Error
      Traceback (most recent call last):
        File "x.py", line 1, in <module>
      ValueError: \\x1b[2Jboom
    "
  `);
});
test('compare', async () => {
  const said = await waddle(layout.project, ['compare', 'dddd', 'baseline'], { terminal: true });
  for (const line of said.out.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
  expect(said.out).toMatchInlineSnapshot(`
    "                                  a-very-long-name-of-a-run-that-…      baseline
    id                                                    ddddeeeeffff  aaaabbbbcccc
    Params
      big                                                                          1
      lr                                                          0.01           0.1
      note                                                                      a\\nb
      optimizer.momentum                                                         0.9
      optimizer.name                                                             sgd
      very/long/name/of/a/parameter…  xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…
    Tags
      model                                                       tree        linear
    Metrics
      acc                                                                       0.75
      train/loss                                                     3          0.25
    Run
      commit_sha                                                          3333333333
      duration                                                   1h02m           13s
      exit_code                                                      1             0
      status                                                    failed     completed
    5 more lines equal or about the machine: --all
    "
  `);
});
