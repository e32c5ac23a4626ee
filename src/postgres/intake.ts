/** Takes in what was received, in every collector at once, and keeps a space tidy. */
import type { ObjectStore } from '../blobs/object-store.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { compactSegments } from './compact-segments.ts';
import type { Database } from './database.ts';
import type { Listener } from './listener.ts';
import { TakeIn } from './take-in.ts';
import { WORK_CHANNEL } from './team-journals.ts';

/** Milliseconds: where a notice got lost, and where there was trouble. */
const LOOK_MS = 1000;
const TIDY_MS = 60_000;

export interface IntakeOptions {
  database: Database;
  listener: Listener;
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
  readonly #running = new Set<string>();
  readonly #loops: Promise<void>[];
  readonly #timer: NodeJS.Timeout;
  readonly #stopListening: () => void;
  #wake: (() => void)[] = [];
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
    this.#stopListening = listener.on(WORK_CHANNEL, (payload) => {
      if (payload === null || payload === space) this.#wakeAll();
    });
    this.#loops = Array.from({ length: hands }, () => this.#loop());
    this.#timer = setInterval(() => void this.tidy().catch(options.failed), TIDY_MS);
    this.#timer.unref();
  }

  #wakeAll(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const each of wake) each();
  }

  async #loop(): Promise<void> {
    while (!this.#closed) {
      let did = false;
      try {
        did = await this.#next();
      } catch (error) {
        // PostgreSQL is away, or the space is being made: what was received waits.
        if (!(error instanceof WaddleError)) this.#options.failed(error);
      }
      if (!did && !this.#closed) await this.#pause();
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, LOOK_MS);
      this.#wake.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** Takes in a transaction's worth of one run; false where there is nothing to do. */
  async #next(): Promise<boolean> {
    const { database, space } = this.#options;
    const waiting = await database.transaction(
      space,
      (session) => session.rows('SELECT run FROM work WHERE retry_at <= now() ORDER BY since LIMIT 100'),
      'snapshot',
    );
    for (const row of waiting) {
      const run = String(row.run);
      if (this.#running.has(run)) continue;
      this.#running.add(run);
      try {
        for (;;) {
          const { state } = await this.#takeIn.run(space, run);
          if (state === 'busy') break;
          if (state === 'done' || this.#closed) return true;
        }
      } catch (error) {
        if (error instanceof WaddleError) throw error;
        await this.#postpone(run, error);
        return true;
      } finally {
        this.#running.delete(run);
      }
    }
    return false;
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
    clearInterval(this.#timer);
    this.#stopListening();
    this.#wakeAll();
    await Promise.all(this.#loops);
    this.#takeIn.close();
  }
}
