import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FolderSpace } from './folder-space.ts';
import { RememberedSpace } from './remembered-space.ts';
import { runDigest } from './run-digest.ts';
import { type Member, makeTeam, type Team } from './sync-fixture.ts';
import { transfer } from './transfer.ts';

describe('a remote that is remembered', () => {
  let team: Team;
  let [here, there]: Member[] = [];
  let asked: string[] = [];
  let now = 0;

  beforeEach(() => {
    team = makeTeam();
    here = team.folder('here', { git: true });
    there = team.folder('there');
    asked = [];
    now = 0;
  });
  afterEach(() => team.remove());

  /** The other side, which tells what it is asked. */
  function remote(): RememberedSpace {
    const space = there?.space() as FolderSpace;
    const told = new Proxy(space, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...given: unknown[]) => {
          asked.push(String(name));
          return value.apply(target, given);
        };
      },
    });
    return new RememberedSpace(told, () => now);
  }

  /** What of these runs differs, brought over. */
  async function push(to: RememberedSpace, run: string): Promise<string[]> {
    asked = [];
    const own = here?.space() as FolderSpace;
    const digests = new Map([...(await own.states([run]))].map(([id, state]) => [id, runDigest(state)]));
    const { differ, unknown } = await to.compare(digests, new Map());
    const report = await transfer({ from: own, to, runs: [...differ, ...unknown] });
    expect(report.problems).toEqual([]);
    return asked;
  }

  const same = async (run: string) => {
    const [a, b] = await Promise.all([here, there].map((side) => side?.space().states([run])));
    expect(a?.get(run)?.journals).toEqual(b?.get(run)?.journals);
    expect(b?.get(run)?.blobs.length).toBe(a?.get(run)?.blobs.length);
  };

  it('is asked for nothing that it has acknowledged', async () => {
    const run = (await here?.run({ artifacts: { 'a.txt': 'one' }, code: true, ended: false })) ?? '';
    const to = remote();
    expect(await push(to, run)).toEqual(
      expect.arrayContaining(['compare', 'states', 'writeJournals', 'writeBlobs', 'writeTrees']),
    );
    expect(await push(to, run)).toEqual(['compare']);
    here?.edit(run, { k: 'edit', t: 1, field: 'name', value: 'name', clock: 1 } as never);
    // Once it has told what is there, one request brings what is new.
    expect(await push(to, run)).toEqual(expect.arrayContaining(['compare', 'states', 'writeJournals']));
    for (let turn = 0; turn < 3; turn += 1) {
      here?.edit(run, {
        k: 'edit',
        t: 2 + turn,
        field: 'name',
        value: `name ${turn}`,
        clock: turn + 2,
      } as never);
      expect(await push(to, run)).toEqual(['writeJournals']);
    }
    expect(await push(to, run)).toEqual([]);
    await same(run);
    // Somebody may have done something there.
    now += 60_000;
    expect(await push(to, run)).toEqual(['compare']);
  });

  it('goes on from what is there where another has brought something, and asks again after a failure', async () => {
    const run = (await here?.run({ ended: false })) ?? '';
    const to = remote();
    await push(to, run);
    here?.edit(run, { k: 'edit', t: 1, field: 'name', value: 'a', clock: 1 } as never);
    await push(to, run);
    here?.edit(run, { k: 'edit', t: 2, field: 'name', value: 'b', clock: 2 } as never);
    const other = new RememberedSpace(there?.space() as FolderSpace);
    await transfer({ from: here?.space() as FolderSpace, to: other, runs: [run] });
    expect(await push(to, run)).toEqual(['writeJournals']);
    await same(run);

    here?.edit(run, { k: 'edit', t: 3, field: 'name', value: 'c', clock: 3 } as never);
    const [space, far] = [here, there].map((side) => side?.space()) as [FolderSpace, FolderSpace];
    const cut = new Error('the network is gone');
    const failing = new RememberedSpace({
      compare: async () => ({ differ: [run], unknown: [], removed: [], projectMissing: [], removals: [] }),
      states: async (runs: readonly string[]) => {
        asked.push('states');
        return far.states(runs);
      },
      writeJournals: async () => Promise.reject(cut),
    } as unknown as FolderSpace);
    asked = [];
    await expect(transfer({ from: space, to: failing, runs: [run] })).rejects.toBe(cut);
    await expect(transfer({ from: space, to: failing, runs: [run] })).rejects.toBe(cut);
    expect(asked).toEqual(['states', 'states']);
  });
});
