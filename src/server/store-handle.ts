import { statSync } from 'node:fs';
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
  #inode: number | null;
  #looked = performance.now();

  constructor(open: () => Store) {
    this.#open = open;
    this.#store = open();
    this.#inode = inodeOf(this.#store.path);
  }

  /** The database of now; not to be kept over an await. */
  get store(): Store {
    const now = performance.now();
    if (now - this.#looked > LOOK_MS && !this.#store.db.isTransaction) {
      this.#looked = now;
      const inode = inodeOf(this.#store.path);
      if (inode !== this.#inode) {
        const fresh = this.#open();
        this.#store.close();
        this.#store = fresh;
        this.#inode = inodeOf(fresh.path);
      }
    }
    return this.#store;
  }

  close(): void {
    this.#store.close();
  }
}

/** Null where there is no file (a database in memory has none). */
function inodeOf(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.ino ?? null;
}
