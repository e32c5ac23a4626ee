/** Journals of ended runs in a collector's folder: compressed, and for sync and charts the same as before. */
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { backupCollector, restoreCollector } from '../src/collector/backup.ts';
import { spaceFolder } from '../src/collector/folder-backend.ts';
import { layoutOf, runFolder } from '../src/journal/layout.ts';
import { openPlainBytes } from '../src/journal/reader.ts';
import type { HttpSpace } from '../src/sync/http-space.ts';
import { rootOfBytes, TestCollector, TestJournal, testRun } from './collector-fixture.ts';
import { spaceFiles } from './support/collector-home.ts';
import { until } from './support/sandbox.ts';

const collector = new TestCollector();
let token: string;
let space: HttpSpace;

beforeAll(async () => {
  await collector.start();
  token = await collector.token();
  space = await collector.space(token);
});
beforeEach(() => expect(collector.bugs).toEqual([]));
afterAll(() => collector.remove());

const filesOf = (run: string) => spaceFiles(collector.home, 'default', `runs/${run}`);

/** A run that has ended, whose job wrote so many samples. */
function endedRun(samples: number, ...last: object[]): { id: string; journal: TestJournal } {
  const run = testRun('demo');
  run.journal.add(
    ...Array.from({ length: samples }, (_, step) => ({ k: 'm', s: step, v: { loss: Math.sin(step) } })),
  );
  run.journal.add({ k: 'end', attempt: run.journal.writer, status: 'completed', by: 'job' }, ...last);
  return run;
}

async function samplesOf(run: string): Promise<number> {
  const { body } = await collector.json(`/api/runs/${run}`, token);
  return body.metrics?.loss?.count ?? 0;
}

async function push(journal: TestJournal, from = 0): Promise<void> {
  expect(await space.writeJournals([journal.piece(from)])).toMatchObject([{ ok: true }]);
}

async function read(run: string, writer: string, offset: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (let at = offset; ; ) {
    const [piece] = await space.readJournals([{ run, writer, offset: at }]);
    if (piece === undefined) return Buffer.concat(pieces);
    pieces.push(piece.bytes);
    at += piece.bytes.length;
  }
}

test('are restored as they were when a backup of what was not sealed yet was brought up to date', async () => {
  const { id, journal } = endedRun(2000);
  await push(journal);
  const plain = filesOf(id)(`${journal.writer}.jsonl`);
  const length = journal.bytes.length;
  const folder = mkdtempSync(join(tmpdir(), 'waddle-backup-'));
  try {
    const [backup, restored] = [join(folder, 'backup'), join(folder, 'restored')];
    const [, own = ''] = collector.home.flags;
    backupCollector(own, backup);
    await push(journal.add({ k: 'm', s: 2000, v: { loss: 1 } }, { k: 'close' }), length);
    await until(() => existsSync(`${plain}.zst`) && !existsSync(plain), 'it is sealed');
    backupCollector(own, backup);
    await restoreCollector(backup, restored);
    const runs = runFolder(layoutOf(spaceFolder(restored, 'default')), id);
    const bytes = openPlainBytes(join(runs, `${journal.writer}.jsonl`));
    expect(bytes?.length).toBe(journal.bytes.length);
    bytes?.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('are sealed once the run has ended, and read from any offset', async () => {
  const { id, journal } = endedRun(40_000, { k: 'close' });
  await push(journal);
  const [plain, sealed] = [
    filesOf(id)(`${journal.writer}.jsonl`),
    filesOf(id)(`${journal.writer}.jsonl.zst`),
  ];
  await until(() => existsSync(sealed) && !existsSync(plain), 'it is sealed');
  expect(statSync(sealed).size).toBeLessThan(journal.bytes.length / 2);
  const mark = { length: journal.bytes.length, root: rootOfBytes(journal.bytes) };
  expect((await space.states([id])).get(id)?.journals.get(journal.writer)).toEqual(mark);
  for (const offset of [0, journal.bytes.indexOf(10, 1_500_000) + 1, journal.bytes.lastIndexOf(10, -2) + 1]) {
    expect((await read(id, journal.writer, offset)).equals(journal.bytes.subarray(offset))).toBe(true);
  }
  await until(async () => (await samplesOf(id)) === 40_000, 'all samples');
  // What is told twice is there already; and an edit is a journal of its own.
  await push(journal);
  const edit = new TestJournal(id, 'edits').add(
    { k: 'edit', clock: 1, field: 'name', value: 'late' },
    { k: 'close' },
  );
  await push(edit);
  await until(
    async () => (await collector.json(`/api/runs/${id}`, token)).body.run.name === 'late',
    'the edit',
  );
  expect(existsSync(plain)).toBe(false);
  expect(existsSync(filesOf(id)(`${edit.writer}.jsonl`))).toBe(true);
});

test('go on where more of them comes after all, and are sealed again with it', async () => {
  const { id, journal } = endedRun(5000, { k: 'close' });
  await push(journal);
  const sealed = filesOf(id)(`${journal.writer}.jsonl.zst`);
  const plain = filesOf(id)(`${journal.writer}.jsonl`);
  for (let round = 1; round <= 2; round += 1) {
    await until(() => existsSync(sealed) && !existsSync(plain), 'it is sealed');
    const from = journal.bytes.length;
    for (let step = 0; step < 10; step += 1)
      journal.add({ k: 'm', s: 5000 + round * 10 + step, v: { loss: 1 } });
    await push(journal, from);
    expect((await read(id, journal.writer, 0)).equals(journal.bytes)).toBe(true);
    await until(async () => (await samplesOf(id)) === 5000 + round * 10, 'what came late is counted');
  }
  await until(() => existsSync(sealed) && !existsSync(plain), 'it is sealed once more');
  expect((await read(id, journal.writer, 0)).equals(journal.bytes)).toBe(true);
});

test('lose nothing where they are pushed while they are sealed', async () => {
  const runs = Array.from({ length: 4 }, () => endedRun(2000, { k: 'close' }));
  for (const { journal } of runs) await push(journal);
  let unsealed = 0;
  // One is written to, the others have a moment in which they may be sealed.
  for (let round = 0; unsealed < 8; round += 1) {
    const { id, journal } = runs[round % runs.length] ?? endedRun(0);
    await until(() => readdirSync(filesOf(id)('')).some((name) => /zst/.test(name)), 'it is being sealed');
    unsealed += 1;
    for (let piece = 0; piece < 3; piece += 1) {
      const from = journal.bytes.length;
      journal.add({ k: 'm', s: 2000 + 3 * round + piece, v: { loss: round } });
      await push(journal, from);
    }
  }
  for (const { id, journal } of runs) {
    expect((await read(id, journal.writer, 0)).equals(journal.bytes)).toBe(true);
    const count = journal.bytes.toString().split('"k":"m"').length - 1;
    await until(async () => (await samplesOf(id)) === count, 'every sample is counted');
    await until(() => !existsSync(filesOf(id)(`${journal.writer}.jsonl`)), 'it is sealed in the end');
    expect(readdirSync(filesOf(id)('')).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  }
});

test('stay plain while the run runs, or its writer may go on', async () => {
  const running = testRun('demo', { k: 'm', s: 0, v: { loss: 1 } }, { k: 'close' });
  const open = endedRun(10);
  const closed = endedRun(10, { k: 'close' });
  for (const { journal } of [running, open, closed]) await push(journal);
  await until(
    () => existsSync(filesOf(closed.id)(`${closed.journal.writer}.jsonl.zst`)),
    'the last is sealed',
  );
  for (const { id, journal } of [running, open]) {
    expect(existsSync(filesOf(id)(`${journal.writer}.jsonl`))).toBe(true);
  }
});
