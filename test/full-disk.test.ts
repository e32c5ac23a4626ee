/** A collector whose disk is full, as a process on a small disk of its own: it says so, keeps what it has, and goes on. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openHttpSpace } from '../src/sync/http-space.ts';
import { JournalHasher } from '../src/sync/journal-hash.ts';
import { runDigest } from '../src/sync/run-digest.ts';
import { type Member, makeTeam, type Team } from '../src/sync/sync-fixture.ts';
import { freePort, Sandbox, until, WADDLE } from './support/sandbox.ts';
import { sharedPostgres } from './support/servers.ts';

const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0;
const postgres = await sharedPostgres();

let sandbox: Sandbox;
let team: Team;
let member: Member;
beforeEach(() => {
  sandbox = new Sandbox({ git: false });
  team = makeTeam();
  member = team.folder('member', { git: true });
});
afterEach(async () => {
  await sandbox.remove();
  await team.remove();
});

/** A disk of 40 MB, all but 3 MB of it taken, until the file `room` is there. */
const ON_SMALL_DISK = `
  mount -t tmpfs -o size=40m none "$1" && mkdir "$1/tmp" && head -c 37m /dev/zero > "$1/ballast" || exit 1
  place=$1 room=$2
  (until [ -e "$room" ]; do sleep 0.05; done; rm "$place/ballast") &
  shift 2
  exec "$@"`;

const homes = [
  { name: 'a folder', flags: (disk: string) => ['--dir', join(disk, 'team')], env: async () => ({}) },
  {
    name: 'PostgreSQL and objects',
    flags: (disk: string) => ['--blobs', join(disk, 'objects')],
    env: async (): Promise<Record<string, string>> =>
      'missing' in postgres ? {} : { WADDLE_DATABASE: await postgres.database('full') },
  },
].slice(0, 'missing' in postgres ? 1 : 2);

describe.runIf(canMount).each(homes)('over $name', ({ flags, env }) => {
  test('a full disk is told, loses nothing that was acknowledged, and with room a push goes on', async () => {
    const [disk, room] = [join(sandbox.folder, 'disk'), join(sandbox.folder, 'room')];
    mkdirSync(disk);
    Object.assign(sandbox.env, await env());
    const port = await freePort();
    const command = [WADDLE, 'serve', '--collector', '--port', String(port), ...flags(disk)];
    const child = sandbox.start('unshare', ['-rm', 'sh', '-c', ON_SMALL_DISK, 'sh', disk, room, ...command], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...sandbox.env, TMPDIR: join(disk, 'tmp') },
    });
    let said = '';
    child.stderr?.on('data', (data) => {
      said += String(data);
    });
    await until(() => said.includes('Ctrl-C ends it.') || child.exitCode !== null, 'the collector is up');
    const token = /waddle_[a-z2-7]{10}_[\w-]{43}/.exec(said)?.[0] ?? '';
    const url = `http://127.0.0.1:${port}`;

    member.write('train.py', 'print(1)\n');
    const small = await member.run({ samples: 100, code: true, artifacts: { w: 'weights' } });
    const large = await member.run({ samples: 30_000, artifacts: { big: randomBytes(12 * 1024 * 1024) } });
    const push = () =>
      spawnSync(WADDLE, ['push', '--all'], {
        cwd: member.layout.project,
        env: { ...process.env, ...team.env, WADDLE_TOKEN: token, WADDLE_REMOTE: url },
        encoding: 'utf8',
      });
    const full = push();
    expect([full.status, full.stderr]).toEqual([1, expect.stringMatching(/disk .*is full/)]);
    expect(child.exitCode).toBeNull();

    const space = await openHttpSpace({ url, token, userAgent: 'test' });
    const own = member.space();
    try {
      // What it says that it has is so.
      const held = await space.states([small, large]);
      for (const [run, { journals }] of held) {
        for (const [writer, { length, root }] of journals) {
          const [piece] = await own.readJournals([{ run, writer, offset: 0 }]);
          expect(new JournalHasher().update(piece?.bytes.subarray(0, length) ?? Buffer.alloc(0)).root()).toBe(
            root,
          );
        }
      }
      expect((await fetch(`${url}/healthz`)).status).toBe(200);

      writeFileSync(room, '');
      await until(() => push().status === 0, 'there is room, and all goes over');
      const states = await space.states([small, large]);
      expect([...states].map(([run, state]) => [run, runDigest(state)]).sort()).toEqual(
        [...(await own.digests([small, large]))].sort(),
      );
      const headers = { authorization: `Bearer ${token}` };
      await until(async () => {
        const answer = await fetch(`${url}/api/runs/${large}`, { headers });
        const { metrics } = (await answer.json()) as { metrics?: { loss?: { count: number } } };
        return metrics?.loss?.count === 30_000;
      }, 'all samples are taken in');
      expect(said).not.toContain('something went wrong inside');
    } finally {
      await space.close();
      await own.close();
    }
  });
});
