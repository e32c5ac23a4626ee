import type { Store } from './open.ts';
import type { SeriesState } from './series.ts';

/** The reader's own clocks, in milliseconds: one that people set, and one that only runs. */
export interface ReaderClock {
  now(): number;
  mono(): number;
}

/** A journal as the database knows it. `run` 0 is the project's own. */
export interface JournalState {
  id: number;
  run: number;
  runId: string | null;
  writer: string;
  /** Plain bytes that are in the database. */
  offset: number;
  lines: number;
  broken: number;
  /** Offset of an unfinished last line whose writer is gone. */
  torn: number | null;
  closed: boolean;
  attempt: string | null;
  lastEventAt: number | null;
  lastBeatAt: number | null;
  series: Map<string, SeriesState>;
}

/** The journal as the database has it; undefined where it has none of that name. */
export function loadJournal(
  store: Store,
  run: number,
  runId: string | null,
  writer: string,
): JournalState | undefined {
  const row = store.prepare('SELECT * FROM journals WHERE run = ? AND writer = ?').get(run, writer);
  if (row === undefined) return undefined;
  return {
    id: Number(row.id),
    run,
    runId,
    writer,
    offset: Number(row.offset),
    lines: Number(row.lines),
    broken: Number(row.broken),
    torn: row.torn === null ? null : Number(row.torn),
    closed: row.closed === 1,
    attempt: row.attempt === null ? null : String(row.attempt),
    lastEventAt: row.last_event_at === null ? null : Number(row.last_event_at),
    lastBeatAt: row.last_beat_at === null ? null : Number(row.last_beat_at),
    series: new Map(),
  };
}

/** A row for a journal of which nothing is read yet. */
export function newJournal(
  store: Store,
  clock: ReaderClock,
  run: number,
  runId: string | null,
  writer: string,
): JournalState {
  const { lastInsertRowid } = store
    .prepare('INSERT INTO journals (run, writer, grown_at, grown_mono) VALUES (?, ?, ?, ?)')
    .run(run, writer, clock.now() / 1000, clock.mono() / 1000);
  return {
    id: Number(lastInsertRowid),
    run,
    runId,
    writer,
    offset: 0,
    lines: 0,
    broken: 0,
    torn: null,
    closed: false,
    attempt: null,
    lastEventAt: null,
    lastBeatAt: null,
    series: new Map(),
  };
}

/** How far each of them is read now. */
export function writeJournals(store: Store, clock: ReaderClock, journals: Iterable<JournalState>): void {
  // One that was sealed, and has grown since, is plain again.
  const update = store.prepare(
    `UPDATE journals SET sealed = 0, offset = ?, lines = ?, broken = ?, torn = ?, last_event_at = ?, last_beat_at = ?,
      grown_at = ?, grown_mono = ? WHERE id = ?`,
  );
  const now = clock.now() / 1000;
  const mono = clock.mono() / 1000;
  for (const journal of journals) {
    update.run(
      journal.offset,
      journal.lines,
      journal.broken,
      journal.torn,
      journal.lastEventAt,
      journal.lastBeatAt,
      now,
      mono,
      journal.id,
    );
  }
}
