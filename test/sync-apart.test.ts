/** Folders that are synced without a collector: onto a full disk, and by machines that edit while apart. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { catchUp } from '../src/ingest/catch-up.ts';
import { dumpLogical } from '../src/store/dump-logical.ts';
import { openStore } from '../src/store/open.ts';
import { type Member, makeTeam, type Team, twoRuns } from '../src/sync/sync-fixture.ts';
import { transfer } from '../src/sync/transfer.ts';
import { ROOT } from './support/sandbox.ts';

let team: Team;
beforeEach(() => {
  team = makeTeam();
});
afterEach(() => team.remove());

const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0;

test.runIf(canMount)('a full disk on the receiving side is told, and with room it goes on', async () => {
  const here = team.folder('here', { git: true });
  const runs = await twoRuns(here);
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
