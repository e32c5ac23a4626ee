/** A team's collector copied into a folder while it is written to, and from there into either engine. */
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ObjectsPlace } from '../src/blobs/objects-place.ts';
import { backupCollector, restoreCollector } from '../src/collector/backup.ts';
import { backupTeam, restoreTeam } from '../src/collector/team-backup.ts';
import { openTeamSpaces, type TeamSpaces } from '../src/collector/team-spaces.ts';
import { createToken } from '../src/collector/tokens.ts';
import type { Space } from '../src/sync/space.ts';
import { type Member, makeTeam, type Team } from '../src/sync/sync-fixture.ts';
import { transfer } from '../src/sync/transfer.ts';
import { describePostgres } from './support/describe-postgres.ts';
import { Sandbox } from './support/sandbox.ts';

await describePostgres('a team’s backup', (postgres) => {
  let team: Team;
  let a: Member;
  let sandbox: Sandbox;
  let backup: string;
  const opened: { close(): Promise<void> }[] = [];
  beforeEach(() => {
    team = makeTeam();
    a = team.folder('a', { git: true });
    sandbox = new Sandbox({ git: false });
    backup = join(sandbox.folder, 'backup');
  });
  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close();
    await team.remove();
    await sandbox.remove();
  });

  /** A database of its own, with a place for what is large. */
  const place = async (name: string) => {
    const url = await postgres.database(name);
    const objects: ObjectsPlace = { folder: join(team.root, `objects-${name}`) };
    const spaces = await openTeamSpaces(url, objects, team.env);
    opened.push(spaces);
    const flags = ['--database', url, '--blobs', join(team.root, `objects-${name}`)];
    return { spaces, flags };
  };
  const open = async (spaces: TeamSpaces, name: string) => {
    await spaces.registry.addSpace(name);
    const space = spaces.open(name);
    opened.push(space);
    return space;
  };
  const copy = async (from: Space, to: Space, runs: readonly string[]) => {
    expect((await transfer({ from, to, runs })).problems).toEqual([]);
  };
  const collect = (...args: string[]) =>
    sandbox.json<{ spaces: number; runs: number; bytes: number }>('collector', ...args);
  /** What a space has of each run, but for what is new every time. */
  const stateOf = async (space: Space, runs: readonly string[]) =>
    new Map([...(await space.states(runs))].sort(([one], [other]) => (one < other ? -1 : 1)));

  it('is whole though it is written to, and restored in a database and in a folder it is the same by hash', {
    timeout: 180_000,
  }, async () => {
    const { spaces } = await place('from');
    const vision = await open(spaces, 'vision');
    const other = await open(spaces, 'other');
    a.write('train.py', 'print(1)\n');
    a.write('data/one.txt', 'one');
    const first = await a.run({
      artifacts: { model: randomBytes(9_000_000) },
      folders: ['data'],
      code: true,
      samples: 20_000,
    });
    a.write('train.py', 'print(2)\n');
    const second = await a.run({ code: true, project: 'mine', artifacts: { w: 'weights' } });
    const [removed, told] = [await a.run({ samples: 3 }), await a.run({ samples: 3 })];
    const runs = [first, second, removed, told];
    await copy(a.space(), vision, runs);
    const elsewhere = await a.run({ artifacts: { w: 'weights' } });
    await copy(a.space(), other, [elsewhere]);
    const tell = async (writer: string, apply: boolean) => {
      const [piece] = await a.space().readJournals([{ run: null, writer, offset: 0 }]);
      if (piece === undefined) throw new Error('no journal');
      expect(await vision.writeJournals([{ ...piece, root: piece.after, apply }])).toMatchObject([
        { ok: true },
      ]);
    };
    await tell(a.remove(removed, 2), true);
    await tell(a.remove(told, 3), false);
    const now = Date.now() / 1000;
    const { record } = await createToken(
      spaces.registry,
      { space: 'vision', scope: 'admin', name: 'ada', expiresIn: 1e6 },
      now,
    );
    const revoked = await createToken(
      spaces.registry,
      { space: 'other', project: 'mine', scope: 'read' },
      now,
    );
    await spaces.registry.revokeToken(revoked.record.id, now + 1);
    await spaces.registry.setQuota('vision', { bytes: 1e9, samples: null });

    const growing = await a.run({ ended: false, samples: 10 });
    let pushing = true;
    const pushes = (async () => {
      for (let count = 0; pushing; count += 1) {
        a.edit(growing, { k: 'edit', t: 1, clock: count + 1, field: 'name', value: `name ${count}` });
        await copy(a.space(), vision, [growing]);
        await new Promise((wake) => setTimeout(wake, 5));
      }
    })();
    await backupTeam(spaces, backup);
    pushing = false;
    await pushes;
    const again = await backupTeam(spaces, backup);
    expect(again).toMatchObject({ spaces: 2, runs: 6 });
    expect(again.bytes).toBeLessThan(1e6);
    expect(await backupTeam(spaces, backup)).toEqual({ spaces: 2, runs: 6, bytes: 0 });
    expect(readdirSync(backup).sort()).toEqual(['collector.sqlite', 'spaces', 'waddle-backup.json']);

    const all = [...runs, growing];
    const target = await place('to');
    expect(await restoreTeam(backup, target.spaces)).toMatchObject({ spaces: 2, runs: 6 });
    const same = async (there: TeamSpaces) => {
      const back = await open(there, 'vision');
      expect(await stateOf(back, all)).toEqual(await stateOf(vision, all));
      expect(await stateOf(await open(there, 'other'), [elsewhere])).toEqual(
        await stateOf(other, [elsewhere]),
      );
      const digests = await a.space().digests(all);
      const answer = await back.compare(digests, new Map());
      expect(answer).toMatchObject({ differ: [], unknown: [], removed: [removed] });
      expect(answer.removals.map(({ run, applied }) => [run, applied]).sort()).toEqual(
        [
          [removed, true],
          [told, false],
        ].sort(),
      );
      const b = team.folder(`b-${opened.length}`);
      await copy(back, b.space(), [first, second, growing]);
      expect(await b.space().digests([first, second, growing])).toEqual(
        await a.space().digests([first, second, growing]),
      );
      const { hash, lastUsedAt: _, ...token } = record;
      expect(await there.registry.findToken(record.id)).toMatchObject({ ...token, hash: Buffer.from(hash) });
      expect(await there.registry.findToken(revoked.record.id)).toMatchObject({ revokedAt: now + 1 });
      expect(await there.registry.findSpace('vision')).toMatchObject({
        quota: { bytes: 1e9, samples: null },
      });
    };
    await same(target.spaces);
    await expect(restoreTeam(backup, target.spaces)).rejects.toMatchObject({ code: 'restore-elsewhere' });

    // Into a folder, backed up from there, and into a database again.
    const folder = join(sandbox.folder, 'folder');
    expect(await restoreCollector(backup, folder)).toMatchObject({ spaces: 2 });
    const secondBackup = join(sandbox.folder, 'second');
    expect(backupCollector(folder, secondBackup)).toMatchObject({ spaces: 2 });
    const last = await place('last');
    expect(await restoreTeam(secondBackup, last.spaces)).toMatchObject({ spaces: 2, runs: 6 });
    await same(last.spaces);
  });

  it('is refused where it is none, damaged or elsewhere, and goes on where it was cut off', {
    timeout: 180_000,
  }, async () => {
    const { spaces, flags } = await place('from');
    const space = await open(spaces, 'default');
    await createToken(spaces.registry, { space: 'default', scope: 'admin' }, 1);
    const run = await a.run({ artifacts: { model: Buffer.alloc(100_000, 'weights') } });
    await copy(a.space(), space, [run]);
    const wrong = (...args: string[]) => {
      const { status, stderr } = sandbox.waddle('collector', ...args);
      return [status, stderr.split('\n')[0]];
    };
    sandbox.write('full/file', 'mine');
    expect(wrong('backup', join(sandbox.folder, 'full'), ...flags)).toEqual([
      1,
      expect.stringContaining('no backup'),
    ]);
    const target = await place('to');
    expect(wrong('restore', join(sandbox.folder, 'full'), ...target.flags)).toEqual([
      1,
      expect.stringContaining('there is no backup'),
    ]);
    collect('backup', backup, ...flags);
    const blobs = join(backup, 'spaces/default/.waddle/blobs/sha256');
    const [prefix = ''] = readdirSync(blobs);
    const [hash = ''] = readdirSync(join(blobs, prefix));
    const blob = join(blobs, prefix, hash);
    rmSync(blob);
    writeFileSync(blob, Buffer.alloc(100_000, 'damaged'));
    expect(wrong('restore', backup, ...target.flags)).toEqual([
      1,
      expect.stringContaining('could not be copied'),
    ]);
    rmSync(blob);
    writeFileSync(blob, Buffer.alloc(100_000, 'weights'));
    expect(collect('restore', backup, ...target.flags)).toMatchObject({ spaces: 1, runs: 1 });
    expect(await target.spaces.registry.listTokens()).toHaveLength(1);
  });

  it('is one thing to keep; quotas are another', async () => {
    const { spaces, flags } = await place('quota');
    await spaces.registry.addSpace('vision');
    const [, url = ''] = flags;
    const quota = (...args: string[]) =>
      sandbox.json('collector', 'quota', '--database', url, '--space', 'vision', ...args);
    expect(quota()).toEqual({ space: 'vision', bytes: null, samples: null });
    expect(quota('--max-bytes', '5G')).toEqual({ space: 'vision', bytes: 5e9, samples: null });
    expect(await spaces.registry.findSpace('vision')).toMatchObject({ quota: { bytes: 5e9, samples: null } });
    expect(quota('--none')).toEqual({ space: 'vision', bytes: null, samples: null });
    const missing = sandbox.waddle('collector', 'quota', '--database', url, '--space', 'other');
    expect([missing.status, missing.stderr]).toEqual([1, expect.stringContaining('there is no space other')]);
  });
});
