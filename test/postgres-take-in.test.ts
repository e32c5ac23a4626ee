import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { catchUp } from '../src/ingest/catch-up.ts';
import { everybodyLives, TestProject } from '../src/ingest/ingest-fixture.ts';
import { type Database, openDatabase, openSpaceSchema } from '../src/postgres/database.ts';
import { packSegment } from '../src/postgres/segments.ts';
import { TakeIn } from '../src/postgres/take-in.ts';
import { dumpLogical } from '../src/store/dump-logical.ts';
import { startPostgres, type TestPostgres } from './support/postgres.ts';
import { copySpace } from './support/postgres-store.ts';
import { journals, schedule } from './support/random-journals.ts';

const started = await startPostgres();
const missing = 'missing' in started ? started.missing : null;
const postgres = started as TestPostgres;

const objects = { read: () => Promise.reject(new Error('there are no objects')) };

/** Whole lines, as a push would bring them. */
async function receive(
  database: Database,
  space: string,
  run: string,
  writer: string,
  at: number,
  bytes: Buffer,
) {
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

describe.skipIf(missing !== null)(`taking in${missing === null ? '' : ` (${missing})`}`, () => {
  afterAll(() => postgres.remove());

  it('makes the rows that SQLite would have, in whatever order, portions and hands journals arrive', async () => {
    const database = await openDatabase(await postgres.database('purity'));
    let round = 0;
    await fc.assert(
      fc.asyncProperty(journals, schedule, async (all, steps) => {
        const space = `round${round++}`;
        await openSpaceSchema(database, space);
        const project = new TestProject();
        const takers = [1, 2].map(() => new TakeIn({ database, objects, transactionBytes: 3000 }));
        try {
          const sent = all.map(() => 0);
          const send = async (index: number, part: number) => {
            const source = all[index];
            const from = sent[index] ?? 0;
            if (source === undefined) return;
            const end =
              source.bytes.lastIndexOf(10, from + Math.ceil((source.bytes.length - from) * part) - 1) + 1;
            if (end <= from) return;
            const bytes = source.bytes.subarray(from, end);
            await receive(database, space, source.run ?? '', source.writer, from, bytes);
            sent[index] = end;
          };
          const takeIn = async (taker: TakeIn | undefined) => {
            const waiting = await database.transaction(space, (session) =>
              session.rows('SELECT run FROM work'),
            );
            for (const { run } of waiting) while ((await taker?.run(space, String(run)))?.state === 'more');
          };
          for (const step of steps) {
            await send(step.which % all.length, step.part);
            if (step.ingest) await takeIn(takers[step.cached ? 0 : 1]);
          }
          for (const index of all.keys()) await send(index, 1);
          await takeIn(takers[0]);
          expect(await database.transaction(space, (session) => session.rows('SELECT * FROM work'))).toEqual(
            [],
          );

          for (const { run, writer, bytes } of all) project.append(run, writer, bytes);
          const once = project.open();
          catchUp({ layout: project.layout, store: once, judge: everybodyLives });
          const copy = await copySpace(database, space);
          try {
            expect(dumpLogical(copy).replaceAll('\\u0000', '\ufffd')).toBe(
              dumpLogical(once).replaceAll('\\u0000', '\ufffd'),
            );
          } finally {
            copy.close();
          }
        } finally {
          for (const taker of takers) taker.close();
          project.remove();
          await database.transaction(null, (session) =>
            session.change(`DROP SCHEMA "waddle_${space}" CASCADE`),
          );
        }
      }),
      { numRuns: 20 },
    );
    await database.close();
  });
});
