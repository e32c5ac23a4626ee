/** What push to a collector and pull from it live through: cuts anywhere, and kills. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openHttpSpace } from '../src/sync/http-space.ts';
import { runDigest } from '../src/sync/run-digest.ts';
import type { Space } from '../src/sync/space.ts';
import { type Member, makeTeam, type Team, twoRuns } from '../src/sync/sync-fixture.ts';
import { transfer } from '../src/sync/transfer.ts';
import { TestCollector } from './collector-fixture.ts';
import { CuttingProxy } from './support/cutting-proxy.ts';
import { ended, WADDLE } from './support/sandbox.ts';

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

describe('a transfer that is cut', () => {
  test('at random bytes in either direction goes on until both sides are equal, push and pull', async () => {
    const here = team.folder('here', { git: true });
    const there = team.folder('there');
    const runs = await twoRuns(here);
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
    const [run = ''] = await twoRuns(here);
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
  const runs = await twoRuns(here);
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
