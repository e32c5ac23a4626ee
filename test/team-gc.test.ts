/** Garbage of a team's store: what nobody needs goes, and nothing that is needed, or is about to be. */
import { createHash, randomBytes } from 'node:crypto';
import { readdirSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FolderObjects } from '../src/blobs/folder-objects.ts';
import { collectDaily, collectGarbage, USUAL_AGES } from '../src/postgres/collect-garbage.ts';
import { type Database, openDatabase, openSpaceSchema } from '../src/postgres/database.ts';
import { Intake } from '../src/postgres/intake.ts';
import { Listener } from '../src/postgres/listener.ts';
import { TeamSpace } from '../src/postgres/team-space.ts';
import type { Space } from '../src/sync/space.ts';
import { type Member, makeTeam, type Team } from '../src/sync/sync-fixture.ts';
import { transfer } from '../src/sync/transfer.ts';
import { describePostgres } from './support/describe-postgres.ts';
import { Sandbox, until } from './support/sandbox.ts';
import { openTeamStore, type TeamStore } from './support/team-store.ts';

const DAYS_MS = 86_400_000;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const blobKey = (hash: string) => `blobs/sha256/${hash.slice(0, 2)}/${hash}`;

await describePostgres('the garbage of a team', (postgres) => {
  let team: Team;
  let a: Member;
  let url: string;
  let database: Database;
  let listener: Listener;
  let folder: string;
  let objects: FolderObjects;
  let store: TeamStore;
  beforeEach(async () => {
    team = makeTeam();
    a = team.folder('a', { git: true });
    const { root } = team;
    store = await openTeamStore(postgres, { root, name: 'gc', spaces: ['team', 'other'], connections: 10 });
    ({ url, database, listener, folder, objects } = store);
  });
  afterEach(async () => {
    await store.close();
    await team.remove();
  });

  const open = (name = 'team', over: FolderObjects = objects) => {
    const scratch = join(team.root, `scratch-${store.opened.length}`);
    const space = new TeamSpace({ database, listener, objects: over, space: name, scratch, env: team.env });
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
    expect((await transfer({ from, to, runs })).problems).toEqual([]);
  };
  const keys = async () => (await Array.fromAsync(objects.list(''))).map(({ key }) => key);
  /** All that is there looks as if it had been for so long. */
  const age = async (days: number) => {
    const at = new Date(Date.now() - days * DAYS_MS);
    for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
      if (entry.isFile()) utimesSync(join(entry.parentPath, entry.name), at, at);
    }
    const columns = { blobs: 'stored_at', trees: 'stored_at', received: 'grown_at', parts: 'came_at' };
    for (const [table, column] of Object.entries(columns)) {
      await database.transaction('team', (session) =>
        session.change(`UPDATE ${table} SET ${column} = ${column} - $1 * interval '1 day'`, [days]),
      );
    }
  };
  const collect = (dry = false) => collectGarbage(database, objects, USUAL_AGES, dry);

  it('goes when it is old, and what runs need stays', async () => {
    a.write('train.py', 'print(1)\n');
    a.write('data/one.txt', 'one');
    const run = await a.run({
      artifacts: { model: randomBytes(9_000_000) },
      folders: ['data'],
      code: true,
      samples: 20_000,
    });
    a.write('train.py', 'print(2)\n');
    const second = await a.run({ code: true });
    const space = open();
    await copy(a.space(), space, [run, second]);
    const needed = await keys();
    // A run that came without what it names, and a part of an artifact.
    const large = randomBytes(5_000_000);
    const third = await a.run({ artifacts: { large } });
    await transfer({ from: a.space(), to: space, runs: [third], artifacts: false });
    const part = {
      run: third,
      sha256: sha256(large),
      size: large.length,
      offset: 0,
      bytes: large.subarray(0, 1000),
    };
    expect(await space.writeBlobs([part])).toMatchObject([{ ok: true, received: 1000 }]);
    const loose = [
      blobKey(sha256(Buffer.from('nobody'))),
      `runs/${run}/j/job-aaaaaaaa/0000000000000000-6-${'0'.repeat(64)}.zst`,
      `incoming/${'0'.repeat(32)}/${'1'.repeat(32)}`,
      `direct/${'0'.repeat(32)}/${'1'.repeat(32)}`,
      `trees/${'0'.repeat(32)}/${'1'.repeat(40)}.none.pack`,
    ];
    for (const key of loose) await objects.putIfAbsent(key, Buffer.from('nobody'));
    await objects.putIfAbsent('elsewhere/mine', Buffer.from('not theirs'));
    expect(await collect()).toMatchObject({ objects: 0, runs: [], blobs: 0, trees: 0, uploads: 0 });
    await age(2);
    expect(await collect(true)).toMatchObject({ objects: loose.length, bytes: 30 });
    expect(await collect()).toMatchObject({
      objects: loose.length,
      bytes: 30,
      blobs: 0,
      trees: 0,
      uploads: 0,
    });
    const left = await keys();
    for (const key of [...needed, 'elsewhere/mine']) expect(left).toContain(key);
    for (const key of loose) expect(left).not.toContain(key);
    expect(await space.missingBlobs(third, [part])).toMatchObject([{ received: 1000 }]);
    await age(8);
    expect(await collect()).toMatchObject({ uploads: 1, objects: 1, bytes: 1000 });
    const b = team.folder('b');
    await copy(open(), b.space(), [run, second]);
    expect(await b.space().digests([run, second])).toEqual(await a.space().digests([run, second]));
  });

  it('is a removed run with all that was its own, after its time; restored, it can come again', {
    timeout: 180_000,
  }, async () => {
    a.write('train.py', 'print(1)\n');
    const [own, shared] = [randomBytes(100), randomBytes(100)];
    const kept = await a.run({ artifacts: { shared }, samples: 10 });
    const run = await a.run({ artifacts: { own, shared }, code: true, samples: 20_000 });
    const space = open();
    intake();
    await copy(a.space(), space, [kept, run]);
    // Another space of the same database has shown the same bytes.
    const elsewhere = await a.run({ artifacts: { theirs: own } });
    await copy(a.space(), open('other'), [elsewhere]);
    const rowsOf = (table: string) =>
      database.transaction('team', (session) => session.rows(`SELECT * FROM ${table}`));
    await until(async () => (await rowsOf('work')).length === 0, 'all is taken in');
    const tell = async (writer: string) => {
      const [piece] = await a.space().readJournals([{ run: null, writer, offset: 0 }]);
      if (piece === undefined) throw new Error('no journal');
      const told = { ...piece, root: piece.after, apply: true };
      expect(await space.writeJournals([told])).toMatchObject([{ ok: true }]);
    };
    await tell(a.remove(run, 2));
    await until(async () => (await rowsOf('work')).length === 0, 'the removal is taken in');
    await age(20);
    expect(await collect()).toMatchObject({ runs: [], objects: 0 });
    await age(11);
    expect(await collect(true)).toMatchObject({ runs: [`team/${run}`] });
    const collected = await collect();
    expect(collected).toMatchObject({ runs: [`team/${run}`], blobs: 1 });
    expect(await rowsOf('trees')).toEqual([]);
    expect(collected.objects).toBeGreaterThan(1);
    expect((await rowsOf('runs')).map((row) => row.id)).toEqual([kept]);
    for (const table of [
      'series',
      'sample_chunks',
      'artifacts',
      'journals',
      'attempts',
      'received',
      'segments',
      'run_texts',
    ]) {
      const rows = await rowsOf(table === 'received' ? "received WHERE run <> ''" : table);
      expect([table, JSON.stringify(rows).includes(run)]).toEqual([table, false]);
    }
    expect(new Set((await rowsOf('sample_chunks')).map((row) => row.series)).size).toBe(1);
    const left = await keys();
    expect(left).toContain(blobKey(sha256(shared)));
    expect(left).toContain(blobKey(sha256(own)));
    expect(left.filter((key) => key.includes(run) || key.startsWith('trees/'))).toEqual([]);
    const again = await transfer({ from: a.space(), to: space, runs: [run] });
    expect(again.problems.map(({ code }) => code)).toContain('run-removed');
    await tell(a.remove(run, 3, true));
    await copy(a.space(), space, [run]);
    await until(async () => (await rowsOf('work')).length === 0, 'it is taken in again');
    const b = team.folder('b');
    await copy(space, b.space(), [run, kept]);
    expect(await b.space().digests([run, kept])).toEqual(await a.space().digests([run, kept]));
  });

  it('is not what somebody is about to refer to', async () => {
    const bytes = randomBytes(1000);
    const key = blobKey(sha256(bytes));
    const run = await a.run({ artifacts: { model: bytes } });
    await objects.putIfAbsent(key, bytes);
    await age(2);
    // Who pushes finds the object there at the moment at which it is being removed.
    const steps = { found: () => {}, removing: () => {} };
    const found = new Promise<void>((resolve) => {
      steps.found = resolve;
    });
    const removing = new Promise<void>((resolve) => {
      steps.removing = resolve;
    });
    class Slow extends FolderObjects {
      override async delete(name: string): Promise<void> {
        if (name === key) {
          steps.removing();
          await found;
        }
        return super.delete(name);
      }
    }
    class Late extends FolderObjects {
      override async putIfAbsent(...asked: Parameters<FolderObjects['putIfAbsent']>): Promise<boolean> {
        if (asked[0] === key) await removing;
        const fresh = await super.putIfAbsent(...asked);
        if (asked[0] === key) steps.found();
        return fresh;
      }
    }
    const space = open('team', new Late(folder));
    const [collected] = await Promise.all([
      collectGarbage(database, new Slow(folder), USUAL_AGES, false),
      copy(a.space(), space, [run]),
    ]);
    expect(collected.objects).toBe(1);
    expect(Buffer.from((await space.readBlob(run, sha256(bytes), 0)) ?? []).equals(bytes)).toBe(true);
    expect(await collect()).toMatchObject({ objects: 0 });
  });

  it('is looked for beside pushes of all kinds, by any number of collectors, and nothing is lost', {
    timeout: 180_000,
  }, async () => {
    const bytes = Array.from({ length: 3 }, () => randomBytes(2000));
    const runs: string[] = [];
    a.write('train.py', 'print(1)\n');
    for (const [index, one] of bytes.entries()) {
      a.write('train.py', `print(${index})\n`);
      runs.push(await a.run({ artifacts: { one }, code: true, samples: 20_000 }));
    }
    // All that they will bring lies there, and belongs to nobody.
    const before = team.folder('before');
    await copy(a.space(), before.space(), runs);
    const scrap = await openDatabase(await postgres.database('scrap'), { connections: 4 });
    await openSpaceSchema(scrap, 'team');
    const elsewhere = new Listener(scrap);
    const first = new TeamSpace({
      database: scrap,
      listener: elsewhere,
      objects,
      space: 'team',
      scratch: join(team.root, 'scratch-scrap'),
      env: team.env,
    });
    await copy(a.space(), first, runs);
    await first.close();
    await elsewhere.close();
    await scrap.close();
    await age(2);
    let pushing = true;
    let taken = 0;
    const sweep = async () => {
      while (pushing) {
        const collected = await collect().catch((error: { code?: string }) => {
          expect(error.code).toBe('gc-runs');
          return { objects: 0 };
        });
        taken += collected.objects;
        await new Promise((wake) => setTimeout(wake, 20));
      }
    };
    const sweeps = [sweep(), sweep()];
    try {
      for (const run of runs) {
        await Promise.all([copy(a.space(), open(), [run]), copy(a.space(), open('other'), [run])]);
      }
    } finally {
      pushing = false;
      await Promise.all(sweeps);
    }
    expect(taken).toBeGreaterThan(0);
    for (const name of ['team', 'other']) {
      const b = team.folder(`from-${name}`);
      await copy(open(name), b.space(), runs);
      expect(await b.space().digests(runs)).toEqual(await a.space().digests(runs));
    }
  });

  it('is not what another database keeps at the same place; and is collected once a day', async () => {
    await objects.putIfAbsent(blobKey('0'.repeat(64)), Buffer.from('nobody'));
    await age(2);
    const ended = collectGarbage(database, objects, USUAL_AGES, false, AbortSignal.abort());
    await expect(ended).rejects.toMatchObject({ name: 'AbortError' });
    expect(await collectDaily(database, objects)).toMatchObject({ objects: 1 });
    expect(await collectDaily(database, objects)).toBeNull();
    const other = await openDatabase(await postgres.database('gc'), { connections: 3 });
    await expect(collectGarbage(other, objects, USUAL_AGES, true)).rejects.toMatchObject({
      code: 'gc-unsafe',
    });
    await expect(collect()).rejects.toMatchObject({ code: 'gc-unsafe' });
    await other.close();
  });

  it('is told by the command line before it goes', async () => {
    const sandbox = new Sandbox({ git: false });
    try {
      await objects.putIfAbsent(blobKey('0'.repeat(64)), Buffer.from('nobody'));
      await age(2);
      sandbox.env.WADDLE_DATABASE = url;
      sandbox.env.WADDLE_BLOBS = folder;
      const json = (...args: string[]) => sandbox.json<{ objects: number }>('collector', 'gc', ...args);
      expect(json('--dry-run')).toMatchObject({ dry_run: true, objects: 1, bytes: 6, runs: [] });
      expect(json('--loose', '3d')).toMatchObject({ dry_run: false, objects: 0 });
      expect(sandbox.waddle('collector', 'gc')).toMatchObject({
        status: 0,
        stdout: 'Freed 6 B: 1 object.\n',
      });
      expect(sandbox.waddle('collector', 'gc').stdout).toBe('Nothing to collect.\n');
    } finally {
      await sandbox.remove();
    }
  });
});
