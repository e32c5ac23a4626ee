import {
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { answerNow } from '../store/answer-now.ts';
import { dumpLogical } from '../store/dump-logical.ts';
import { findRun } from '../store/find-run.ts';
import type { Store } from '../store/open.ts';
import {
  readArtifacts,
  readConsole,
  readInline,
  readMetricSummaries,
  readParams,
  readRun,
  readTags,
} from '../store/read.ts';
import { catchUp, type IngestReport } from './catch-up.ts';
import { everybodyLives, metric, nobodyLives, opening, starting, T0, TestProject } from './ingest-fixture.ts';
import { rebuildStore } from './rebuild-store.ts';
import { sealEnded } from './seal-ended.ts';

const RUN = 'abcdefghijkl';
const SUPERVISOR = 'supervisor-aaaaaaaa';
const JOB = 'job-aaaaaaaa';

let project: TestProject;
let store: Store;
beforeEach(() => {
  project = new TestProject();
  store = project.open();
});
afterEach(() => project.remove());

function ingest(into = store): IngestReport {
  return catchUp({ layout: project.layout, store: into, judge: everybodyLives });
}

const num = () => answerNow(store, findRun(RUN)).num;
const rows = (sql: string) =>
  store.db
    .prepare(sql)
    .all()
    .map((row) => ({ ...row }));
const samples = () => rows('SELECT run_id, key, step, ts, value FROM metrics ORDER BY key, ts, step');

describe('catching up', () => {
  it('reads what is new, and nothing twice', () => {
    project.write(RUN, JOB, opening(JOB), metric(0, { loss: 1 }));
    const first = ingest();
    expect(first).toMatchObject({ changed: true, lines: 2, samples: 1, revision: 1, broken: [], failed: [] });
    expect(ingest()).toMatchObject({ changed: false, lines: 0, revision: 1 });
    project.write(RUN, JOB, metric(1, { loss: 0.5, acc: 1 }));
    expect(ingest()).toMatchObject({ changed: true, lines: 1, samples: 2, revision: 2 });
    expect(samples()).toEqual([
      { run_id: RUN, key: 'acc', step: 1, ts: T0 + 1, value: 1 },
      { run_id: RUN, key: 'loss', step: 0, ts: T0, value: 1 },
      { run_id: RUN, key: 'loss', step: 1, ts: T0 + 1, value: 0.5 },
    ]);
    expect(rows('SELECT revision, seq0, seq1 FROM changes ORDER BY revision, series')).toEqual([
      { revision: 1, seq0: 0, seq1: 0 },
      { revision: 2, seq0: 1, seq1: 1 },
      { revision: 2, seq0: 0, seq1: 0 },
    ]);
  });

  it('waits for an unfinished last line', () => {
    project.append(RUN, JOB, '{"k":"m","t":1,"s":0,');
    expect(ingest()).toMatchObject({ changed: false, broken: [] });
    expect(rows('SELECT * FROM runs')).toEqual([]);
    project.append(RUN, JOB, '"v":{"loss":1}}\n');
    expect(ingest()).toMatchObject({ samples: 1, broken: [] });
  });

  it('reports a broken line once, with file and offset, and reads on', () => {
    project.write(RUN, JOB, metric(0, { loss: 1 }), '{"k":"m",', metric(1, { loss: 2 }), '\0\0\0');
    const offset = `${JSON.stringify(metric(0, { loss: 1 }))}\n`.length;
    const { broken, samples: count } = ingest();
    expect(count).toBe(2);
    expect(broken).toHaveLength(2);
    expect(broken[0]).toMatchObject({ path: project.path(RUN, JOB), run: RUN, writer: JOB, offset });
    expect(ingest().broken).toEqual([]);
    expect(rows('SELECT offset FROM broken_lines ORDER BY offset')[0]).toEqual({ offset });
    expect(rows('SELECT broken, lines FROM journals')).toEqual([{ broken: 2, lines: 4 }]);
  });

  it('takes an event with odd fields for what it is worth', () => {
    project.append(
      RUN,
      JOB,
      [
        '{"k":"start","t":1764000000,"id":"abcdefghijkl","attempt":"job-aaaaaaaa","name":7,"argv":"x","tags":["a"],"supervised":"yes"}',
        '{"k":"update","t":1764000000,"fields":{"name":["x"],"notes":"kept"}}',
        '{"k":"drift","t":1764000000,"files":[1,null,{"path":2},{"path":"a"}]}',
        '{"k":"snapshot","t":1764000000,"snapshot":{"commit":5,"base":{"a":1}}}',
        '{"k":"end","t":1764000000,"attempt":"job-aaaaaaaa","status":"failed","by":"aliens","error":{"type":4},"exit_code":"1"}',
        '{"k":"artifact","t":1764000000,"name":"a","type":"file","sha256":"../../etc/passwd","size":1}',
        '{"k":"edit","t":1764000000,"clock":1e300,"field":"name","value":"x"}',
        '{"k":"m","t":1764000000,"s":1e999,"v":{"loss":1}}',
        '{"k":"m","t":1764000000,"s":1,"v":{"loss":"much","acc":1}}',
        '{"k":"beat","t":1e300}',
        '{"k":"open","t":1764000000,"format":1,"writer":"x","role":"job","host":"h","pid":1.5,"client":"c","user":{},"started":[]}',
        '{"k":"c","t":1764000000,"o":3,"n":1.5,"x":"odd","a":5}',
        '',
      ].join('\n'),
    );
    const { broken } = ingest();
    expect(broken.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('sha256'),
      expect.stringContaining('clock'),
      expect.stringContaining('step'),
      expect.stringContaining('"loss"'),
      expect.stringContaining('time'),
    ]);
    expect(answerNow(store, readRun(num()))).toMatchObject({
      name: RUN,
      notes: 'kept',
      status: 'failed',
      drift: [{ path: 'a', change: 'changed' }],
      commit_sha: null,
      supervised: null,
      exit_code: null,
    });
    expect(samples()).toHaveLength(1);
  });

  it('keeps values as they are', () => {
    const values = { nan: 'NaN', up: 'Infinity', down: '-Infinity', tiny: 5e-324, huge: 1.7e308 } as const;
    project.write(RUN, JOB, metric(0.5, values), metric(-3, values, T0));
    project.append(
      RUN,
      JOB,
      '{"k":"param","t":1764000000,"key":"seed","value":123456789012345678901234567890}\n' +
        '{"k":"param","t":1764000000,"key":"opt","value":{"lr":0.1,"betas":[0.9,0.999],"name":"adam","x":null,"none":{},"big":9007199254740993}}\n',
    );
    ingest();
    expect(samples().filter((row) => row.step === 0.5)).toEqual([
      { run_id: RUN, key: 'down', step: 0.5, ts: T0 + 0.5, value: Number.NEGATIVE_INFINITY },
      { run_id: RUN, key: 'huge', step: 0.5, ts: T0 + 0.5, value: 1.7e308 },
      { run_id: RUN, key: 'nan', step: 0.5, ts: T0 + 0.5, value: null },
      { run_id: RUN, key: 'tiny', step: 0.5, ts: T0 + 0.5, value: 5e-324 },
      { run_id: RUN, key: 'up', step: 0.5, ts: T0 + 0.5, value: Number.POSITIVE_INFINITY },
    ]);
    expect(rows("SELECT typeof(value) AS type FROM metrics WHERE key = 'up' LIMIT 1")).toEqual([
      { type: 'real' },
    ]);
    expect(
      rows("SELECT last, last_is_nan, min, mean, nan_count, count FROM metric_summaries WHERE key = 'nan'"),
    ).toEqual([{ last: null, last_is_nan: 1, min: null, mean: null, nan_count: 2, count: 2 }]);
    const up = answerNow(store, readMetricSummaries(num())).find(({ key }) => key === 'up');
    expect(up).toMatchObject({
      last: Number.POSITIVE_INFINITY,
      mean: Number.POSITIVE_INFINITY,
      min_step: -3,
    });
    expect(answerNow(store, readParams(num()))).toEqual([
      { key: 'opt', json: expect.stringContaining('"big":9007199254740993') },
      { key: 'seed', json: '123456789012345678901234567890' },
    ]);
    expect(rows("SELECT key, type, text, number FROM param_leaves WHERE key <> 'seed' ORDER BY key")).toEqual(
      [
        { key: 'opt.betas', type: 'array', text: '[0.9,0.999]', number: null },
        { key: 'opt.big', type: 'number', text: '9007199254740993', number: 9007199254740992 },
        { key: 'opt.lr', type: 'number', text: '0.1', number: 0.1 },
        { key: 'opt.name', type: 'string', text: 'adam', number: null },
        { key: 'opt.none', type: 'object', text: '{}', number: null },
        { key: 'opt.x', type: 'null', text: 'null', number: null },
      ],
    );
  });

  it('takes any step, and shows whole ones as integers', () => {
    const steps = [0, -7, 2.5, 2 ** 53, -(2 ** 53), 1e300, 1.7e18];
    for (const step of steps) project.write(RUN, JOB, metric(step, { loss: 1 }, T0));
    expect(ingest().broken).toEqual([]);
    expect(rows('SELECT step, typeof(step) AS type FROM metrics ORDER BY step')).toEqual(
      steps
        .toSorted((a, b) => a - b)
        .map((step) => ({ step, type: Number.isSafeInteger(step) ? 'integer' : 'real' })),
    );
    expect(answerNow(store, readMetricSummaries(num()))[0]).toMatchObject({
      min_step: -(2 ** 53),
      max_step: 1e300,
    });
  });

  it('takes any key', () => {
    const keys = ['a "b" \'c\'', 'line\nbreak', '🦆', '', '__proto__', 'constructor', 'nul\0nul', '0', ' '];
    const values = Object.fromEntries(keys.map((key) => [key, 1]));
    project.append(
      RUN,
      JOB,
      `{"k":"m","t":1,"s":0,"v":${JSON.stringify(values).replace('{', '{"__proto__":1,')}}\n`,
    );
    for (const key of keys) {
      project.write(RUN, JOB, { k: 'param', t: 1, key, value: key }, { k: 'tag', t: 1, key, value: key });
    }
    // Two keys that SQLite cannot tell apart are one.
    project.append(RUN, JOB, '{"k":"m","t":1,"s":0,"v":{"\\ud800":1,"\\ud801":2}}\n');
    expect(ingest().broken).toEqual([]);
    expect(answerNow(store, readMetricSummaries(num())).map(({ key }) => key)).toEqual(
      expect.arrayContaining(keys),
    );
    expect(answerNow(store, readParams(num()))).toEqual(
      expect.arrayContaining(keys.map((key) => ({ key, json: JSON.stringify(key) }))),
    );
    expect(answerNow(store, readTags(num()))).toEqual(
      expect.arrayContaining(keys.map((key) => ({ key, value: key }))),
    );
    expect(answerNow(store, readMetricSummaries(num())).find(({ key }) => key === '\ufffd')).toMatchObject({
      count: 2,
    });
  });

  it('takes a value of 10 MB', () => {
    const value = 'x'.repeat(10 * 1024 * 1024);
    project.write(RUN, JOB, { k: 'param', t: 1, key: 'long', value }, metric(0, { loss: 1 }));
    expect(ingest()).toMatchObject({ lines: 2, broken: [] });
    expect(answerNow(store, readParams(num()))[0]?.json.length).toBe(value.length + 2);
  });

  it('keeps every sample where the clock and the step go back, in arrival order', () => {
    project.write(
      RUN,
      JOB,
      metric(5, { loss: 5 }, T0 + 3600),
      metric(6, { loss: 6 }, T0),
      metric(3, { loss: 3 }, T0 + 1),
      metric(3, { loss: 3.5 }, T0 + 1),
    );
    ingest();
    expect(rows('SELECT step, dt, value FROM samples ORDER BY id')).toEqual([
      { step: 5, dt: 0, value: 5 },
      { step: 6, dt: -3_600_000, value: 6 },
      { step: 3, dt: -3_599_000, value: 3 },
      { step: 3, dt: -3_599_000, value: 3.5 },
    ]);
    expect(answerNow(store, readMetricSummaries(num()))[0]).toMatchObject({
      last: 5,
      last_ts: T0 + 3600,
      first: 6,
      min_step: 3,
      max_step: 6,
    });
    expect(rows('SELECT segment, end_step FROM series')).toEqual([{ segment: 1, end_step: 3 }]);
  });

  it('merges writers by time, then name', () => {
    project.write(RUN, 'job-bbbbbbbb', metric(1, { loss: 2 }, T0 + 5));
    project.write(RUN, JOB, metric(1, { loss: 1 }, T0 + 5), metric(0, { loss: 9 }, T0));
    ingest();
    expect(answerNow(store, readMetricSummaries(num()))[0]).toMatchObject({
      count: 3,
      last: 2,
      first: 9,
      min: 1,
      max: 9,
      mean: 4,
    });
  });

  it('keeps artifacts, their versions and their bytes', () => {
    const artifact = {
      k: 'artifact',
      t: T0,
      name: 'w',
      type: 'file',
      sha256: 'a'.repeat(64),
      size: 2,
    } as const;
    project.write(
      RUN,
      JOB,
      { ...artifact, inline: Buffer.from('hi').toString('base64') },
      { ...artifact, t: T0 + 1, sha256: 'b'.repeat(64), kind: 'model' },
    );
    ingest();
    const [first, second] = answerNow(store, readArtifacts(num()));
    expect(first).toMatchObject({ inline: true, sha256: 'a'.repeat(64), kind: null });
    expect(second).toMatchObject({ inline: false, sha256: 'b'.repeat(64), kind: 'model' });
    expect(Buffer.from(answerNow(store, readInline(first?.id ?? 0)) ?? []).toString()).toBe('hi');
    expect(answerNow(store, readInline(second?.id ?? 0))).toBeUndefined();
  });

  it('gives the console line by line, woven by time, the last state of a redrawn line', () => {
    const line = (o: 1 | 2, n: number, x: string, t: number, p = false) => ({
      k: 'c' as const,
      t: T0 + t,
      o,
      n,
      x,
      p,
    });
    project.write(
      RUN,
      SUPERVISOR,
      opening(SUPERVISOR, { attempt: SUPERVISOR }),
      starting(RUN, SUPERVISOR),
      line(1, 0, 'hello', 1),
      line(2, 0, '10%', 2, true),
      line(1, 1, 'world', 3),
      line(2, 0, '100%', 4),
      line(2, 1, 'warn', 5),
    );
    ingest();
    const page = answerNow(store, readConsole(num(), { limit: 2 }));
    expect(page.lines.map(({ text }) => text)).toEqual(['hello', 'world']);
    const rest = answerNow(store, readConsole(num(), { limit: 9, after: page.next }));
    expect(rest.lines.map(({ text, stream }) => [stream, text])).toEqual([
      [2, '100%'],
      [2, 'warn'],
    ]);
    expect(answerNow(store, readConsole(num(), { limit: 9, after: rest.next })).lines).toEqual([]);
    expect(answerNow(store, readConsole(num(), { limit: 9, stream: 1 })).lines).toHaveLength(2);
  });
});

describe('edits, links and removals', () => {
  const edit = (
    clock: number,
    field: 'name' | 'tag' | 'archived',
    value: string | boolean | null,
    key?: string,
  ) => ({ k: 'edit', t: T0 + clock, clock, field, value, ...(key === undefined ? {} : { key }) }) as const;

  it('beat what the job said, the greatest clock winning', () => {
    project.write(
      RUN,
      SUPERVISOR,
      opening(SUPERVISOR),
      starting(RUN, SUPERVISOR, { name: 'given', tags: { team: 'a', x: '1' } }),
    );
    project.write(RUN, 'edits-bbbbbbbb', edit(2, 'name', 'second'), edit(3, 'tag', null, 'x'));
    project.write(
      RUN,
      'edits-aaaaaaaa',
      edit(1, 'name', 'first'),
      edit(5, 'tag', 'b', 'team'),
      edit(6, 'archived', true),
    );
    ingest();
    project.write(RUN, SUPERVISOR, { k: 'tag', t: T0 + 99, key: 'team', value: 'c' });
    ingest();
    expect(answerNow(store, readRun(num()))).toMatchObject({ name: 'second', archived: true });
    expect(answerNow(store, readTags(num()))).toEqual([{ key: 'team', value: 'b' }]);
    expect(store.meta('clock')).toBe(6);
  });

  it('hide a removed run, also one that comes later, until it is restored', () => {
    project.write(null, 'project-aaaaaaaa', { k: 'remove', t: T0, run: RUN, clock: 4 });
    ingest();
    project.write(RUN, JOB, opening(JOB), metric(0, { loss: 1 }));
    ingest();
    expect(rows('SELECT removed FROM runs')).toEqual([{ removed: 1 }]);
    expect(samples()).toEqual([]);
    expect(() => answerNow(store, findRun(RUN))).toThrow(/no run/);
    project.write(null, 'project-bbbbbbbb', { k: 'restore', t: T0 - 99, run: RUN, clock: 5 });
    ingest();
    expect(answerNow(store, findRun(RUN)).id).toBe(RUN);
    expect(samples()).toHaveLength(1);
  });

  it('link repositories', () => {
    project.write(null, 'project-aaaaaaaa', { k: 'link', t: T0, name: 'main', path: '/a', clock: 1 });
    project.write(null, 'project-bbbbbbbb', { k: 'link', t: T0, name: 'main', path: '/b', clock: 2 });
    project.write(null, 'project-bbbbbbbb', { k: 'link', t: T0, name: 'gone', path: null, clock: 3 });
    ingest();
    expect(rows('SELECT * FROM repos')).toEqual([{ name: 'main', path: '/b' }]);
  });
});

describe('a run’s own row', () => {
  it('takes its name from an edit, else the user, else the job, else what was made up', () => {
    project.write(RUN, SUPERVISOR, opening(SUPERVISOR), starting(RUN, SUPERVISOR));
    ingest();
    expect(answerNow(store, readRun(num()))).toMatchObject({
      name: 'brave-duck',
      project: 'default',
      host: 'goose',
      user: 'ada',
    });
    const update = (name: string, t: number) =>
      ({ k: 'update', t: T0 + t, fields: { name, project: 'demo' } }) as const;
    project.write(RUN, JOB, opening(JOB), update('filled', 2), update('later', 3));
    ingest();
    expect(answerNow(store, readRun(num()))).toMatchObject({ name: 'filled', project: 'demo' });
  });

  it('keeps the code that ran, and tags what a reader must know of it', () => {
    const snapshot = {
      store: 'private',
      prefix: '',
      base: 'b'.repeat(40),
      tree: 'c'.repeat(40),
      commit: null,
      state: 'normal',
      dirty: false,
      incomplete: false,
      left_out: [],
      nested: [],
      changed: [],
      changed_count: 0,
      warnings: [],
      duration_ms: 1,
    } as const;
    project.write(RUN, SUPERVISOR, opening(SUPERVISOR), starting(RUN, SUPERVISOR), {
      k: 'snapshot',
      t: T0,
      snapshot: { ...snapshot, left_out: [], nested: [], changed: [], warnings: [] },
    });
    project.write(RUN, SUPERVISOR, { k: 'drift', t: T0 + 1, files: [{ path: 'a.py', change: 'changed' }] });
    ingest();
    expect(answerNow(store, readRun(num()))).toMatchObject({
      commit_sha: 'b'.repeat(40),
      snapshot: { store: 'private' },
    });
    expect(answerNow(store, readTags(num()))).toEqual([
      { key: 'waddle_code_changed', value: 'true' },
      { key: 'waddle_workspace_snapshot', value: 'true' },
    ]);
    expect(rows('SELECT sha, runs FROM commits')).toEqual([{ sha: 'b'.repeat(40), runs: 1 }]);
  });

  it('tells how the latest attempt ended: supervisor before helper before job, the error from whoever has it', () => {
    const end = (by: 'supervisor' | 'helper' | 'job', status: 'completed' | 'failed', t: number) =>
      ({ k: 'end', t: T0 + t, attempt: SUPERVISOR, status, by }) as const;
    project.write(RUN, SUPERVISOR, opening(SUPERVISOR), starting(RUN, SUPERVISOR));
    project.write(RUN, JOB, opening(JOB), {
      ...end('job', 'failed', 5),
      error: { type: 'ValueError', message: 'no', traceback: 'Traceback…' },
    });
    ingest();
    expect(answerNow(store, readRun(num()))).toMatchObject({
      status: 'failed',
      error_type: 'ValueError',
      ended_at: T0 + 5,
    });
    project.write(RUN, SUPERVISOR, { ...end('supervisor', 'failed', 6), exit_code: 1 });
    ingest();
    expect(answerNow(store, readRun(num()))).toMatchObject({
      exit_code: 1,
      ended_at: T0 + 6,
      traceback: 'Traceback…',
    });
    project.write(RUN, 'supervisor-bbbbbbbb', { k: 'resume', t: T0 + 9, attempt: 'supervisor-bbbbbbbb' });
    ingest();
    expect(answerNow(store, readRun(num()))).toMatchObject({
      status: 'running',
      ended_at: null,
      error_type: null,
      attempt: 'supervisor-bbbbbbbb',
      started_at: T0,
    });
    expect(rows('SELECT number, status FROM attempts ORDER BY number')).toEqual([
      { number: 1, status: 'failed' },
      { number: 2, status: 'running' },
    ]);
  });
});

describe('journals that go away or change', () => {
  function fill(): void {
    project.write(RUN, SUPERVISOR, opening(SUPERVISOR), starting(RUN, SUPERVISOR), {
      k: 'end',
      t: T0 + 9,
      attempt: SUPERVISOR,
      status: 'completed',
      by: 'supervisor',
    });
    project.write(RUN, SUPERVISOR, { k: 'close', t: T0 + 9 });
    project.write(RUN, JOB, opening(JOB));
    for (let step = 0; step < 100; step += 1) project.write(RUN, JOB, metric(step, { loss: step }));
  }

  it('are read on when sealed, with a writer that comes later', () => {
    fill();
    ingest();
    const before = dumpLogical(store);
    // The job is not closed and lives: only the supervisor's journal may go.
    expect(sealEnded({ layout: project.layout, store, judge: everybodyLives }).sealed).toEqual([
      project.path(RUN, SUPERVISOR),
    ]);
    expect(sealEnded({ layout: project.layout, store, judge: nobodyLives })).toEqual({
      sealed: [project.path(RUN, JOB)],
      failed: [],
    });
    expect(sealEnded({ layout: project.layout, store, judge: nobodyLives }).sealed).toEqual([]);
    ingest();
    expect(dumpLogical(store)).toBe(before);
    const again = project.open(`${project.database}.again`);
    ingest(again);
    expect(dumpLogical(again)).toBe(before);
    project.write(RUN, 'job-bbbbbbbb', opening('job-bbbbbbbb'), metric(100, { loss: 100 }));
    expect(ingest().samples).toBe(1);
    expect(answerNow(store, readMetricSummaries(num()))[0]).toMatchObject({ count: 101, last: 100 });
    expect(rows('SELECT sum(sealed) AS n FROM journals')).toEqual([{ n: 2 }]);
  });

  it('are read on where sealing came between two looks', () => {
    fill();
    const half = readFileSync(project.path(RUN, JOB));
    truncateSync(project.path(RUN, JOB), 1000);
    ingest();
    writeFileSync(project.path(RUN, JOB), half);
    const other = project.open(`${project.database}.other`);
    ingest(other);
    sealEnded({ layout: project.layout, store: other, judge: nobodyLives });
    ingest();
    expect(dumpLogical(store)).toBe(dumpLogical(other));
  });

  it('report the unfinished line of a writer that is gone, and take it back where it goes on', () => {
    project.write(RUN, JOB, opening(JOB));
    project.append(RUN, JOB, '{"k":"m","t":1,');
    expect(ingest().broken).toEqual([]);
    const report = catchUp({ layout: project.layout, store, judge: nobodyLives });
    expect(report.broken).toMatchObject([
      { path: project.path(RUN, JOB), reason: expect.stringContaining('unfinished') },
    ]);
    expect(catchUp({ layout: project.layout, store, judge: nobodyLives }).broken).toEqual([]);
    expect(rows('SELECT broken FROM journals')).toEqual([{ broken: 1 }]);
    project.append(RUN, JOB, '"s":0,"v":{"loss":1}}\n');
    ingest();
    expect(rows('SELECT broken, torn FROM journals')).toEqual([{ broken: 0, torn: null }]);
    expect(rows('SELECT * FROM broken_lines')).toEqual([]);
  });

  it('report the line that was unfinished for what it is where it goes on as a broken one', () => {
    project.write(RUN, JOB, opening(JOB), { k: 'close', t: T0, dropped: null });
    const offset = statSync(project.path(RUN, JOB)).size;
    project.append(RUN, JOB, '{"k":"tag",');
    ingest();
    expect(rows('SELECT broken, torn FROM journals')).toEqual([{ broken: 1, torn: offset }]);
    project.append(RUN, JOB, '"t":1}\n');
    expect(ingest().broken).toMatchObject([{ offset, reason: expect.stringContaining('"tag"') }]);
    expect(rows('SELECT broken, torn FROM journals')).toEqual([{ broken: 1, torn: null }]);
    expect(rows('SELECT offset, reason FROM broken_lines')).toEqual([
      { offset, reason: expect.stringContaining('"tag"') },
    ]);
  });

  it('hold up no other where one cannot be read', () => {
    fill();
    writeFileSync(join(project.layout.runs, RUN, 'job-cccccccc.jsonl.zst'), 'no zstd');
    const report = ingest();
    expect(report.failed).toMatchObject([{ path: project.path(RUN, 'job-cccccccc') }]);
    expect(report.samples).toBe(100);
  });

  it('are read anew where one became shorter', () => {
    fill();
    ingest();
    project.write(RUN, JOB, metric(5, { loss: 1 }));
    ingest();
    truncateSync(project.path(RUN, JOB), readFileSync(project.path(RUN, JOB)).indexOf('\n') + 1);
    ingest();
    const again = project.open(`${project.database}.again`);
    ingest(again);
    expect(dumpLogical(store)).toBe(dumpLogical(again));
    expect(samples()).toEqual([]);
  });

  it('are not forgotten where the whole folder is away', () => {
    fill();
    ingest();
    const { runs } = project.layout;
    renameSync(runs, `${runs}.away`);
    expect(ingest().changed).toBe(false);
    expect(samples()).toHaveLength(100);
    renameSync(`${runs}.away`, runs);
    rmSync(join(runs, RUN), { recursive: true });
    ingest();
    expect(
      rows(
        'SELECT (SELECT count(*) FROM samples) + (SELECT count(*) FROM runs) + (SELECT count(*) FROM rollups) AS n',
      ),
    ).toEqual([{ n: 0 }]);
  });
});

describe('rebuilding', () => {
  it('gives the same content, seen at once by whoever has the database open', async () => {
    cpSync(new URL('../../test/golden', import.meta.url), join(project.layout.runs, RUN), {
      recursive: true,
    });
    mkdirSync(project.layout.projectJournals);
    renameSync(
      join(project.layout.runs, RUN, 'project-nnnnpppp.jsonl'),
      project.path(null, 'project-nnnnpppp'),
    );
    const { broken } = ingest();
    const expected = JSON.parse(
      readFileSync(new URL('../../test/golden/expected.json', import.meta.url), 'utf8'),
    );
    expect(broken.map(({ offset }) => offset)).toEqual(expected['job-qqqqrrrr.jsonl'].broken);
    const before = dumpLogical(store);
    const { epoch } = store;
    await rebuildStore({ layout: project.layout, path: project.database, judge: everybodyLives });
    expect(store.epoch).not.toBe(epoch);
    expect(dumpLogical(store)).toBe(before);
    project.write(RUN, 'job-zzzzzzzz', metric(0, { later: 1 }));
    expect(ingest().samples).toBe(1);
  });

  it('replaces a damaged database', async () => {
    project.write(RUN, JOB, opening(JOB), metric(0, { loss: 1 }));
    ingest();
    const before = dumpLogical(store);
    store.close();
    writeFileSync(project.database, 'rubbish'.repeat(1000));
    await rebuildStore({ layout: project.layout, path: project.database, judge: everybodyLives });
    store = project.open();
    expect(dumpLogical(store)).toBe(before);
  });
});

describe('a long reading', () => {
  it('tells how far it is, and stops between two transactions when asked', () => {
    project.write(RUN, JOB, opening(JOB));
    let text = '';
    for (let step = 0; step < 80_000; step += 1) text += `${JSON.stringify(metric(step, { loss: 1 }))}\n`;
    project.append(RUN, JOB, text);
    const stop = new AbortController();
    const seen: number[] = [];
    const report = catchUp({
      layout: project.layout,
      store,
      judge: everybodyLives,
      signal: stop.signal,
      onProgress: ({ bytes, totalBytes }) => {
        seen.push(bytes / totalBytes);
        if (seen.length === 2) stop.abort();
      },
    });
    expect(report.interrupted).toBe(true);
    expect(seen).toHaveLength(2);
    expect(seen[1]).toBeGreaterThan(seen[0] ?? 1);
    expect(seen[1]).toBeLessThan(1);
    expect(ingest()).toMatchObject({ interrupted: false, samples: 80_000 - report.samples });
  });

  it('opens no folder again that has not changed and whose writers are done', () => {
    project.write(RUN, JOB, opening(JOB), metric(0, { loss: 1 }), { k: 'close', t: T0 });
    const folder = join(project.layout.runs, RUN);
    const old = new Date(Date.now() - 60_000);
    utimesSync(folder, old, old);
    ingest();
    expect(rows('SELECT id, live FROM folders')).toEqual([{ id: RUN, live: 0 }]);
    // Were it opened, this would be seen.
    project.write(RUN, JOB, metric(1, { loss: 1 }));
    expect(ingest().samples).toBe(0);
    // A new journal changes the folder.
    project.write(RUN, 'job-bbbbbbbb', opening('job-bbbbbbbb'), metric(2, { loss: 1 }));
    expect(ingest().samples).toBe(2);
    expect(rows('SELECT live FROM folders')).toEqual([{ live: 1 }]);
  });
});
