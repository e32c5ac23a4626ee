import { join } from 'node:path';
import { setEnvironmentData } from 'node:worker_threads';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { IntakeThread } from '../src/collector/intake-thread.ts';
import { WaddleError } from '../src/errors/waddle-error.ts';
import { type Database, openDatabase, openSpaceSchema } from '../src/postgres/database.ts';
import { COLUMNS, packPiece } from '../src/protocol/piece-frames.ts';
import { JournalHasher } from '../src/sync/journal-hash.ts';
import type { JournalPiece } from '../src/sync/space.ts';
import { testRun } from './collector-fixture.ts';
import type { TestPostgres } from './support/postgres.ts';
import { Sandbox, until } from './support/sandbox.ts';
import { ownPostgres } from './support/servers.ts';

const started = await ownPostgres();
const missing = 'missing' in started ? started.missing : null;
const postgres = started as TestPostgres;
const WORKER = new URL('../src/collector/intake-worker.ts', import.meta.url);
const DYING = new URL('support/dying-intake.ts', import.meta.url);

describe.skipIf(missing !== null)(
  `the thread that takes in${missing === null ? '' : ` (${missing})`}`,
  () => {
    let sandbox: Sandbox;
    let url: string;
    let database: Database;
    let thread: IntakeThread | undefined;
    let count = 0;
    const failures: unknown[] = [];
    beforeEach(async () => {
      sandbox = new Sandbox();
      url = await postgres.database(`thread${count++}`);
      database = await openDatabase(url, { connections: 2 });
      await openSpaceSchema(database, 'team');
      failures.length = 0;
    });
    afterEach(async () => {
      await thread?.close();
      await database.close();
      await sandbox.remove();
    });
    afterAll(() => postgres.remove());

    const begin = (file: URL): IntakeThread => {
      const objects = { folder: join(sandbox.folder, 'objects') };
      const failed = (error: unknown) => failures.push(error);
      // Nobody else receives anything.
      const listener = { on: () => () => {} };
      thread = new IntakeThread({ file, database: url, connections: 2, listener, objects, failed });
      thread.add('team');
      return thread;
    };
    const samples = async (): Promise<number> => {
      const sum = 'SELECT coalesce(sum(count), 0) AS n FROM series';
      return Number((await database.transaction('team', (session) => session.rows(sum)))[0]?.n);
    };

    it('loses and doubles nothing where it dies, whatever it was at', async () => {
      const deaths = new SharedArrayBuffer(4);
      new Int32Array(deaths)[0] = 3;
      setEnvironmentData('deaths', deaths);
      const intake = begin(DYING);
      const { journal } = testRun('demo');
      let refused = 0;
      /** As a client does: what was not acknowledged is sent again. */
      const write = async (piece: JournalPiece) => {
        await until(async () => {
          try {
            return (await intake.write('team', [piece]))[0]?.ok === true;
          } catch (error) {
            expect(error).toMatchObject({ code: 'server-busy' });
            refused += 1;
            return false;
          }
        }, 'a piece is taken');
      };
      await write(journal.piece(0));
      let sent = 0;
      while (sent < 40_000 || failures.length < 3) {
        const offset = journal.bytes.length;
        const lines = Array.from({ length: 2000 }, (_, at) => ({
          k: 'm' as const,
          s: sent + at,
          v: { loss: sent + at },
        }));
        journal.add(...lines);
        sent += lines.length;
        await write(journal.piece(offset));
      }
      await until(async () => (await samples()) >= sent, 'all is taken in');
      expect(await samples()).toBe(sent);
      expect(failures).toHaveLength(3);
      expect(String(failures[0])).toContain('the thread that takes in died (9)');
      expect(refused).toBeGreaterThan(0);
      expect(intake.alive).toBe(true);
    });

    it('unpacks, and says what is wrong as this thread would', async () => {
      const intake = begin(WORKER);
      const lines = Array.from(
        { length: 20_000 },
        (_, s) => `{"k":"m","t":1.5,"s":${s},"v":{"loss":${Math.sqrt(s)}}}\n`,
      );
      const text = Buffer.from(lines.join(''));
      const packed = packPiece({}, text, true);
      expect(packed.header.encoding).toBe(COLUMNS);
      expect(packed.payload.length).toBeGreaterThan(16 * 1024);
      const [unpacked = { bytes: new Uint8Array() }] = await intake.unpack([packed], text.length);
      expect(new JournalHasher().update(unpacked.bytes).root()).toBe(new JournalHasher().update(text).root());
      const refusal = await intake.unpack([packed], 1000).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(WaddleError);
      expect(refusal).toMatchObject({ code: 'columns-invalid', hint: expect.stringMatching(/./) });
    });

    it('finishes what it was asked before it ends', async () => {
      const intake = begin(WORKER);
      const { journal } = testRun('demo');
      const writing = intake.write('team', [journal.piece(0)]);
      const closing = intake.close();
      expect(await writing).toMatchObject([{ ok: true }]);
      await closing;
      expect(intake.alive).toBe(false);
      await expect(intake.now('team', journal.run ?? '')).rejects.toMatchObject({ code: 'server-busy' });
      expect(failures).toEqual([]);
    });
  },
);
