import type { ObjectStore } from '../blobs/object-store.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { collectDaily, markObjects } from './collect-garbage.ts';
import type { Database } from './database.ts';

/** Milliseconds: from the start to the first look, and between looks. */
const FIRST_MS = 10 * 60_000;
const LOOK_MS = 60 * 60_000;
/** Where the objects cannot be reached. */
const AGAIN_MS = 10_000;

/** Marks the objects as this database's, and collects garbage when it is due. Must be closed. */
export class GarbageChore {
  readonly #database: Database;
  readonly #objects: ObjectStore;
  readonly #failed: (error: unknown) => void;
  #timer: NodeJS.Timeout | undefined;
  #work: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();

  constructor(database: Database, objects: ObjectStore, failed: (error: unknown) => void) {
    this.#database = database;
    this.#objects = objects;
    this.#failed = failed;
    this.#next(0, () => this.#mark());
  }

  #next(ms: number, work: () => Promise<void>): void {
    if (this.#closing.signal.aborted) return;
    this.#timer = setTimeout(() => {
      this.#work = work();
    }, ms);
    this.#timer.unref();
  }

  async #mark(): Promise<void> {
    try {
      await markObjects(this.#database, this.#objects);
      this.#next(FIRST_MS, () => this.#look());
    } catch (error) {
      this.#tell(error);
      this.#next(AGAIN_MS, () => this.#mark());
    }
  }

  async #look(): Promise<void> {
    await collectDaily(this.#database, this.#objects, this.#closing.signal).catch((error: unknown) =>
      this.#tell(error),
    );
    this.#next(LOOK_MS, () => this.#look());
  }

  /** What may pass is nobody's concern. */
  #tell(error: unknown): void {
    const passing = error instanceof WaddleError && error.code.endsWith('-unreachable');
    if (!this.#closing.signal.aborted && !passing) this.#failed(error);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#timer);
    await this.#work;
  }
}
