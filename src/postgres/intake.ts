/** Takes in what was received, in every collector at once, and keeps a space tidy. */
import type { ObjectStore } from '../blobs/object-store.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { compactSegments } from './compact-segments.ts';
import { type Database, schemaName } from './database.ts';
import { type Handed, HandedPieces } from './handed-pieces.ts';
import type { Notices } from './listener.ts';
import { TakeIn, type TakenIn } from './take-in.ts';
import { type ReceivedPieces, WORK_CHANNEL } from './team-journals.ts';

/** Milliseconds: where a notice got lost, and where there was trouble. */
const LOOK_MS = 1000;
/** What a collector receives it takes in itself. Others help with what has waited so long, in seconds. */
const OTHERS_S = 2;
const TIDY_MS = 60_000;
/** Another takes it in at this moment. Milliseconds. */
const BUSY_MS = 50;

export interface IntakeOptions {
  database: Database;
  listener: Notices;
  objects: ObjectStore;
  space: string;
  /** Runs that are taken in at a time. */
  hands?: number;
  failed(error: unknown): void;
}

/** Must be closed. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #takeIn: TakeIn;
  readonly #workSql: string;
  /** Runs with something to take in, the first first. */
  readonly #waiting = new Set<string>();
  readonly #handed = new HandedPieces();
  readonly #running = new Set<string>();
  readonly #loops: Promise<void>[];
  readonly #timers: NodeJS.Timeout[];
  readonly #stopListening: () => void;
  #wake: (() => void)[] = [];
  #looking = false;
  #closed = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    const { database, objects, listener, space, hands = 2 } = options;
    const read = async (name: string) => {
      const bytes = await objects.get(name);
      if (bytes === null) throw new Error(`an object is gone: ${name}`);
      return bytes;
    };
    this.#takeIn = new TakeIn({ database, objects: { read } });
    this.#workSql = `SELECT run FROM ${schemaName(space)}.work
      WHERE retry_at <= now() AND since <= now() - $1 * interval '1 second' ORDER BY since LIMIT 100`;
    this.#stopListening = listener.on(WORK_CHANNEL, (payload) => {
      if (payload === null || payload === space) void this.#look(0);
    });
    this.#loops = Array.from({ length: hands }, () => this.#loop());
    const look = setInterval(() => void this.#look(OTHERS_S), LOOK_MS);
    const tidy = setInterval(() => void this.tidy().catch(options.failed), TIDY_MS);
    this.#timers = [look, tidy];
    for (const timer of this.#timers) timer.unref();
    void this.#look(0);
  }

  /** What this collector has just received, before others can know of it. */
  hand(received: ReceivedPieces): void {
    this.#handed.add(received);
    this.#await(received.run);
  }

  #await(run: string): void {
    this.#waiting.add(run);
    this.#wake.shift()?.();
  }

  /** Looks for what has waited for so many seconds. */
  async #look(seconds: number): Promise<void> {
    if (this.#looking || this.#closed) return;
    this.#looking = true;
    try {
      for (const { run } of await this.#options.database.ask(this.#workSql, [seconds])) {
        if (!this.#running.has(String(run))) this.#await(String(run));
      }
    } catch (error) {
      // PostgreSQL is away, or the space is being made: what was received waits.
      if (!(error instanceof WaddleError)) this.#options.failed(error);
    } finally {
      this.#looking = false;
    }
  }

  async #loop(): Promise<void> {
    while (!this.#closed) {
      const run = this.#next();
      if (run === undefined) {
        await new Promise<void>((wake) => this.#wake.push(wake));
        continue;
      }
      try {
        await this.#take(run);
      } catch (error) {
        if (!(error instanceof WaddleError)) this.#options.failed(error);
      }
    }
  }

  #next(): string | undefined {
    for (const run of this.#waiting) {
      if (this.#running.has(run)) continue;
      this.#waiting.delete(run);
      return run;
    }
    return undefined;
  }

  /** Takes in what there is of a run, unless another does. */
  async #take(run: string): Promise<void> {
    this.#running.add(run);
    try {
      for (;;) {
        // All that came up to here is seen by what follows.
        this.#waiting.delete(run);
        const handed = this.#handed.take(run);
        const state = await this.#takeOnce(run, handed);
        if (state === 'busy') setTimeout(() => this.#await(run), BUSY_MS).unref();
        if (state !== 'more' || this.#closed) return;
        // What came meanwhile is about to be handed on, or another has received it and takes it in.
        if (handed !== null && !this.#handed.has(run)) return;
      }
    } catch (error) {
      this.#handed.forget(run);
      if (error instanceof WaddleError) throw error;
      await this.#postpone(run, error);
    } finally {
      this.#running.delete(run);
      // What came meanwhile found both hands busy, or this one at the same run.
      if (this.#waiting.has(run)) this.#wake.shift()?.();
    }
  }

  async #takeOnce(run: string, handed: Handed | null): Promise<TakenIn['state']> {
    const taken = await this.#takeIn.run(this.#options.space, run, handed);
    if (taken.state === 'busy') this.#handed.forget(run);
    else this.#handed.taken(run, taken.work, taken.state === 'done');
    return taken.state;
  }

  /** Takes in what has come of a run, at once, unless another does. */
  async now(run: string): Promise<void> {
    for (;;) {
      const { state } = await this.#takeIn.run(this.#options.space, run);
      if (state === 'done') return;
      if (state === 'busy') await new Promise((wake) => setTimeout(wake, 10));
    }
  }

  /** What cannot be taken in now holds up no other run, and is tried again, less and less often. */
  async #postpone(run: string, error: unknown): Promise<void> {
    const { database, space, failed } = this.#options;
    failed(error);
    const message = error instanceof Error ? error.message : String(error);
    await database.transaction(space, (session) =>
      session.change(
        `UPDATE work SET failed = failed + 1, error = $2,
           retry_at = now() + least(300, power(2, least(failed, 10))) * interval '1 second' WHERE run = $1`,
        [run, message.replaceAll('\0', '').slice(0, 1000)],
      ),
    );
  }

  /**
   * Puts small segments together. A run that went silent stays as it last said: nobody here can tell whether its processes
   * live, and the page shows the age of what is known.
   */
  async tidy(): Promise<void> {
    const { database, objects, space } = this.#options;
    await compactSegments(database, objects, space);
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#stopListening();
    for (const wake of this.#wake.splice(0)) wake();
    await Promise.all(this.#loops);
    this.#takeIn.close();
  }
}
