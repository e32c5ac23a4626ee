/**
 * What breaks first: `node bench/scale.ts [--seed N] [--measure]`. Simulates a team of 1, 10, 100 and 1,000 times the load of one
 * collector with the costs in `scale-costs.json`, and prints what each part is asked for. With `--measure` these are measured first,
 * by `team.ts`, on this machine; put there the figures of a machine that does nothing else.
 */
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  fdatasyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median, timed } from './figure.ts';
import { type Costs, costsOf, type Measured, type TeamFigures } from './scale-costs.ts';
import { type Load, type Machines, type Report, simulate } from './scale-simulation.ts';

const COSTS = join(import.meta.dirname, 'scale-costs.json');
const FACTORS = [1, 10, 100, 1000];
/** The load that the others are multiples of: a second's samples of eight jobs at full speed, and charts. */
const SAMPLES = 150_000;
const CHARTS = 10;
/** Runs that push while they go, once a second so many samples. */
const LIVE_RUNS = 100;
const LIVE_SAMPLES = 50;
const PIECE_BYTES = 1024 * 1024;
const SMALL_PIECE_BYTES = 8 * 1024;
/** Collectors are added until they are busy for less than this part of their time. */
const BUSY = 0.6;

/** Ordinary machines, and S3 as its makers describe it. */
export const MACHINES: Omit<Machines, 'collectors'> = {
  postgresCores: 16,
  logDisk: 500e6,
  network: 1.25e9,
  s3PerPrefix: 3500,
  s3Prefixes: 16,
  roundTripMs: 0.3,
  connections: 500,
  connectionsOfEach: 10,
};

export function readCosts(): Measured {
  return JSON.parse(readFileSync(COSTS, 'utf8')) as Measured;
}

export type Kind = 'full' | 'live';

/** `full`: jobs that push pieces of a MiB as fast as they can. `live`: runs that push what is new, once a second. */
export function loadOf(kind: Kind, factor: number, costs: Costs): Load {
  const charts = CHARTS * factor;
  if (kind === 'full') {
    const samplesOfPiece = Math.round(PIECE_BYTES / costs.plain);
    return { samples: SAMPLES * factor, samplesOfPiece, charts, runs: 8 * factor, spaces: factor };
  }
  const runs = LIVE_RUNS * factor;
  return { samples: runs * LIVE_SAMPLES, samplesOfPiece: LIVE_SAMPLES, charts, runs, spaces: factor };
}

/** As many as keep the busiest of their threads from being busy all the time. */
export function collectorsFor(load: Load, { front, intake }: Costs): number {
  const pieces = load.samples / load.samplesOfPiece;
  const thread = (cost: { sample: number; piece: number; chart?: number }) =>
    (load.samples * cost.sample + pieces * cost.piece + load.charts * (cost.chart ?? 0)) / 1e6;
  return Math.max(1, Math.ceil(Math.max(thread(front), thread(intake)) / BUSY));
}

function measure(): Measured {
  const folder = mkdtempSync(join(tmpdir(), 'waddle-scale-'));
  try {
    const team = (samples: number, piece: number): TeamFigures => {
      const out = join(folder, 'figures.json');
      const args = ['8', String(samples), '--piece', String(piece), '--json', out];
      execFileSync(process.execPath, [join(import.meta.dirname, 'team.ts'), ...args], { stdio: 'inherit' });
      return JSON.parse(readFileSync(out, 'utf8')) as TeamFigures;
    };
    const file = openSync(join(folder, 'log'), 'w');
    const syncs = Array.from({ length: 200 }, () =>
      timed(() => {
        writeSync(file, Buffer.alloc(8192));
        fdatasyncSync(file);
      }),
    );
    closeSync(file);
    const machine = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown'}, Node ${process.versions.node}`;
    return {
      machine,
      large: team(250_000, PIECE_BYTES),
      small: team(40_000, SMALL_PIECE_BYTES),
      sync_ms: median(syncs),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const percent = (part: number) => `${part < 0.1 ? (part * 100).toPrecision(1) : (part * 100).toFixed(0)} %`;
const times = (factor: number) => `× ${factor.toLocaleString('en')}`;

/** The factor at which nothing of a part is left: collectors are added, and each space has its own revision. */
function fullAt(name: string, asked: number): string {
  if (name.includes('collector')) return 'more are added';
  if (name.includes('of a space')) return 'by space';
  return times(Number((1 / asked).toPrecision(2)));
}

function printCosts({ front, intake, postgres, stored, log, plain, wire, syncMs }: Costs): void {
  const ms = (us: number) => `${(us / 1000).toFixed(1)} ms`;
  const kb = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;
  for (const row of [
    ['', 'collector, answering', 'collector, taking in', 'PostgreSQL', 'its tables', 'its log'],
    ['---', '---', '---', '---', '---', '---'],
    [
      'a sample',
      ...[front, intake, postgres].map(({ sample }) => `${sample.toFixed(2)} µs`),
      `${stored.toFixed(1)} B`,
      `${log.sample.toFixed(1)} B`,
    ],
    ['a piece', ...[front, intake, postgres].map(({ piece }) => ms(piece)), '', kb(log.piece)],
    ['a chart', ms(front.chart), '', ms(postgres.chart), '', ''],
  ])
    console.log(`| ${row.join(' | ')} |`);
  const bytes = `a sample: ${plain.toFixed(0)} B of journal, ${wire.toFixed(1)} B on the wire`;
  console.log(`\n${bytes}; 8 KiB are on the disk after ${syncMs.toFixed(1)} ms\n`);
}

function print(title: string, reports: Report[], heads: string[][]): void {
  const rows = (reports[0]?.parts ?? []).map(({ name, asked }, index) => [
    name,
    ...reports.map(({ parts }) => {
      const part = parts[index];
      if (part === undefined) return '';
      return part.queue >= 1 ? `${percent(part.asked)}, ${part.queue.toFixed(0)} wait` : percent(part.asked);
    }),
    fullAt(name, asked),
  ]);
  const table = [
    [title, ...FACTORS.map(times), 'full at'],
    [...FACTORS, 0, 0].map(() => '---'),
    ...heads,
    ...rows,
    ['a chart, 99 in 100', ...reports.map(({ chartP99 }) => `${chartP99.toFixed(0)} ms`)],
    ['seen after, 99 in 100', ...reports.map(({ seenP99 }) => `${seenP99.toFixed(2)} s`)],
  ];
  const widths =
    table[0]?.map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of table)
    console.log(`| ${widths.map((width, column) => (row[column] ?? '').padEnd(width)).join(' | ')} |`);
  console.log();
}

if (import.meta.main) {
  const { values: flags } = parseArgs({
    options: { measure: { type: 'boolean', default: false }, seed: { type: 'string', default: '1' } },
  });
  if (flags.measure) writeFileSync(COSTS, `${JSON.stringify(measure(), null, 2)}\n`);
  const measured = readCosts();
  const costs = costsOf(measured);
  console.log(measured.machine);
  printCosts(costs);
  for (const [kind, title] of [
    ['full', 'jobs at full speed'],
    ['live', 'live runs'],
  ] as [Kind, string][]) {
    const loads = FACTORS.map((factor) => loadOf(kind, factor, costs));
    const counts = loads.map((load) => collectorsFor(load, costs));
    const reports = loads.map((load, index) =>
      simulate(costs, load, { ...MACHINES, collectors: counts[index] ?? 1 }, Number(flags.seed)),
    );
    print(title, reports, [
      [
        'runs, spaces',
        ...loads.map(({ runs, spaces }) => `${runs.toLocaleString('en')}, ${spaces.toLocaleString('en')}`),
      ],
      ['collectors', ...counts.map((count) => count.toLocaleString('en'))],
    ]);
  }
}
