/** Small pieces of runs that go on: taken in from memory, by one collector or by several in turn, with nothing lost between them. */
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FolderObjects } from '../src/blobs/folder-objects.ts';
import { teamParts } from '../src/cli/collector-team.ts';
import { openTeamBackend } from '../src/collector/team-backend.ts';
import { createToken } from '../src/collector/tokens.ts';
import { newRunId } from '../src/events/ids.ts';
import { encodeEvent } from '../src/events/line.ts';
import type { Event } from '../src/events/schema.ts';
import type { Database } from '../src/postgres/database.ts';
import { Intake } from '../src/postgres/intake.ts';
import type { Listener } from '../src/postgres/listener.ts';
import { TeamJournals } from '../src/postgres/team-journals.ts';
import { JournalHasher } from '../src/sync/journal-hash.ts';
import type { JournalPiece } from '../src/sync/space.ts';
import { type Member, makeTeam, type Team } from '../src/sync/sync-fixture.ts';
import { BUILT_INTAKE } from './support/collector-home.ts';
import { describePostgres } from './support/describe-postgres.ts';
import { until } from './support/sandbox.ts';
import { openTeamStore, type TeamStore } from './support/team-store.ts';

/** A journal as its own machine pushes it, piece by piece. */
class Source {
  readonly #hasher = new JournalHasher();
  readonly run: string;
  readonly writer: string;

  constructor(run: string, writer: string) {
    this.run = run;
    this.writer = writer;
  }

  next(...events: Event[]): JournalPiece {
    const { run, writer } = this;
    const bytes = Buffer.from(events.map((event) => encodeEvent(event)).join(''));
    const [offset, before] = [this.#hasher.length, this.#hasher.root()];
    return { run, writer, offset, before, bytes, root: this.#hasher.update(bytes).root() };
  }
}

const opening = (run: string, writer: string): Event[] => [
  {
    k: 'open',
    t: 1,
    format: 1,
    writer,
    role: 'job',
    run,
    host: 'h',
    user: 'u',
    pid: 1,
    client: 'test',
    attempt: writer,
  },
];
const sample = (s: number, loss = s): Event => ({ k: 'm', t: 2 + s, s, v: { loss } });

await describePostgres('a live run', (postgres) => {
  let team: Team;
  let a: Member;
  let database: Database;
  let listener: Listener;
  let objects: FolderObjects;
  let store: TeamStore;
  const failures: unknown[] = [];
  beforeEach(async () => {
    team = makeTeam();
    a = team.folder('a');
    const { root } = team;
    store = await openTeamStore(postgres, { root, name: 'live', spaces: ['team'], connections: 6 });
    ({ database, listener, objects } = store);
  });
  afterEach(async () => {
    await store.close();
    await team.remove();
    expect(failures.splice(0)).toEqual([]);
  });

  /** As a collector has them. */
  const collector = ({ deaf = false } = {}) => {
    const failed = (error: unknown) => failures.push(error);
    const intake = new Intake({ database, listener, objects, space: 'team', failed });
    store.opened.push(intake);
    const received = (pieces: Parameters<Intake['hand']>[0]) => {
      if (!deaf) intake.hand(pieces);
    };
    return new TeamJournals({ database, objects, space: 'team', received });
  };
  const ask = (sql: string) => database.transaction('team', (session) => session.rows(sql));
  const taken = async (run: string, lines: number) => {
    await until(async () => {
      const [row] = await ask(
        `SELECT sum(j.lines)::int AS n FROM journals j JOIN runs r ON r.num = j.run WHERE r.id = '${run}'`,
      );
      return row?.n === lines;
    }, 'it is taken in');
    await until(async () => (await ask('SELECT 1 FROM work')).length === 0, 'nothing waits');
  };
  const wrote = async (journals: TeamJournals, ...pieces: JournalPiece[]) => {
    const results = await journals.write(pieces);
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
  };
  const begin = async (journals: TeamJournals) => {
    const run = newRunId();
    const source = new Source(run, 'job-aaaaaaaa');
    await wrote(
      journals,
      source.next(...opening(run, source.writer), {
        k: 'start',
        t: 1,
        id: run,
        attempt: source.writer,
        name: 'live',
        project: 'p',
      }),
    );
    return { run, source };
  };

  it('is received in one statement, and taken in without being read again', async () => {
    const journals = collector();
    const { run, source } = await begin(journals);
    await taken(run, 2);
    const whole = database.transaction.bind(database);
    let transactions = 0;
    const asked: string[] = [];
    database.transaction = (...given: Parameters<typeof whole>) => {
      transactions += 1;
      return whole(...given) as never;
    };
    const locked = database.locked.bind(database);
    database.locked = (space, lock, work) =>
      locked(space, lock, (session) =>
        work({
          ...session,
          rows: (text, values) => {
            asked.push(text);
            return session.rows(text, values);
          },
        }),
      );
    for (let s = 0; s < 5; s += 1) await wrote(journals, source.next(sample(s)));
    const only = transactions;
    await taken(run, 7);
    expect(only).toBe(0);
    expect(asked.filter((text) => text.includes('segments'))).toEqual([]);
    expect(await ask('SELECT count::int, last FROM series')).toEqual([{ count: 5, last: 4 }]);
  });

  it('is whole where its pieces come to two collectors in turn, and where one takes in nothing', async () => {
    const [one, two, deaf] = [collector(), collector(), collector({ deaf: true })];
    const { run, source } = await begin(one);
    const other = new Source(run, 'job-bbbbbbbb');
    await wrote(two, other.next(...opening(run, other.writer)));
    let lines = 3;
    for (let s = 0; s < 30; s += 1) {
      const by = [one, two, deaf][(s * 7) % 3] as TeamJournals;
      const also = [two, one, deaf][(s * 5) % 3] as TeamJournals;
      await Promise.all([wrote(by, source.next(sample(s))), wrote(also, other.next(sample(s)))]);
      lines += 2;
    }
    await taken(run, lines);
    expect(await ask('SELECT count::int FROM series')).toEqual([{ count: 30 }, { count: 30 }]);
  });

  it('is looked for where it was left, however much else there is to do', async () => {
    const failed = (error: unknown) => failures.push(error);
    // Nobody takes anything in, so that something waits all the time.
    const intake = new Intake({ database, listener, objects, space: 'team', failed, hands: 0 });
    store.opened.push(intake);
    const journals = new TeamJournals({
      database,
      objects,
      space: 'team',
      received: (all) => intake.hand(all),
    });
    await begin(journals);
    const ask = database.ask.bind(database);
    let looks = 0;
    database.ask = (text, values) => {
      if (text.includes('retry_at')) looks += 1;
      return ask(text, values);
    };
    await until(() => looks >= 2, 'it is looked for again');
  });

  it('needs no more connections than its collector may have', async () => {
    const own = await postgres.database('few');
    const bug = (error: unknown) => failures.push(error);
    const parts = { ...teamParts({ env: process.env, bug }), intake: BUILT_INTAKE };
    const backend = await openTeamBackend(`${own}?connections=4`, { folder: join(team.root, 'few') }, parts);
    store.opened.push(backend);
    const { record } = await createToken(backend.registry, { space: 'team', scope: 'write' }, 1);
    const home = await backend.open('team', { busy: () => false, routes: () => () => {} });
    store.opened.push(home);
    const run = newRunId();
    const source = new Source(run, 'job-aaaaaaaa');
    const connections = async () => {
      const name = new URL(own).pathname.slice(1);
      const sql = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = '${name}'`;
      return Number((await postgres.query(sql))[0]?.n);
    };
    let most = 0;
    for (let s = 0; s < 5; s += 1) {
      const events = s === 0 ? opening(run, source.writer) : [sample(s)];
      const asking = Array.from({ length: 40 }, () => backend.registry.findToken(record.id));
      const looking = Array.from({ length: 10 }, () => home.usage(null));
      const writing = home.space.writeJournals([source.next(...events)]);
      most = Math.max(most, await connections());
      await Promise.all([...asking, ...looking, writing]);
      most = Math.max(most, await connections());
    }
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
  });

  it('is received once, and refused once it is removed, whoever removed it', async () => {
    const [one, two] = [collector(), collector()];
    const { run, source } = await begin(one);
    const piece = source.next(sample(0));
    await wrote(one, piece);
    // Its answer was lost.
    await wrote(one, piece);
    await wrote(two, piece);
    await wrote(one, source.next(sample(1)));
    await taken(run, 4);
    const gone = a.remove(run, 1);
    const [removal] = await a.space().readJournals([{ run: null, writer: gone, offset: 0 }]);
    if (removal === undefined) throw new Error('there is no removal');
    const { writer, offset, before, after, bytes } = removal;
    const [told] = await two.write([{ run: null, writer, offset, before, root: after, bytes, apply: true }]);
    expect(told?.ok).toBe(true);
    await until(
      async () => (await ask('SELECT 1 FROM runs WHERE removed = 1')).length === 1,
      'it is removed',
    );
    expect(await one.write([source.next(sample(2))])).toMatchObject([{ ok: false, code: 'run-removed' }]);
  });
});
