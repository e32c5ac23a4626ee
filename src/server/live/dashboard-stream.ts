import { createHash } from 'node:crypto';
import { encodeNumber, stringifyExactJson } from '../../events/line.ts';
import type { Batch, LivePoints, LiveRun, Watch } from '../../protocol/api.ts';
import { readColumns } from '../../query/columns.ts';
import { type Field, fieldText } from '../../query/fields.ts';
import { RUN_COLUMNS, readRunRow } from '../../query/run-row.ts';
import { addColumns } from '../../query/runs-table.ts';
import { type Question, rows, samples } from '../../store/question.ts';
import { MAX_SEQ } from '../../store/schema.ts';
import { consoleLine } from '../console-pages.ts';
import { type Cursor, cursorAt, formatCursor, parseCursor } from './cursor.ts';
import type { Outgoing } from './plain-stream.ts';
import type { SharedReads } from './shared-reads.ts';
import { gapAfter, streamState } from './stream-state.ts';

/** More than this in one batch is a gap: the page asks for the series again, which costs what its pixels cost. */
const MAX_POINTS = 20_000;
const MAX_LINES = 2000;

/** What a dashboard shows, and so wants to know of. */
interface Watched {
  runs: ReadonlySet<string>;
  keys: ReadonlySet<string>;
  console: string | null;
  table: boolean;
  columns: readonly Field[];
}

/** What is new to all who stand at one place and watch the same. */
interface News {
  now: Cursor;
  /** Nothing of before counts any more. */
  other: boolean;
  /** With each, a hash of what of it is news: a heartbeat alone is none. */
  runs: { run: LiveRun; digest: string }[];
  points: LivePoints[];
  metrics: { run: string; key: string }[];
  console: Batch['console'];
  missing: Batch['gap'];
}

/** The dashboard's dialect for one client: what changed since the last batch, as one batch. */
export class DashboardStream {
  #cursor: Cursor;
  #watched: Watched = { runs: new Set(), keys: new Set(), console: null, table: false, columns: [] };
  /** Names what is watched: clients with the same name may share what is read for them. */
  #name = '';
  readonly #reads: SharedReads;
  /** The digest of each run's row as it was last sent. */
  readonly #sent = new Map<string, string>();

  /** @throws WaddleError `columns-invalid` */
  constructor(now: Cursor, watch: Watch, reads: SharedReads) {
    this.#cursor = now;
    this.#reads = reads;
    this.watch(watch);
  }

  get cursor(): string {
    return formatCursor(this.#cursor);
  }

  /** Without `since` it goes on from where it stands. @throws WaddleError `columns-invalid` */
  watch(watch: Watch): void {
    this.#watched = {
      columns: readColumns(watch.columns),
      runs: new Set(watch.runs),
      keys: new Set(watch.keys),
      console: watch.console ?? null,
      table: watch.table === true,
    };
    const { runs, keys, console, table, columns } = this.#watched;
    const name = JSON.stringify([[...runs], [...keys], console, table, columns.map(fieldText)]);
    this.#name = createHash('sha1').update(name).digest('base64');
    if (watch.since === undefined) return;
    // The page has just loaded what there was: 0 asks for no more than what is new since this store began.
    this.#cursor =
      watch.since === 0 ? { ...this.#cursor, revision: 0 } : (parseCursor(watch.since) ?? cursorAt('0', 0));
  }

  async next(): Promise<Outgoing> {
    const nothing: Outgoing = { texts: [], more: false };
    const [cursor, watched] = [this.#cursor, this.#watched];
    const news = await this.#reads.read(`dashboard ${formatCursor(cursor)} ${this.#name}`, () =>
      readNews(cursor, watched),
    );
    if (news === null) return nothing;
    this.#cursor = news.now;
    if (news.other) this.#sent.clear();
    const runs = news.runs.filter(({ run, digest }) => this.#isNews(run, digest)).map(({ run }) => run);
    const { points, metrics, console, missing } = news;
    if (missing === undefined && runs.length + points.length + metrics.length + console.length === 0)
      return nothing;
    const batch: Batch = {
      type: 'batch',
      cursor: formatCursor(news.now),
      runs,
      points,
      ...(metrics.length > 0 ? { metrics } : {}),
      console,
      ...(missing === undefined ? {} : { gap: missing }),
    };
    return { texts: [stringifyExactJson(batch)], more: false };
  }

  #isNews({ id }: LiveRun, digest: string): boolean {
    if (this.#sent.get(id) === digest) return false;
    this.#sent.set(id, digest);
    return true;
  }
}

/** What is new after a cursor; null where the store stands there still. */
function* readNews(cursor: Cursor, watched: Watched): Question<News | null> {
  const state = yield* streamState();
  const gap = gapAfter(state, cursor);
  // Of a revision that was had in part, all comes again; the numbers of the samples tell.
  const after = cursor.place === null ? cursor.revision : cursor.revision - 1;
  if (gap === undefined && after >= state.revision) return null;
  const other = gap?.reason === 'other-store';
  const runs = yield* changedRuns(watched, other ? -1 : after);
  const changed = gap === undefined ? yield* changedSeries(watched, after) : [];
  const points = yield* newPoints(changed.filter((row) => watched.keys.has(row.key)));
  const lines = gap === undefined ? yield* newLines(watched, after) : [];
  const missing: Batch['gap'] =
    gap !== undefined || (points === null && lines === null)
      ? 'all'
      : points === null
        ? 'points'
        : lines === null
          ? 'console'
          : undefined;
  return {
    now: cursorAt(state.epoch, state.revision),
    other,
    runs,
    points: points ?? [],
    metrics: changed.filter((row) => row.part === 0 && row.seq0 === 0).map(({ run, key }) => ({ run, key })),
    console: lines ?? [],
    missing,
  };
}

function* changedRuns({ table, runs, console, columns }: Watched, after: number): Question<News['runs']> {
  const found = (yield* rows(
    `SELECT r.num, r.removed, ${RUN_COLUMNS} FROM runs r WHERE r.revision > ?`,
    after,
  )).filter((row) => table || runs.has(String(row.id)) || row.id === console);
  const changed = found.map(readRunRow);
  yield* addColumns(
    columns,
    found.map((row) => Number(row.num)),
    changed,
  );
  return changed.map((row, index) => {
    const run: LiveRun = { ...row, removed: found[index]?.removed === 1 };
    const { last_event_at: _beat, duration: _soFar, ...rest } = run;
    return { run, digest: createHash('sha1').update(stringifyExactJson(rest)).digest('base64') };
  });
}

/** A writer's series with samples that are new: those from `seq0` to `seq1`. */
interface Changed {
  series: number;
  seq0: number;
  seq1: number;
  run: string;
  key: string;
  writer: string;
  part: number;
  t0: number;
}

function* changedSeries({ runs }: Watched, after: number): Question<Changed[]> {
  if (runs.size === 0) return [];
  const found = yield* rows(
    `SELECT c.series, c.seq0, c.seq1, s.key, s.writer, s.part, s.t0, r.id AS run
     FROM (SELECT series, min(seq0) AS seq0, max(seq1) AS seq1 FROM changes WHERE revision > ? GROUP BY series) c
     JOIN series s ON s.id = c.series JOIN runs r ON r.num = s.run
     WHERE r.removed = 0 ORDER BY c.series`,
    after,
  );
  return found
    .filter((row) => runs.has(String(row.run)))
    .map((row) => ({
      series: Number(row.series),
      seq0: Number(row.seq0),
      seq1: Number(row.seq1),
      run: String(row.run),
      key: String(row.key),
      writer: String(row.writer),
      part: Number(row.part),
      t0: Number(row.t0),
    }));
}

/** Null where they are too many. */
function* newPoints(found: readonly Changed[]): Question<LivePoints[] | null> {
  const total = found.reduce((sum, row) => sum + row.seq1 - row.seq0 + 1, 0);
  if (total > MAX_POINTS) return null;
  const read = yield* samples(
    found.map((row) => ({ series: row.series, from: row.seq0, to: row.seq1 + 1 })),
    { times: true },
  );
  return found.map((row, index): LivePoints => {
    const columns = read[index];
    return {
      run: row.run,
      key: row.key,
      writer: row.writer,
      seq: row.part * MAX_SEQ + row.seq0,
      step: Array.from(columns?.step ?? []),
      t: Array.from(columns?.dt ?? [], (ms) => (row.t0 + ms) / 1000),
      v: Array.from(columns?.value ?? [], encodeNumber),
    };
  });
}

/** Null where they are too many. */
function* newLines({ console: run }: Watched, after: number): Question<Batch['console'] | null> {
  if (run === null) return [];
  const found = yield* rows(
    `SELECT l.attempt, coalesce(a.number, 0) AS number, l.stream, l.n, l.ts, l.partial, l.text
     FROM (SELECT run, attempt, stream, min(n0) AS n0, max(n1) AS n1 FROM console_changes
       WHERE revision > ? AND run = (SELECT r.num FROM runs r WHERE r.id = ? AND r.removed = 0)
       GROUP BY run, attempt, stream) c
     CROSS JOIN console l ON l.run = c.run AND l.attempt = c.attempt AND l.stream = c.stream
       AND l.n BETWEEN c.n0 AND c.n1
     LEFT JOIN attempts a ON a.run = c.run AND a.attempt = c.attempt
     LIMIT ${MAX_LINES + 1}`,
    after,
    run,
  );
  if (found.length > MAX_LINES) return null;
  found.sort(
    (a, b) =>
      Number(a.number) - Number(b.number) ||
      Number(a.ts) - Number(b.ts) ||
      Number(a.stream) - Number(b.stream) ||
      Number(a.n) - Number(b.n),
  );
  return found.map((row) => ({ run, ...consoleLine(row) }));
}
