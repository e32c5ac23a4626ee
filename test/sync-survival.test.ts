/** What push and pull live through: cuts anywhere, kills, full disks, and machines that edit while apart. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { catchUp } from '../src/ingest/catch-up.ts';
import { dumpLogical } from '../src/store/dump-logical.ts';
import { openStore } from '../src/store/open.ts';
import { openHttpSpace } from '../src/sync/http-space.ts';
import { runDigest } from '../src/sync/run-digest.ts';
import type { Space } from '../src/sync/space.ts';
import { type Member, makeTeam, type Team } from '../src/sync/sync-fixture.ts';
import { transfer } from '../src/sync/transfer.ts';
import { TestCollector } from './collector-fixture.ts';
import { CuttingProxy } from './support/cutting-proxy.ts';
import { ended, ROOT, WADDLE } from './support/sandbox.ts';

const collector = new TestCollector();
const proxy = new CuttingProxy(() => collector.port);
let token: string;
let team: Team;

beforeAll(async () => {
  await collector.start();
  await proxy.start();
  token = await collector.token();
});
afterAll(async () => {
  await proxy.end();
  await collector.remove();
});
beforeEach(() => {
  team = makeTeam();
  proxy.cutNothing();
});
afterEach(() => team.remove());

/** One try over the proxy, as a push or pull of its own would be; true where it came to its end. */
async function attempt(
  member: Member,
  direction: 'push' | 'pull',
  runs: readonly string[],
): Promise<boolean> {
  const retry = { attempts: 1, baseMs: 1, capMs: 1 };
  let remote: Space | undefined;
  const own = member.space();
  try {
    remote = await openHttpSpace({ url: proxy.url, token, userAgent: 'test', retry });
    const [from, to] = direction === 'push' ? [own, remote] : [remote, own];
    const { problems } = await transfer({ from, to, runs });
    expect(problems).toEqual([]);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && String(error.code).startsWith('remote-')) return false;
    throw error;
  } finally {
    await remote?.close();
    await own.close();
  }
}

async function digestsOf(space: Space, runs: readonly string[]): Promise<Map<string, string>> {
  return new Map([...(await space.states(runs))].map(([run, state]) => [run, runDigest(state)]));
}

async function made(member: Member): Promise<string[]> {
  member.write('data/a', randomBytes(1000));
  member.write('data/b', randomBytes(200_000));
  member.write('train.py', 'print(1)\n'.repeat(1000));
  const first = await member.run({
    samples: 20_000,
    artifacts: { w: randomBytes(150_000) },
    folders: ['data'],
    code: true,
  });
  member.write('train.py', 'print(2)\n'.repeat(1000));
  const second = await member.run({ samples: 10, code: true, seal: true });
  return [first, second];
}

describe('a transfer that is cut', () => {
  test('at random bytes in either direction goes on until both sides are equal, push and pull', async () => {
    const here = team.folder('here', { git: true });
    const there = team.folder('there');
    const runs = await made(here);
    for (const [direction, member] of [
      ['push', here],
      ['pull', there],
    ] as const) {
      let cuts = 0;
      for (let round = 0; round < 8; round += 1) {
        // Where the data flows in every second round, so that the first one is cut for sure.
        const data = direction === 'push' ? 'up' : 'down';
        const other = direction === 'push' ? 'down' : 'up';
        const most = (round + 1) * 20_000;
        proxy.cutAfterBytes(Math.floor(Math.random() * most), round % 2 === 0 ? data : other);
        if (!(await attempt(member, direction, runs))) cuts += 1;
      }
      expect(cuts).toBeGreaterThan(0);
      proxy.cutNothing();
      expect(await attempt(member, direction, runs)).toBe(true);
    }
    const remote = await collector.space(token);
    const expected = await digestsOf(here.space(), runs);
    expect(await digestsOf(remote, runs)).toEqual(expected);
    expect(await digestsOf(there.space(), runs)).toEqual(expected);
  });

  test('at each of its requests in turn goes on where it was', async () => {
    const here = team.folder('here', { git: true });
    const there = team.folder('there');
    const [run = ''] = await made(here);
    for (const [direction, member] of [
      ['push', here],
      ['pull', there],
    ] as const) {
      let done = false;
      for (let n = 1; !done; n += 1) {
        expect(n).toBeLessThan(40);
        proxy.cutAtRequest(n);
        done = await attempt(member, direction, [run]);
      }
    }
    const expected = await digestsOf(here.space(), [run]);
    expect(await digestsOf(await collector.space(token), [run])).toEqual(expected);
    expect(await digestsOf(there.space(), [run])).toEqual(expected);
  });

  test('in the middle of a large artifact sends no part twice that had arrived', async () => {
    const size = 40 * 1024 * 1024;
    const here = team.folder('here');
    const there = team.folder('there');
    const run = await here.run({ artifacts: { big: randomBytes(size) } });
    const [blob] = (await here.space().states([run])).get(run)?.blobs ?? [];
    if (blob === undefined) throw new Error('no blob');
    const before = { up: proxy.up, down: proxy.down };
    let received = 0;
    for (const share of [0.3, 0.3, 0.9]) {
      proxy.cutAfterBytes(share * size, 'up');
      if (await attempt(here, 'push', [run])) break;
      const [missing] = await (await collector.space(token)).missingBlobs(run, [blob]);
      expect(missing?.received).toBeGreaterThan(received);
      received = missing?.received ?? 0;
    }
    proxy.cutNothing();
    expect(await attempt(here, 'push', [run])).toBe(true);
    // At each cut a part may be lost that was on its way, and one that was read ahead.
    expect(proxy.up - before.up).toBeLessThan(size + 3 * 9 * 1024 * 1024);
    received = 0;
    for (const share of [0.3, 0.4]) {
      proxy.cutAfterBytes(share * size, 'down');
      expect(await attempt(there, 'pull', [run])).toBe(false);
      const [missing] = await there.space().missingBlobs(run, [blob]);
      expect(missing?.received).toBeGreaterThan(received);
      received = missing?.received ?? 0;
    }
    proxy.cutNothing();
    expect(await attempt(there, 'pull', [run])).toBe(true);
    expect(proxy.down - before.down).toBeLessThan(size + 3 * 17 * 1024 * 1024);
    expect(await digestsOf(there.space(), [run])).toEqual(await digestsOf(here.space(), [run]));
  });
});

test('pushes and pulls that are killed leave nothing half done', async () => {
  const here = team.folder('here', { git: true });
  const there = team.folder('there', { git: true });
  const runs = await made(here);
  const env = { ...process.env, ...team.env, WADDLE_TOKEN: token, WADDLE_REMOTE: collector.url };
  for (const [member, words] of [
    [here, ['push']],
    [there, ['pull']],
  ] as const) {
    const run = (kill: number | null) => {
      const child = spawn(WADDLE, words, { cwd: member.layout.project, env, stdio: 'ignore' });
      if (kill !== null) setTimeout(() => child.kill('SIGKILL'), kill);
      return ended(child);
    };
    for (let round = 0; round < 3; round += 1) await run(150 + Math.random() * 500);
    expect((await run(null)).status).toBe(0);
  }
  const expected = await digestsOf(here.space(), runs);
  expect(await digestsOf(await collector.space(token), runs)).toEqual(expected);
  expect(await digestsOf(there.space(), runs)).toEqual(expected);
});

const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0;

test.runIf(canMount)('a full disk on the receiving side is told, and with room it goes on', async () => {
  const here = team.folder('here', { git: true });
  const runs = await made(here);
  const there = join(team.root, 'small');
  mkdirSync(there);
  const script = join(team.root, 'fill.ts');
  const from = (path: string) => JSON.stringify(join(ROOT, 'src', path));
  writeFileSync(
    script,
    `import { rmSync, writeFileSync } from 'node:fs';
    import { layoutOf } from ${from('journal/layout.ts')};
    import { FolderSpace } from ${from('sync/folder-space.ts')};
    import { runDigest } from ${from('sync/run-digest.ts')};
    import { transfer } from ${from('sync/transfer.ts')};
    const [here = '', there = '', ...runs] = process.argv.slice(2);
    const env = { PATH: process.env.PATH, HOME: there };
    const copy = async () => {
      const spaces = [here, there].map((folder) => new FolderSpace({ layout: layoutOf(folder), env }));
      const [a, b] = spaces as [FolderSpace, FolderSpace];
      try {
        const { problems } = await transfer({ from: a, to: b, runs });
        const digests = async (space: FolderSpace) => [...(await space.states(runs)).values()].map(runDigest);
        return { problems, equal: String(await digests(a)) === String(await digests(b)) };
      } catch (error) {
        return { code: (error as { code?: string }).code, message: String(error) };
      } finally {
        for (const space of spaces) await space.close();
      }
    };
    const results = [];
    for (const kilobytes of [200, 700, 1500, 2500, 3600]) {
      writeFileSync(there + '/ballast', Buffer.alloc((4000 - kilobytes) * 1024));
      results.push(await copy());
      rmSync(there + '/ballast');
    }
    process.stdout.write(JSON.stringify(results));`,
  );
  const mount = 'mount -t tmpfs -o size=4m none "$1" && shift && exec "$@"';
  const output = execFileSync(
    'unshare',
    ['-rm', 'sh', '-c', mount, 'sh', there, process.execPath, script, here.layout.project, there, ...runs],
    { encoding: 'utf8' },
  );
  const results = JSON.parse(output) as { code?: string; problems?: unknown[]; equal?: boolean }[];
  expect(results[0]).toMatchObject({ code: 'disk-full' });
  expect(results.at(-1)).toEqual({ problems: [], equal: true });
});

/** What a store built from the folder's journals holds. */
function logical(member: Member): string {
  const store = openStore(join(member.layout.root, 'check.sqlite'));
  try {
    catchUp({ layout: member.layout, store, judge: () => 'dead' });
    return JSON.stringify(dumpLogical(store));
  } finally {
    store.close();
  }
}

test('machines that edit the same runs while apart end equal, in any order and with any clock', async () => {
  const names = ['a', 'b', 'c'] as const;
  const who = fc.constantFrom(...names);
  const step = fc.oneof(
    fc.record({ do: fc.constant('run' as const), who }),
    fc.record({
      do: fc.constant('edit' as const),
      who,
      pick: fc.nat(),
      clock: fc.integer({ min: 1, max: 6 }),
      field: fc.constantFrom('name' as const, 'notes' as const, 'tag' as const, 'archived' as const),
      value: fc.constantFrom('x', 'y', 'z'),
      // A clock that is a year off.
      late: fc.constantFrom(0, 31_557_600, -31_557_600),
    }),
    fc.record({
      do: fc.constant('remove' as const),
      who,
      pick: fc.nat(),
      clock: fc.integer({ min: 1, max: 6 }),
      undo: fc.boolean(),
    }),
    fc.record({ do: fc.constant('sync' as const), from: who, to: who }),
  );
  let round = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 16 }), async (steps) => {
      round += 1;
      const members = new Map(
        names.map((name) => {
          const member = team.folder(`${round}-${name}`);
          return [name, { member, space: member.space() }] as const;
        }),
      );
      const at = (name: (typeof names)[number]) => {
        const found = members.get(name);
        if (found === undefined) throw new Error(name);
        return found;
      };
      const sync = async (source: (typeof names)[number], target: (typeof names)[number]) => {
        const [from, to] = [at(source).space, at(target).space];
        const project = [...from.removals().project.keys()];
        const { problems } = await transfer({ from, to, runs: from.runIds(), project, apply: true });
        expect(problems.filter(({ code }) => code !== 'run-removed')).toEqual([]);
      };
      for (const each of steps) {
        if (each.do === 'sync') {
          await sync(each.from, each.to);
          continue;
        }
        const { member, space } = at(each.who);
        if (each.do === 'run') {
          await member.run({ samples: 2 });
          continue;
        }
        const runs = space.runIds();
        const run = runs[each.pick % Math.max(1, runs.length)];
        if (run === undefined) continue;
        if (each.do === 'remove') member.remove(run, each.clock, each.undo);
        else {
          const { field, clock, late } = each;
          const value = field === 'archived' ? each.value === 'x' : each.value;
          const edit = { k: 'edit' as const, t: 1_764_000_000 + late, clock, field, value };
          member.edit(run, field === 'tag' ? { ...edit, key: 'k' } : edit);
        }
      }
      // Twice around the ring, everything is everywhere.
      for (let pass = 0; pass < 2; pass += 1) {
        await sync('a', 'b');
        await sync('b', 'c');
        await sync('c', 'a');
      }
      const ends = await Promise.all(
        names.map(async (name) => {
          const { member, space } = at(name);
          const runs = space.runIds();
          const digests = await space.digests(runs);
          // As `gc` does: a removed run may have reached one and not the other.
          for (const id of readdirSync(member.layout.runs)) {
            if (!runs.includes(id)) rmSync(join(member.layout.runs, id), { recursive: true });
          }
          return { runs, digests, logical: logical(member) };
        }),
      );
      expect(ends[1]).toEqual(ends[0]);
      expect(ends[2]).toEqual(ends[0]);
      for (const { space } of members.values()) await space.close();
    }),
    { numRuns: 6 },
  );
}, 180_000);
