import { createHash, type Hash } from 'node:crypto';
import { BLOCK_BYTES, rootOf } from '../journal/root.ts';

/** The root of a journal that is hashed as it grows: each byte once. */
export class JournalHasher {
  /** Plain bytes so far. */
  length = 0;
  #full: Buffer[] = [];
  #tail: Hash = createHash('sha256');

  /** Goes on after whole blocks that are hashed already. */
  static from(full: readonly Buffer[]): JournalHasher {
    const hasher = new JournalHasher();
    hasher.#full = [...full];
    hasher.length = full.length * BLOCK_BYTES;
    return hasher;
  }

  copy(): JournalHasher {
    const copy = new JournalHasher();
    copy.#full = [...this.#full];
    copy.#tail = this.#tail.copy();
    copy.length = this.length;
    return copy;
  }

  update(bytes: Uint8Array): this {
    for (let at = 0; at < bytes.length; ) {
      const room = BLOCK_BYTES - (this.length % BLOCK_BYTES);
      const piece = bytes.subarray(at, at + room);
      this.#tail.update(piece);
      this.length += piece.length;
      at += piece.length;
      if (this.length % BLOCK_BYTES === 0) {
        this.#full.push(this.#tail.digest());
        this.#tail = createHash('sha256');
      }
    }
    return this;
  }

  /** Hashes of all blocks, the last perhaps of an unfinished one. */
  blocks(): Buffer[] {
    return this.length % BLOCK_BYTES === 0 ? [...this.#full] : [...this.#full, this.#tail.copy().digest()];
  }

  root(): string {
    return rootOf(this.blocks());
  }
}

/** The root of an empty journal. */
export const EMPTY_ROOT = rootOf([]);
