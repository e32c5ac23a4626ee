import { appendFileSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { blobPath } from '../blobs/blob-store.ts';
import { listPinned } from '../git/refs.ts';
import { listJournals } from '../journal/discover.ts';
import { runFolder } from '../journal/layout.ts';
import { openPlainBytes } from '../journal/reader.ts';
import { sealJournal } from '../journal/seal.ts';
import { JournalWriter } from '../journal/writer.ts';
import { scanJournal } from './journal-facts.ts';
import type { JournalPiece, Space } from './space.ts';
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
});
