/**
 * Takes journals in: what was received becomes rows. Any number of collectors do so at once; a run is taken in by one of
 * them at a time. A journal's offset, the rows it became and the revision commit together, so each event counts once,
 * wherever a collector is killed.
 */
import type { ParsedLine } from '../events/line.ts';
import { parseLine } from '../events/line.ts';
import type { Batch } from '../store/apply.ts';
import type { ReaderClock } from '../store/journal-state.ts';
import { cleanEvent } from './clean-event.ts';
import { type Database, LOCK, lockNumber, type Row, type Session } from './database.ts';
import type { Handed, WorkMark } from './handed-pieces.ts';
import { saveChanges } from './save.ts';
import { Scratch } from './scratch.ts';
import { readSegments, type Segment, type SegmentObjects } from './segments.ts';

/** Plain bytes of one transaction, some 50,000 samples. */
const TRANSACTION_BYTES = 2 * 1024 * 1024;
/** Plain bytes that are applied at a stretch: some 10 ms, in which nothing else is answered. */
const STRETCH_BYTES = 128 * 1024;
/** Weight of the scratches that are kept, in series, each about 2 KB. */
const KEPT_WEIGHT = 20_000;

export interface TakeInOptions {
  database: Database;
  objects: SegmentObjects;
  /** Plain bytes of one transaction; less only in tests. */
  transactionBytes?: number;
}

/**
 * `busy`: another takes it in. `more`: there is more of it to take in. `done`: there was nothing more at the time, and its row in
 * `work` is gone. `work`: that row as far as it was taken in; null where there was none.
 */
export interface TakenIn {
  state: 'busy' | 'more' | 'done';
  samples: number;
  revision: number | null;
  work: WorkMark | null;
}

/** Where a run stands. One row. */
const STATE = `SELECT w.since::text AS since, w.version, r.num, r.revision FROM (SELECT $1::text AS run) k
  LEFT JOIN work w ON w.run = k.run LEFT JOIN runs r ON r.id = k.run`;
const DONE = 'DELETE FROM work WHERE run = $1 AND version = $2 RETURNING run';

/**
 * Both of a collector's clocks are the wall clock: what one collector wrote another reads, and their monotonic clocks have
 * nothing in common.
 */
const CLOCK: ReaderClock = { now: () => Date.now(), mono: () => Date.now() };

/** Runs' scratches stay in memory while they are being written to; must be closed. */
export class TakeIn {
  readonly #database: Database;
  readonly #objects: SegmentObjects;
  readonly #most: number;
  /** By space and run, the one that was used last at the end. */
  readonly #scratches = new Map<string, Scratch>();

  constructor({ database, objects, transactionBytes = TRANSACTION_BYTES }: TakeInOptions) {
    this.#database = database;
    this.#objects = objects;
    this.#most = transactionBytes;
  }

  /**
   * One transaction's worth of a run, or with '' of the project's own journals.
   * @param handed what of it is here already
   */
  async run(space: string, run: string, handed: Handed | null = null): Promise<TakenIn> {
    const name = `${space}/${run}`;
    let scratch: Scratch | undefined;
    try {
      const lock = [LOCK.run, lockNumber(space, run)] as const;
      const taken = await this.#database.locked(space, lock, async (session): Promise<TakenIn> => {
        const [state] = await session.prepared(STATE, [run]);
        if (state === undefined) throw new Error('PostgreSQL gave no row');
        const waiting = state.since === null ? null : markOf(state);
        scratch = await this.#scratch(session, name, run, state);
        const { segments, to } =
          segmentsOf(scratch, handed, waiting) ?? (await this.#received(session, run, scratch, waiting));
        const more = waiting !== null && to < waiting.version;
        // What comes meanwhile makes the row a later one, and stays.
        const done = waiting === null || more ? [] : [{ sql: DONE, values: [run, waiting.version] }];
        let [samples, revision, gone]: [number, number | null, boolean] = [0, null, false];
        if (segments.length > 0) {
          await prepareConsole(session, scratch, segments);
          const { taken, changes } = await scratch.apply(session, stretchesOf(scratch.run, segments));
          samples = taken.samples;
          if (changes.tables.length > 0) {
            const saved = await saveChanges(session, space, scratch, changes, done);
            revision = saved.revision;
            gone = saved.also.every((rows) => rows > 0);
          }
        }
        if (revision === null) {
          for (const { sql, values } of done) gone = (await session.prepared(sql, values)).length > 0;
        }
        const finished = waiting === null || (done.length > 0 && gone);
        const work = waiting === null ? null : { since: waiting.since, version: more ? to : waiting.version };
        return { state: finished ? 'done' : 'more', samples, revision, work };
      });
      if (taken === null) return { state: 'busy', samples: 0, revision: null, work: null };
      if (scratch !== undefined) this.#keep(name, scratch, taken.revision);
      return taken;
    } catch (error) {
      // What it holds is not what the database has.
      scratch?.close();
      throw error;
    }
  }

  /** What was received of a run and is not taken in, a transaction's worth of it. */
  async #received(
    session: Session,
    run: string,
    scratch: Scratch,
    waiting: WorkMark | null,
  ): Promise<{ segments: Segment[]; to: number }> {
    const offsets = scratch.offsets();
    const { segments, more } = await readSegments(session, this.#objects, run, offsets, this.#most);
    return { segments, to: more ? -1 : (waiting?.version ?? 0) };
  }

  /** One that is known to hold what the database has; taken out of the kept ones until the transaction is over. */
  async #scratch(session: Session, name: string, run: string, row: Row): Promise<Scratch> {
    const kept = this.#scratches.get(name);
    this.#scratches.delete(name);
    if (run === '') {
      const scratch = new Scratch(null, 0, CLOCK);
      await scratch.load(session);
      return scratch;
    }
    if (kept !== undefined) {
      if (row.num !== null && kept.version === Number(row.revision)) return kept;
      kept.close();
    }
    const num = row.num ?? (await session.rows("SELECT nextval('run_numbers') AS num"))[0]?.num;
    const scratch = new Scratch(run, Number(num), CLOCK);
    await scratch.load(session);
    scratch.version = Number(row.revision ?? -1);
    return scratch;
  }

  #keep(name: string, scratch: Scratch, revision: number | null): void {
    if (revision !== null) scratch.settle(revision);
    if (scratch.run === null || scratch.version < 0) {
      scratch.close();
      return;
    }
    this.#scratches.set(name, scratch);
    let weight = 0;
    for (const each of this.#scratches.values()) weight += each.weight;
    for (const [oldest, each] of this.#scratches) {
      if (weight <= KEPT_WEIGHT || this.#scratches.size === 1) break;
      weight -= each.weight;
      each.close();
      this.#scratches.delete(oldest);
    }
  }

  close(): void {
    for (const scratch of this.#scratches.values()) scratch.close();
    this.#scratches.clear();
  }
}

function markOf(row: Row): WorkMark {
  return { since: String(row.since), version: Number(row.version) };
}

/** What was handed on, where it goes on from where the run stands; else null. */
function segmentsOf(
  scratch: Scratch,
  handed: Handed | null,
  waiting: WorkMark | null,
): { segments: Segment[]; to: number } | null {
  if (handed === null || waiting === null || scratch.run === null) return null;
  if (handed.since !== waiting.since || handed.to > waiting.version) return null;
  const offsets = scratch.offsets();
  const segments: Segment[] = [];
  for (const { writer, at, bytes } of handed.pieces) {
    if (at !== (offsets.get(writer) ?? 0)) return null;
    offsets.set(writer, at + bytes.length);
    segments.push({ writer, at, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) });
  }
  return { segments, to: handed.to };
}

function* linesOf({ at, bytes }: Segment, from: number): Generator<{ start: number; text: string }> {
  for (let start = Math.max(0, from - at); start < bytes.length; ) {
    const newline = bytes.indexOf(10, start);
    const end = newline === -1 ? bytes.length : newline;
    if (end > start) yield { start: at + start, text: bytes.toString('utf8', start, end) };
    start = end + 1;
  }
}

/** Work of some 10 ms each: whole lines of one segment. */
function stretchesOf(run: string | null, segments: readonly Segment[]): ((batch: Batch) => void)[] {
  const works: ((batch: Batch) => void)[] = [];
  for (const { writer, at, bytes } of segments) {
    for (let from = 0; from < bytes.length; ) {
      const newline = bytes.indexOf(10, Math.min(bytes.length - 1, from + STRETCH_BYTES));
      const to = newline === -1 ? bytes.length : newline + 1;
      const stretch = { writer, at: at + from, bytes: bytes.subarray(from, to) };
      works.push((batch) => applyStretch(batch, run, stretch));
      from = to;
    }
  }
  return works;
}

function applyStretch(batch: Batch, run: string | null, stretch: Segment): void {
  const end = stretch.at + stretch.bytes.length;
  const journal = batch.journal(run, stretch.writer);
  if (end <= journal.offset) return;
  for (const { start, text } of linesOf(stretch, journal.offset)) batch.apply(journal, start, readLine(text));
  batch.advance(journal, end);
}

function readLine(text: string): ParsedLine {
  const line = parseLine(text);
  return line.type === 'event' ? cleanEvent(text, line) : line;
}

/** Reads from the database the console lines that these segments may tell otherwise. */
async function prepareConsole(
  session: Session,
  scratch: Scratch,
  segments: readonly Segment[],
): Promise<void> {
  if (scratch.run === null || scratch.version < 0) return;
  const attempts = new Set(scratch.attempts());
  const range = { 1: [Number.POSITIVE_INFINITY, -1], 2: [Number.POSITIVE_INFINITY, -1] } as Record<
    number,
    [number, number]
  >;
  for (const segment of segments) {
    for (const { text } of linesOf(segment, 0)) {
      if (text.startsWith('{"k":"m"')) continue;
      const line = parseLine(text);
      if (line.type !== 'event') continue;
      const { event } = line;
      if (event.k === 'open' && typeof event.attempt === 'string') attempts.add(event.attempt);
      if (event.k !== 'c') continue;
      if (typeof event.a === 'string') attempts.add(event.a);
      const span = range[event.o];
      if (span === undefined) continue;
      span[0] = Math.min(span[0], event.n);
      span[1] = Math.max(span[1], event.n);
    }
  }
  for (const [stream, [from, to]] of Object.entries(range)) {
    if (to < from) continue;
    const rows = await session.rows(
      'SELECT * FROM console WHERE run = $1 AND attempt = ANY($2) AND stream = $3 AND n BETWEEN $4 AND $5',
      [scratch.num, [...attempts], Number(stream), from, to],
    );
    scratch.takeConsole(rows);
  }
}
