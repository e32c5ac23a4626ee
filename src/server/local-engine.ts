import { WaddleError } from '../errors/waddle-error.ts';
import { answerNow } from '../store/answer-now.ts';
import type { Store } from '../store/open.ts';
import type { Engine, Question } from '../store/question.ts';

/** How often it is looked whether another file stands at the path, in milliseconds. */
const FILE_MS = 1000;
/** How often the revision is looked at while somebody listens, in milliseconds: other processes write it too. */
const LOOK_MS = 40;

/**
 * SQLite as the server's engine, for as long as the server is up. The database may be deleted or rebuilt meanwhile: then
 * the new one is opened, and its epoch tells every live client.
 */
export class LocalEngine implements Engine {
  readonly breadth = 1;
  readonly #open: () => Store;
  readonly #bug: (error: unknown) => void;
  readonly #listeners = new Set<() => void>();
  #store: Store;
  #lookedAtFile = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #seen = '';

  /** @param open is called again where the file was removed or replaced */
  constructor(open: () => Store, bug: (error: unknown) => void) {
    this.#open = open;
    this.#bug = bug;
    this.#store = open();
  }

  /** The database of now; not to be kept over an await. */
  get store(): Store {
    const now = performance.now();
    if (now - this.#lookedAtFile > FILE_MS && !this.#store.db.isTransaction) {
      this.#lookedAtFile = now;
      if (this.#store.replaced) {
        const fresh = this.#open();
        this.#store.close();
        this.#store = fresh;
      }
    }
    return this.#store;
  }

  async answer<T>(question: Question<T>): Promise<T> {
    return answerNow(this.store, question);
  }

  onChange(changed: () => void): () => void {
    this.#listeners.add(changed);
    this.#timer ??= setInterval(() => this.look(), LOOK_MS);
    return () => {
      this.#listeners.delete(changed);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#seen = '';
    };
  }

  look(): void {
    if (this.#listeners.size === 0) return;
    try {
      const { store } = this;
      const state = `${store.epoch} ${store.revision}`;
      if (state === this.#seen) return;
      this.#seen = state;
    } catch (error) {
      // A store that is busy or moved away is tried again at the next look.
      if (error instanceof WaddleError) this.#seen = '';
      else this.#bug(error);
      return;
    }
    for (const changed of this.#listeners) changed();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    this.#listeners.clear();
    this.#store.close();
  }
}
