/**
 * A collector over PostgreSQL under load: `node bench/team.ts [clients] [samples of each] [samples a second] [--piece BYTES] [--json PATH]`. Clients push runs as
 * fast as they are taken, or at that rate together, while somebody looks at charts. Says the samples taken in a second, from the first piece to the last row, the
 * times of the chart queries meanwhile, the bytes of a sample in PostgreSQL, and the greatest memory of the collector.
 * PostgreSQL, the collector, the clients and the reader share this machine.
 */
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { newRunId } from '../src/events/ids.ts';
import { openHttpSpace } from '../src/sync/http-space.ts';
import { JournalHasher } from '../src/sync/journal-hash.ts';
import type { JournalPiece } from '../src/sync/space.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { ended, freePort, Sandbox, until, WADDLE } from '../test/support/sandbox.ts';
import { processorTime, threadTimes } from './processor-time.ts';
import type { TeamFigures } from './scale-costs.ts';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { piece: { type: 'string', default: String(1024 * 1024) }, json: { type: 'string' } },
});
const [clients = 8, each = 500_000, rate = Number.POSITIVE_INFINITY] = positionals.map(Number);
const KEYS = 10;
const PIECE_BYTES = Number(flags.piece);
/** Charts that are asked for one after the other when all is taken in. */
const QUIET_CHARTS = 200;

/** Losses as a training run has them: 10 metrics a step, single precision. */
function journalOf(run: string, samples: number): JournalPiece[] {
  const writer = `job-${run.slice(0, 8)}`;
  const head = {
    t: 1_764_000_000,
    k: 'open',
    format: 1,
    writer,
    role: 'job',
    run,
    host: 'bench',
    user: 'ada',
    pid: 1,
  };
  let text = `${JSON.stringify({ ...head, client: 'bench', attempt: writer })}\n`;
  text += `${JSON.stringify({ k: 'start', t: 1_764_000_000, id: run, attempt: writer, name: run, project: 'bench' })}\n`;
  const pieces: JournalPiece[] = [];
  const hasher = new JournalHasher();
  const cut = () => {
    const bytes = Buffer.from(text);
    const [offset, before] = [hasher.length, hasher.root()];
    pieces.push({ run, writer, offset, before, bytes, root: hasher.update(bytes).root() });
    text = '';
  };
  for (let step = 0; step < samples / KEYS; step += 1) {
    const values: string[] = [];
    for (let key = 0; key < KEYS; key += 1) {
      const value = Math.fround(Math.exp(-step / 9000) + 0.05 * Math.random() + key);
      values.push(`"metric${key}":${value}`);
    }
    text += `{"k":"m","t":${(1_764_000_000 + step / 10).toFixed(3)},"s":${step},"v":{${values.join(',')}}}\n`;
    if (text.length > PIECE_BYTES) cut();
  }
  cut();
  return pieces;
}

/** Greatest memory (MiB) of a process and its children so far. */
function peakMemory(pid: number): number {
  let most = 0;
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      const status = readFileSync(`/proc/${entry}/status`, 'utf8');
      const parent = Number(/PPid:\s+(\d+)/.exec(status)?.[1]);
      if (Number(entry) !== pid && parent !== pid) continue;
      most = Math.max(most, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // It has ended.
    }
  }
  return most;
}

/** Of the threads of a process but its first one, the seconds of processor that the busiest has had. */
function secondThread(pid: number): number {
  const others = [...threadTimes(pid)].filter(([thread]) => thread !== String(pid));
  return Math.max(0, ...others.map(([, time]) => time));
}

function quantile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0;
}

const postgres = await startPostgres();
if ('missing' in postgres) throw new Error(postgres.missing);
const sandbox = new Sandbox();
try {
  const database = await postgres.database('bench');
  Object.assign(sandbox.env, {
    TMPDIR: sandbox.folder,
    WADDLE_DATABASE: database,
    WADDLE_BLOBS: `${sandbox.folder}/objects`,
  });
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const collector = sandbox.start(WADDLE, ['serve', '--collector', '--port', String(port), '--log', 'json']);
  await until(
    async () => (await fetch(`${url}/readyz`).catch(() => null))?.ok === true,
    'the collector answers',
  );
  const { token } = sandbox.json<{ token: string }>('token', 'create');
  const runs = Array.from({ length: clients }, () => newRunId());
  const journals = runs.map((run) => journalOf(run, each));
  const total = clients * each;
  const rows = async (sql: string) => {
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: database });
    await client.connect();
    const result = await client.query<Record<string, unknown>>(sql);
    await client.end();
    return result.rows;
  };

  const workerData = { url, token, runs, keys: KEYS };
  const looker = new Worker(new URL('chart-looker.ts', import.meta.url), { workerData });
  const processors = () => [collector.pid ?? 0, postgres.pid].map(processorTime);
  const log = async () => Number((await rows("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn AS at"))[0]?.at);
  const [before, logBefore] = [processors(), await log()];
  const began = performance.now();
  let [sent, wire] = [0, 0];
  await Promise.all(
    journals.map(async (pieces) => {
      const space = await openHttpSpace({ url, token, userAgent: 'bench' });
      for (const [index, piece] of pieces.entries()) {
        const due = ((index / pieces.length) * total * 1000) / rate - (performance.now() - began);
        if (due > 0) await new Promise((wake) => setTimeout(wake, due));
        const [result] = await space.writeJournals([piece]);
        if (result?.ok !== true) throw new Error(JSON.stringify(result));
      }
      wire += space.traffic.sent;
      await space.close();
      sent = Math.max(sent, performance.now() - began);
    }),
  );
  const taken = async () => Number((await rows('SELECT sum(count) AS n FROM waddle_default.series'))[0]?.n);
  while ((await taken()) < total) await new Promise((wake) => setTimeout(wake, 50));
  const took = performance.now() - began;
  const [ofCollector = 0, ofPostgres = 0] = processors().map((seconds, at) => seconds - (before[at] ?? 0));
  looker.postMessage('stop');
  const [times] = (await once(looker, 'message')) as [number[]];
  times.sort((a, b) => a - b);
  const [thread, logBytes] = [secondThread(collector.pid ?? 0), (await log()) - logBefore];
  const quiet = processors();
  const charts = QUIET_CHARTS;
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  for (let turn = 0; turn < charts; turn += 1) {
    const series = [{ run: runs[turn % runs.length], key: `metric${turn % KEYS}` }];
    const body = JSON.stringify({ series, points: 1000 });
    await (await fetch(`${url}/api/series`, { method: 'POST', headers, body })).arrayBuffer();
  }
  const [chartCollector = 0, chartPostgres = 0] = processors().map(
    (seconds, at) => seconds - (quiet[at] ?? 0),
  );
  const [size] = await rows(`SELECT
    pg_total_relation_size('waddle_default.sample_chunks') AS samples,
    pg_total_relation_size('waddle_default.rollup_chunks') AS rollups,
    (SELECT sum(length(body)) FROM waddle_default.sample_chunks) AS sample_bodies,
    (SELECT sum(length(body)) FROM waddle_default.rollup_chunks) AS rollup_bodies,
    (SELECT coalesce(sum(length(body)), 0) FROM waddle_default.segments) AS segments`);
  if (flags.json !== undefined) {
    const pieces = journals.flat();
    const measured: TeamFigures = {
      samples: total,
      pieces: pieces.length,
      plain_bytes: pieces.reduce((sum, { bytes }) => sum + bytes.length, 0),
      wire_bytes: wire,
      log_bytes: logBytes,
      stored_bytes: Number(size?.samples) + Number(size?.rollups),
      seconds: took / 1000,
      collector_s: ofCollector,
      collector_second_thread_s: thread,
      postgres_s: ofPostgres,
      charts,
      chart_collector_s: chartCollector,
      chart_postgres_s: chartPostgres,
      chart_p99_ms: quantile(times, 0.99),
    };
    writeFileSync(flags.json, `${JSON.stringify(measured, null, 2)}\n`);
  }
  const perSample = (name: string) => (Number(size?.[name]) / total).toFixed(2);
  console.log(
    [
      `${clients} clients, ${total} samples, ${journals.flat().reduce((sum, { bytes }) => sum + bytes.length, 0)} bytes`,
      `acknowledged: ${Math.round(total / (sent / 1000))} samples/s; taken in: ${Math.round(total / (took / 1000))} samples/s`,
      `chart queries meanwhile: ${times.length}, median ${quantile(times, 0.5).toFixed(1)} ms, 99 %: ${quantile(times, 0.99).toFixed(1)} ms`,
      `bytes a sample: samples ${perSample('sample_bodies')}, rollups ${perSample('rollup_bodies')}, both on disk ` +
        `${((Number(size?.samples) + Number(size?.rollups)) / total).toFixed(2)}, journals kept inline ${perSample('segments')}`,
      `processor: collector ${((ofCollector / total) * 1e6).toFixed(2)} µs a sample, PostgreSQL ${((ofPostgres / total) * 1e6).toFixed(2)} µs`,
      `memory of the collector at most: ${peakMemory(collector.pid ?? 0).toFixed(0)} MiB`,
    ].join('\n'),
  );
  collector.kill('SIGTERM');
  await ended(collector);
} finally {
  await sandbox.remove();
  await postgres.remove();
}
