import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { encodeEvent } from '../src/events/line.ts';
import { catchUp } from '../src/ingest/catch-up.ts';
import { everybodyLives, metric, opening, T0, TestProject } from '../src/ingest/ingest-fixture.ts';
import { type Database, openDatabase, openSpaceSchema } from '../src/postgres/database.ts';
import { PostgresEngine } from '../src/postgres/engine.ts';
import { Listener } from '../src/postgres/listener.ts';
import { TakeIn } from '../src/postgres/take-in.ts';
import { answerNow } from '../src/store/answer-now.ts';
import { dumpLogical } from '../src/store/dump-logical.ts';
import type { Store } from '../src/store/open.ts';
import {
  type ChartAxis,
  cover,
  firstAtStep,
  type Question,
  rows,
  samples,
  together,
} from '../src/store/question.ts';
import { describePostgres } from './support/describe-postgres.ts';
import { receive, takeInAll } from './support/postgres-engine.ts';
import { copySpace } from './support/postgres-store.ts';
import { journals, RUN, schedule } from './support/random-journals.ts';

const objects = { read: () => Promise.reject(new Error('there are no objects')) };

/** Asks of every series all that can be asked of one. */
function* everything(): Question<unknown[]> {
  const found: unknown[] = [];
  const all = yield* rows(
    'SELECT id, count, segment, min_step, max_step, first_ts, last_ts, t0 FROM series ORDER BY id',
  );
  for (const row of all) {
    const [series, count, segment] = [Number(row.id), Number(row.count), Number(row.segment)];
    const half = Math.ceil(count / 2);
    found.push(
      yield* samples(
        [
          { series, from: 0, to: count },
          { series, from: 5, to: half + 3 },
        ],
        { times: true },
      ),
    );
    const parts = [{ level: 6, from: 0, to: count, segment }];
    for (const level of [1, 2, 0]) parts.push({ level, from: 0, to: count, segment });
    const ends: Record<ChartAxis, [number, number]> = {
      step: [Number(row.min_step), Number(row.max_step)],
      time: [0, Math.round(Number(row.last_ts) * 1000) - Number(row.t0)],
      arrival: [0, count - 1],
    };
    const axes = Object.entries(ends) as [ChartAxis, [number, number]][];
    found.push(
      yield* together(
        axes.flatMap(([axis, [from, to]]) =>
          [-1, (to - from) / 7, (to - from) / 300].map((width) =>
            cover(series, axis, { from, to, width }, parts),
          ),
        ),
      ),
    );
    if (segment === 0) {
      for (const step of [Number(row.min_step), Number(row.max_step) / 2, Number(row.max_step) + 1]) {
        found.push(yield* firstAtStep({ series, from: 0, to: count }, step));
        found.push(yield* firstAtStep({ series, from: Math.min(3, half), to: half }, step));
      }
    }
  }
  return found;
}

async function expectSameAnswers(database: Database, space: string, copy: Store) {
  const listener = new Listener(database);
  const engine = new PostgresEngine({ database, listener, space });
  // Long columns: said to differ, not printed.
  expect(isDeepStrictEqual(await engine.answer(everything()), answerNow(copy, everything()))).toBe(true);
  await engine.close();
  await listener.close();
}

await describePostgres('taking in', (postgres) => {
  it('makes the rows that SQLite would have, in whatever order, portions and hands journals arrive', async () => {
    const database = await openDatabase(await postgres.database('purity'));
    let round = 0;
    await fc.assert(
      fc.asyncProperty(journals, schedule, async (all, steps) => {
        const space = `round${round++}`;
        await openSpaceSchema(database, space);
        const project = new TestProject();
        const takers = [1, 2].map(() => new TakeIn({ database, objects, transactionBytes: 3000 }));
        const [cached, other] = takers as [TakeIn, TakeIn];
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
            await receive(database, space, { run: source.run ?? '', writer: source.writer, at: from, bytes });
            sent[index] = end;
          };
          for (const step of steps) {
            await send(step.which % all.length, step.part);
            if (step.ingest) await takeInAll(database, space, step.cached ? cached : other);
          }
          for (const index of all.keys()) await send(index, 1);
          await takeInAll(database, space, cached);
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
            await expectSameAnswers(database, space, copy);
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
      { numRuns: 10, endOnFailure: true },
    );
    await database.close();
  });

  it('keeps long series in chunks that say the same as SQLite', async () => {
    const database = await openDatabase(await postgres.database('long'));
    await openSpaceSchema(database, 'long');
    const project = new TestProject();
    const taker = new TakeIn({ database, objects, transactionBytes: 200_000 });
    try {
      const writer = 'job-aaaaaaaa';
      const lines = [encodeEvent(opening(writer))];
      for (let n = 0; n < 12_000; n += 1) {
        // Twice back to an earlier checkpoint.
        const step = n < 5_000 ? n : n < 9_111 ? n - 3_000 : n - 7_111;
        const v = {
          loss: Math.exp(-n / 5000) + Math.sin(n * 12.9898) / 9,
          lr: n % 977 === 0 ? 'NaN' : 0.1,
        } as const;
        lines.push(encodeEvent(metric(step, v, T0 + n / 10)));
      }
      let at = 0;
      for (let from = 0, size = 1; from < lines.length; from += size, size = (size * 7 + 13) % 1900) {
        const bytes = Buffer.from(lines.slice(from, from + size).join(''));
        await receive(database, 'long', { run: RUN, writer, at, bytes });
        at += bytes.length;
        // Between them, another collector that has to read all back.
        const fresh = new TakeIn({ database, objects });
        await (size % 5 === 0 ? fresh : taker).run('long', RUN);
        fresh.close();
      }
      while ((await taker.run('long', RUN)).state === 'more');
      project.append(RUN, writer, lines.join(''));
      const once = project.open();
      catchUp({ layout: project.layout, store: once, judge: everybodyLives });
      const copy = await copySpace(database, 'long');
      expect(dumpLogical(copy) === dumpLogical(once)).toBe(true);
      await expectSameAnswers(database, 'long', copy);
      copy.close();
      const [chunks] = await database.transaction('long', (session) =>
        session.rows('SELECT count(*) AS n, sum(length(body)) AS bytes FROM sample_chunks'),
      );
      expect(Number(chunks?.n)).toBeLessThan(24);
      expect(Number(chunks?.bytes)).toBeLessThan(24_000 * 6);
    } finally {
      taker.close();
      project.remove();
      await database.close();
    }
  });
});
