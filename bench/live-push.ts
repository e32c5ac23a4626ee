/**
 * What a live push costs a collector: `node bench/live-push.ts [runs] [pushes a second] [seconds] [--folder] [--statements]`. So many runs (default 20) of ten metrics
 * log a step of each at a time, and each pushes what is new as `waddle run --push` does: together so many pushes a second (default 20). Says the processor time and the requests of
 * one push, of the collector and of PostgreSQL, less what both take while nobody pushes. With `--folder` the collector keeps its space in files. With `--statements` it prints
 * PostgreSQL's own count of what it was asked, by statement.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { pushRuns } from '../src/cli/push-runs.ts';
import { newRunId } from '../src/events/ids.ts';
import { layoutOf, runFolder } from '../src/journal/layout.ts';
import { JournalWriter } from '../src/journal/writer.ts';
import { FolderSpace } from '../src/sync/folder-space.ts';
import { openHttpSpace } from '../src/sync/http-space.ts';
import { RememberedSpace } from '../src/sync/remembered-space.ts';
import { startPostgres } from '../test/support/postgres.ts';
import { ended, freePort, Sandbox, until, WADDLE } from '../test/support/sandbox.ts';
import { processorTime, threadTimes } from './processor-time.ts';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { folder: { type: 'boolean' }, statements: { type: 'boolean' } },
});
const [count = 20, rate = 20, seconds = 20] = positionals.map(Number);
const KEYS = 10;
/** Before it is measured every run has pushed so often. */
const WARM = 3;
const IDLE_MS = 5000;

const postgres = flags.folder ? null : await startPostgres();
if (postgres !== null && 'missing' in postgres) throw new Error(postgres.missing);
const sandbox = new Sandbox();
try {
  const sql = async (text: string): Promise<Record<string, unknown>[]> => {
    const { default: pg } = await import('pg');
    const client = new pg.Client({ connectionString: database });
    await client.connect();
    const result = await client.query<Record<string, unknown>>(text);
    await client.end();
    return result.rows;
  };
  let database = '';
  sandbox.env.TMPDIR = sandbox.folder;
  if (postgres !== null) {
    if (flags.statements) {
      await postgres.query("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'");
      await postgres.restart();
    }
    database = await postgres.database('bench');
    if (flags.statements) await sql('CREATE EXTENSION pg_stat_statements');
    Object.assign(sandbox.env, { WADDLE_DATABASE: database, WADDLE_BLOBS: `${sandbox.folder}/objects` });
  }
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const place = flags.folder ? ['--dir', `${sandbox.folder}/team`] : [];
  const collector = sandbox.start(WADDLE, [
    'serve',
    '--collector',
    '--port',
    String(port),
    '--log',
    'json',
    ...place,
  ]);
  /** That have come to the collector so far. */
  const requestsSoFar = async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    return [...text.matchAll(/^waddle_http_requests_total\{[^}]*kind="sync[^}]*\} (\d+)$/gm)].reduce(
      (sum, [, n]) => sum + Number(n),
      0,
    );
  };
  await until(
    async () => (await fetch(`${url}/readyz`).catch(() => null))?.ok === true,
    'the collector answers',
  );
  const { token } = sandbox.json<{ token: string }>('token', 'create', ...place);
  const layout = layoutOf(join(sandbox.folder, 'ada'));
  const own = new FolderSpace({ layout, env: sandbox.env });
  const runs = await Promise.all(
    Array.from({ length: count }, async () => {
      const run = newRunId();
      const journal = JournalWriter.open({
        folder: runFolder(layout, run),
        role: 'job',
        run,
        client: 'bench',
      });
      journal.append({
        k: 'start',
        t: Date.now() / 1000,
        id: run,
        attempt: journal.name,
        name: run,
        project: 'bench',
      });
      return {
        run,
        journal,
        remote: new RememberedSpace(await openHttpSpace({ url, token, userAgent: 'bench' })),
        step: 0,
      };
    }),
  );
  const push = async ({ run, remote }: (typeof runs)[number]) => {
    const { report } = await pushRuns({ own, remote, runs: [run] });
    if (report === null || report.problems.length > 0) throw new Error(JSON.stringify(report?.problems));
  };
  const logStep = (each: (typeof runs)[number]) => {
    each.step += 1;
    const v = Object.fromEntries(
      Array.from({ length: KEYS }, (_, key) => [`metric${key}`, Math.fround(Math.random())]),
    );
    each.journal.append({ k: 'm', t: Date.now() / 1000, s: each.step, v });
  };
  const taken = async () => {
    if (postgres === null) return;
    for (;;) {
      const [row] = await sql('SELECT count(*) AS n FROM waddle_default.work');
      if (Number(row?.n) === 0) return;
      await new Promise((wake) => setTimeout(wake, 20));
    }
  };
  const processors = () => [collector.pid ?? 0, postgres?.pid ?? 0].map(processorTime) as [number, number];
  for (let turn = 0; turn < WARM; turn += 1) {
    for (const each of runs) {
      logStep(each);
      await push(each);
    }
  }
  await taken();
  const idleFrom = processors();
  await new Promise((wake) => setTimeout(wake, IDLE_MS));
  const idle = processors().map((now, at) => (now - (idleFrom[at] ?? 0)) / IDLE_MS) as [number, number];
  if (flags.statements) await sql('SELECT pg_stat_statements_reset()');
  const requests = await requestsSoFar();
  const [before, threads] = [processors(), threadTimes(collector.pid ?? 0)];
  const began = performance.now();
  const times: number[] = [];
  const busy = new Set<Promise<void>>();
  const total = rate * seconds;
  for (let turn = 0; turn < total; turn += 1) {
    const due = (turn * 1000) / rate - (performance.now() - began);
    if (due > 0) await new Promise((wake) => setTimeout(wake, due));
    const each = runs[turn % runs.length];
    if (each === undefined) continue;
    logStep(each);
    const from = performance.now();
    const done = push(each).then(() => {
      times.push(performance.now() - from);
      busy.delete(done);
    });
    busy.add(done);
  }
  await Promise.all(busy);
  await taken();
  const took = performance.now() - began;
  const [ofCollector, ofPostgres] = processors().map(
    (now, at) => now - (before[at] ?? 0) - (idle[at] ?? 0) * took,
  ) as [number, number];
  const after = threadTimes(collector.pid ?? 0);
  const ofThreads = [...after]
    .map(([thread, time]) => time - (threads.get(thread) ?? 0))
    .sort((a, b) => b - a)
    .slice(0, 3);
  times.sort((a, b) => a - b);
  const ms = (time: number) => `${((time * 1000) / total).toFixed(2)} ms`;
  console.log(
    [
      `${count} runs, ${total} pushes of ${KEYS} samples in ${(took / 1000).toFixed(1)} s; while nobody pushes: collector ${(idle[0] * 1e5).toFixed(1)} %, PostgreSQL ${(idle[1] * 1e5).toFixed(1)} % of a core`,
      `requests of a push: ${(((await requestsSoFar()) - requests) / total).toFixed(2)}`,
      `processor of a push: collector ${ms(ofCollector)} (its busiest threads ${ofThreads.map(ms).join(', ')}), PostgreSQL ${ms(ofPostgres)}`,
      `acknowledged after: median ${times[times.length >> 1]?.toFixed(1)} ms, 99 %: ${times[Math.floor(times.length * 0.99)]?.toFixed(1)} ms`,
    ].join('\n'),
  );
  if (flags.statements) {
    const rows = await sql(
      `SELECT calls, total_exec_time AS exec, total_plan_time AS plan, query FROM pg_stat_statements ORDER BY total_exec_time DESC LIMIT 60`,
    );
    for (const { calls, exec, query } of rows) {
      const text = String(query).replaceAll(/\s+/g, ' ').slice(0, 150);
      console.log(
        `${(Number(calls) / total).toFixed(2)} × ${(Number(exec) / Number(calls)).toFixed(3)} ms  ${text}`,
      );
    }
  }
  for (const each of runs) {
    each.journal.close();
    await each.remote.close();
  }
  await own.close();
  collector.kill('SIGTERM');
  await ended(collector);
} finally {
  await sandbox.remove();
  await postgres?.remove();
}
