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
import { type Database, LOCK, lockNumber, type Session } from './database.ts';
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

/** `busy`: another takes it in. `more`: there is more of it to take in. `done`: there was nothing more at the time. */
export type TakenIn = { state: 'busy' | 'more' | 'done'; samples: number; revision: number | null };

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

  /** One transaction's worth of a run, or with '' of the project's own journals. */
  async run(space: string, run: string): Promise<TakenIn> {
    return this.#change(space, run, async (session, scratch) => {
      const { segments, more } = await readSegments(
        session,
        this.#objects,
        run,
        scratch.offsets(),
        this.#most,
      );
      if (segments.length === 0) return { work: [], more: false };
      await prepareConsole(session, scratch, segments);
      return { work: stretchesOf(scratch.run, segments), more };
    });
  }

  async #change(
    space: string,
    run: string,
    look: (
      session: Session,
      scratch: Scratch,
    ) => Promise<{ work: ((batch: Batch) => void)[]; more: boolean }>,
  ): Promise<TakenIn> {
    const name = `${space}/${run}`;
    let scratch: Scratch | undefined;
    try {
      const taken = await this.#database.transaction(space, async (session): Promise<TakenIn> => {
        const [locked] = await session.rows('SELECT pg_try_advisory_xact_lock($1, $2) AS mine', [
          LOCK.run,
          lockNumber(space, run),
        ]);
        if (locked?.mine !== true) return { state: 'busy', samples: 0, revision: null };
        const [waiting] = await session.rows('SELECT version FROM work WHERE run = $1', [run]);
        scratch = await this.#scratch(session, name, run);
        const { work, more } = await look(session, scratch);
        let samples = 0;
        let revision: number | null = null;
        if (work.length > 0) {
          const { taken, changes } = await scratch.apply(session, work);
          samples = taken.samples;
          if (changes.tables.length > 0) {
            revision = await saveChanges(session, space, scratch, changes);
            if (samples > 0) {
              await session.change('UPDATE waddle.spaces SET samples = samples + $1 WHERE name = $2', [
                samples,
                space,
              ]);
            }
          }
        }
        if (!more && waiting !== undefined) {
          await session.change('DELETE FROM work WHERE run = $1 AND version = $2', [run, waiting.version]);
        }
        return { state: more ? 'more' : 'done', samples, revision };
      });
      if (scratch !== undefined) this.#keep(name, scratch, taken.revision);
      return taken;
    } catch (error) {
      // What it holds is not what the database has.
      scratch?.close();
      throw error;
    }
  }

  /** One that is known to hold what the database has; taken out of the kept ones until the transaction is over. */
  async #scratch(session: Session, name: string, run: string): Promise<Scratch> {
    const kept = this.#scratches.get(name);
    this.#scratches.delete(name);
    if (run === '') {
      const scratch = new Scratch(null, 0, CLOCK);
      await scratch.load(session);
      return scratch;
    }
    const [row] = await session.rows('SELECT num, revision FROM runs WHERE id = $1', [run]);
    if (kept !== undefined) {
      if (row !== undefined && kept.version === Number(row.revision)) return kept;
      kept.close();
    }
    const num = row?.num ?? (await session.rows("SELECT nextval('run_numbers') AS num"))[0]?.num;
    const scratch = new Scratch(run, Number(num), CLOCK);
    await scratch.load(session);
    scratch.version = Number(row?.revision ?? -1);
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
