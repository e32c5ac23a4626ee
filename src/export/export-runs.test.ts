import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addRun, T0, type TemporaryStore, temporaryStore } from '../query/fixture.ts';
import { type ExportOptions, exportRuns } from './export-runs.ts';

const A = 'aaaaaaaaaaaa';
const B = 'bbbbbbbbbbbb';
const ODD = 'odd "key", with\r\nlines 🦆';
const SEED = 2n ** 64n - 1n;

let temporary: TemporaryStore;
let made = 0;
beforeAll(() => {
  temporary = temporaryStore();
  addRun(temporary.store, {
    id: A,
    own: {
      name: 'first, "quoted"',
      started_at: 10,
      ended_at: 20,
      command: '["python","a.py"]',
      notes: 'line\nline',
      entry: '',
    },
    params: {
      lr: 0.1,
      seed: SEED,
      [ODD]: ODD,
      flag: true,
      nothing: null,
      opt: { betas: [0.9, 1], name: 'sgd' },
      mixed: 1,
      ['__proto__']: 5,
    },
    tags: { model: 'linear' },
    metrics: {
      loss: {
        'job-aaaaaaaa': [
          [0, 3, 0],
          [1, 2, 10],
          [2, Number.NaN, 20],
          [1, 1.5, 30],
        ],
        'job-bbbbbbbb': [[1, 7, 12]],
      },
      [ODD]: [
        [1, Number.POSITIVE_INFINITY, 5],
        [3, Number.NEGATIVE_INFINITY, 6],
      ],
      step: [[0, 1e-7, 1]],
    },
  });
  addRun(temporary.store, {
    id: B,
    own: { started_at: 30 },
    params: { lr: 3, mixed: 'text', flag: false },
    metrics: { loss: [[0.5, 9, 0]] },
  });
});
afterAll(() => temporary.remove());

function place(name = `out-${made++}`): string {
  return join(temporary.folder, name);
}

async function exported(options: Partial<ExportOptions>): Promise<string> {
  const out = place();
  await exportRuns({ db: temporary.store.db, runs: [A, B], format: 'csv', out, ...options });
  return out;
}

/** Rows of a CSV file, read by another program's reader. */
function readCsv(path: string): Record<string, string>[] {
  const script =
    'import csv, json, sys; print(json.dumps(list(csv.DictReader(open(sys.argv[1], newline="", encoding="utf-8"), strict=True))))';
  return JSON.parse(execFileSync('python3', ['-c', script, path], { encoding: 'utf8' })) as Record<
    string,
    string
  >[];
}

function readJsonLines(path: string): Record<string, unknown>[] {
  const lines = readFileSync(path, 'utf8').split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

async function readParquet(path: string): Promise<Record<string, unknown>[]> {
  return (await parquetReadObjects({ file: await asyncBufferFromFile(path) })) as Record<string, unknown>[];
}

const ts = (ms: number) => (T0 + ms) / 1000;
const LOSS_A = [
  { run_id: A, key: 'loss', step: 0, ts: ts(0), value: 3, writer: 'job-aaaaaaaa' },
  { run_id: A, key: 'loss', step: 1, ts: ts(10), value: 2, writer: 'job-aaaaaaaa' },
  { run_id: A, key: 'loss', step: 1, ts: ts(12), value: 7, writer: 'job-bbbbbbbb' },
  { run_id: A, key: 'loss', step: 1, ts: ts(30), value: 1.5, writer: 'job-aaaaaaaa' },
  { run_id: A, key: 'loss', step: 2, ts: ts(20), value: Number.NaN, writer: 'job-aaaaaaaa' },
];

describe('metrics', () => {
  it('as CSV: every sample, by run, key, step, arrival', async () => {
    const rows = readCsv(await exported({}));
    expect(rows).toHaveLength(9);
    const text = (row: object) =>
      Object.fromEntries(Object.entries(row).map(([key, value]) => [key, String(value)]));
    expect(rows.slice(0, 5)).toEqual(LOSS_A.map(text));
    expect(rows.slice(5, 7).map((row) => [row.key, row.value])).toEqual([
      [ODD, 'Infinity'],
      [ODD, '-Infinity'],
    ]);
    expect(rows[7]).toMatchObject({ key: 'step', value: '1e-7' });
    expect(rows[8]).toMatchObject({ run_id: B, step: '0.5', value: '9' });
  });

  it('as CSV has CRLF after each line', async () => {
    const text = readFileSync(await exported({ keys: ['loss'] }), 'utf8');
    expect(text.split('\r\n')).toHaveLength(8);
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
  });

  it('as JSON lines: NaN and infinities by name', async () => {
    const rows = readJsonLines(await exported({ format: 'jsonl', keys: ['loss', ODD] }));
    expect(rows.slice(0, 5)).toEqual([...LOSS_A.slice(0, 4), { ...LOSS_A[4], value: 'NaN' }]);
    expect(rows.map((row) => row.value)).toContain('-Infinity');
  });

  it('as Parquet: numbers as numbers, whole steps as integers', async () => {
    const path = await exported({ format: 'parquet', runs: [A] });
    const rows = await readParquet(path);
    expect(rows.slice(0, 5)).toEqual(LOSS_A.map((row) => ({ ...row, step: BigInt(row.step) })));
    expect(rows.filter((row) => row.key === ODD).map((row) => row.value)).toEqual([
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
    const fractions = await readParquet(await exported({ format: 'parquet' }));
    expect(fractions.at(-1)).toMatchObject({ run_id: B, step: 0.5 });
  });

  it('wide: a row a run and step, the last sample of a step, a column a metric', async () => {
    const rows = readCsv(await exported({ wide: true }));
    expect(
      rows.map(({ run_id, step, loss, ...rest }) => [run_id, step, loss, rest[ODD], rest['metrics.step']]),
    ).toEqual([
      [A, '0', '3', '', '1e-7'],
      [A, '1', '1.5', 'Infinity', ''],
      [A, '2', 'NaN', '', ''],
      [A, '3', '', '-Infinity', ''],
      [B, '0.5', '9', '', ''],
    ]);
    expect(Number(rows[1]?.ts)).toBe(ts(30));
    const json = readJsonLines(await exported({ wide: true, format: 'jsonl', runs: [A], keys: ['loss'] }));
    expect(json).toEqual([
      { run_id: A, step: 0, ts: ts(0), loss: 3 },
      { run_id: A, step: 1, ts: ts(30), loss: 1.5 },
      { run_id: A, step: 2, ts: ts(20), loss: 'NaN' },
    ]);
    const parquet = await readParquet(await exported({ wide: true, format: 'parquet', runs: [A] }));
    expect(parquet.map((row) => [row.step, row.loss, row[ODD]])).toEqual(
      [
        [0n, 3, undefined],
        [1n, 1.5, Number.POSITIVE_INFINITY],
        [2n, Number.NaN, undefined],
        [3n, undefined, Number.NEGATIVE_INFINITY],
      ].map(([step, loss, odd]) =>
        [step, loss ?? null, odd ?? null].map((value) =>
          value === null ? expect.toSatisfy((x) => x === null || x === undefined) : value,
        ),
      ),
    );
  });
});

describe('params', () => {
  it('keep their type and all their digits', async () => {
    const csv = readCsv(await exported({ what: 'params', runs: [A] }));
    expect(Object.fromEntries(csv.map((row) => [row.key, [row.type, row.value]]))).toMatchObject({
      lr: ['number', '0.1'],
      seed: ['number', String(SEED)],
      [ODD]: ['string', ODD],
      flag: ['boolean', 'true'],
      nothing: ['null', ''],
      'opt.betas': ['array', '[0.9,1]'],
      'opt.name': ['string', 'sgd'],
    });
    expect(readFileSync(await exported({ what: 'params', format: 'jsonl' }), 'utf8')).toContain(
      `"value":${SEED}}`,
    );
    const parquet = await readParquet(await exported({ what: 'params', format: 'parquet', runs: [A] }));
    expect(parquet.find((row) => row.key === 'seed')?.value).toBe(String(SEED));
  });

  it('wide: a row a run', async () => {
    const rows = readJsonLines(await exported({ what: 'params', wide: true, format: 'jsonl' }));
    expect(rows[0]).toMatchObject({ run_id: A, lr: 0.1, flag: true, nothing: null, mixed: 1, [ODD]: ODD });
    expect(rows[1]).toEqual({ run_id: B, lr: 3, flag: false, mixed: 'text' });
    const parquet = await readParquet(await exported({ what: 'params', wide: true, format: 'parquet' }));
    expect(parquet.map((row) => [row.lr, row.flag, row.mixed])).toEqual([
      [0.1, true, '1'],
      [3, false, 'text'],
    ]);
  });
});

describe('runs', () => {
  it('have their own fields, and params, tags and metrics as objects', async () => {
    const rows = readJsonLines(await exported({ what: 'runs', format: 'jsonl' }));
    expect(rows[0]).toMatchObject({
      id: A,
      name: 'first, "quoted"',
      command: ['python', 'a.py'],
      notes: 'line\nline',
      archived: false,
      params: { 'opt.name': 'sgd' },
      tags: { model: 'linear' },
      metrics: { loss: { last: 1.5, min: 1.5, max: 7, count: 5 } },
    });
    expect(readCsv(await exported({ what: 'runs' }))[0]).toMatchObject({
      id: A,
      name: 'first, "quoted"',
      entry: '',
      command: '["python","a.py"]',
    });
  });

  it('wide: a column for each', async () => {
    const [row] = await readParquet(await exported({ what: 'runs', wide: true, format: 'parquet' }));
    expect(row).toMatchObject({
      id: A,
      'params.lr': 0.1,
      'tags.model': 'linear',
      'metrics.loss.max': 7,
      started_at: 10,
    });
  });
});

describe('where it goes', () => {
  it('all: a folder with a file of each kind', async () => {
    const out = join(place(), 'deep');
    const files = await exportRuns({
      db: temporary.store.db,
      runs: [A, B],
      format: 'parquet',
      what: 'all',
      out,
    });
    expect(readdirSync(out).sort()).toEqual(['metrics.parquet', 'params.parquet', 'runs.parquet']);
    expect(files.map((file) => [file.what, file.rows])).toEqual([
      ['runs', 2],
      ['params', 12],
      ['metrics', 9],
    ]);
  });

  it('a stream, also a slow one, which stays open; nothing at all is a header', async () => {
    const stream = new PassThrough({ highWaterMark: 16 });
    const chunks: Buffer[] = [];
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    await exportRuns({ db: temporary.store.db, runs: [A], format: 'csv', keys: ['nope'], out: stream });
    expect(Buffer.concat(chunks).toString()).toBe('run_id,key,step,ts,value,writer\r\n');
    expect(stream.writableEnded).toBe(false);
    const empty = await exported({ runs: [], format: 'parquet' });
    expect(await readParquet(empty)).toEqual([]);
    await expect(
      exportRuns({ db: temporary.store.db, runs: [A], format: 'csv', what: 'all', out: stream }),
    ).rejects.toMatchObject({ code: 'export-needs-folder', exitCode: 2 });
  });

  it('an existing folder, by the name of what it holds', async () => {
    const out = place();
    mkdirSync(out);
    await exported({ out, what: 'params' });
    expect(readdirSync(out)).toEqual(['params.csv']);
  });

  it('never half a file: an older one stays as it was, and nothing is left behind', async () => {
    const out = place('kept.csv');
    writeFileSync(out, 'older');
    await exported({ out: place('before.csv') });
    const broken = Object.create(temporary.store.db, {
      prepare: {
        value: (sql: string) => {
          if (sql.includes('FROM samples')) throw new Error('the disk is gone');
          return temporary.store.db.prepare(sql);
        },
      },
      exec: { value: (sql: string) => temporary.store.db.exec(sql) },
      // They are the connection's already.
      function: { value: () => undefined },
      isTransaction: { get: () => temporary.store.db.isTransaction },
    }) as ExportOptions['db'];
    await expect(exportRuns({ db: broken, runs: [A], format: 'csv', out })).rejects.toThrow(
      'the disk is gone',
    );
    expect(readFileSync(out, 'utf8')).toBe('older');
    expect(readdirSync(temporary.folder).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  it('a link keeps pointing to what is replaced, and a device is written to', async () => {
    const target = place('target.csv');
    writeFileSync(target, 'older');
    const link = place('link.csv');
    symlinkSync(target, link);
    await exported({ out: link });
    expect(readFileSync(target, 'utf8')).toContain('run_id');
    await exported({ out: '/dev/null' });
    expect(existsSync('/dev/null') && readFileSync('/dev/null', 'utf8')).toBe('');
  });

  it('names what is wrong', async () => {
    await expect(exported({ out: join(place(), 'no', 'such.csv') })).rejects.toMatchObject({
      code: 'export-no-folder',
    });
    await expect(exported({ runs: ['nosuchrunaaa'] })).rejects.toMatchObject({ code: 'run-not-found' });
    const gone = new Writable({
      write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
    });
    await expect(exported({ out: gone })).rejects.toMatchObject({ code: 'EPIPE' });
  });

  it('in row groups, so that memory is no matter', async () => {
    const run = 'manymanymany';
    addRun(temporary.store, {
      id: run,
      metrics: { x: Array.from({ length: 250_000 }, (_, index) => [index, index / 7] as const) },
    });
    const progress: number[] = [];
    const out = await exported({ runs: [run], format: 'parquet', onProgress: (rows) => progress.push(rows) });
    const file = await asyncBufferFromFile(out);
    expect((await parquetMetadataAsync(file)).row_groups.length).toBeGreaterThan(2);
    const rows = await readParquet(out);
    expect(rows).toHaveLength(250_000);
    expect(rows[123_456]).toMatchObject({ step: 123_456n, value: 123_456 / 7 });
    expect(progress.at(-1)).toBe(240_000);
  });
});
