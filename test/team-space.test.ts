import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FolderObjects } from '../src/blobs/folder-objects.ts';
import { compactSegments } from '../src/postgres/compact-segments.ts';
import { type Database, openDatabase, openSpaceSchema } from '../src/postgres/database.ts';
import { PostgresEngine } from '../src/postgres/engine.ts';
import { Intake } from '../src/postgres/intake.ts';
import { Listener } from '../src/postgres/listener.ts';
import { TeamSpace } from '../src/postgres/team-space.ts';
import { rows } from '../src/store/question.ts';
import type { JournalPiece, Space } from '../src/sync/space.ts';
import { type Member, makeTeam, type Team } from '../src/sync/sync-fixture.ts';
import { transfer } from '../src/sync/transfer.ts';
import { describePostgres } from './support/describe-postgres.ts';
import { until } from './support/sandbox.ts';

await describePostgres('a team’s space', (postgres) => {
  let team: Team;
  let a: Member;
  let b: Member;
  let database: Database;
  let listener: Listener;
  let objects: FolderObjects;
  const opened: { close(): Promise<void> }[] = [];
  beforeEach(async () => {
    team = makeTeam();
    a = team.folder('a', { git: true });
    b = team.folder('b');
    database = await openDatabase(await postgres.database('team'), { connections: 6 });
    await openSpaceSchema(database, 'team');
    listener = new Listener(database);
    objects = new FolderObjects(join(team.root, 'objects'));
  });
  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
    await listener.close();
    await database.close();
    await team.remove();
  });

  /** As another collector would open it: it has a folder of its own. */
  const open = (name = 'one') => {
    const scratch = join(team.root, 'scratch', name);
    const space = new TeamSpace({ database, listener, objects, space: 'team', scratch, env: team.env });
    opened.push(space);
    return space;
  };
  const intake = () => {
    const failed = (error: unknown) => {
      throw error;
    };
    opened.push(new Intake({ database, listener, objects, space: 'team', failed }));
  };
  const copy = async (from: Space, to: Space, runs: readonly string[]) => {
    const report = await transfer({ from, to, runs });
    expect(report.problems).toEqual([]);
    return report;
  };
  const piecesOf = async (space: Space, run: string): Promise<JournalPiece[]> => {
    const state = (await space.states([run])).get(run);
    const wants = [...(state?.journals.keys() ?? [])].map((writer) => ({ run, writer, offset: 0 }));
    return (await space.readJournals(wants)).map(({ after, length: _, ...piece }) => ({
      ...piece,
      root: after,
    }));
  };

  it('takes journals, artifacts, folders of them and code, and gives them to another folder', async () => {
    a.write('data/one.txt', 'one');
    a.write('data/deep/two.txt', 'two');
    a.write('train.py', 'print(1)\n');
    const run = await a.run({
      artifacts: { model: Buffer.alloc(9_000_000, 'weights') },
      folders: ['data'],
      code: true,
    });
    a.write('train.py', 'print(2)\n');
    const second = await a.run({ code: true, samples: 100_000 });
    const runs = [run, second];
    const from = a.space();
    const space = open();
    const sent = await copy(from, space, runs);
    expect(sent.blobs.count).toBe(4);
    expect(sent.trees.count).toBe(2);
    expect(sent.trees.bytes).toBeLessThan(1500);
    const digests = await from.digests(runs);
    expect(await space.compare(digests, new Map())).toMatchObject({ differ: [], unknown: [] });
    const again = await copy(a.space(), open(), runs);
    expect(again).toMatchObject({ journals: { bytes: 0 }, blobs: { bytes: 0 }, trees: { bytes: 0 } });
    // By another collector, which has nothing on its disk.
    await copy(open('two'), b.space(), runs);
    expect(await b.space().digests(runs)).toEqual(digests);
    expect(await space.usage('demo')).toMatchObject({ bytes: expect.any(Number) });
    expect(await space.readBlob(run, '0'.repeat(64), 0)).toBeNull();
    expect([...(await space.projectsOf(runs)).values()]).toEqual(['demo', 'demo']);
  });

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
    const [piece] = await a.space().readJournals([{ run: null, writer: gone, offset: 0 }]);
    if (piece === undefined) throw new Error('no removal');
    const removal = { ...piece, root: piece.after };
    expect(await space.writeJournals([removal])).toMatchObject([{ ok: true }]);
    expect(await space.compare(new Map([[run, '']]), new Map())).toMatchObject({
      removed: [],
      removals: [{ run, applied: false }],
    });
    expect(await space.writeJournals([{ ...removal, apply: true }])).toMatchObject([{ ok: true }]);
    expect(await space.compare(new Map([[run, '']]), new Map())).toMatchObject({
      removed: [run],
      removals: [{ run, applied: true }],
    });
    await until(
      async () => (await space.engine.answer(rows('SELECT removed FROM runs')))[0]?.removed === 1,
      'it is removed',
    );
    expect(await space.writeJournals(await piecesOf(a.space(), run))).toMatchObject([
      { ok: false, code: 'run-removed' },
      { ok: false, code: 'run-removed', writer: expect.stringMatching(/^(edits|supervisor)-/) },
    ]);
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

  it('refuses what is not so, and goes on from where it is', async () => {
    const run = await a.run({ samples: 100_000, artifacts: { model: 'weights' } });
    const space = open();
    const [whole] = await piecesOf(a.space(), run);
    if (whole === undefined) throw new Error('no journal');
    const half = whole.bytes.lastIndexOf(10, whole.bytes.length / 2) + 1;
    const [, rest] = await Promise.all([
      null,
      a.space().readJournals([{ run, writer: whole.writer, offset: half }]),
    ]);
    const second = {
      ...whole,
      offset: half,
      before: rest[0]?.before ?? '',
      bytes: whole.bytes.subarray(half),
    };
    const first = { ...whole, root: second.before, bytes: whole.bytes.subarray(0, half) };
    const write = async (piece: JournalPiece) => (await space.writeJournals([piece]))[0];
    expect(await write(second)).toMatchObject({ ok: false, code: 'journal-offset', length: 0 });
    expect(await write({ ...first, root: whole.root })).toMatchObject({ ok: false, code: 'hash-mismatch' });
    expect(await write(first)).toMatchObject({ ok: true, length: half });
    expect(await write(first)).toMatchObject({ ok: true, length: half });
    expect(await write({ ...second, before: whole.root })).toMatchObject({
      ok: false,
      code: 'journal-diverged',
    });
    // Two collectors at once, and a piece that overlaps.
    const both = await Promise.all([open('two').writeJournals([second]), space.writeJournals([whole])]);
    expect(both.flat()).toMatchObject([
      { ok: true, root: whole.root },
      { ok: true, root: whole.root },
    ]);
    const other = Buffer.from(whole.bytes);
    other[half + 5] = 0x78;
    expect(await write({ ...whole, bytes: other })).toMatchObject({ ok: false });

    const blob = [...((await a.space().states([run])).get(run)?.blobs ?? [])][0];
    if (blob === undefined) throw new Error('no blob');
    const part = { run, ...blob, offset: 0, bytes: Buffer.from('weights') };
    const put = async (one: typeof part) => (await space.writeBlobs([one]))[0];
    expect(await put({ ...part, sha256: '1'.repeat(64) })).toMatchObject({ code: 'blob-not-named' });
    expect(await put({ ...part, size: 8 })).toMatchObject({ code: 'hash-mismatch' });
    expect(await put({ ...part, bytes: Buffer.from('Weights') })).toMatchObject({ code: 'hash-mismatch' });
    expect(await put({ ...part, offset: 3, bytes: Buffer.from('ghts') })).toMatchObject({
      code: 'part-offset',
    });
    expect(await put({ ...part, bytes: Buffer.from('wei') })).toMatchObject({
      ok: true,
      received: 3,
      stored: false,
    });
    expect(await open('two').missingBlobs(run, [blob])).toEqual([{ sha256: blob.sha256, received: 3 }]);
    const tail = { ...part, offset: 3, bytes: Buffer.from('ghts') };
    expect((await open('two').writeBlobs([tail]))[0]).toMatchObject({ ok: true, received: 7, stored: true });
    expect(Buffer.from((await space.readBlob(run, blob.sha256, 2)) ?? []).toString()).toBe('ights');
    const left = await database.transaction('team', (session) => session.rows('SELECT * FROM parts'));
    expect(left).toEqual([]);
  });
});
