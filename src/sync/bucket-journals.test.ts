import { mkdtempSync, readdirSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { FolderObjects } from '../blobs/folder-objects.ts';
import { newRunId } from '../events/ids.ts';
import { runFolder } from '../journal/layout.ts';
import { JournalWriter } from '../journal/writer.ts';
import { BucketJournals } from './bucket-journals.ts';
import { JournalHasher } from './journal-hash.ts';
import type { JournalPiece } from './space.ts';
import { makeTeam, type Team } from './sync-fixture.ts';

let folder: string;
let team: Team;
let journals: BucketJournals;
let run: string;
let writer: string;
let bytes: Buffer;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'waddle-bucket-'));
  team = makeTeam();
  journals = new BucketJournals(new FolderObjects(folder));
  const { layout, space } = team.folder('a');
  run = newRunId();
  const journal = JournalWriter.open({ folder: runFolder(layout, run), role: 'job', run, client: 'x' });
  for (let s = 0; s < 400; s += 1) journal.append({ k: 'm', t: s, s, v: { loss: s / 7 } });
  journal.close();
  writer = journal.name;
  const [piece] = await space().readJournals([{ run, writer, offset: 0 }]);
  bytes = Buffer.from(piece?.bytes ?? []);
});
afterEach(async () => {
  await team.remove();
  rmSync(folder, { recursive: true, force: true });
});

const prefix = () => `runs/${run}/j/${writer}`;
const rootAt = (end: number) => new JournalHasher().update(bytes.subarray(0, end)).root();
const lineAt = (place: number) => bytes.indexOf(10, place) + 1;

function piece(from: number, to: number, change: Partial<JournalPiece> = {}): JournalPiece {
  return {
    run,
    writer,
    offset: from,
    before: rootAt(from),
    root: rootAt(to),
    bytes: bytes.subarray(from, to),
    ...change,
  };
}

const write = (given: JournalPiece, by = journals) => by.write(prefix(), given);
const read = async (offset: number, room = 1 << 20) =>
  journals.read(await journals.chain(prefix()), { run, writer, offset }, room);

it('keeps what it is given in one object a piece, and reads it from any line', async () => {
  const [one, two] = [lineAt(5000), lineAt(12_000)];
  for (const [from, to] of [
    [0, one],
    [one, two],
    [two, bytes.length],
  ] as const) {
    expect(await write(piece(from, to))).toMatchObject({ ok: true, length: to, root: rootAt(to) });
  }
  expect(readdirSync(join(folder, prefix()))).toHaveLength(3);
  for (const offset of [0, one, lineAt(7000), lineAt(two + 10)]) {
    const got = await read(offset);
    expect(got).toMatchObject({ before: rootAt(offset), after: rootAt(bytes.length), length: bytes.length });
    expect(Buffer.from(got?.bytes ?? []).equals(bytes.subarray(offset))).toBe(true);
  }
  expect(await read(bytes.length)).toBeNull();
  // As much as fits, in whole pieces.
  expect((await read(0, one + 5))?.bytes.length).toBe(one);
  expect(await read(0, one - 5)).toBeNull();
  const facts = await journals.facts(await journals.chain(prefix()));
  expect(facts).toMatchObject({ length: bytes.length, root: rootAt(bytes.length), closed: true });
});

it('takes no piece whose bytes are not what it says, where that can be told without reading all back', async () => {
  const [one, two] = [lineAt(5000), lineAt(12_000)];
  expect(await write(piece(0, one, { root: rootAt(two) }))).toMatchObject({
    code: 'hash-mismatch',
    length: 0,
  });
  expect(await write(piece(0, one))).toMatchObject({ ok: true });
  expect(await write(piece(one, two, { root: rootAt(one) }))).toMatchObject({
    code: 'hash-mismatch',
    length: one,
  });
  expect(await write(piece(one, two))).toMatchObject({ ok: true });
  expect(readdirSync(join(folder, prefix()))).toHaveLength(2);
});

it('keeps the longer one where two have written beside each other', async () => {
  const [one, two] = [lineAt(5000), lineAt(12_000)];
  await write(piece(0, one));
  const other = new BucketJournals(new FolderObjects(folder));
  const [a, b] = await Promise.all([write(piece(one, two)), write(piece(one, bytes.length), other)]);
  expect([a, b]).toMatchObject([{ ok: true }, { ok: true }]);
  const chain = await journals.chain(prefix());
  expect(chain.at(-1)).toMatchObject({ root: rootAt(bytes.length) });
  expect(Buffer.from((await read(0))?.bytes ?? []).equals(bytes)).toBe(true);
});

it('says which object is damaged', async () => {
  await write(piece(0, bytes.length));
  const [name = ''] = readdirSync(join(folder, prefix()));
  truncateSync(join(folder, prefix(), name), 30);
  await expect(read(0)).rejects.toThrow();
});
