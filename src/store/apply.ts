import { decodeNumber, type ParsedLine, stringifyExactJson } from '../events/line.ts';
import type { Event, EventOf } from '../events/schema.ts';
import { deriveRun } from './derive-run.ts';
import { fieldsOf, integerOr, jsonOr, numberOr, textOr } from './lenient.ts';
import type { Store } from './open.ts';
import { flattenFamily, paramFamily } from './params.ts';
import { purgeProject, purgeRun } from './purge.ts';
import { writeRunText } from './run-text.ts';
import { type SampleSink, sampleTables } from './sample-tables.ts';
import { MAX_SEQ } from './schema.ts';
import { loadSeries, newSeries, type SeriesState, summariseMetric, writeSamples } from './series.ts';
import { resolveTag, TAG_CODE_CHANGED, TAG_WORKSPACE_SNAPSHOT } from './tags.ts';

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
  readonly #advanced = new Set<JournalState>();
  readonly #series = new Set<SeriesState>();
  readonly #touched = new Set<number>();
  readonly #alive = new Set<number>();
  readonly #derive = new Set<number>();
  readonly #families = new Map<number, Set<string>>();
  readonly #tags = new Map<number, Set<string>>();
  readonly #console = new Map<
    string,
    { run: number; attempt: string; stream: number; n0: number; n1: number }
  >();
  readonly #broken: BrokenLine[] = [];
  #clockSeen = 0;
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
      journal = this.#loadJournal(run, runId, writer) ?? this.#newJournal(run, runId, writer);
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
    this.#derive.add(num);
    return num;
  }

  #loadJournal(run: number, runId: string | null, writer: string): JournalState | undefined {
    const row = this.store.prepare('SELECT * FROM journals WHERE run = ? AND writer = ?').get(run, writer);
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

  #newJournal(run: number, runId: string | null, writer: string): JournalState {
    const { lastInsertRowid } = this.store
      .prepare('INSERT INTO journals (run, writer, grown_at, grown_mono) VALUES (?, ?, ?, ?)')
      .run(run, writer, this.#clock.now() / 1000, this.#clock.mono() / 1000);
    this.#changed = true;
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
      this.#rare(journal, place, event);
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
    this.#touched.add(journal.run);
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
    this.#derive.add(run);
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

  #rare(journal: JournalState, place: number, event: Event): void {
    if (event.k === 'open') {
      this.#open(journal, event);
      return;
    }
    if (event.k === 'close') {
      journal.closed = true;
      this.store
        .prepare('UPDATE journals SET closed = 1, dropped = ? WHERE id = ?')
        .run(jsonOr(event.dropped), journal.id);
      return;
    }
    if (event.k === 'warning') {
      this.store
        .prepare(
          `INSERT OR IGNORE INTO warnings (run, ts, code, message, hint, writer, place, revision)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
        )
        .run(
          journal.run,
          event.t,
          event.code,
          event.message,
          textOr(event.hint),
          journal.writer,
          place,
          this.revision,
        );
      return;
    }
    if (journal.run === 0) this.#ofProject(journal, place, event);
    else this.#ofRun(journal, place, event);
  }

  #open(journal: JournalState, event: EventOf<'open'>): void {
    journal.attempt = textOr(event.attempt);
    this.store
      .prepare(
        `UPDATE journals SET role = ?, host = ?, user = ?, pid = ?, boot = ?, pidns = ?, started = ?, client = ?,
          attempt = ?, rank = ?, local_rank = ?, world_size = ?, opened_at = ? WHERE id = ?`,
      )
      .run(
        event.role,
        event.host,
        textOr(event.user),
        integerOr(event.pid),
        textOr(event.boot),
        textOr(event.pidns),
        integerOr(event.started),
        event.client,
        textOr(event.attempt),
        integerOr(event.rank),
        integerOr(event.local_rank),
        integerOr(event.world_size),
        event.t,
        journal.id,
      );
    if (journal.run !== 0) this.#derive.add(journal.run);
  }

  #sawClock(clock: number): void {
    if (!Number.isSafeInteger(clock)) throw new RangeError(`a clock out of range: ${clock}`);
    this.#clockSeen = Math.max(this.#clockSeen, clock);
  }

  #ofProject(journal: JournalState, place: number, event: Event): void {
    if (event.k === 'link') {
      this.#sawClock(event.clock);
      this.store
        .prepare(
          `INSERT INTO links (name, path, clock, writer, place) VALUES (?, ?, ?, ?, ?)
           ON CONFLICT (name) DO UPDATE SET path = excluded.path, clock = excluded.clock, writer = excluded.writer,
             place = excluded.place
           WHERE (excluded.clock, excluded.writer, excluded.place) > (links.clock, links.writer, links.place)`,
        )
        .run(
          event.name,
          typeof event.path === 'string' ? event.path : null,
          event.clock,
          journal.writer,
          place,
        );
    } else if (event.k === 'remove' || event.k === 'restore') {
      this.#sawClock(event.clock);
      this.store
        .prepare(
          `INSERT INTO tombstones (run, removed, clock, writer, place, t) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (run) DO UPDATE SET removed = excluded.removed, clock = excluded.clock,
             writer = excluded.writer, place = excluded.place, t = excluded.t
           WHERE (excluded.clock, excluded.writer, excluded.place)
             > (tombstones.clock, tombstones.writer, tombstones.place)`,
        )
        .run(event.run, event.k === 'remove' ? 1 : 0, event.clock, journal.writer, place, event.t);
      const row = this.store
        .prepare(
          `UPDATE runs SET removed = (SELECT removed FROM tombstones WHERE run = ?), revision = ? WHERE id = ?
           RETURNING num`,
        )
        .get(event.run, this.revision, event.run);
      if (row !== undefined) this.#touched.add(Number(row.num));
    }
  }

  #ofRun(journal: JournalState, place: number, event: Event): void {
    const { run, writer } = journal;
    switch (event.k) {
      case 'beat':
        if (journal.lastBeatAt === null || event.t > journal.lastBeatAt) journal.lastBeatAt = event.t;
        return;
      case 'start':
        for (const [key, value] of Object.entries(fieldsOf(event.tags))) {
          this.#tag(run, key, String(value), event.t, writer, place);
        }
        this.#keep(journal, place, event);
        return;
      case 'resume':
      case 'update':
      case 'end':
      case 'job':
      case 'stop':
        this.#keep(journal, place, event);
        return;
      case 'drift':
        this.#keep(journal, place, event);
        noted(this.#tags, run, TAG_CODE_CHANGED);
        return;
      case 'snapshot':
        this.#snapshot(journal, place, event);
        return;
      case 'env':
        this.#environment(journal, place, event);
        return;
      case 'param':
        this.#param(journal, place, event);
        return;
      case 'tag':
        this.#tag(run, event.key, event.value, event.t, writer, place);
        return;
      case 'edit':
        this.#edit(journal, place, event);
        return;
      case 'artifact':
        this.#artifact(journal, place, event);
        return;
      case 'c':
        this.#consoleLine(journal, place, event);
        return;
      default:
      // Links and removals count in the project's own journals only.
    }
  }

  #keep(journal: JournalState, place: number, event: Event): void {
    this.store
      .prepare(
        'INSERT OR IGNORE INTO kept_events (run, writer, place, t, kind, body) VALUES (?, ?, ?, ?, ?, ?)',
      )
      .run(journal.run, journal.writer, place, event.t, event.k, stringifyExactJson(event));
    this.#derive.add(journal.run);
  }

  #snapshot(journal: JournalState, place: number, event: EventOf<'snapshot'>): void {
    const { snapshot } = event;
    this.store
      .prepare(
        `INSERT INTO snapshots (run, writer, t, place, sha, tree, base, store, repository, git_dir, body)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (run, writer) DO UPDATE SET t = excluded.t, place = excluded.place, sha = excluded.sha,
           tree = excluded.tree, base = excluded.base, store = excluded.store, repository = excluded.repository,
           git_dir = excluded.git_dir, body = excluded.body
         WHERE (excluded.t, excluded.place) > (snapshots.t, snapshots.place)`,
      )
      .run(
        journal.run,
        journal.writer,
        event.t,
        place,
        // A clean workspace makes no commit: the code is that of HEAD.
        textOr(snapshot.commit) ?? textOr(snapshot.base),
        textOr(snapshot.tree),
        textOr(snapshot.base),
        textOr(snapshot.store),
        textOr(snapshot.repository),
        textOr(snapshot.git_dir),
        stringifyExactJson(snapshot),
      );
    this.#derive.add(journal.run);
    noted(this.#tags, journal.run, TAG_WORKSPACE_SNAPSHOT);
  }

  #environment(journal: JournalState, place: number, event: EventOf<'env'>): void {
    const { changes } = this.store
      .prepare(
        `INSERT INTO environments (run, t, writer, place) VALUES (?, ?, ?, ?)
         ON CONFLICT (run) DO UPDATE SET t = excluded.t, writer = excluded.writer, place = excluded.place
         WHERE (excluded.t, excluded.writer, excluded.place)
           > (environments.t, environments.writer, environments.place)`,
      )
      .run(journal.run, event.t, journal.writer, place);
    if (changes === 0) return;
    this.store
      .prepare('UPDATE runs SET environment = ? WHERE num = ?')
      .run(stringifyExactJson(event.environment), journal.run);
  }

  #param(journal: JournalState, place: number, event: EventOf<'param'>): void {
    const key = event.key.toWellFormed();
    const { changes } = this.store
      .prepare(
        `INSERT INTO params (run, key, value, t, writer, place, revision) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, t = excluded.t, writer = excluded.writer,
           place = excluded.place, revision = excluded.revision
         WHERE (excluded.t, excluded.writer, excluded.place) > (params.t, params.writer, params.place)`,
      )
      .run(journal.run, key, stringifyExactJson(event.value), event.t, journal.writer, place, this.revision);
    if (changes > 0) noted(this.#families, journal.run, paramFamily(key));
  }

  #tag(run: number, rawKey: string, value: string, t: number, writer: string, place: number): void {
    const key = rawKey.toWellFormed();
    this.store
      .prepare(
        `INSERT INTO tag_facts (run, key, t, writer, place, value) VALUES (?, ?, ?, ?, ?, ?)
         ON CONFLICT (run, key) DO UPDATE SET t = excluded.t, writer = excluded.writer, place = excluded.place,
           value = excluded.value
         WHERE (excluded.t, excluded.writer, excluded.place) > (tag_facts.t, tag_facts.writer, tag_facts.place)`,
      )
      .run(run, key, t, writer, place, value);
    noted(this.#tags, run, key);
  }

  #edit(journal: JournalState, place: number, event: EventOf<'edit'>): void {
    this.#sawClock(event.clock);
    const key = event.field === 'tag' ? (textOr(event.key) ?? '').toWellFormed() : '';
    this.store
      .prepare(
        `INSERT INTO edits (run, field, key, clock, writer, place, t, value) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (run, field, key) DO UPDATE SET clock = excluded.clock, writer = excluded.writer,
           place = excluded.place, t = excluded.t, value = excluded.value
         WHERE (excluded.clock, excluded.writer, excluded.place) > (edits.clock, edits.writer, edits.place)`,
      )
      .run(
        journal.run,
        event.field,
        key,
        event.clock,
        journal.writer,
        place,
        event.t,
        JSON.stringify(event.value),
      );
    if (event.field === 'tag') noted(this.#tags, journal.run, key);
    else this.#derive.add(journal.run);
  }

  #artifact(journal: JournalState, place: number, event: EventOf<'artifact'>): void {
    // It becomes a path under blobs/: nothing but a hash may.
    if (!/^[0-9a-f]{64}$/.test(event.sha256)) {
      this.#breaks(journal, place, 'an artifact whose "sha256" is none');
      return;
    }
    this.store
      .prepare(
        `INSERT OR IGNORE INTO artifacts (run, name, kind, type, created_at, sha256, size, files, mime, writer, place,
          revision, inline) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      )
      .run(
        journal.run,
        event.name.toWellFormed(),
        textOr(event.kind),
        event.type,
        event.t,
        event.sha256,
        numberOr(event.size),
        integerOr(event.files),
        textOr(event.mime),
        journal.writer,
        place,
        this.revision,
        typeof event.inline === 'string' ? Buffer.from(event.inline, 'base64') : null,
      );
  }

  #consoleLine(journal: JournalState, place: number, event: EventOf<'c'>): void {
    const { run } = journal;
    const attempt = textOr(event.a) ?? journal.attempt ?? '';
    // Whole lines beat unfinished ones; then the greatest (time, writer, place), as everywhere.
    this.store
      .prepare(
        `INSERT INTO console (run, attempt, stream, n, ts, partial, journal, place, text)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (run, attempt, stream, n) DO UPDATE SET ts = excluded.ts, partial = excluded.partial,
           journal = excluded.journal, place = excluded.place, text = excluded.text
         WHERE (-excluded.partial, excluded.ts, (SELECT writer FROM journals WHERE id = excluded.journal), excluded.place)
           > (-console.partial, console.ts, (SELECT writer FROM journals WHERE id = console.journal), console.place)`,
      )
      .run(run, attempt, event.o, event.n, event.t, event.p === true ? 1 : 0, journal.id, place, event.x);
    const name = `${run} ${attempt} ${event.o}`;
    const range = this.#console.get(name);
    if (range === undefined) {
      this.#console.set(name, { run, attempt, stream: event.o, n0: event.n, n1: event.n });
    } else {
      range.n0 = Math.min(range.n0, event.n);
      range.n1 = Math.max(range.n1, event.n);
    }
  }

  /** Writes what gathered. Called once, by the applier. */
  finish(): Applied {
    if (this.#changed) {
      this.#writeSeries();
      for (const [run, families] of this.#families) {
        for (const family of families) flattenFamily(this.store, run, family);
      }
      this.#writeJournals();
      for (const run of this.#derive) deriveRun(this.store, run, this.revision, this.#alive.has(run));
      this.#touchRuns();
      // After the runs: Waddle's own tags are read off the run's snapshot and drift.
      for (const [run, keys] of this.#tags) {
        for (const key of keys) resolveTag(this.store, run, key, this.revision);
      }
      for (const run of new Set([...this.#families.keys(), ...this.#derive, ...this.#tags.keys()])) {
        writeRunText(this.store, run);
      }
      this.#writeConsoleChanges();
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

  #writeJournals(): void {
    // One that was sealed, and has grown since, is plain again.
    const update = this.store.prepare(
      `UPDATE journals SET sealed = 0, offset = ?, lines = ?, broken = ?, torn = ?, last_event_at = ?, last_beat_at = ?,
        grown_at = ?, grown_mono = ? WHERE id = ?`,
    );
    const now = this.#clock.now() / 1000;
    const mono = this.#clock.mono() / 1000;
    for (const journal of this.#advanced) {
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

  #touchRuns(): void {
    for (const run of this.#touched) {
      if (this.#derive.has(run)) continue;
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

  #writeConsoleChanges(): void {
    for (const { run, attempt, stream, n0, n1 } of this.#console.values()) {
      this.store
        .prepare(
          'INSERT INTO console_changes (revision, run, attempt, stream, n0, n1) VALUES (?, ?, ?, ?, ?, ?)',
        )
        .run(this.revision, run, attempt, stream, n0, n1);
    }
  }

  #writeMeta(): void {
    const set = this.store.prepare('UPDATE meta SET value = ? WHERE key = ?');
    set.run(this.revision, 'revision');
    if (this.#clockSeen > 0) {
      this.store.prepare("UPDATE meta SET value = max(value, ?) WHERE key = 'clock'").run(this.#clockSeen);
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

function noted(map: Map<number, Set<string>>, run: number, key: string): void {
  const keys = map.get(run);
  if (keys === undefined) map.set(run, new Set([key]));
  else keys.add(key);
}
