import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { layoutOf } from '../../src/journal/layout.ts';
import { openDatabase, openSpaceSchema } from '../../src/postgres/database.ts';
import { PostgresEngine } from '../../src/postgres/engine.ts';
import { Listener } from '../../src/postgres/listener.ts';
import { buildApp } from '../../src/server/app.ts';
import { localBlobs } from '../../src/server/blob-source.ts';
import { LocalEngine } from '../../src/server/local-engine.ts';
import { openStore } from '../../src/store/open.ts';
import type { Engine } from '../../src/store/question.ts';
import { startPostgres } from '../../test/support/postgres.ts';
import type { Bench, BenchOptions, Figure } from '../figure.ts';
import { fillSpace, fillStore } from '../many-runs.ts';

const COLUMNS = 'params.lr,params.model.name,metrics.loss,metrics.`val/acc`.max,tags.team';

/** What the runs' table asks for, by what it does. */
const ASKED: Record<string, Record<string, string>> = {
  'first page': {},
  'first page with columns': { columns: COLUMNS },
  'a project': { project: 'speech', columns: COLUMNS },
  'sorted by a metric': { sort: 'metrics.loss:desc', columns: COLUMNS },
  'sorted by a param': { sort: 'params.seed:desc', columns: COLUMNS },
  'sorted by a text param': { sort: 'params.comment', columns: COLUMNS },
  'sorted by name': { sort: 'name', columns: COLUMNS },
  'filtered by a metric, few': { filter: 'metrics.loss < 0.001', columns: COLUMNS },
  'filtered by params and a metric, sorted': {
    filter: "params.lr = 0.01 and params.model.name = 'vit' and metrics.loss < 0.5",
    sort: 'metrics.loss',
    columns: COLUMNS,
  },
  'filtered by one in a hundred thousand': { filter: 'params.seed = 77', columns: COLUMNS },
  'filtered by a pattern': { filter: "name ~ '^duck-.*7$'", columns: COLUMNS },
  'searched for a word': { q: 'heron', columns: COLUMNS },
  'searched for what is rare': { q: 'heron-ibis-4711', columns: COLUMNS },
};

/** 95th percentile of the answers over the API, in milliseconds. */
async function timesOf(
  engine: Engine,
  scratch: string,
  rounds: number,
  say: (error: unknown) => void,
): Promise<{ name: string; p95: number; median: number }[]> {
  const app = await buildApp({
    version: '0',
    identity: '0',
    folder: 'bench',
    engine,
    blobs: localBlobs(scratch),
    changes: { append: async () => {}, stop: async () => {} },
    diff: async () => '',
    dashboard: scratch,
    access: { host: '127.0.0.1', allowedHosts: [], token: null, cookie: 'c' },
    ports: { http: 80, ws: null },
    held: false,
    bug: say,
  });
  const get = async (url: string) => {
    const began = performance.now();
    const answer = await app.http.inject({ url, headers: { host: '127.0.0.1' } });
    const took = performance.now() - began;
    if (answer.statusCode !== 200) throw new Error(`${url}: ${answer.statusCode} ${answer.payload}`);
    return { took, link: answer.headers.link };
  };
  const list = (asked: Record<string, string>) =>
    `/api/runs?${new URLSearchParams({ limit: '100', ...asked })}`;
  const urls: [string, string][] = Object.entries(ASKED).map(([name, asked]) => [name, list(asked)]);
  // The fiftieth page, by its cursor.
  for (const [name, asked] of [
    ['page 50', {}],
    ['page 50, sorted by a metric', { sort: 'metrics.loss:desc' }],
  ] as const) {
    const { link } = await get(`${list(asked).replace('limit=100', 'limit=4900')}`);
    const next = /<([^>]+)>/.exec(String(link))?.[1];
    if (next !== undefined) urls.push([name, next.replace('limit=4900', 'limit=100')]);
  }
  urls.push(
    ['projects', '/api/projects'],
    ['keys', '/api/keys'],
    ['keys of a project', '/api/keys?project=text'],
  );
  const times: { name: string; p95: number; median: number }[] = [];
  for (const [name, url] of urls) {
    const took: number[] = [];
    for (let round = 0; round < rounds; round++) took.push((await get(url)).took);
    took.sort((a, b) => a - b);
    const at = (part: number) => took[Math.min(took.length - 1, Math.floor(took.length * part))] ?? 0;
    times.push({ name, p95: at(0.95), median: at(0.5) });
  }
  await app.close();
  return times;
}

/** The runs' table with a hundred times as many runs, on either engine. */
async function run({ scratch, quick, say }: BenchOptions): Promise<Figure[]> {
  const rounds = quick ? 3 : 20;
  const tell = (error: unknown) => say(String(error));
  const figures: Figure[] = [];
  const sizes = quick ? [100, 1000] : [1000, 100_000];
  const postgres = await startPostgres();
  try {
    for (const engineName of ['SQLite', 'PostgreSQL'] as const) {
      const found: { name: string; p95: number; median: number }[][] = [];
      for (const runs of sizes) {
        if (engineName === 'SQLite') {
          const folder = join(scratch, String(runs));
          mkdirSync(folder);
          const file = join(layoutOf(folder).root, 'waddle.sqlite');
          const store = openStore(file);
          fillStore(store, runs);
          store.close();
          const engine = new LocalEngine(
            () => openStore(file),
            (error) => say(String(error)),
          );
          found.push(await timesOf(engine, folder, rounds, tell));
        } else if (!('missing' in postgres)) {
          const database = await openDatabase(await postgres.database(`runs${runs}`));
          const space = 'bench';
          await openSpaceSchema(database, space);
          await database.transaction(space, (session) => fillSpace(session, runs));
          await database.pool.query('VACUUM ANALYZE');
          const listener = new Listener(database);
          const engine = new PostgresEngine({ database, listener, space });
          found.push(await timesOf(engine, scratch, rounds, tell));
          await listener.close();
          await database.close();
        }
      }
      const [few = [], many = []] = found;
      for (const [index, { name, p95 }] of many.entries()) {
        figures.push({
          name: `${engineName}, ${sizes[1]?.toLocaleString('en')} runs: ${name}, p95`,
          value: p95,
          unit: 'ms',
          floor: few[index]?.p95 ?? null,
          against: `${sizes[0]?.toLocaleString('en')} runs`,
        });
      }
    }
  } finally {
    if (!('missing' in postgres)) await postgres.remove();
  }
  return figures;
}

export const manyRuns: Bench = { name: 'many-runs', run };
