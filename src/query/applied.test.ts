/** Events as a job writes them, applied by the store itself, then read by every query. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { encodeEvent, parseLine } from '../events/line.ts';
import type { Event } from '../events/schema.ts';
import { answerNow } from '../store/answer-now.ts';
import { Applier } from '../store/apply.ts';
import { readSeries } from './chart.ts';
import { type TemporaryStore, temporaryStore } from './fixture.ts';
import { runDetail } from './run-detail.ts';
import { listRuns } from './runs-table.ts';
import { readSamples } from './samples.ts';

const RUN = 'abcdefghij23';
const T = 1_764_000_000;
let temporary: TemporaryStore;

function apply(writer: string, events: readonly Event[]): void {
  const applier = new Applier(temporary.store, { clock: { now: () => T * 1000, mono: () => 0 } });
  applier.transact((batch) => {
    const journal = batch.journal(writer.startsWith('project') ? null : RUN, writer);
    let offset = 0;
    for (const event of events) {
      const line = encodeEvent(event);
      batch.apply(journal, offset, parseLine(line.trimEnd()));
      offset += Buffer.byteLength(line);
      batch.advance(journal, offset);
    }
  });
}

function opened(writer: string, role: string, extra: object = {}): Event {
  return {
    k: 'open',
    t: T,
    format: 1,
    writer,
    role,
    run: RUN,
    host: 'box',
    user: 'ann',
    pid: 7,
    client: 'test',
    ...extra,
  };
}

beforeAll(() => {
  temporary = temporaryStore();
  apply('supervisor-aaaabbbb', [
    opened('supervisor-aaaabbbb', 'supervisor'),
    {
      k: 'start',
      t: T,
      id: RUN,
      attempt: 'supervisor-aaaabbbb',
      name: 'baseline',
      project: 'demo',
      entry: 'train',
      argv: ['--lr', '1'],
    },
    {
      k: 'snapshot',
      t: T + 1,
      snapshot: {
        ...{
          store: 'repository',
          prefix: '',
          base: 'b1',
          tree: 't1',
          commit: 'c1',
          commit_object: 'x',
          branch: 'main',
        },
        ...{
          state: 'merging',
          dirty: true,
          incomplete: true,
          left_out: [{ path: '.env', size: 9, reason: 'secret' }],
        },
        ...{
          nested: [{ path: 'sub', tree: 't2' }],
          changed: [],
          changed_count: 0,
          warnings: [],
          duration_ms: 5,
        },
      },
    },
    { k: 'env', t: T + 1, environment: { python: { version: '3.11' } } },
    {
      k: 'end',
      t: T + 60,
      attempt: 'supervisor-aaaabbbb',
      status: 'completed',
      exit_code: 0,
      by: 'supervisor',
    },
    { k: 'close', t: T + 60 },
  ]);
  for (const [rank, writer] of ['job-ccccdddd', 'job-eeeeffff'].entries()) {
    apply(writer, [
      opened(writer, 'job', { rank, world_size: 2 }),
      { k: 'param', t: T + 1, key: 'opt', value: { lr: 0.01, name: 'sgd' } },
      { k: 'tag', t: T + 1, key: 'model', value: 'linear' },
      ...Array.from(
        { length: 5000 },
        (_, step): Event => ({
          k: 'm',
          t: T + 2 + step / 100,
          s: step,
          v: { 'train/loss': step === 4321 ? 50 + rank : 1 / (step + 1) },
        }),
      ),
      { k: 'm', t: T + 55, s: 5000, v: { 'train/loss': 'NaN' } },
      {
        k: 'artifact',
        t: T + 56,
        name: 'w.json',
        kind: 'model',
        type: 'file',
        sha256: 'e'.repeat(64),
        size: 3,
        inline: 'YWJj',
      },
    ]);
  }
});
afterAll(() => temporary.remove());

it('finds the run by what it logged', () => {
  const found = (filter: string) =>
    answerNow(temporary.store, listRuns({ filter })).rows.map((row) => row.id);
  for (const filter of [
    "params.opt.lr < 0.1 and tags.model = 'linear' and status = 'completed'",
    'metrics.train/loss.max > 50 and metrics.train/loss.count = 10002',
    "metrics.train/loss = 'NaN' and not metrics.train/loss < 1",
    "commit = 'c1' and host = 'box' and user = 'ann' and project = 'demo' and entry like 'tr%'",
    "duration >= '1m' and duration < 61 and name ~ '^base'",
    `started_at = ${T} and ended_at > ${T}`,
    'group is null and params.opt.momentum is null',
  ]) {
    expect([filter, found(filter)]).toEqual([filter, [RUN]]);
  }
  expect(found("status = 'failed'")).toEqual([]);
});

it('tells all of it', () => {
  expect(answerNow(temporary.store, runDetail(RUN))).toMatchObject({
    run: {
      id: RUN,
      name: 'baseline',
      status: 'completed',
      commit_sha: 'c1',
      exit_code: 0,
      duration: 60,
      argv: ['--lr', '1'],
    },
    params: { opt: { lr: 0.01, name: 'sgd' } },
    tags: { model: 'linear' },
    metrics: {
      'train/loss': { last: 'NaN', max: 51, min: 1 / 5000, first: 1, count: 10_002, nan: 2, max_step: 5000 },
    },
    snapshot: {
      ...{ base: 'b1', tree: 't1', commit: 'c1', branch: 'main', state: 'merging', incomplete: true },
      ...{ left_out: [{ path: '.env', size: 9, reason: 'secret' }], nested: [{ path: 'sub', tree: 't2' }] },
    },
    environment: { python: { version: '3.11' } },
    attempts: [{ number: 1, status: 'completed' }],
    artifacts: [{ name: 'w.json', size: 3, inline: true }, { name: 'w.json' }],
  });
  expect(
    answerNow(temporary.store, runDetail(RUN))?.writers.map((writer) => [
      writer.role,
      writer.rank,
      writer.closed,
    ]),
  ).toEqual([
    ['job', 0, false],
    ['job', 1, false],
    ['supervisor', null, true],
  ]);
});

it('draws each rank, spikes and all, and pages through the samples', () => {
  const { lines } = answerNow(temporary.store, readSeries({ run: RUN, key: 'train/loss', points: 50 }));
  expect(lines.map((line) => [line.rank, Math.max(...line.max)])).toEqual([
    [0, 50],
    [1, 51],
  ]);
  const { rows, next } = answerNow(temporary.store, readSamples({ run: RUN, key: 'train/loss', limit: 3 }));
  expect(rows.map((row) => [row.key, row.step, row.ts, row.value])).toEqual([
    ['train/loss', 0, T + 2, 1],
    ['train/loss', 0, T + 2, 1],
    ['train/loss', 1, T + 2.01, 0.5],
  ]);
  expect(next).toBe('1:1');
});
