import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { blobPath } from '../blobs/blob-store.ts';
import { afterMetrics } from '../events/metric-lines.ts';
import { listPinned } from '../git/refs.ts';
import { listJournals } from '../journal/discover.ts';
import { runFolder } from '../journal/layout.ts';
import { openPlainBytes, type PlainBytes } from '../journal/reader.ts';
import { sealJournal } from '../journal/seal.ts';
import { JournalWriter } from '../journal/writer.ts';
import { scanJournal } from './journal-facts.ts';
import { EMPTY_ROOT } from './journal-hash.ts';
import type { JournalPiece, PieceResult, Space } from './space.ts';
import { type Member, makeTeam, type Team } from './sync-fixture.ts';
import { transfer } from './transfer.ts';

let team: Team;
let a: Member;
let b: Member;
beforeEach(() => {
  team = makeTeam();
  a = team.folder('a', { git: true });
  b = team.folder('b');
});
afterEach(() => team.remove());

const copy = async (from: Space, to: Space, runs: readonly string[]) => {
  const report = await transfer({ from, to, runs });
  expect(report.problems).toEqual([]);
  return report;
};

/** The pieces that a space gives of a run's journals, as they would be sent. */
async function piecesOf(space: Space, run: string): Promise<JournalPiece[]> {
  const state = (await space.states([run])).get(run);
  const wants = [...(state?.journals.keys() ?? [])].map((writer) => ({ run, writer, offset: 0 }));
  const read = await space.readJournals(wants);
  return read.map(({ writer, offset, before, after, bytes }) => ({
    run,
    writer,
    offset,
    before,
    root: after,
    bytes,
  }));
}

describe('copying from one folder to another', () => {
  it('keeps code in Waddle’s own repository where there is none around it', async () => {
    a.write('train.py', 'print(1)\n');
    const run = await a.run({ code: true });
    const report = await copy(a.space(), b.space(), [run]);
    expect(report.trees.count).toBe(2);
    expect(await listPinned({ gitDir: b.layout.privateGit, env: team.env })).toHaveLength(2);
  });

  it('leaves nothing of an upload behind', async () => {
    const run = await a.run({ artifacts: { one: 'abc' } });
    await copy(a.space(), b.space(), [run]);
    const [blob] = (await b.space().states([run])).get(run)?.blobs ?? [];
    expect(readFileSync(blobPath(b.layout.blobs, blob?.sha256 ?? ''), 'utf8')).toBe('abc');
    expect(readdirSync(join(b.layout.root, 'incoming/blobs'))).toEqual([]);
  });

  it('goes on where the journal has grown, sealed or not, here or there', async () => {
    const run = await a.run({ ended: false });
    const [{ path } = { path: '' }] = listJournals(runFolder(a.layout, run));
    const [from, to] = [a.space(), b.space()];
    await copy(from, to, [run]);
    for (let round = 0; round < 3; round += 1) {
      appendFileSync(path, `{"k":"m","t":${round},"s":${round},"v":{"loss":1}}\n{"k":"m","t":`);
      const report = await copy(from, to, [run]);
      expect(report.journals.bytes).toBe(37);
      appendFileSync(path, '1,"s":1,"v":{}}\n');
      await copy(from, to, [run]);
      const there = join(runFolder(b.layout, run), path.slice(path.lastIndexOf('/')));
      if (round === 1) sealJournal(there);
      expect(readFileSync(round === 1 ? path : there, 'utf8')).toBe(readFileSync(path, 'utf8'));
    }
    expect(await b.space().digests([run])).toEqual(await a.space().digests([run]));
  });

  it('reads and packs on while a body is on its way, and begins anew where the answer is another', async () => {
    const run = await a.run({ ended: false });
    const [journal] = listJournals(runFolder(a.layout, run));
    for (let n = 0; n < 25; n += 1) {
      appendFileSync(journal?.path ?? '', `{"k":"c","t":1,"o":1,"n":${n},"x":"${'y'.repeat(1_000_000)}"}\n`);
    }
    const inner = b.space();
    const said: string[] = [];
    const packs = () => said.filter((each) => each.startsWith('pack')).length;
    let bodies = 0;
    const packJournals = async (pieces: readonly JournalPiece[]) => {
      const offset = pieces[0]?.offset ?? 0;
      said.push(`pack ${offset}`);
      const write = async () => {
        bodies += 1;
        while (bodies === 2 && packs() < 3) await setImmediate();
        // Somebody took the journal away there.
        const lost = { length: 0, root: EMPTY_ROOT, ok: false, code: 'journal-offset', message: '' } as const;
        const results =
          bodies === 2
            ? pieces.map(({ run: of, writer }): PieceResult => ({ run: of, writer, ...lost }))
            : await inner.writeJournals(pieces);
        said.push(`answer ${offset}`);
        return results;
      };
      return { send: () => ({ sent: Promise.resolve(), results: write() }) };
    };
    const to = new Proxy<Space>(inner, {
      get: (space, name) => (name === 'packJournals' ? packJournals : Reflect.get(space, name).bind(space)),
    });
    const report = await copy(a.space(), to, [run]);
    const [copied] = listJournals(runFolder(b.layout, run));
    expect(readFileSync(copied?.path ?? '').equals(readFileSync(journal?.path ?? ''))).toBe(true);
    const [, second = 0, third = 0, fourth = 0] = [
      ...new Set(said.map((each) => Number(each.split(' ')[1]))),
    ];
    expect(said).toEqual([
      'pack 0',
      `pack ${second}`,
      'answer 0',
      `pack ${third}`,
      `answer ${second}`,
      // From the beginning again.
      ...['pack 0', `pack ${second}`, 'answer 0', `pack ${third}`, `answer ${second}`],
      ...[`pack ${fourth}`, `answer ${third}`, `answer ${fourth}`],
    ]);
    expect(report.journals.pieces).toBe(5);
  });

  it('takes what a killed writer left half there, and asks only for the rest', async () => {
    const run = await a.run({ samples: 1000 });
    const [from, to] = [a.space(), b.space()];
    await copy(from, to, [run]);
    const [{ path } = { path: '' }] = listJournals(runFolder(b.layout, run));
    truncateSync(path, 5000);
    await copy(a.space(), b.space(), [run]);
    expect(await b.space().digests([run])).toEqual(await a.space().digests([run]));
  });

  it('never appends to a journal whose writer lives here', async () => {
    const run = await a.run({ samples: 0 });
    const writer = JournalWriter.open({ folder: runFolder(a.layout, run), role: 'job', run, client: 'x' });
    writer.append({ k: 'm', t: 1, s: 1, v: { loss: 1 } });
    await copy(a.space(), b.space(), [run]);
    truncateSync(writer.path, readFileSync(writer.path, 'utf8').indexOf('\n') + 1);
    const report = await transfer({ from: b.space(), to: a.space(), runs: [run] });
    expect(report.problems).toMatchObject([{ what: writer.name, code: 'journal-diverged' }]);
    writer.close();
  });
});

describe('what is taken from a stranger', () => {
  it('gives no project what was shown in another only', async () => {
    const secret = await a.run({ project: 'secret', artifacts: { model: 'hidden' }, code: true });
    const to = b.space({ isolated: true });
    await copy(a.space(), to, [secret]);
    const thief = await a.run({ project: 'mine', artifacts: { model: 'hidden' }, code: true });
    await to.writeJournals(await piecesOf(a.space(), thief));
    const state = (await to.states([thief])).get(thief);
    expect(state).toMatchObject({ blobs: [], trees: [] });
    const known = (await to.states([secret])).get(secret);
    expect(known).toMatchObject({ blobs: [{ size: 6 }], trees: [expect.any(String)] });
    const [blob] = known?.blobs ?? [];
    expect(await to.readBlob(thief, blob?.sha256 ?? '', 0)).toBeNull();
    expect(await to.readTrees(thief, known?.trees ?? [], [], new Map())).toEqual([]);
    expect((await to.missingTrees(thief, known?.trees ?? [])).missing).toEqual(known?.trees);
    expect(await to.missingBlobs(thief, known?.blobs ?? [])).toMatchObject([{ received: 0 }]);
    await copy(a.space(), to, [thief]);
    expect((await to.states([thief])).get(thief)).toMatchObject({ blobs: [{ size: 6 }] });
  });
});

describe('removals', () => {
  it('travel only without links', async () => {
    const journal = JournalWriter.open({
      folder: a.layout.projectJournals,
      role: 'project',
      run: null,
      client: 'x',
    });
    journal.append({ k: 'link', t: 1, name: 'main', path: '/home/me/secret', clock: 1 });
    journal.close();
    expect((await a.space().list({})).project.size).toBe(0);
    expect(await a.space().readJournals([{ run: null, writer: journal.name, offset: 0 }])).toEqual([]);
  });
});

describe('the facts of a journal', () => {
  it('are the same, read at once or as it grew, whatever the places of its newlines', () => {
    const writer = JournalWriter.open({
      folder: join(a.layout.runs, 'abcdefghijkl'),
      role: 'job',
      run: 'abcdefghijkl',
      client: 'x',
    });
    const scan = (before?: ReturnType<typeof scanJournal>) => {
      const bytes = openPlainBytes(writer.path);
      if (bytes === null) throw new Error('gone');
      try {
        return scanJournal(bytes, before);
      } finally {
        bytes.close();
      }
    };
    let known = scan();
    const sizes = [10, 1024 * 1024 - 1000, 3 * 1024 * 1024, 1, 1024 * 1024, 500_000];
    for (const [index, size] of sizes.entries()) {
      appendFileSync(writer.path, `{"k":"c","t":${index},"o":1,"n":${index},"x":"${'y'.repeat(size)}"}`);
      known = scan(known);
      expect(known).toEqual(scan());
      appendFileSync(writer.path, '\n');
      known = scan(known);
      expect(known).toEqual(scan());
      expect(known.length).toBe(statSync(writer.path).size);
    }
    writer.close();
    expect(scan(known)).toMatchObject({ closed: true });
  });

  it('say where there is more than metrics', () => {
    const metrics = (from: number, count: number) =>
      Array.from(
        { length: count },
        (_, at) => `{"k":"m","t":${from + at}.5,"s":${at},"v":{"a":${at / 7},"b":"NaN"}}\n`,
      ).join('');
    const param = '{"k":"param","t":1,"key":"lr","value":{"a":"}}"}}\n';
    const parts = [metrics(0, 40_000), param, metrics(5, 3), param, param, metrics(9, 2)];
    const path = join(a.layout.root, 'others.jsonl');
    writeFileSync(path, parts.join(''));
    const bytes = openPlainBytes(path);
    const { length, others = [] } = scanJournal(bytes as PlainBytes);
    bytes?.close();
    const text = readFileSync(path);
    const places = [0, ...others, length];
    for (let index = 0; index < places.length; index += 2) {
      const [from = 0, to = 0] = places.slice(index);
      expect(afterMetrics(text, from, to)).toBe(to);
    }
    const told = parts.map((_, index) => parts.slice(0, index).join('').length);
    expect(others).toEqual(expect.arrayContaining([told[1], told[2], told[3], told[5]]));
    // A line across two blocks is looked at for itself.
    expect(others.length).toBeLessThanOrEqual(4 + 2 * Math.floor(length / 2 ** 20));
  });
});
