import { createHash } from 'node:crypto';
import { encodeNumber, stringifyExactJson } from '../../events/line.ts';
import type { Batch, LivePoints, LiveRun, Watch } from '../../protocol/api.ts';
import { readColumns } from '../../query/columns.ts';
import { readConsistently } from '../../query/consistent-read.ts';
import type { Field } from '../../query/fields.ts';
import { RUN_COLUMNS, readRunRow } from '../../query/run-row.ts';
import { addColumns } from '../../query/runs-table.ts';
import type { Store } from '../../store/open.ts';
import { MAX_SEQ } from '../../store/schema.ts';
import { consoleLine } from '../console-pages.ts';
import { type Cursor, cursorAt, formatCursor, parseCursor } from './cursor.ts';
import { gapAfter, nowCursor } from './frames.ts';
import type { Outgoing } from './plain-stream.ts';

/** More than this in one batch is a gap: the page asks for the series again, which costs what its pixels cost. */
const MAX_POINTS = 20_000;
const MAX_LINES = 2000;

/** The dashboard's dialect for one client: what changed since the last batch, as one batch. */
export class DashboardStream {
  #cursor: Cursor;
  #runs = new Set<string>();
  #keys = new Set<string>();
  #console: string | null = null;
  #table = false;
  #columns: Field[] = [];
  /** What each run's row was when it was last sent, so that a heartbeat alone is no change. */
  readonly #sent = new Map<string, string>();

  /** @throws WaddleError `columns-invalid` */
  constructor(store: Store, watch: Watch) {
    this.#cursor = nowCursor(store);
    this.watch(store, watch);
  }

  get cursor(): string {
    return formatCursor(this.#cursor);
  }

  /** Without `since` it goes on from where it stands. @throws WaddleError `columns-invalid` */
  watch(_store: Store, watch: Watch): void {
    this.#columns = readColumns(watch.columns);
    this.#runs = new Set(watch.runs);
    this.#keys = new Set(watch.keys);
    this.#console = watch.console ?? null;
    this.#table = watch.table === true;
    if (watch.since === undefined) return;
    // The page has just loaded what there was: 0 asks for no more than what is new since this store began.
    this.#cursor =
      watch.since === 0 ? { ...this.#cursor, revision: 0 } : (parseCursor(watch.since) ?? cursorAt('0', 0));
  }

  next(store: Store): Outgoing {
    return readConsistently(store.db, () => {
      const now = nowCursor(store);
      const gap = gapAfter(store, this.#cursor);
      // Of a revision that was had in part, all comes again; the numbers of the samples tell.
      const after = this.#cursor.place === null ? this.#cursor.revision : this.#cursor.revision - 1;
      if (gap === undefined && after >= now.revision) return { texts: [], more: false };
      this.#cursor = now;
      const other = gap?.reason === 'other-store';
      if (other) this.#sent.clear();
      const runs = this.#changedRuns(store, other ? -1 : after);
      const points = gap === undefined ? this.#newPoints(store, after) : { list: [], gap: false };
      const lines = gap === undefined ? this.#newLines(store, after) : { list: [], gap: false };
      const missing: Batch['gap'] = other
        ? 'all'
        : gap !== undefined || (points.gap && lines.gap)
          ? 'all'
          : points.gap
            ? 'points'
            : lines.gap
              ? 'console'
              : undefined;
      if (missing === undefined && runs.length + points.list.length + lines.list.length === 0) {
        return { texts: [], more: false };
      }
      const batch: Batch = {
        type: 'batch',
        cursor: formatCursor(now),
        runs,
        points: points.list,
        console: lines.list,
        ...(missing === undefined ? {} : { gap: missing }),
      };
      return { texts: [stringifyExactJson(batch)], more: false };
    });
  }

  #changedRuns(store: Store, after: number): LiveRun[] {
    const rows = store
      .prepare(`SELECT r.num, r.removed, ${RUN_COLUMNS} FROM runs r WHERE r.revision > ?`)
      .all(after)
      .filter((row) => this.#table || this.#runs.has(String(row.id)) || row.id === this.#console);
    const runs = rows.map(readRunRow);
    addColumns(
      store.db,
      this.#columns,
      rows.map((row) => Number(row.num)),
      runs,
    );
    return runs
      .map((run, index): LiveRun => ({ ...run, removed: rows[index]?.removed === 1 }))
      .filter((run) => this.#isNews(run));
  }

  #isNews(run: LiveRun): boolean {
    const { last_event_at: _beat, duration: _soFar, ...rest } = run;
    const digest = createHash('sha1').update(stringifyExactJson(rest)).digest('base64');
    if (this.#sent.get(run.id) === digest) return false;
    this.#sent.set(run.id, digest);
    return true;
  }

  #newPoints(store: Store, after: number): { list: LivePoints[]; gap: boolean } {
    if (this.#runs.size === 0 || this.#keys.size === 0) return { list: [], gap: false };
    const found = store
      .prepare(
        `SELECT c.series, min(c.seq0) AS seq0, max(c.seq1) AS seq1, s.key, s.writer, s.part, s.t0, r.id AS run
         FROM changes c JOIN series s ON s.id = c.series JOIN runs r ON r.num = s.run
         WHERE c.revision > ? AND r.removed = 0 GROUP BY c.series ORDER BY c.series`,
      )
      .all(after)
      .filter((row) => this.#runs.has(String(row.run)) && this.#keys.has(String(row.key)));
    const total = found.reduce((sum, row) => sum + Number(row.seq1) - Number(row.seq0) + 1, 0);
    if (total > MAX_POINTS) return { list: [], gap: true };
    const list = found.map((row): LivePoints => {
      const base = Number(row.series) * MAX_SEQ;
      const samples = store
        .prepare('SELECT step, dt, value FROM samples WHERE id BETWEEN ? AND ? ORDER BY id')
        .all(base + Number(row.seq0), base + Number(row.seq1));
      const t0 = Number(row.t0);
      return {
        run: String(row.run),
        key: String(row.key),
        writer: String(row.writer),
        seq: Number(row.part) * MAX_SEQ + Number(row.seq0),
        step: samples.map((sample) => Number(sample.step)),
        t: samples.map((sample) => (t0 + Number(sample.dt)) / 1000),
        v: samples.map((sample) => encodeNumber(sample.value === null ? Number.NaN : Number(sample.value))),
      };
    });
    return { list, gap: false };
  }

  #newLines(store: Store, after: number): { list: Batch['console']; gap: boolean } {
    const run = this.#console;
    if (run === null) return { list: [], gap: false };
    const rows = store
      .prepare(
        `SELECT l.attempt, coalesce(a.number, 0) AS number, l.stream, l.n, l.ts, l.partial, l.text
         FROM (SELECT run, attempt, stream, min(n0) AS n0, max(n1) AS n1 FROM console_changes
           WHERE revision > ?2 AND run = (SELECT num FROM runs WHERE id = ?1 AND removed = 0)
           GROUP BY run, attempt, stream) c
         CROSS JOIN console l ON l.run = c.run AND l.attempt = c.attempt AND l.stream = c.stream
           AND l.n BETWEEN c.n0 AND c.n1
         LEFT JOIN attempts a ON a.run = c.run AND a.attempt = c.attempt
         LIMIT ${MAX_LINES + 1}`,
      )
      .all(run, after);
    if (rows.length > MAX_LINES) return { list: [], gap: true };
    rows.sort(
      (a, b) =>
        Number(a.number) - Number(b.number) ||
        Number(a.ts) - Number(b.ts) ||
        Number(a.stream) - Number(b.stream) ||
        Number(a.n) - Number(b.n),
    );
    return { list: rows.map((row) => ({ run, ...consoleLine(row) })), gap: false };
  }
}
