import { rmSync } from 'node:fs';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { journals, OTHER, schedule } from '../../test/support/random-journals.ts';
import { rounds } from '../../test/support/rounds.ts';
import { dumpLogical } from '../store/dump-logical.ts';
import type { Store } from '../store/open.ts';
import { MAX_SEQ } from '../store/schema.ts';
import { FAN_OUT, MAX_SEGMENTS, TOP_LEVEL } from '../store/series.ts';
import { catchUp } from './catch-up.ts';
import { everybodyLives, TestClock, TestProject } from './ingest-fixture.ts';

let project: TestProject;
afterEach(() => project.remove());

function ingest(store: Store, cached = true) {
  // With clocks of its own an ingest begins with an empty memory: all is read back from the rows.
  return catchUp({
    layout: project.layout,
    store,
    judge: everybodyLives,
    ...(cached ? {} : { clock: new TestClock() }),
  });
}

describe('the database', () => {
  it('is the same whatever the order and the portions in which its journals are read', () => {
    fc.assert(
      fc.property(journals, schedule, (all, steps) => {
        project = new TestProject();
        try {
          const store = project.open();
          const written = all.map(() => 0);
          for (const step of steps) {
            const index = step.which % all.length;
            const source = all[index];
            if (source === undefined) continue;
            const from = written[index] ?? 0;
            const to = from + Math.ceil((source.bytes.length - from) * step.part);
            project.append(source.run, source.writer, source.bytes.subarray(from, to));
            written[index] = to;
            if (step.ingest) ingest(store, step.cached);
          }
          for (const [index, source] of all.entries()) {
            project.append(source.run, source.writer, source.bytes.subarray(written[index]));
          }
          ingest(store);
          const once = project.open(`${project.database}.once`);
          ingest(once);
          expect(dumpLogical(store)).toBe(dumpLogical(once));
          expectSoundRollups(store);
          // And nothing is left to do.
          const { revision } = store;
          expect(ingest(store).changed).toBe(false);
          expect(store.revision).toBe(revision);
        } finally {
          project.remove();
        }
      }),
      // As many as there is time for: on a loaded machine they take longer than a test may.
      { numRuns: rounds(20), interruptAfterTimeLimit: 25_000 },
    );
  });

  it('forgets a run whose folder is gone, and one journal of it, as if they had never been', () => {
    fc.assert(
      fc.property(journals, fc.nat(4), (all, which) => {
        project = new TestProject();
        try {
          const store = project.open();
          for (const { run, writer, bytes } of all) project.append(run, writer, bytes);
          ingest(store);
          const lost = all[which];
          if (lost === undefined) return;
          rmSync(project.path(lost.run, lost.writer));
          rmSync(project.path(OTHER, 'job-aaaaaaaa'));
          rmSync(project.path(OTHER, '..'), { recursive: true, force: true });
          rmSync(`${project.layout.runs}/${OTHER}`, { recursive: true, force: true });
          ingest(store);
          const once = project.open(`${project.database}.once`);
          ingest(once);
          expect(dumpLogical(store)).toBe(dumpLogical(once));
        } finally {
          project.remove();
        }
      }),
      { numRuns: rounds(8) },
    );
  });
});

/** Checks the pyramid against the samples: every bucket, and that nothing is missing or twice. */
function expectSoundRollups(store: Store): void {
  for (const series of store.db.prepare('SELECT * FROM series').all()) {
    const id = Number(series.id);
    const samples = store.db
      .prepare('SELECT id - ? AS seq, step, dt, value FROM samples WHERE id BETWEEN ? AND ? ORDER BY id')
      .all(id * MAX_SEQ, id * MAX_SEQ, id * MAX_SEQ + MAX_SEQ - 1);
    expect(samples.map((row) => row.seq)).toEqual(samples.map((_, index) => index));
    expect(samples.length).toBe(series.count);
    let below = samples.map((row) => Number(row.seq));
    for (let level = 1; level <= TOP_LEVEL; level += 1) {
      const buckets = store.db
        .prepare('SELECT * FROM rollups WHERE series = ? AND level = ? ORDER BY seq')
        .all(id, level);
      let next = 0;
      let at = 0;
      for (const bucket of buckets) {
        expect(bucket.seq).toBe(next);
        const part = samples.slice(next, next + Number(bucket.count));
        next += Number(bucket.count);
        const values = part.flatMap((row) => (row.value === null ? [] : [Number(row.value)]));
        expect(bucket.nan_count).toBe(part.length - values.length);
        expect(bucket.min).toBe(values.length > 0 ? Math.min(...values) : null);
        expect(bucket.max).toBe(values.length > 0 ? Math.max(...values) : null);
        const sum = values.reduce((a, b) => a + b, 0);
        if (Number.isNaN(sum)) expect(bucket.sum).toBeNull();
        else if (Number.isFinite(sum)) expect(bucket.sum).toBeCloseTo(sum, 6);
        else expect(bucket.sum).toBe(sum);
        const [first, last] = [part[0], part.at(-1)];
        expect([bucket.first, bucket.step0, bucket.dt0]).toEqual([first?.value, first?.step, first?.dt]);
        expect([bucket.last, bucket.step1, bucket.dt1]).toEqual([last?.value, last?.step, last?.dt]);
        if (Number(bucket.segment) < MAX_SEGMENTS) {
          const steps = part.map((row) => Number(row.step));
          expect(steps).toEqual(steps.toSorted((a, b) => a - b));
        }
        let children = 0;
        while (at < below.length && (below[at] ?? 0) < next) {
          at += 1;
          children += 1;
        }
        expect(children).toBeGreaterThan(0);
        expect(children).toBeLessThanOrEqual(FAN_OUT);
      }
      expect(below.length - at).toBeLessThan(FAN_OUT);
      below = buckets.map((row) => Number(row.seq));
    }
  }
}
