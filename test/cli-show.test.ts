import { beforeAll, expect, test } from 'vitest';
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
  expect(said.out).toMatchInlineSnapshot(`
    "✓ baseline  aaaabbbbcccc  completed after 13s, started 1h ago
      commit 3333333333 on main, 2 changed files, incomplete  ada@box:/home/ada/pro…

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
test('show of a failed run: its exit code, warnings and traceback, names cut to fit', async () => {
  const said = await waddle(layout.project, ['show', 'dddd'], { terminal: true });
  for (const line of said.out.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
  expect(said.out).toMatchInlineSnapshot(`
    "✗ a-very-long-name-of-a-run-…  ddddeeeeffff  failed after 1h02m, started 59m ago
      no commit  ada@box:/home/ada/project

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
test('compare on a terminal: what differs, and the metrics', async () => {
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
    5 more rows, equal or of the system: --all
    "
  `);
});

test('in a pipe nothing is cut and nothing is coloured', async () => {
  const said = await waddle(layout.project, ['show', 'dddd']);
  expect(said.out).toContain('a-very-long-name-of-a-run-that-nobody-would-type-but-a-script-does');
  expect(said.out).toContain('x'.repeat(100));
  expect(said.out).not.toContain('\u001b');
});

test('colours only where the terminal takes them', async () => {
  const coloured = await waddle(layout.project, ['show', 'baseline'], { terminal: true, colors: true });
  expect(coloured.out).toContain('\u001b[32m✓\u001b[39m');
  expect(coloured.out).toContain('naïve \\x1b[31m.py');
});

test('--all shows the system metrics too', async () => {
  const said = await waddle(layout.project, ['show', 'baseline', '--all']);
  expect(said.out).toContain('system/cpu_percent');
});

test('--json is the object of the API', async () => {
  const said = await waddle(layout.project, ['show', 'aaaa', '--json']);
  const detail = JSON.parse(said.out) as Record<string, Record<string, unknown>>;
  expect(detail.run).toMatchObject({ id: 'aaaabbbbcccc', status: 'completed', commit_sha: '3'.repeat(40) });
  expect(detail.params).toEqual({
    lr: 0.1,
    epochs: 40,
    optimizer: { name: 'sgd', momentum: 0.9 },
    note: 'a\nb',
    big: 1,
  });
  expect(detail.tags).toEqual({ model: 'linear' });
  expect(detail.metrics?.acc).toMatchObject({ last: 0.75, min: 0.1, max: 0.75, count: 4, nan: 1 });
  expect(detail.snapshot).toMatchObject({
    base: '1'.repeat(40),
    tree: '2'.repeat(40),
    commit: '3'.repeat(40),
    branch: 'main',
    state: 'normal',
    incomplete: true,
    left_out: [{ path: 'data.bin', size: 123_456_789, reason: 'size' }],
    nested: [],
  });
  expect(detail.artifacts).toHaveLength(2);
});

test('compare --json, and runs that are not there', async () => {
  const said = await waddle(layout.project, ['compare', 'baseline', 'dddd', '--json']);
  const comparison = JSON.parse(said.out) as {
    runs: { id: string }[];
    params: { key: string; differs: boolean }[];
  };
  expect(comparison.runs.map((run) => run.id)).toEqual(['aaaabbbbcccc', 'ddddeeeeffff']);
  expect(comparison.params.at(-1)).toMatchObject({ key: 'epochs', differs: false });
  expect((await waddle(layout.project, ['compare', 'baseline', 'nobody'])).code).toBe(1);
  expect((await waddle(layout.project, ['show'])).code).toBe(2);
  expect((await waddle(layout.project, ['show', '@last~5'])).code).toBe(1);
});

test('narrow and wide terminals, and more runs than fit beside each other', async () => {
  for (const columns of [70, 100, 200]) {
    for (const argv of [['show', 'dddd', '--all'], ['compare', 'dddd', 'baseline'], ['ls']]) {
      const said = await waddle(layout.project, argv, { terminal: true, columns });
      for (const line of said.out.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(columns);
    }
  }
  const many = newProject();
  const ids = Array.from({ length: 12 }, (_, index) =>
    writeRun(many, { name: `run ${index}`, at: index, params: { lr: index }, metrics: { loss: [index] } }),
  );
  const said = await waddle(many.project, ['compare', ...ids], { terminal: true });
  for (const line of said.out.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
  for (let index = 0; index < 12; index += 1) expect(said.out).toMatch(new RegExp(`run ${index}\\b`));
  expect(said.out.split('\n\n')).toHaveLength(3);
});
