/** PostgreSQL as the engine of the server's tests: the same journals, received and taken in as a collector does. */
import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename } from 'node:path';
import { listJournals, listRuns } from '../../src/journal/discover.ts';
import { type Layout, runFolder } from '../../src/journal/layout.ts';
import { type Database, openDatabase, openSpaceSchema } from '../../src/postgres/database.ts';
import { PostgresEngine } from '../../src/postgres/engine.ts';
import { Listener } from '../../src/postgres/listener.ts';
import { packSegment } from '../../src/postgres/segments.ts';
import { TakeIn } from '../../src/postgres/take-in.ts';
import { localBlobs } from '../../src/server/blob-source.ts';
import type { TestEngine } from '../../src/server/fixture.ts';
import { journalChanges } from '../../src/server/local-parts.ts';
import type { Cluster } from './postgres.ts';

const objects = { read: () => Promise.reject(new Error('there are no objects')) };
let spaces = 0;

/** Whole lines, as a push would bring them. */
export async function receive(
  database: Database,
  space: string,
  journal: { run: string; writer: string; at: number; bytes: Buffer },
): Promise<void> {
  const { run, writer, at, bytes } = journal;
  await database.transaction(space, async (session) => {
    const [row] = await session.rows(
      `INSERT INTO received (run, writer, length, root, facts) VALUES ($1, $2, $3, '', '')
       ON CONFLICT (run, writer, announced) DO UPDATE SET length = excluded.length RETURNING id`,
      [run, writer, at + bytes.length],
    );
    await session.change('INSERT INTO segments (received, at, length, body) VALUES ($1, $2, $3, $4)', [
      row?.id,
      at,
      bytes.length,
      packSegment(bytes),
    ]);
    await session.change(
      'INSERT INTO work (run) VALUES ($1) ON CONFLICT (run) DO UPDATE SET version = work.version + 1',
      [run],
    );
  });
}

/** Takes in all that was received. */
export async function takeInAll(database: Database, space: string, taker: TakeIn): Promise<void> {
  const waiting = await database.transaction(space, (session) => session.rows('SELECT run FROM work'));
  for (const { run } of waiting) while ((await taker.run(space, String(run))).state === 'more');
}

/** Sends what journals have grown by. */
class Sender {
  readonly #database: Database;
  readonly #space: string;
  readonly #sent = new Map<string, number>();

  constructor(database: Database, space: string) {
    this.#database = database;
    this.#space = space;
  }

  async send(layout: Layout): Promise<void> {
    const folders: [string, string][] = [['', layout.projectJournals]];
    for (const id of listRuns(layout.runs)) folders.push([id, runFolder(layout, id)]);
    for (const [run, folder] of folders) {
      for (const { writer, path } of listJournals(folder)) {
        const at = this.#sent.get(path) ?? 0;
        const bytes = wholeLines(path, at);
        if (bytes.length === 0) continue;
        await receive(this.#database, this.#space, { run, writer, at, bytes });
        this.#sent.set(path, at + bytes.length);
      }
    }
  }
}

function wholeLines(path: string, from: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(file).size - from));
    const length = readSync(file, bytes, 0, bytes.length, from);
    return bytes.subarray(0, bytes.subarray(0, length).lastIndexOf(10) + 1);
  } finally {
    closeSync(file);
  }
}

/** Each of its servers has a space of its own in one database. */
export async function postgresTestEngine(
  postgres: Cluster,
): Promise<{ engine: TestEngine; close(): Promise<void> }> {
  const database = await openDatabase(await postgres.database('engine'));
  const listener = new Listener(database);
  const taker = new TakeIn({ database, objects });
  return {
    engine: {
      parts: async (layout, { version, stop, bug }) => {
        const space = `space${spaces++}`;
        await openSpaceSchema(database, space);
        const engine = new PostgresEngine({ database, listener, space });
        const sender = new Sender(database, space);
        const ingest = async () => {
          let told = false;
          const end = engine.onChange(() => {
            told = true;
          });
          const before = await revisionOf(database, space);
          await sender.send(layout);
          await takeInAll(database, space, taker);
          const changed = (await revisionOf(database, space)) !== before;
          while (changed && !told) await new Promise((wake) => setTimeout(wake, 1));
          end();
        };
        return {
          parts: {
            version,
            identity: createHash('sha256').update(space).digest('hex').slice(0, 32),
            folder: basename(layout.project),
            engine,
            blobs: localBlobs(layout.blobs),
            changes: journalChanges({ layout, version, stop }, ingest),
            bug,
          },
          ingest,
          forgetChanges: (revision) =>
            database.transaction(space, async (session) => {
              await session.change("UPDATE meta SET value = $1 WHERE key = 'changes_from'", [
                String(revision),
              ]);
            }),
        };
      },
    },
    close: async () => {
      taker.close();
      await listener.close();
      await database.close();
    },
  };
}

async function revisionOf(database: Database, space: string): Promise<unknown> {
  return database.transaction(space, async (session) => {
    const [row] = await session.rows("SELECT value FROM meta WHERE key = 'revision'");
    return row?.value;
  });
}
