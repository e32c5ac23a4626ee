import { decodeNumber, type ParsedLine } from '../events/line.ts';
import type { EventOf } from '../events/schema.ts';
import { deriveRun } from './derive-run.ts';
import { EventRows, noted } from './event-rows.ts';
import {
  type JournalState,
  loadJournal,
  newJournal,
  type ReaderClock,
  writeJournals,
} from './journal-state.ts';
import type { Store } from './open.ts';
import { flattenFamily } from './params.ts';
import { purgeProject, purgeRun } from './purge.ts';
import { writeRunText } from './run-text.ts';
import { type SampleSink, sampleTables } from './sample-tables.ts';
import { MAX_SEQ } from './schema.ts';
import { loadSeries, newSeries, type SeriesState, summariseMetric, writeSamples } from './series.ts';
import { resolveTag } from './tags.ts';

/** A line that could not be read, and where it stands. */
export interface BrokenLine {
  run: string | null;
  writer: string;
  /** Plain bytes from the journal's beginning. */
  offset: number;
  reason: string;
}

/** What one transaction brought. `revision` is null where it changed nothing. */
export interface Applied {
  revision: number | null;
  lines: number;
  samples: number;
  broken: BrokenLine[];
}

export interface ApplierOptions {
  clock: ReaderClock;
  /** Samples in one part of a series; less only in tests. */
  maxSeq?: number;
  /** Where samples go; without it, to the store's own tables. */
  sink?: SampleSink;
}

/** Series kept in memory between transactions; past it they are read again. About 1 KB each. */
const CACHED_SERIES = 20_000;
/** Revisions whose changes are kept for live clients. */
const KEPT_REVISIONS = 4096;
/** Beyond this, seconds since the epoch are no time (the year 5138); they would not fit milliseconds either. */
const MAX_TIME = 1e11;

/**
 * Turns events into rows. The offset of each journal commits together with the rows it became, so that whoever applies,
 * however often it is killed, each event counts once. What it remembers between transactions holds only while nobody else
 * has written: the database's epoch and revision tell.
 */
export class Applier {
  readonly store: Store;
  readonly #clock: ReaderClock;
  readonly #maxSeq: number;
  readonly #sink: SampleSink;
  #journals = new Map<string, JournalState>();
  #seen = '';

  constructor(store: Store, options: ApplierOptions) {
    this.store = store;
    this.#clock = options.clock;
    this.#maxSeq = options.maxSeq ?? MAX_SEQ;
    this.#sink = options.sink ?? sampleTables(store);
  }

  /** Runs `work` in one transaction. Where it throws, nothing of it is kept, in memory neither. */
  transact(work: (batch: Batch) => void): Applied {
    try {
      return this.store.transaction(() => {
        const revision = this.store.revision;
        const state = `${this.store.epoch} ${revision}`;
        if (state !== this.#seen) this.#journals.clear();
        const batch = new Batch(
          this.store,
          this.#journals,
          revision + 1,
          this.#clock,
          this.#maxSeq,
          this.#sink,
        );
        work(batch);
        const applied = batch.finish();
        this.#seen = `${this.store.epoch} ${applied.revision ?? revision}`;
        this.#forget(batch);
        return applied;
      });
    } catch (error) {
      this.#journals.clear();
      throw error;
    }
  }

  /** Keeps what the next transaction is likely to need: journals that go on, above all those of this one. */
  #forget(batch: Batch): void {
    let cached = 0;
    for (const [name, journal] of this.#journals) {
      if (journal.closed) this.#journals.delete(name);
      else cached += journal.series.size;
    }
    if (cached > CACHED_SERIES) this.#journals.clear();
    if (cached <= CACHED_SERIES / 8) return;
    for (const [name, journal] of this.#journals) if (!batch.read(journal)) this.#journals.delete(name);
  }
}

/** One transaction's work. Samples gather in memory and are written by series at its end, so that pages fill. */
export class Batch {
  readonly store: Store;
  readonly revision: number;
  readonly #journals: Map<string, JournalState>;
  readonly #clock: ReaderClock;
  readonly #maxSeq: number;
  readonly #sink: SampleSink;
  readonly #rows: EventRows;
  readonly #advanced = new Set<JournalState>();
  readonly #series = new Set<SeriesState>();
  readonly #alive = new Set<number>();
  readonly #broken: BrokenLine[] = [];
  #changed = false;
  lines = 0;
  samples = 0;

  constructor(
    store: Store,
    journals: Map<string, JournalState>,
    revision: number,
    clock: ReaderClock,
    maxSeq: number,
    sink: SampleSink,
  ) {
    this.store = store;
    this.revision = revision;
    this.#rows = new EventRows(store, revision);
    this.#journals = journals;
    this.#clock = clock;
    this.#maxSeq = maxSeq;
    this.#sink = sink;
  }

  /** The journal, with its run made where it is new. `runId` null is the project's own. */
  journal(runId: string | null, writer: string): JournalState {
    const name = `${runId ?? ''}/${writer}`;
    let journal = this.#journals.get(name);
    if (journal === undefined) {
      const run = runId === null ? 0 : this.#run(runId);
      journal = loadJournal(this.store, run, runId, writer) ?? this.#newJournal(run, runId, writer);
      this.#journals.set(name, journal);
    }
    return journal;
  }

  /** Where to read on in a journal, without making anything: 0 where it is new. */
  offsetOf(runId: string | null, writer: string): number {
    const known = this.#journals.get(`${runId ?? ''}/${writer}`);
    if (known !== undefined) return known.offset;
    const row = this.store
      .prepare(
        'SELECT offset FROM journals WHERE run = coalesce((SELECT num FROM runs WHERE id = ?), 0) AND writer = ?',
      )
      .get(runId, writer);
    return Number(row?.offset ?? 0);
  }

  /** Forgets all of a run; with null, all that the project's own journals said. */
  purge(runId: string | null): void {
    this.#journals.clear();
    this.#changed = true;
    if (runId === null) purgeProject(this.store, this.revision);
    else purgeRun(this.store, runId);
  }

  #run(id: string): number {
    const found = this.store.prepare('SELECT num FROM runs WHERE id = ?').get(id);
    if (found !== undefined) return Number(found.num);
    const { lastInsertRowid } = this.store
      .prepare(
        `INSERT INTO runs (id, name, project, status, journal_status, removed, revision, status_revision)
         VALUES (?, ?, 'default', 'running', 'running',
           coalesce((SELECT removed FROM tombstones WHERE run = ?), 0), ?, ?)`,
      )
      .run(id, id, id, this.revision, this.revision);
    const num = Number(lastInsertRowid);
    this.#rows.derive.add(num);
    return num;
  }

  #newJournal(run: number, runId: string | null, writer: string): JournalState {
    this.#changed = true;
    return newJournal(this.store, this.#clock, run, runId, writer);
  }

  /** Applies one line. `place` is its plain offset. */
  apply(journal: JournalState, place: number, line: ParsedLine): void {
    // First, since the line that was torn may be a broken one, which is reported at the same place.
    this.#mend(journal);
    this.lines += 1;
    journal.lines += 1;
    if (line.type === 'unknown') return;
    if (line.type === 'broken') {
      this.#breaks(journal, place, line.reason);
      return;
    }
    const { event } = line;
    if (Math.abs(event.t) > MAX_TIME) {
      this.#breaks(journal, place, `a time ("t") out of range: ${event.t}`);
      return;
    }
    if (journal.lastEventAt === null || event.t > journal.lastEventAt) journal.lastEventAt = event.t;
    if (event.k === 'm') {
      if (journal.run !== 0) this.#metric(journal, place, event);
      return;
    }
    try {
      const reason = this.#rows.write(journal, place, event);
      if (reason !== undefined) this.#breaks(journal, place, reason);
    } catch (error) {
      // One event that does not fit must not hold up its journal; what is wrong with the database itself must.
      if (!isOfTheEvent(error)) throw error;
      this.#breaks(journal, place, `a "${event.k}" event that does not fit: ${error.message}`);
    }
  }

  /** Whether this transaction read on in the journal. */
  read(journal: JournalState): boolean {
    return this.#advanced.has(journal);
  }

  /** Says that the journal is read up to `next`. */
  advance(journal: JournalState, next: number): void {
    if (next === journal.offset) return;
    journal.offset = next;
    this.#changed = true;
    this.#advanced.add(journal);
    this.#mend(journal);
    if (journal.run === 0) return;
    this.#rows.touched.add(journal.run);
    if (!journal.writer.startsWith('edits-')) this.#alive.add(journal.run);
  }

  /** Reports the unfinished last line of a writer that is gone; where it goes on after all, the report is taken back. */
  tear(journal: JournalState): void {
    if (journal.torn !== null) return;
    journal.torn = journal.offset;
    this.#advanced.add(journal);
    this.#changed = true;
    this.#breaks(journal, journal.offset, 'unfinished, and its writer is gone');
  }

  /** Takes back what `tear` reported. */
  #mend(journal: JournalState): void {
    if (journal.torn === null) return;
    this.store
      .prepare('DELETE FROM broken_lines WHERE journal = ? AND offset = ?')
      .run(journal.id, journal.torn);
    journal.torn = null;
    journal.broken -= 1;
  }

  /** Judges a run `crashed`: its journals say that it runs, and nobody lives. */
  crash(run: number): void {
    this.store
      .prepare("UPDATE runs SET status = 'crashed', status_revision = ? WHERE num = ?")
      .run(this.revision, run);
    this.#rows.derive.add(run);
    this.#changed = true;
  }

  #breaks(journal: JournalState, offset: number, reason: string): void {
    this.store
      .prepare('INSERT OR IGNORE INTO broken_lines (journal, offset, reason) VALUES (?, ?, ?)')
      .run(journal.id, offset, reason);
    journal.broken += 1;
    this.#broken.push({ run: journal.runId, writer: journal.writer, offset, reason });
  }

  #metric(journal: JournalState, place: number, event: EventOf<'m'>): void {
    const step = event.s;
    if (!Number.isFinite(step)) {
      this.#breaks(journal, place, `a metric with a step out of range: ${step}`);
      return;
    }
    const ms = Math.round(event.t * 1000);
    const values: Record<string, unknown> = event.v;
    for (const key in values) {
      let value = values[key];
      if (typeof value !== 'number') {
        value = decodeNumber(value);
        if (value === undefined) {
          this.#breaks(journal, place, `a metric whose value is no number: ${JSON.stringify(key)}`);
          continue;
        }
      }
      const series = journal.series.get(key) ?? this.#openSeries(journal, key, ms);
      if (series.steps.length === 0) this.#series.add(series);
      series.steps.push(step);
      series.times.push(ms);
      series.values.push(value as number);
      this.samples += 1;
    }
  }

  /** Keys become well-formed Unicode, as SQLite will have them; two that then are one are one series. */
  #openSeries(journal: JournalState, rawKey: string, ms: number): SeriesState {
    const key = rawKey.toWellFormed();
    const { run, writer } = journal;
    const series =
      journal.series.get(key) ??
      loadSeries(this.store, run, writer, key, this.#sink) ??
      newSeries(this.store, { run, writer, key, part: 0 }, ms);
    journal.series.set(key, series);
    journal.series.set(rawKey, series);
    return series;
  }

  /** Writes what gathered. Called once, by the applier. */
  finish(): Applied {
    if (this.#changed) {
      this.#writeSeries();
      for (const [run, families] of this.#rows.families) {
        for (const family of families) flattenFamily(this.store, run, family);
      }
      writeJournals(this.store, this.#clock, this.#advanced);
      for (const run of this.#rows.derive) deriveRun(this.store, run, this.revision, this.#alive.has(run));
      this.#touchRuns();
      // After the runs: Waddle's own tags are read off the run's snapshot and drift.
      for (const [run, keys] of this.#rows.tags) {
        for (const key of keys) resolveTag(this.store, run, key, this.revision);
      }
      for (const run of new Set([
        ...this.#rows.families.keys(),
        ...this.#rows.derive,
        ...this.#rows.tags.keys(),
      ])) {
        writeRunText(this.store, run);
      }
      this.#rows.writeConsoleChanges();
      this.#writeMeta();
    }
    return {
      revision: this.#changed ? this.revision : null,
      lines: this.lines,
      samples: this.samples,
      broken: this.#broken,
    };
  }

  #writeSeries(): void {
    const change = this.store.prepare(
      'INSERT INTO changes (revision, series, seq0, seq1) VALUES (?, ?, ?, ?)',
    );
    const metrics = new Map<number, Set<string>>();
    // In the order of their ids, which is the order of the rows on disk.
    for (const first of [...this.#series].sort((a, b) => a.id - b.id)) {
      let series = first;
      for (;;) {
        const { seq0, seq1 } = writeSamples(this.store, series, this.revision, this.#maxSeq, this.#sink);
        if (seq1 >= seq0) change.run(this.revision, series.id, seq0, seq1);
        if (series.steps.length === 0) break;
        series = this.#nextPart(series);
      }
      noted(metrics, series.run, series.key);
    }
    for (const [run, keys] of metrics) {
      for (const key of keys) summariseMetric(this.store, run, key, this.revision);
    }
  }

  /** Goes on in a new part, with the samples that the full one could not take. */
  #nextPart(full: SeriesState): SeriesState {
    const { run, writer, key } = full;
    const part = newSeries(this.store, { run, writer, key, part: full.part + 1 }, full.times[0] ?? 0);
    part.steps = full.steps;
    part.times = full.times;
    part.values = full.values;
    for (const journal of this.#journals.values()) {
      for (const [name, series] of journal.series) if (series === full) journal.series.set(name, part);
    }
    return part;
  }

  #touchRuns(): void {
    for (const run of this.#rows.touched) {
      if (this.#rows.derive.has(run)) continue;
      const judged = this.store.prepare('SELECT status, journal_status FROM runs WHERE num = ?').get(run);
      if (judged === undefined) continue;
      // New events of a run that was judged crashed undo that.
      if (this.#alive.has(run) && judged.status !== judged.journal_status) {
        deriveRun(this.store, run, this.revision, true);
        continue;
      }
      this.store
        .prepare(
          `UPDATE runs SET revision = ?, last_event_at =
            (SELECT max(last_event_at) FROM journals WHERE run = ? AND writer NOT LIKE 'edits-%') WHERE num = ?`,
        )
        .run(this.revision, run, run);
    }
  }

  #writeMeta(): void {
    const set = this.store.prepare('UPDATE meta SET value = ? WHERE key = ?');
    set.run(this.revision, 'revision');
    if (this.#rows.clockSeen > 0) {
      this.store
        .prepare("UPDATE meta SET value = max(value, ?) WHERE key = 'clock'")
        .run(this.#rows.clockSeen);
    }
    if (this.revision % 64 !== 0) return;
    const floor = this.revision - KEPT_REVISIONS;
    if (floor <= 0) return;
    this.store.prepare('DELETE FROM changes WHERE revision <= ?').run(floor);
    this.store.prepare('DELETE FROM console_changes WHERE revision <= ?').run(floor);
    set.run(floor, 'changes_from');
  }
}

/** SQLite's codes for a value that does not fit: too big, constraint, mismatch, out of range. */
const VALUE_ERRORS = [18, 19, 20, 25];

function isOfTheEvent(error: unknown): error is Error {
  if (error instanceof RangeError || error instanceof TypeError) return true;
  if (!(error instanceof Error)) return false;
  const { code, errcode } = error as { code?: unknown; errcode?: unknown };
  if (code === 'ERR_SQLITE_ERROR') return VALUE_ERRORS.includes(Number(errcode) & 0xff);
  return code === 'ERR_INVALID_ARG_VALUE' || code === 'ERR_INVALID_ARG_TYPE';
}
