import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { displayWidth } from '../src/cli/table.ts';
import type { Layout } from '../src/journal/layout.ts';
import { newProject, temporaryFolder, waddle, writeRun } from './cli-fixture.ts';

let layout: Layout;
beforeAll(() => {
  layout = newProject();
  writeRun(layout, {
    id: 'aaaabbbbcccc',
    name: 'baseline',
    at: 0,
    params: { lr: 0.1, epochs: 40, optimizer: { name: 'sgd' } },
    tags: { model: 'linear' },
    metrics: { loss: [1, 0.5, 0.25], acc: [0.1, 0.5, 0.75], 'system/cpu_percent': [50] },
  });
  writeRun(layout, {
    id: 'ddddeeeeffff',
    name: 'a-very-long-name-of-a-run-that-nobody-would-type-but-a-script-does',
    at: 600,
    took: 3725,
    status: 'failed',
    params: { lr: 0.01, epochs: 40 },
    metrics: { loss: ['NaN'] },
  });
  writeRun(layout, {
    id: 'gggghhhhiiii',
    name: '猫\u001b[2J\nx',
    at: 1200,
    project: 'other',
    status: 'aborted',
    params: { lr: 0.3 },
  });
  writeRun(layout, { id: 'jjjjkkkkllll', name: null, at: 3590, took: null, metrics: { loss: [Math.PI] } });
});

describe('ls', () => {
  test('on a terminal of 80 columns', async () => {
    const said = await waddle(layout.project, ['ls'], { terminal: true });
    expect(said.err).toBe('');
    expect(said.out).toMatchInlineSnapshot(`
      "   ID            NAME                    PROJECT  AGE   TOOK    loss   acc    lr
      ▶  jjjjkkkkllll  brave-heron             demo     10s    10s  3.1416
      ■  gggghhhhiiii  猫\\x1b[2J\\nx            other    40m    13s                 0.3
      ✗  ddddeeeeffff  a-very-long-name-of-a…  demo     50m  1h02m     NaN        0.01
      ✓  aaaabbbbcccc  baseline                demo      1h    13s    0.25  0.75   0.1
      "
    `);
    for (const line of said.out.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
  });
  test('in a pipe nothing is cut', async () => {
    expect((await waddle(layout.project, ['ls'])).out).toMatchInlineSnapshot(`
      "STATUS       ID            NAME                                                                PROJECT  AGE   TOOK    loss   acc    lr
      ▶ running    jjjjkkkkllll  brave-heron                                                         demo     10s    10s  3.1416
      ■ aborted    gggghhhhiiii  猫\\x1b[2J\\nx                                                        other    40m    13s                 0.3
      ✗ failed     ddddeeeeffff  a-very-long-name-of-a-run-that-nobody-would-type-but-a-script-does  demo     50m  1h02m     NaN        0.01
      ✓ completed  aaaabbbbcccc  baseline                                                            demo      1h    13s    0.25  0.75   0.1
      "
    `);
  });
  test('with chosen columns', async () => {
    const said = await waddle(
      layout.project,
      [
        'ls',
        '--filter',
        'params.lr >= 0.1 or metrics.loss is null',
        '--sort',
        'params.lr:desc',
        '--columns',
        'params.lr,metrics.loss.min,tags.model,started_at,duration',
      ],
      { terminal: true, columns: 120 },
    );
    expect(said.out).toMatchInlineSnapshot(`
      "   ID            NAME          PROJECT  AGE  TOOK   lr  loss.min  model   started_at           duration
      ■  gggghhhhiiii  猫\\x1b[2J\\nx  other    40m   13s  0.3                    2026-11-01 12:20:00  13s
      ✓  aaaabbbbcccc  baseline      demo      1h   13s  0.1      0.25  linear  2026-11-01 12:00:00  13s
      "
    `);
  });
});
void existsSync;
void readdirSync;
void join;
void temporaryFolder;
