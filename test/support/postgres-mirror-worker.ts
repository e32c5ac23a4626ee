/** The other thread of `postgres-mirror.ts`. */
import { DatabaseSync } from 'node:sqlite';
import { type MessagePort, workerData } from 'node:worker_threads';
import { type Database, openDatabase, openSpaceSchema } from '../../src/postgres/database.ts';
import { PostgresEngine } from '../../src/postgres/engine.ts';
import { Listener } from '../../src/postgres/listener.ts';
import type { Ask, Question } from '../../src/store/question.ts';
import type { Asked, Told } from './postgres-mirror.ts';

const TABLES = ['runs', 'params', 'param_leaves', 'tags', 'metric_summaries', 'run_texts'];

const { url, port, ready } = workerData as { url: string; port: MessagePort; ready: Int32Array };
const database = await openDatabase(url);
const listener = new Listener(database);
let spaces = 0;
let engine: PostgresEngine | undefined;

function* only(ask: Ask): Question<unknown> {
  return yield ask;
}

async function mirror(file: string, into: Database): Promise<PostgresEngine> {
  const space = `mirror${spaces++}`;
  await openSpaceSchema(into, space);
  const store = new DatabaseSync(file, { readOnly: true, timeout: 15_000 });
  await into.transaction(space, async (session) => {
    for (const table of TABLES) {
      const columns = store.prepare(`PRAGMA table_info("${table}")`).all();
      const names = columns.map(({ name }) => String(name));
      const rows = store.prepare(`SELECT * FROM ${table}`).all();
      const types = columns.map(({ type }) =>
        type === 'REAL' ? 'float8' : type === 'INTEGER' ? 'bigint' : 'text',
      );
      const list = names.map((name) => `"${name}"`).join(', ');
      const arrays = types.map((type, index) => `$${index + 1}::${type}[]`).join(', ');
      await session.change(
        `INSERT INTO ${table} (${list}) SELECT * FROM unnest(${arrays})`,
        names.map((name) =>
          rows.map((row) =>
            typeof row[name] === 'string' ? row[name].replaceAll('\0', '\ufffd') : row[name],
          ),
        ),
      );
    }
  });
  store.close();
  return new PostgresEngine({ database: into, listener, space });
}

port.on('message', async ({ mirror: file, ask }: Asked) => {
  let told: Told;
  try {
    if (file !== null) engine = await mirror(file, database);
    told = { answer: await engine?.answer(only(ask)) };
  } catch (error) {
    told = { error: error instanceof Error ? error.message : String(error) };
  }
  port.postMessage(told);
  Atomics.store(ready, 0, 1);
  Atomics.notify(ready, 0);
});
