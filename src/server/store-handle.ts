import type { Store } from '../store/open.ts';

/** How often the file is looked at, in milliseconds. */
const LOOK_MS = 1000;

/**
 * The database for as long as the server is up. It may be deleted or rebuilt meanwhile: then the new one is opened, and
 * its epoch tells every live client. Must be closed.
 */
export class StoreHandle {
  readonly #open: () => Store;
  #store: Store;
  #looked = performance.now();

  constructor(open: () => Store) {
    this.#open = open;
    this.#store = open();
  }

  /** The database of now; not to be kept over an await. */
  get store(): Store {
    const now = performance.now();
    if (now - this.#looked > LOOK_MS && !this.#store.db.isTransaction) {
      this.#looked = now;
      if (this.#store.replaced) {
        const fresh = this.#open();
        this.#store.close();
        this.#store = fresh;
      }
    }
    return this.#store;
  }

  close(): void {
    this.#store.close();
  }
}
