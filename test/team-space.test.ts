import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { FolderObjects } from '../src/blobs/folder-objects.ts';
import { compactSegments } from '../src/postgres/compact-segments.ts';
import type { Database } from '../src/postgres/database.ts';
import { PostgresEngine } from '../src/postgres/engine.ts';
import { Intake } from '../src/postgres/intake.ts';
import type { Listener } from '../src/postgres/listener.ts';
import { TeamSpace } from '../src/postgres/team-space.ts';
import { rows } from '../src/store/question.ts';
import type { Space } from '../src/sync/space.ts';
import { type Member, makeTeam, type Team } from '../src/sync/sync-fixture.ts';
import { transfer } from '../src/sync/transfer.ts';
import { describePostgres } from './support/describe-postgres.ts';
import { until } from './support/sandbox.ts';
import { openTeamStore, type TeamStore } from './support/team-store.ts';

await describePostgres('a team’s space', (postgres) => {
  let team: Team;
  let a: Member;
  let database: Database;
  let listener: Listener;
  let objects: FolderObjects;
  let store: TeamStore;
  beforeEach(async () => {
    team = makeTeam();
    a = team.folder('a', { git: true });
    const { root } = team;
    store = await openTeamStore(postgres, { root, name: 'team', spaces: ['team'], connections: 6 });
    ({ database, listener, objects } = store);
  });
  afterEach(async () => {
    await store.close();
    await team.remove();
  });

  /** As another collector would open it: it has a folder of its own. */
  const open = (name = 'one') => {
    const scratch = join(team.root, 'scratch', name);
    const space = new TeamSpace({ database, listener, objects, space: 'team', scratch, env: team.env });
    store.opened.push(space);
    return space;
  };
  const intake = () => {
    const failed = (error: unknown) => {
      throw error;
    };
    store.opened.push(new Intake({ database, listener, objects, space: 'team', failed }));
  };
  const copy = async (from: Space, to: Space, runs: readonly string[]) => {
    const report = await transfer({ from, to, runs });
    expect(report.problems).toEqual([]);
    return report;
  };
  it('is read by queries once it is taken in, lists runs, and keeps small pieces together', async () => {
    const run = await a.run({ ended: false, samples: 10 });
    const space = open();
    intake();
    await copy(a.space(), space, [run]);
    const count = () => space.engine.answer(rows('SELECT count FROM series'));
    await until(async () => (await count())[0]?.count === 10, 'it is taken in');
    const page = await space.list({ filter: "status = 'running'", project: 'demo' });
    expect(page).toMatchObject({
      runs: [{ id: run, name: `run ${run}`, status: 'running', removed: false }],
    });
    let told = 0;
    space.engine.onChange(() => {
      told += 1;
    });
    const edits = a.edit(run, { k: 'edit', t: 1, clock: 1, field: 'name', value: 'renamed' });
    await copy(a.space(), space, [run]);
    await until(async () => (await space.list({})).runs[0]?.name === 'renamed', 'the edit is taken in');
    expect(told).toBeGreaterThan(0);
    const gone = a.remove(run, 2);
    await transfer({ from: a.space(), to: space, runs: [], project: [gone], apply: true });
    await until(
      async () => (await space.engine.answer(rows('SELECT removed FROM runs')))[0]?.removed === 1,
      'it is removed',
    );
    await database.transaction('team', (session) =>
      session.change("UPDATE received SET grown_at = now() - interval '2 days'"),
    );
    await compactSegments(database, objects, 'team');
    const kept = await database.transaction('team', (session) => session.rows('SELECT object FROM segments'));
    expect(kept.every((row) => typeof row.object === 'string')).toBe(true);
    expect((await space.readJournals([{ run, writer: edits, offset: 0 }]))[0]?.bytes.length).toBeGreaterThan(
      100,
    );
  });

  it('shows one project where that is asked, and nothing of another', async () => {
    const run = await a.run({ samples: 20, project: 'mine', artifacts: { model: 'weights' } });
    const other = await a.run({ samples: 20, project: 'theirs' });
    const space = open();
    intake();
    await copy(a.space(), space, [run, other]);
    expect((await space.list({})).runs).toHaveLength(2);
    const engine = new PostgresEngine({ database, listener, space: 'team', project: 'mine' });
    const ask = async (sql: string) => (await engine.answer(rows(sql))).map((row) => Object.values(row)[0]);
    expect(await ask('SELECT id FROM runs')).toEqual([run]);
    expect(await ask('SELECT name FROM projects')).toEqual(['mine']);
    expect(await ask('SELECT run_id FROM writers')).toEqual([run]);
    for (const table of ['series', 'metric_summaries', 'artifacts', 'attempts', 'journals', 'changes']) {
      expect([table, (await ask(`SELECT 1 FROM ${table}`)).length]).toEqual([table, 1]);
    }
    await engine.close();
  });

  it('counts what it holds, and keeps no part of what is whole', async () => {
    const run = await a.run({ samples: 10, artifacts: { model: Buffer.alloc(9_000_000, 'weights') } });
    const space = open();
    intake();
    await copy(a.space(), space, [run]);
    await until(async () => (await space.usage('demo')).samples === 10, 'it is taken in');
    const bytes = (await a.space().states([run])).get(run)?.journals.values().next().value?.length ?? 0;
    expect(await space.usage('demo')).toEqual({ bytes: 9_000_000 + bytes, samples: 10 });
    expect(await space.usage('other')).toEqual({ bytes: 0, samples: 0 });
    const left = await database.transaction('team', (session) => session.rows('SELECT * FROM parts'));
    expect(left).toEqual([]);
    expect((await Array.fromAsync(objects.list('incoming/'))).length).toBe(0);
  });
});
