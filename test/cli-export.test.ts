import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, test } from 'vitest';
import type { Layout } from '../src/journal/layout.ts';
import { newProject, temporaryFolder, waddle, writeRun } from './cli-fixture.ts';

let layout: Layout;
beforeEach(() => {
  layout = newProject();
  writeRun(layout, {
    id: 'aaaabbbbcccc',
    name: 'a',
    params: { lr: 0.1 },
    metrics: { loss: [1, 0.5], acc: [0, 1] },
  });
  writeRun(layout, { id: 'ddddeeeeffff', name: 'b', at: 60, params: { lr: 0.2 }, metrics: { loss: [2] } });
});

test('export writes metrics as CSV to stdout', async () => {
  const said = await waddle(layout.project, ['export', 'a', 'b']);
  expect([said.code, said.err]).toEqual([0, '']);
  const rows = said.out.trimEnd().split(/\r?\n/);
  expect(rows).toHaveLength(6);
  expect(rows[0]).toContain('step');
  expect(
    (await waddle(layout.project, ['export', 'a', '--key', 'acc'])).out.trimEnd().split('\n'),
  ).toHaveLength(3);
  expect((await waddle(layout.project, ['export', '--all'])).out.trimEnd().split('\n')).toHaveLength(6);
});

test('export writes files, and says which', async () => {
  const folder = temporaryFolder();
  const argv = ['export', 'a', '--dir', layout.project];
  const said = await waddle(folder, [...argv, '--format', 'jsonl', '--what', 'params', '--out', 'p.jsonl']);
  expect(said).toEqual({ code: 0, out: '', err: 'p.jsonl (1 row)\n' });
  expect(JSON.parse(readFileSync(join(folder, 'p.jsonl'), 'utf8'))).toMatchObject({ value: 0.1 });
  await waddle(folder, [...argv, '--format', 'parquet', '--what', 'all', '--out', 'all']);
  expect(readdirSync(join(folder, 'all')).sort()).toEqual([
    'metrics.parquet',
    'params.parquet',
    'runs.parquet',
  ]);
});

test.each([
  [['export'], 2],
  [['export', 'a', '--all'], 2],
  [['export', 'a', '--format', 'xlsx'], 2],
  [['export', 'a', '--what', 'all'], 2],
  [['export', 'nobody'], 1],
  [['export', 'a', '--out', 'no/such/folder/x.csv'], 1],
])('%j fails in two lines', async (argv, code) => {
  const said = await waddle(layout.project, argv);
  expect([said.code, said.out]).toEqual([code, '']);
  expect(said.err.trimEnd().split('\n')).toHaveLength(2);
});

test('Parquet is not for a terminal, and nothing is exported where there is nothing', async () => {
  expect(
    (await waddle(layout.project, ['export', 'a', '--format', 'parquet'], { terminal: true })).code,
  ).toBe(2);
  const folder = temporaryFolder();
  expect((await waddle(folder, ['export', '--all'])).err).toContain('No runs here yet');
  expect(readdirSync(folder)).toEqual([]);
});
