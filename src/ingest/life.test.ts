import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { identityOf } from '../journal/process-identity.ts';
import { dumpLogical } from '../store/dump-logical.ts';
import type { Store } from '../store/open.ts';
import { catchUp } from './catch-up.ts';
import {
  everybodyLives,
  metric,
  nobodyKnows,
  nobodyLives,
  opening,
  starting,
  T0,
  TestClock,
  TestProject,
} from './ingest-fixture.ts';
import type { JudgeLife } from './life.ts';

const RUN = 'abcdefghijkl';
const SUPERVISOR = 'supervisor-aaaaaaaa';
const JOB = 'job-aaaaaaaa';

let project: TestProject;
let store: Store;
let clock: TestClock;
beforeEach(() => {
  project = new TestProject();
  store = project.open();
  clock = new TestClock();
});
afterEach(() => project.remove());

const ingest = (judge?: JudgeLife) =>
  catchUp({ layout: project.layout, store, clock, ...(judge === undefined ? {} : { judge }) });
const run = () => ({ ...store.db.prepare('SELECT status, ended_at, status_revision FROM runs').get() });
const status = () => run().status;

function begin(): void {
  project.write(RUN, SUPERVISOR, opening(SUPERVISOR, { attempt: SUPERVISOR }), starting(RUN, SUPERVISOR));
}

describe('a run that nobody ended', () => {
  it('is crashed once all its processes are gone and 30 s have passed, and a later event undoes that', () => {
    begin();
    ingest(nobodyLives);
    expect(status()).toBe('running');
    clock.pass(29);
    ingest(nobodyLives);
    expect(status()).toBe('running');
    clock.pass(2);
    const before = dumpLogical(store);
    expect(ingest(nobodyLives).crashed).toEqual([RUN]);
    expect(run()).toMatchObject({ status: 'crashed', ended_at: T0 });
    expect(ingest(nobodyLives)).toMatchObject({ changed: false, crashed: [] });
    expect(dumpLogical(store)).toBe(before);
    expect(store.db.prepare('SELECT status, ended_at FROM attempts').get()).toEqual({
      status: 'crashed',
      ended_at: T0,
    });

    project.write(RUN, JOB, opening(JOB, { t: T0 + 31 }), metric(31, { loss: 1 }));
    ingest(everybodyLives);
    expect(run()).toMatchObject({ status: 'running', ended_at: null });
    project.write(RUN, SUPERVISOR, {
      k: 'end',
      t: T0 + 40,
      attempt: SUPERVISOR,
      status: 'completed',
      by: 'supervisor',
    });
    ingest(nobodyLives);
    expect(run()).toMatchObject({ status: 'completed', ended_at: T0 + 40 });
  });

  it('stays crashed, without a flicker, when it is edited', () => {
    begin();
    ingest(nobodyLives);
    clock.pass(60);
    ingest(nobodyLives);
    const { status_revision } = run();
    project.write(RUN, 'edits-aaaaaaaa', {
      k: 'edit',
      t: T0 + 60,
      clock: 1,
      field: 'name',
      value: 'sad',
    });
    expect(ingest(nobodyLives).crashed).toEqual([]);
    expect(run()).toEqual({ status: 'crashed', ended_at: T0, status_revision });
  });

  it('is told at once where the journals themselves are old', () => {
    begin();
    clock.pass(3600);
    expect(ingest(nobodyLives).crashed).toEqual([RUN]);
  });

  it('runs as long as one process lives: supervisor, helper, a writer, or the job that was started', () => {
    begin();
    project.write(RUN, SUPERVISOR, {
      k: 'job',
      t: T0,
      attempt: SUPERVISOR,
      pid: 77,
      boot: 'a-boot',
      pidns: '4026531836',
      started: 5,
    });
    project.write(RUN, JOB, opening(JOB, { pid: 88 }));
    project.write(RUN, 'job-bbbbbbbb', opening('job-bbbbbbbb', { pid: 99 }), { k: 'close', t: T0 });
    ingest(nobodyLives);
    clock.pass(3600);
    for (const pid of [4242, 77, 88]) {
      ingest((identity) => (identity.pid === pid ? 'alive' : 'dead'));
      expect(status()).toBe('running');
    }
    // A writer that has closed may live on as something else.
    ingest((identity) => (identity.pid === 99 ? 'alive' : 'dead'));
    expect(status()).toBe('crashed');
  });

  it('survives a machine that slept, and clocks that jump', () => {
    begin();
    ingest(everybodyLives);
    clock.wallMs += 3_600_000;
    expect(ingest(everybodyLives).crashed).toEqual([]);
    // Elsewhere: an hour by the wall clock alone is no hour.
    expect(ingest(nobodyKnows).crashed).toEqual([]);
    clock.wallMs -= 2 * 3_600_000;
    clock.monoMs += 1000;
    expect(ingest(nobodyKnows).crashed).toEqual([]);
    expect(status()).toBe('running');
  });

  it('is found crashed also where the clock was set back since', () => {
    begin();
    ingest(nobodyLives);
    clock.wallMs -= 3_600_000;
    clock.monoMs += 31_000;
    expect(ingest(nobodyLives).crashed).toEqual([RUN]);
  });

  it('of another host is crashed only after ten minutes without growth by the reader’s own clock', () => {
    begin();
    clock.pass(100_000);
    ingest(nobodyKnows);
    clock.pass(599);
    expect(ingest(nobodyKnows).crashed).toEqual([]);
    project.write(RUN, SUPERVISOR, { k: 'beat', t: T0 });
    ingest(nobodyKnows);
    clock.pass(599);
    expect(ingest(nobodyKnows).crashed).toEqual([]);
    clock.pass(1);
    expect(ingest(nobodyKnows).crashed).toEqual([RUN]);
  });

  it('after a reboot of the reader goes by the wall clock', () => {
    begin();
    ingest(nobodyKnows);
    clock.wallMs += 700_000;
    clock.monoMs = 1000;
    expect(ingest(nobodyKnows).crashed).toEqual([RUN]);
  });

  it('is judged by a real process', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    try {
      if (child.pid === undefined) throw new Error('no process');
      const { host, pid, boot, pidns, started } = identityOf(child.pid);
      expect(host).toBe(hostname());
      project.write(
        RUN,
        JOB,
        opening(JOB, { host, pid, boot, pidns, started }),
        starting(RUN, JOB, { supervised: false }),
      );
      clock.pass(3600);
      expect(ingest().crashed).toEqual([]);
      child.kill('SIGKILL');
      await once(child, 'exit');
      expect(ingest().crashed).toEqual([RUN]);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
