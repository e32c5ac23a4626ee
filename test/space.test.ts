/** What a space promises (src/sync/space.ts), of every one that there is: whoever copies knows no more of it than this. */
import { appendFileSync, mkdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FolderObjects } from '../src/blobs/folder-objects.ts';
import { pushRuns } from '../src/cli/push-runs.ts';
import { newRunId } from '../src/events/ids.ts';
import { listJournals } from '../src/journal/discover.ts';
import { runFolder } from '../src/journal/layout.ts';
import { type Database, openDatabase, openSpaceSchema } from '../src/postgres/database.ts';
import { Intake } from '../src/postgres/intake.ts';
import { Listener } from '../src/postgres/listener.ts';
import { TeamSpace } from '../src/postgres/team-space.ts';
import { openFolderRemote } from '../src/sync/bucket-space.ts';
import { EMPTY_ROOT } from '../src/sync/journal-hash.ts';
import {
  type BlobMark,
  type JournalPiece,
  MAX_BODY_BYTES,
  type PackPart,
  type Space,
} from '../src/sync/space.ts';
import { type Member, makeTeam, type Team, twoRuns } from '../src/sync/sync-fixture.ts';
import { transfer } from '../src/sync/transfer.ts';
import { sha256, TestCollector, TestJournal, testRun } from './collector-fixture.ts';
import { until } from './support/sandbox.ts';
import { sharedPostgres } from './support/servers.ts';

let team: Team;
let a: Member;
let count = 0;

interface SpaceHome {
  name: string;
  /** Whether it asks what a run names before it takes bytes and code: a folder of objects has no server that could. */
  guarded: boolean;
  begin?(): Promise<void>;
  end?(): Promise<void>;
  /** An empty space, as one process would open it, or (the same `of`) another one beside it. */
  open(of: { name: string; process: string }): Promise<Space>;
}

const folder: SpaceHome = {
  name: 'a project folder',
  guarded: true,
  open: async ({ name }) => team.folder(`there-${name}`).space(),
};

const bucket: SpaceHome = {
  name: 'a shared folder',
  guarded: false,
  open: async ({ name, process }) => {
    const shared = join(team.root, `shared-${name}`);
    mkdirSync(shared, { recursive: true });
    return openFolderRemote({ folder: shared, env: team.env, layout: team.folder(`by-${process}`).layout });
  },
};

const collector = new TestCollector();
const http: SpaceHome = {
  name: 'a collector over HTTP',
  guarded: true,
  begin: () => collector.start(),
  end: () => collector.remove(),
  open: async ({ name }) => collector.space(await collector.token({ space: name })),
};

const postgres = await sharedPostgres();
let database: Database;
let listener: Listener;
const database_: SpaceHome = {
  name: 'PostgreSQL with objects',
  guarded: true,
  begin: async () => {
    if ('missing' in postgres) return;
    database = await openDatabase(await postgres.database('spaces'), { connections: 8 });
    listener = new Listener(database);
  },
  end: async () => {
    await listener?.close();
    await database?.close();
  },
  open: async ({ name, process }) => {
    await openSpaceSchema(database, name);
    const objects = new FolderObjects(join(team.root, `objects-${name}`));
    const scratch = join(team.root, `scratch-${process}`);
    const failed = (error: unknown) => {
      throw error;
    };
    opened.push(new Intake({ database, listener, objects, space: name, failed }));
    return new TeamSpace({ database, listener, objects, space: name, scratch, env: team.env });
  },
};

const opened: { close(): Promise<void> }[] = [];

beforeEach(() => {
  team = makeTeam();
  a = team.folder('a', { git: true });
  count += 1;
});
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close();
  await team.remove();
});

const copy = async (from: Space, to: Space, runs: readonly string[]) => {
  const report = await transfer({ from, to, runs });
  expect(report.problems).toEqual([]);
  return report;
};

/** The pieces that a space gives of a run's journals, as they would be sent. */
async function piecesOf(space: Space, run: string): Promise<JournalPiece[]> {
  const state = (await space.states([run])).get(run);
  const wants = [...(state?.journals.keys() ?? [])].map((writer) => ({ run, writer, offset: 0 }));
  return (await space.readJournals(wants)).map(({ after, length: _, ...piece }) => ({
    ...piece,
    root: after,
  }));
}

const codeOf = (result: { ok: boolean } | undefined) =>
  result?.ok === false ? (result as { code?: string }).code : 'ok';

const homes = [folder, bucket, http, ...('missing' in postgres ? [] : [database_])];
test.skipIf(!('missing' in postgres))('PostgreSQL is not there', () => expect(homes).toHaveLength(3));

test('of a run that goes on, a push sends the lines that were looked through for secrets', async () => {
  const run = await a.run({ ended: false, code: true });
  const [{ path } = { path: '' }] = listJournals(runFolder(a.layout, run));
  const there = team.folder('there').space();
  const secret = `{"k":"c","t":1,"o":1,"n":0,"x":"${'AKIA'}QX3ZN7B4WPLM2KTD"}\n`;
  let asked = 0;
  const remote: Space = {
    compare: (...sent) => there.compare(...sent),
    list: (query) => there.list(query),
    states: (runs) => there.states(runs),
    writeJournals: (pieces) => there.writeJournals(pieces),
    readJournals: (wants) => there.readJournals(wants),
    missingBlobs: (...sent) => there.missingBlobs(...sent),
    writeBlobs: (parts) => there.writeBlobs(parts),
    readBlob: (...sent) => there.readBlob(...sent),
    missingTrees: (...sent) => {
      // Its journals were just looked through, and are not sent yet.
      if (++asked === 1) appendFileSync(path, secret);
      return there.missingTrees(...sent);
    },
    writeTrees: (parts) => there.writeTrees(parts),
    readTrees: (...sent) => there.readTrees(...sent),
    close: () => there.close(),
  };
  const push = () => pushRuns({ own: a.space(), remote, runs: [run] });
  const before = (await a.space().states([run])).get(run)?.journals;
  expect(await push()).toMatchObject({ secrets: [], report: { problems: [], journals: { pieces: 1 } } });
  expect(asked).toBeGreaterThan(0);
  expect((await there.states([run])).get(run)?.journals).toEqual(before);
  expect(await push()).toMatchObject({ report: null, secrets: [{ kind: 'AWS access key' }] });
});

describe.each(homes)('$name', (home) => {
  beforeAll(() => home.begin?.());
  afterAll(() => home.end?.());

  /** The space of this test, as this process would open it. */
  const open = async (process = 'one'): Promise<Space> => {
    const space = await home.open({ name: `s${count}`, process: `${process}${count}` });
    opened.push(space);
    return space;
  };

  test('takes journals, artifacts, folders of them and code, and gives them to another folder', async () => {
    a.write('data/deep/two.txt', 'two');
    const runs = await twoRuns(a);
    const sent = await copy(a.space(), await open(), runs);
    expect(sent.runs).toEqual(new Set(runs));
    // What ran twice, and the commit that both began from.
    expect([sent.blobs.count, sent.trees.count]).toEqual([5, 3]);
    const digests = await a.space().digests(runs);
    const space = await open('two');
    expect(await space.compare(digests, new Map())).toMatchObject({ differ: [], unknown: [], removed: [] });
    const again = await copy(a.space(), space, runs);
    expect(again).toMatchObject({ journals: { bytes: 0 }, blobs: { bytes: 0 }, trees: { bytes: 0 } });

    const b = team.folder('b');
    const got = await copy(space, b.space(), runs);
    expect([got.blobs.count, got.trees.count]).toEqual([5, 3]);
    expect(await b.space().digests(runs)).toEqual(digests);
    // The second tree is a few deltas on the first, both ways.
    for (const { trees } of [sent, got]) expect(trees.bytes).toBeLessThan(205_000);
    const states = await space.states([...runs, newRunId()]);
    expect([...states.keys()].sort()).toEqual([...runs].sort());
    expect(states.get(runs[0] ?? '')).toMatchObject({ project: 'demo', blobs: { length: 5 } });
  });

  test('gives each run the files of a folder that an earlier one has brought', async () => {
    const space = await open();
    for (const name of ['one', 'two']) a.write(`data/${name}.txt`, name);
    const runs = [await a.run({ folders: ['data'] }), await a.run({ folders: ['data'] })];
    for (const run of runs) await copy(a.space(), space, [run]);
    const digests = await a.space().digests(runs);
    expect((await space.compare(digests, new Map())).differ).toEqual([]);
    const b = team.folder('b');
    for (const run of runs.slice(1)) {
      await copy(space, b.space(), [run]);
      expect((await b.space().digests([run])).get(run)).toBe(digests.get(run));
    }
  });

  test('goes on where a journal has grown, and takes no line that is not whole', async () => {
    const run = await a.run({ ended: false });
    const [{ path } = { path: '' }] = listJournals(runFolder(a.layout, run));
    await copy(a.space(), await open(), [run]);
    for (let round = 0; round < 3; round += 1) {
      appendFileSync(path, `{"k":"m","t":${round},"s":${round},"v":{"loss":1}}\n{"k":"m","t":`);
      const report = await copy(a.space(), await open(`round${round}`), [run]);
      expect(report.journals.bytes).toBe(37 + (round > 0 ? 29 : 0));
      appendFileSync(path, '1,"s":1,"v":{}}\n');
    }
    await copy(a.space(), await open(), [run]);
    const [state] = (await (await open()).states([run])).values();
    expect(state?.journals).toEqual((await a.space().states([run])).get(run)?.journals);
  });

  test('takes a piece once, whoever brings it and however often, and none that does not fit', async () => {
    const run = await a.run({ samples: 60_000 });
    const [whole] = await piecesOf(a.space(), run);
    if (whole === undefined) throw new Error('no journal');
    const half = whole.bytes.lastIndexOf(10, whole.bytes.length / 2) + 1;
    const [rest] = await a.space().readJournals([{ run, writer: whole.writer, offset: half }]);
    const before = rest?.before ?? '';
    const first = { ...whole, root: before, bytes: whole.bytes.subarray(0, half) };
    const second = { ...whole, offset: half, before, bytes: whole.bytes.subarray(half) };
    const space = await open();
    const write = async (piece: JournalPiece) => (await space.writeJournals([piece]))[0];
    expect(await write(second)).toMatchObject({
      ok: false,
      code: 'journal-offset',
      length: 0,
      root: EMPTY_ROOT,
    });
    expect(await write({ ...first, root: whole.root })).toMatchObject({ code: 'hash-mismatch', length: 0 });
    expect((await space.states([run])).size).toBe(0);
    expect(await write(first)).toMatchObject({ ok: true, length: half, root: before });
    expect(await write(first)).toMatchObject({ ok: true, length: half, root: before });
    expect(await write({ ...second, before: whole.root })).toMatchObject({
      code: 'journal-diverged',
      length: half,
      root: before,
    });
    const both = await Promise.all([
      (await open('two')).writeJournals([second]),
      space.writeJournals([whole]),
    ]);
    for (const [result] of both) {
      expect(result).toMatchObject({ ok: true, length: whole.bytes.length, root: whole.root });
    }
    const other = Buffer.from(whole.bytes);
    other[half + 5] = 0x78;
    expect(await write({ ...whole, bytes: other })).toMatchObject({ code: 'journal-diverged' });
    // From the middle of a block, and from beyond the end.
    const [read] = await space.readJournals([{ run, writer: whole.writer, offset: half }]);
    expect(read).toMatchObject({ offset: half, before, after: whole.root, root: whole.root });
    expect(Buffer.from(read?.bytes ?? []).equals(second.bytes)).toBe(true);
    for (const offset of [whole.bytes.length, whole.bytes.length + 1, 2 ** 40]) {
      expect(await space.readJournals([{ run, writer: whole.writer, offset }])).toEqual([]);
    }
  });

  test('takes many pieces in one call, each for itself, also two of one journal', async () => {
    const good = testRun('many');
    const [length, bad, late] = [good.journal.bytes.length, testRun('many'), testRun('many')];
    good.journal.add({ k: 'm', s: 0, v: { loss: 1 } });
    const wrong = { ...bad.journal.piece(), root: '0'.repeat(64) };
    const pieces = [
      good.journal.piece(0, length),
      wrong,
      late.journal.piece(),
      good.journal.piece(length),
      good.journal.piece(0, length),
    ];
    const space = await open();
    const results = await space.writeJournals(pieces);
    expect(results.map(({ run, ok }) => [run, ok])).toEqual([
      [good.id, true],
      [bad.id, false],
      [late.id, true],
      [good.id, true],
      [good.id, true],
    ]);
    const states = await space.states([good.id, bad.id, late.id]);
    expect([...states.keys()].sort()).toEqual([good.id, late.id].sort());
    expect(states.get(good.id)?.journals.get(good.journal.writer)?.length).toBe(good.journal.bytes.length);
    const wants = [good, late].map(({ id, journal }) => ({ run: id, writer: journal.writer, offset: 0 }));
    const read = await space.readJournals([...wants, { run: newRunId(), writer: 'job-aaaaaaaa', offset: 0 }]);
    expect(read.map(({ run }) => run)).toEqual([good.id, late.id]);
    await expect(space.writeJournals(new Array(5000).fill(good.journal.piece()))).rejects.toThrow();
  });

  test('takes from a stranger only what speaks for its own run and writer', async () => {
    const run = await a.run();
    const other = newRunId();
    const [piece] = await piecesOf(a.space(), run);
    if (piece === undefined) throw new Error('no piece');
    const text = Buffer.from(piece.bytes).toString();
    const space = await open();
    const codes: (string | undefined)[] = [];
    for (const content of [
      text.slice(text.indexOf('\n') + 1),
      text.slice(0, -3),
      `${text}{"k":"remove","t":1,"run":"${other}","clock":9}\n`,
      `${text}{"k":"m","t":1,"s":1,"v":{},"k":"start","id":"${other}","attempt":"x"}\n`,
    ]) {
      codes.push(codeOf((await space.writeJournals([{ ...piece, bytes: Buffer.from(content) }]))[0]));
    }
    codes.push(codeOf((await space.writeJournals([{ ...piece, run: other }]))[0]));
    codes.push(codeOf((await space.writeJournals([{ ...piece, writer: 'job-aaaaaaaa' }]))[0]));
    expect(codes).toEqual(Array(6).fill('journal-invalid'));
    for (const names of [{ run: '../../../../tmp' }, { writer: '../x-aaaaaaaa' }]) {
      const refused = await space.writeJournals([{ ...piece, ...names }]).then(
        ([result]) => codeOf(result),
        (error: { code?: string }) => error.code,
      );
      expect(['journal-invalid', 'body-invalid']).toContain(refused);
    }
    expect(await space.states([run, other])).toEqual(new Map());
    expect(await space.list({})).toMatchObject({ runs: [] });
  });

  test('takes a blob in parts, by whichever process, and only with its own bytes', async () => {
    const bytes = Buffer.from('weights');
    const { id, journal } = testRun('demo');
    const blob: BlobMark = { sha256: sha256(bytes), size: bytes.length };
    journal.add({ k: 'artifact', name: 'w', type: 'file', ...blob });
    const space = await open();
    await space.writeJournals([journal.piece()]);
    const part = { run: id, ...blob, offset: 0, bytes };
    const write = async (change: object, to = space) => (await to.writeBlobs([{ ...part, ...change }]))[0];
    if (home.guarded) {
      expect(await write({ sha256: '1'.repeat(64) })).toMatchObject({
        code: 'blob-not-named',
        stored: false,
      });
      expect(await write({ run: newRunId() })).toMatchObject({ code: 'blob-not-named', stored: false });
      expect(await write({ size: 8, bytes: Buffer.from('weights!') })).toMatchObject({
        code: 'hash-mismatch',
      });
    }
    expect(await write({ bytes: Buffer.from('Weights') })).toMatchObject({
      ok: false,
      code: 'hash-mismatch',
    });
    expect(await write({ offset: 3, bytes: bytes.subarray(3) })).toMatchObject({
      code: 'part-offset',
      received: 0,
    });
    expect(await write({ bytes: Buffer.from('weights and more') })).toMatchObject({ code: 'part-offset' });
    expect(await write({ bytes: bytes.subarray(0, 3) })).toMatchObject({
      ok: true,
      received: 3,
      stored: false,
    });
    expect(await (await open()).missingBlobs(id, [blob])).toEqual([{ sha256: blob.sha256, received: 3 }]);
    expect(await space.readBlob(id, blob.sha256, 0)).toBeNull();
    // The same part again, and one that overlaps what is there.
    expect(await write({ bytes: bytes.subarray(0, 3) })).toMatchObject({ ok: true, received: 3 });
    const tail = { offset: 2, bytes: bytes.subarray(2) };
    expect(await write(tail, await open())).toMatchObject({ ok: true, received: 7, stored: true });
    expect(await write(tail)).toMatchObject({ ok: true, received: 7, stored: true });
    const reader = await open('two');
    expect(await reader.missingBlobs(id, [blob])).toEqual([]);
    expect(Buffer.from((await reader.readBlob(id, blob.sha256, 2)) ?? []).toString()).toBe('ights');
    expect((await reader.states([id])).get(id)?.blobs).toEqual([blob]);
    expect(await reader.readBlob(id, '0'.repeat(64), 0)).toBeNull();
    await expect(
      space.writeBlobs([{ ...part, size: 2 ** 24, bytes: Buffer.alloc(MAX_BODY_BYTES + 1) }]),
    ).rejects.toMatchObject({ code: 'body-too-large' });
  });

  test('begins a blob anew where another attempt had other bytes', async () => {
    const bytes = Buffer.from('weights');
    const { id, journal } = testRun('demo');
    const blob = { sha256: sha256(bytes), size: bytes.length };
    journal.add({ k: 'artifact', name: 'w', type: 'file', ...blob });
    const space = await open();
    await space.writeJournals([journal.piece()]);
    const write = async (offset: number, text: string) =>
      (await space.writeBlobs([{ run: id, ...blob, offset, bytes: Buffer.from(text) }]))[0];
    expect(await write(0, 'xyz')).toMatchObject({ ok: true, received: 3 });
    expect(await write(3, 'ghts')).toMatchObject({ ok: false, code: 'hash-mismatch' });
    expect(await space.missingBlobs(id, [blob])).toEqual([{ sha256: blob.sha256, received: 0 }]);
    expect(await write(0, 'wei')).toMatchObject({ ok: true, received: 3 });
    expect(await write(3, 'ghts')).toMatchObject({ ok: true, stored: true });
  });

  test('takes code in packs that are checked, on a base or by itself', async () => {
    a.write('train.py', 'print(1)\n'.repeat(2000));
    const run = await a.run({ code: true });
    a.write('train.py', `${'print(1)\n'.repeat(2000)}print(2)\n`);
    const later = await a.run({ code: true });
    const from = a.space();
    const space = await open();
    for (const each of [run, later]) await space.writeJournals(await piecesOf(from, each));
    const treeOf = async (each: string) => (await from.states([each])).get(each)?.trees[0] ?? '';
    const [tree, next] = [await treeOf(run), await treeOf(later)];
    expect(await space.missingTrees(run, [tree])).toEqual({ missing: [tree], bases: [] });
    const [pack] = await from.readTrees(run, [tree], [], new Map());
    const [thin] = await from.readTrees(later, [next], [tree], new Map());
    if (pack === undefined || thin === undefined) throw new Error('no pack');
    const write = async (part: PackPart, to = space) => (await to.writeTrees([part]))[0];
    const half = Math.floor(pack.size / 2);
    if (home.guarded) {
      expect(await write({ ...pack, tree: 'd'.repeat(40) })).toMatchObject({ code: 'tree-not-named' });
      expect(await write({ ...pack, run: newRunId() })).toMatchObject({ code: 'tree-not-named' });
      const broken = { ...pack, bytes: Buffer.concat([pack.bytes.subarray(0, -4), Buffer.alloc(4)]) };
      expect(await write(broken)).toMatchObject({ code: 'pack-invalid', stored: false });
      expect(await write(thin)).toMatchObject({ code: 'pack-base-missing', stored: false });
      expect((await space.states([run])).get(run)?.trees).toEqual([]);
    }
    expect(await write({ ...pack, offset: half, bytes: pack.bytes.subarray(half) })).toMatchObject({
      code: 'part-offset',
      received: 0,
    });
    expect(await write({ ...pack, bytes: pack.bytes.subarray(0, half) })).toMatchObject({
      ok: true,
      received: half,
      stored: false,
    });
    const tail = { ...pack, offset: half, bytes: pack.bytes.subarray(half) };
    expect(await write(tail, await open())).toMatchObject({ ok: true, received: pack.size, stored: true });
    expect(await write(pack)).toMatchObject({ ok: true, received: pack.size, stored: true });
    expect(await space.missingTrees(later, [next])).toEqual({ missing: [next], bases: [tree] });
    expect(await write(thin)).toMatchObject({ ok: true, stored: true });
    const reader = await open('two');
    expect((await reader.states([later])).get(later)?.trees).toEqual([next]);
    // To who has the first, and to who has nothing.
    const [delta] = await reader.readTrees(later, [next], [tree], new Map());
    const [alone] = await reader.readTrees(later, [next], [], new Map());
    expect([delta?.base, alone?.base]).toEqual([tree, null]);
    expect(delta?.size ?? 0).toBeLessThan(alone?.size ?? 0);
    expect(await reader.readTrees(run, ['e'.repeat(40)], [], new Map())).toEqual([]);
  });

  test('lists its runs by page, project and time, and what is removed', async () => {
    const runs = (await Promise.all(
      ['cats', 'cats', 'dogs'].map((project) => a.run({ project })),
    )) as string[];
    const [cat = '', , dog = ''] = runs;
    const space = await open();
    await copy(a.space(), space, runs);
    const ids = async (query: object) => (await space.list(query)).runs.map(({ id }) => id);
    await until(async () => (await ids({})).length === 3, 'all are listed');
    expect(await ids({})).toEqual([...runs].sort());
    const page = await space.list({ limit: 2 });
    expect([page.runs.length, page.next]).toEqual([2, page.runs[1]?.id]);
    expect(await ids({ limit: 2, after: page.next ?? '' })).toEqual([[...runs].sort()[2]]);
    expect((await space.list({ limit: 3 })).next).toBeNull();
    expect(await ids({ project: 'cats' })).toEqual(runs.slice(0, 2).sort());
    expect(await ids({ since: Date.now() / 1000 + 60 })).toEqual([]);
    expect(await ids({ since: Date.now() / 1000 - 3600, project: 'dogs' })).toEqual([dog]);
    const [listed] = (await space.list({ project: 'dogs' })).runs;
    const digests = await a.space().digests([dog]);
    expect(listed).toMatchObject({
      id: dog,
      digest: digests.get(dog),
      project: 'dogs',
      name: `run ${dog}`,
      status: 'completed',
      started_at: expect.any(Number),
      removed: false,
    });
    const writer = a.remove(cat, 5);
    await transfer({ from: a.space(), to: space, runs: [], project: [writer], apply: true });
    await until(
      async () => (await space.list({})).runs.find(({ id }) => id === cat)?.removed === true,
      'the removal is listed',
    );
  });

  test('is told of removals, and applies them only where that was asked for', async () => {
    const run = await a.run();
    const space = await open();
    await copy(a.space(), space, [run]);
    const writer = a.remove(run, 5);
    const from = a.space();
    const marks = (await from.list({})).project;
    expect([...marks.keys()]).toEqual([writer]);
    expect((await space.compare(new Map([[run, 'a'.repeat(64)]]), marks)).projectMissing).toEqual([writer]);
    await transfer({ from, to: space, runs: [], project: [writer] });
    const reader = await open('two');
    const told = { run, by: expect.stringContaining('@'), at: expect.any(Number), applied: false };
    expect(await reader.compare(new Map([[run, 'a'.repeat(64)]]), marks)).toEqual({
      differ: [run],
      unknown: [],
      removed: [],
      projectMissing: [],
      removals: [told],
    });
    expect((await reader.list({})).removals).toEqual([told]);
    expect((await reader.list({})).project).toEqual(marks);
    await transfer({ from, to: space, runs: [], project: [writer], apply: true });
    expect(await reader.compare(new Map([[run, 'a'.repeat(64)]]), marks)).toMatchObject({
      removed: [run],
      projectMissing: [],
      removals: [{ ...told, applied: true }],
    });
    const edit = a.edit(run, { k: 'edit', t: 1, clock: 1, field: 'name', value: 'late' });
    const late = (await piecesOf(a.space(), run)).filter((piece) => piece.writer === edit);
    expect(await space.writeJournals(late)).toMatchObject([{ ok: false, code: 'run-removed' }]);
    // A restoration is told and applied in the same way.
    const undo = a.remove(run, 6, true);
    await transfer({ from: a.space(), to: space, runs: [], project: [undo], apply: true });
    expect(await reader.compare(new Map([[run, 'a'.repeat(64)]]), new Map())).toMatchObject({
      removed: [],
      removals: [],
    });
    expect(await space.writeJournals(late)).toMatchObject([{ ok: true }]);
    const [read] = await reader.readJournals([{ run: null, writer, offset: 0 }]);
    expect(Buffer.from(read?.bytes ?? []).toString()).toContain(`"run":"${run}"`);
  });

  test('takes no project journal that speaks of more than removals', async () => {
    const space = await open();
    const metric = '{"k":"m","t":1,"s":1,"v":{"loss":1}}';
    const removal = { k: 'remove', run: newRunId(), clock: 1 };
    for (const lines of [
      [{ k: 'link', name: 'main', path: '/etc', clock: 1 }],
      [metric],
      [metric, removal],
      [removal, metric],
    ]) {
      const { bytes, ...piece } = new TestJournal(null, 'project').add(...lines).piece();
      for (const others of [undefined, [0, bytes.indexOf(10) + 1]]) {
        expect(await space.writeJournals([{ ...piece, bytes, others }])).toMatchObject([
          { ok: false, code: 'journal-invalid' },
        ]);
      }
    }
    expect((await space.list({})).project.size).toBe(0);
  });

  test('keeps the copy that it has where two diverge, and says so each time', async () => {
    const run = await a.run({ samples: 10 });
    const space = await open();
    await copy(a.space(), space, [run]);
    const [piece] = await piecesOf(space, run);
    const [{ path } = { path: '' }] = listJournals(runFolder(a.layout, run));
    truncateSync(path, (piece?.bytes.length ?? 0) - 40);
    appendFileSync(path, `${'x'.repeat(80)}\n`);
    for (let round = 0; round < 2; round += 1) {
      const report = await transfer({ from: a.space(), to: space, runs: [run] });
      expect(report.problems).toMatchObject([{ run, code: 'journal-diverged' }]);
      expect(
        Buffer.from((await piecesOf(space, run))[0]?.bytes ?? []).equals(piece?.bytes ?? Buffer.alloc(0)),
      ).toBe(true);
    }
  });
});
