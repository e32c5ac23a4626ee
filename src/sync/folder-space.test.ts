import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
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
  it('brings journals, artifacts, folders of them and code, and then finds nothing to do', async () => {
    a.write('data/one.txt', 'one');
    a.write('data/deep/two.txt', 'two');
    a.write('train.py', 'print(1)\n');
    const run = await a.run({ artifacts: { model: 'weights' }, folders: ['data'], code: true, seal: true });
    a.write('train.py', 'print(2)\n');
    const second = await a.run({ code: true, samples: 100_000 });
    const [from, to] = [a.space(), b.space()];
    const report = await copy(from, to, [run, second]);
    expect(report.runs).toEqual(new Set([run, second]));
    expect(report.blobs.count).toBe(4);
    expect(report.trees.count).toBe(2);
    const digests = await from.digests([run, second]);
    expect(await to.digests([run, second])).toEqual(digests);
    expect(await b.space().digests([run, second])).toEqual(digests);
    expect(await to.compare(digests, new Map())).toMatchObject({ differ: [], unknown: [] });
    const again = await copy(a.space(), b.space(), [run, second]);
    expect(again).toMatchObject({ journals: { bytes: 0 }, blobs: { bytes: 0 }, trees: { bytes: 0 } });
    // No repository around it: the code is in Waddle's own.
    const pinned = await listPinned({ gitDir: b.layout.privateGit, env: team.env });
    expect(pinned).toHaveLength(2);
    // The second tree came as a few deltas on the first.
    expect(report.trees.bytes).toBeLessThan(1500);
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

  it('keeps both copies where two diverge, and says so each time', async () => {
    const run = await a.run({ samples: 10 });
    await copy(a.space(), b.space(), [run]);
    const [here, there] = [a, b].map((each) => listJournals(runFolder(each.layout, run))[0]?.path ?? '');
    const bytes = readFileSync(there ?? '');
    bytes[600] = bytes[600] === 48 ? 49 : 48;
    rmSync(there ?? '');
    appendFileSync(there ?? '', bytes);
    appendFileSync(here ?? '', '{"k":"beat","t":1}\n');
    for (let round = 0; round < 2; round += 1) {
      const report = await transfer({ from: a.space(), to: b.space(), runs: [run] });
      expect(report.problems).toMatchObject([{ run, code: 'journal-diverged' }]);
      expect(readFileSync(there ?? '').equals(bytes)).toBe(true);
    }
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
  it('is of the right run and writer, begins with "open", and has the hash it says', async () => {
    const run = await a.run();
    const other = await a.run();
    const space = a.space();
    const [piece] = await piecesOf(space, run);
    if (piece === undefined) throw new Error('no piece');
    const to = b.space();
    const text = Buffer.from(piece.bytes).toString();
    const fresh = (change: Partial<JournalPiece>, content = text) => ({
      ...piece,
      bytes: Buffer.from(content),
      ...change,
    });
    const codeOf = async (bad: JournalPiece) => {
      const [result] = await to.writeJournals([bad]);
      return result?.ok === true ? 'ok' : result?.code;
    };
    expect(await codeOf(fresh({ run: other }))).toBe('journal-invalid');
    expect(await codeOf(fresh({ run: '../../../../tmp' }))).toBe('journal-invalid');
    expect(await codeOf(fresh({ writer: '../x-aaaaaaaa' }))).toBe('journal-invalid');
    expect(await codeOf(fresh({ writer: 'job-aaaaaaaa' }))).toBe('journal-invalid');
    expect(await codeOf(fresh({}, text.slice(text.indexOf('\n') + 1)))).toBe('journal-invalid');
    expect(await codeOf(fresh({}, text.slice(0, -3)))).toBe('journal-invalid');
    expect(await codeOf(fresh({}, `${text}{"k":"remove","t":1,"run":"${other}","clock":9}\n`))).toBe(
      'journal-invalid',
    );
    expect(
      await codeOf(
        fresh({}, `${text}{"k":"m","t":1,"s":1,"v":{},"k":"start","id":"${other}","attempt":"x"}\n`),
      ),
    ).toBe('journal-invalid');
    expect(await codeOf(fresh({ offset: 7 }, '{"k":"beat","t":1}\n'))).toBe('journal-offset');
    expect(await codeOf(fresh({ root: '0'.repeat(64) }))).toBe('hash-mismatch');
    expect(existsSync(runFolder(b.layout, run))).toBe(false);
    expect(await codeOf(piece)).toBe('ok');
    expect(await codeOf(piece)).toBe('ok');
    expect(
      await codeOf(
        fresh({ before: '0'.repeat(64), offset: text.indexOf('\n') + 1 }, text.slice(text.indexOf('\n') + 1)),
      ),
    ).toBe('journal-diverged');
    await expect(to.writeJournals(new Array(5000).fill(piece))).rejects.toMatchObject({
      code: 'body-too-large',
    });
  });

  it('is a blob only where the run names it, and only with its own bytes', async () => {
    const run = await a.run({ artifacts: { one: 'abc' } });
    const to = b.space();
    await to.writeJournals(await piecesOf(a.space(), run));
    const [blob] = (await a.space().states([run])).get(run)?.blobs ?? [];
    if (blob === undefined) throw new Error('no blob');
    const part = { run, ...blob, offset: 0, bytes: Buffer.from('abc') };
    const write = async (change: object) => (await to.writeBlobs([{ ...part, ...change }]))[0];
    expect(await write({ sha256: '0'.repeat(64) })).toMatchObject({ ok: false, code: 'blob-not-named' });
    expect(await write({ run: 'aaaaaaaaaaaa' })).toMatchObject({ ok: false, code: 'blob-not-named' });
    expect(await write({ size: 4, bytes: Buffer.from('abcd') })).toMatchObject({ code: 'hash-mismatch' });
    expect(await write({ offset: 1, bytes: Buffer.from('bc') })).toMatchObject({
      code: 'part-offset',
      received: 0,
    });
    expect(await write({ bytes: Buffer.from('xyz') })).toMatchObject({ ok: false, code: 'hash-mismatch' });
    expect(await write({ bytes: Buffer.from('ab') })).toMatchObject({ ok: true, received: 2, stored: false });
    expect(await b.space().missingBlobs(run, [blob])).toEqual([{ sha256: blob.sha256, received: 2 }]);
    expect(await write({ offset: 2, bytes: Buffer.from('c') })).toMatchObject({ ok: true, stored: true });
    expect(readFileSync(blobPath(b.layout.blobs, blob.sha256), 'utf8')).toBe('abc');
    expect(readdirSync(join(b.layout.root, 'incoming/blobs'))).toEqual([]);
  });

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
  it('are told, and applied only where that was asked for', async () => {
    const run = await a.run();
    await copy(a.space(), b.space(), [run]);
    const writer = a.remove(run, 5);
    const from = a.space();
    const marks = (await from.list({})).project;
    expect([...marks.keys()]).toEqual([writer]);
    expect(from.runIds()).toEqual([]);
    await transfer({ from, to: b.space(), runs: [], project: [writer] });
    const told = await b.space().compare(new Map([[run, '']]), marks);
    expect(told).toMatchObject({ removed: [], projectMissing: [], removals: [{ run, applied: false }] });
    expect(b.space().runIds()).toEqual([run]);
    await transfer({ from, to: b.space(), runs: [], project: [writer], apply: true });
    const applied = await b.space().compare(new Map([[run, '']]), marks);
    expect(applied).toMatchObject({ removed: [run], removals: [{ run, applied: true }] });
    expect(b.space().runIds()).toEqual([]);
    const late = await transfer({ from: a.space(), to: b.space(), runs: [run] });
    expect(late.problems).toEqual([]);
    b.remove(run, 6, true);
    expect(b.space().runIds()).toEqual([run]);
  });

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
