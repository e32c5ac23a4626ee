import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { identityOf } from '../journal/process-identity.ts';
import type { Store } from '../store/open.ts';
import { catchUp } from './catch-up.ts';
import { followJournals } from './follow-journals.ts';
import { everybodyLives, metric, opening, T0, TestProject } from './ingest-fixture.ts';
import { LEASE_MS, releaseLease, takeLease } from './lease.ts';

const RUN = 'abcdefghijkl';

let project: TestProject;
let store: Store;
beforeEach(() => {
  project = new TestProject();
  store = project.open();
});
afterEach(() => project.remove());

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('waited in vain');
    await new Promise((wake) => setTimeout(wake, 5));
  }
}

describe('following', () => {
  it('tells of each round that brought something, and reads all before it ends', async () => {
    const stop = new AbortController();
    const seen: number[] = [];
    const following = followJournals({
      layout: project.layout,
      store,
      signal: stop.signal,
      everyMs: 5,
      lease: true,
      judge: everybodyLives,
      onApplied: (report) => seen.push(report.samples),
    });
    project.write(RUN, 'job-aaaaaaaa', opening('job-aaaaaaaa'), metric(0, { loss: 1 }));
    await until(() => seen.length === 1);
    project.write(RUN, 'job-aaaaaaaa', metric(1, { loss: 1 }), metric(2, { loss: 1 }));
    await until(() => seen.length === 2);
    stop.abort();
    project.write(RUN, 'job-aaaaaaaa', metric(3, { loss: 1 }));
    await following;
    expect(seen).toEqual([1, 2, 1]);
    expect(store.db.prepare('SELECT * FROM leases').all()).toEqual([]);
  });

  it('sees what comes late to a run that has ended, however long it read before', async () => {
    const [stop, seen] = [new AbortController(), [] as number[]];
    let passed = 0;
    const { now } = performance;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now.call(performance) + passed);
    try {
      project.write(RUN, 'job-aaaaaaaa', opening('job-aaaaaaaa'), metric(0, { loss: 1 }), {
        k: 'close',
        t: T0,
      });
      const following = followJournals({
        layout: project.layout,
        store,
        signal: stop.signal,
        everyMs: 5,
        judge: everybodyLives,
        onProgress: () => (passed += 60_000),
        onApplied: (report) => seen.push(report.lines),
      });
      await until(() => seen.length === 1);
      project.write(RUN, 'edits-bbbbbbbb', opening('edits-bbbbbbbb'), { k: 'close', t: T0 });
      await until(() => seen.length === 2);
      stop.abort();
      await following;
      expect(seen).toEqual([3, 2]);
    } finally {
      clock.mockRestore();
    }
  });

  it('looks on while another that lives holds the lease, and takes over when it is gone', async () => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
    try {
      const other = JSON.stringify(identityOf(child.pid ?? 0));
      expect(takeLease(store, other)).toBe(true);
      expect(takeLease(store)).toBe(false);
      const stop = new AbortController();
      const seen: number[] = [];
      project.write(RUN, 'job-aaaaaaaa', opening('job-aaaaaaaa'), metric(0, { loss: 1 }));
      const following = followJournals({
        layout: project.layout,
        store,
        signal: stop.signal,
        everyMs: 5,
        lease: true,
        judge: everybodyLives,
        onApplied: (report) => seen.push(report.samples),
      });
      await new Promise((wake) => setTimeout(wake, 100));
      expect(seen).toEqual([]);
      child.kill('SIGKILL');
      await once(child, 'exit');
      await until(() => seen.length > 0);
      stop.abort();
      await following;
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('goes on after an error that it may report', async () => {
    const stop = new AbortController();
    const errors: unknown[] = [];
    store.db.exec('ALTER TABLE folders RENAME TO hidden');
    const following = followJournals({
      layout: project.layout,
      store,
      signal: stop.signal,
      everyMs: 5,
      onError: (error) => errors.push(error),
    });
    await until(() => errors.length > 1);
    store.db.exec('ALTER TABLE hidden RENAME TO folders');
    stop.abort();
    await following;
    store.db.exec('ALTER TABLE folders RENAME TO hidden');
    await expect(
      followJournals({ layout: project.layout, store, signal: AbortSignal.abort(), everyMs: 5 }),
    ).rejects.toThrow(/folders/);
  });
});

it('ends where the database is deleted under it; the next one is built anew, beside a log left over', async () => {
  project.write(RUN, 'job-aaaaaaaa', opening('job-aaaaaaaa'), metric(0, { loss: 1 }));
  const following = followJournals({
    layout: project.layout,
    store,
    signal: new AbortController().signal,
    everyMs: 5,
    lease: true,
    judge: everybodyLives,
    onApplied: () => rmSync(project.database),
  });
  await expect(following).rejects.toMatchObject({ code: 'store-replaced' });
  expect(existsSync(`${project.database}-wal`)).toBe(true);
  const again = project.open();
  expect(again.epoch).not.toBe(store.epoch);
  expect(catchUp({ layout: project.layout, store: again, judge: everybodyLives }).samples).toBe(1);
  expect(again.db.prepare('PRAGMA integrity_check').get()?.integrity_check).toBe('ok');
});

describe('the lease', () => {
  const someone = JSON.stringify(identityOf(1));

  it('ends by time, by being given back, and does not outlast a clock that was set back', () => {
    const now = Date.now();
    expect(takeLease(store, someone, now)).toBe(true);
    expect(takeLease(store, 'me', now + LEASE_MS - 1)).toBe(false);
    expect(takeLease(store, 'me', now - 3_600_000)).toBe(true);
    expect(takeLease(store, someone, now - 3_600_000)).toBe(false);
    releaseLease(store, 'me');
    expect(takeLease(store, someone, now)).toBe(true);
    expect(takeLease(store, someone, now + LEASE_MS - 1)).toBe(true);
    expect(takeLease(store, 'me', now + LEASE_MS + 1)).toBe(false);
    expect(takeLease(store, 'me', now + 3 * LEASE_MS)).toBe(true);
  });
});
