import { beforeAll, describe, expect, test } from 'vitest';
import { displayWidth } from '../src/cli/table.ts';
import type { Layout } from '../src/journal/layout.ts';
import { newProject, waddle, writeRun } from './cli-fixture.ts';

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

describe('ls, which runs', () => {
  const ids = async (...argv: string[]): Promise<string[]> => {
    const said = await waddle(layout.project, ['ls', '--json', ...argv]);
    expect(said).toMatchObject({ code: 0, err: '' });
    return (JSON.parse(said.out) as { id: string }[]).map((run) => run.id.slice(0, 4));
  };

  test('newest first, by project, by a filter, sorted, limited', async () => {
    expect(await ids()).toEqual(['jjjj', 'gggg', 'dddd', 'aaaa']);
    expect(await ids('--project', 'other')).toEqual(['gggg']);
    expect(await ids('--filter', 'params.lr < 0.2')).toEqual(['dddd', 'aaaa']);
    expect(await ids('--sort', 'params.lr:desc', '--limit', '2')).toEqual(['gggg', 'aaaa']);
    expect(await ids('--filter', "name = 'nobody'")).toEqual([]);
  });

  test('--json has what the columns ask for, beside the run’s own fields', async () => {
    const said = await waddle(layout.project, [
      'ls',
      '--json',
      '--columns',
      'params.optimizer.name,metrics.loss.min',
    ]);
    expect((JSON.parse(said.out) as object[]).at(-1)).toMatchObject({
      id: 'aaaabbbbcccc',
      name: 'baseline',
      status: 'completed',
      params: { 'optimizer.name': 'sgd' },
      metrics: { loss: { min: 0.25 } },
    });
  });

  test('a filter that is not understood is shown with a mark under the bad token', async () => {
    const said = await waddle(layout.project, ['ls', '--filter', 'params.lr >> 3']);
    expect([said.code, said.out]).toEqual([2, '']);
    expect(said.err).toMatch(/params\.lr >> 3\n +\^/);
  });

  test('bad usage', async () => {
    for (const argv of [
      ['--limit', '0'],
      ['--limit', 'x'],
      ['--sort', 'nonsense'],
      ['--columns', 'params.'],
    ]) {
      expect((await waddle(layout.project, ['ls', ...argv])).code).toBe(2);
    }
  });

  test('says where nothing fits, and where a terminal shows only a part', async () => {
    expect((await waddle(layout.project, ['ls', '--filter', 'params.lr > 9'])).err).toBe('No runs fit.\n');
    const many = newProject();
    for (let index = 0; index < 60; index += 1) writeRun(many, { name: `r${index}`, at: index });
    const shown = await waddle(many.project, ['ls'], { terminal: true });
    expect(shown.out.trimEnd().split('\n')).toHaveLength(51);
    expect(shown.err).toContain('first 50 runs');
    expect((await waddle(many.project, ['ls'])).out.trimEnd().split('\n')).toHaveLength(61);
    expect((await waddle(many.project, ['ls', '--limit', '7'], { terminal: true })).err).toBe('');
  });
});
