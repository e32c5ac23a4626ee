/**
 * `node bench/peers/main.ts [--only trackio,…] [--json PATH] [--quick] [--install]`: the same job with Waddle and with
 * other trackers, each in an environment of its own in `.cache/peers`, in turn, on this machine, offline.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from '../figure.ts';
import { type Environment, prepareEnvironment } from './environment.ts';
import { type Cost, measureCost, measureEmptyRun, measureKill } from './measure.ts';
import { PEERS, type Peer } from './peers.ts';

const { values: flags } = parseArgs({
  options: {
    only: { type: 'string', multiple: true },
    json: { type: 'string' },
    /** One round of each: shows that everything runs. */
    quick: { type: 'boolean', default: false },
    /** Only makes the environments. */
    install: { type: 'boolean', default: false },
  },
});

const CALLS = 5000;
const LOG_ROUNDS = flags.quick ? 1 : 5;
const PROCESSES = flags.quick ? 1 : 5;
const KILLS = flags.quick ? 1 : 3;

interface Row {
  name: string;
  version: string | null;
  note: string;
  /** Why it was not measured. */
  skipped?: string;
  import_ms?: number;
  init_ms?: number;
  log_us?: number;
  finish_ms?: number;
  bytes_per_sample?: number;
  /** The fewest of the samples left after a kill, of 5,000. */
  left_after_kill?: number;
}

const root = join(import.meta.dirname, '..', '..');
const scratch = mkdtempSync(join(tmpdir(), 'waddle-peers-'));
const only = flags.only?.flatMap((names) => names.split(','));
const say = (text: string) => void process.stderr.write(`… ${text}\n`);

const number = (value: number | undefined, digits = 0) => (value === undefined ? '' : value.toFixed(digits));

function printTable(rows: readonly Row[]): void {
  const head = [
    'tracker',
    'version',
    'import ms',
    'init ms',
    'log µs',
    'finish ms',
    'bytes/sample',
    'left of 5,000',
  ];
  const cells = rows.map((row) => [
    row.name,
    row.version ?? '',
    ...(row.skipped === undefined
      ? [
          number(row.import_ms),
          number(row.init_ms),
          number(row.log_us, 1),
          number(row.finish_ms),
          number(row.bytes_per_sample),
          number(row.left_after_kill),
        ]
      : [`skipped: ${row.skipped}`]),
  ]);
  const measured = cells.filter((row) => row.length === head.length);
  const widths = head.map((title, column) =>
    Math.max(title.length, ...(column < 2 ? cells : measured).map((row) => row[column]?.length ?? 0)),
  );
  for (const row of [head, ...cells]) {
    const padded = row.map((cell, column) =>
      column < 2 || row.length < head.length
        ? cell.padEnd(widths[column] ?? 0)
        : cell.padStart(widths[column] ?? 0),
    );
    process.stdout.write(`${padded.join('  ').trimEnd()}\n`);
  }
}

const message = (error: unknown) => (error instanceof Error ? error.message : String(error));
const rows: Row[] = [];
const jobs: {
  peer: Peer;
  environment: Environment;
  row: Row;
  emptyRun: number;
  costs: Cost[];
  left: number[];
}[] = [];

try {
  for (const peer of PEERS) {
    if (only && !only.includes(peer.name)) continue;
    const row: Row = { name: peer.name, version: null, note: peer.note };
    rows.push(row);
    try {
      say(`${peer.name}: environment`);
      const environment = await prepareEnvironment(root, peer);
      row.version = environment.version;
      jobs.push({ peer, environment, row, emptyRun: 0, costs: [], left: [] });
    } catch (error) {
      row.skipped = message(error);
    }
  }
  /** One step of every peer in turn; a peer that fails is out, and says why. */
  const each = async (title: string, work: (job: (typeof jobs)[number]) => Promise<void>) => {
    for (const job of jobs) {
      if (job.row.skipped !== undefined) continue;
      say(`${job.peer.name}: ${title}`);
      try {
        await work(job);
      } catch (error) {
        job.row.skipped = message(error);
      }
    }
  };
  if (!flags.install) {
    const of = (job: (typeof jobs)[number]) => ({ ...job, root, scratch });
    // The first run of each also warms the disk's cache and Python's compiled files; its times do not count.
    await each('a run of one sample', async (job) => {
      job.emptyRun = await measureEmptyRun(of(job));
    });
    for (let round = 1; round <= PROCESSES; round += 1) {
      await each(`cost, round ${round} of ${PROCESSES}`, async (job) => {
        job.costs.push(await measureCost(of(job), CALLS, LOG_ROUNDS, job.emptyRun));
      });
    }
    for (let round = 1; round <= KILLS; round += 1) {
      await each(`kill -9, round ${round} of ${KILLS}`, async (job) => {
        job.left.push(await measureKill(of(job), CALLS));
      });
    }
  }
} finally {
  rmSync(scratch, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
for (const { row, costs, left } of jobs) {
  if (row.skipped !== undefined || costs.length === 0) continue;
  const middle = (field: keyof Cost) => median(costs.map((cost) => cost[field]));
  row.import_ms = middle('import_ms');
  row.init_ms = middle('init_ms');
  row.log_us = middle('log_us');
  row.finish_ms = middle('finish_ms');
  row.bytes_per_sample = middle('bytes_per_sample');
  row.left_after_kill = Math.min(...left);
}
printTable(rows);
if (flags.json !== undefined) {
  const machine = { cpu: cpus()[0]?.model ?? null, cores: availableParallelism() };
  const result = { at: new Date().toISOString(), machine, quick: flags.quick, calls: CALLS, trackers: rows };
  writeFileSync(flags.json, `${JSON.stringify(result, null, 2)}\n`);
}
