import type { Subscribe } from '../../protocol/api.ts';
import type { Store } from '../../store/open.ts';
import { type Cursor, cursorAt, formatCursor, parseCursor } from './cursor.ts';
import {
  beginning,
  gapAfter,
  isWanted,
  KeySet,
  nowCursor,
  type Piece,
  readAfter,
  readHistory,
  type Wanted,
} from './frames.ts';

/** Frames read at a time. */
const PIECE = 1000;

/** The pieces that were read last, so that clients who stand at the same place share the reading. */
export class SharedPieces {
  readonly #pieces = new Map<string, Piece>();

  after(store: Store, cursor: Cursor): Piece {
    const name = formatCursor(cursor);
    const known = this.#pieces.get(name);
    if (known !== undefined) return known;
    const piece = readAfter(store, cursor, PIECE);
    // An empty piece says nothing of what will come.
    if (piece.frames.length > 0) {
      if (this.#pieces.size >= 16) this.#pieces.delete(this.#pieces.keys().next().value ?? '');
      this.#pieces.set(name, piece);
    }
    return piece;
  }
}

/** What is to be sent next, and whether there is more right now. */
export interface Outgoing {
  texts: string[];
  more: boolean;
}

/** The plain dialect for one client: all that is new, frame by frame, from where it stands. Holds no data. */
export class PlainStream {
  #cursor: Cursor;
  #wanted: Wanted = {};
  readonly #shared: SharedPieces;

  constructor(store: Store, shared: SharedPieces) {
    this.#cursor = nowCursor(store);
    this.#shared = shared;
  }

  get cursor(): string {
    return formatCursor(this.#cursor);
  }

  subscribe(store: Store, { runs, keys, since }: Subscribe): void {
    this.#wanted = {
      runs: runs === undefined ? undefined : new Set(runs),
      keys: keys === undefined ? undefined : new KeySet(keys),
    };
    if (since === undefined) this.#cursor = nowCursor(store);
    else if (since === 0 || since === '0') this.#cursor = beginning(store);
    else this.#cursor = parseCursor(since) ?? cursorAt('0', 0);
  }

  next(store: Store): Outgoing {
    const gap = gapAfter(store, this.#cursor);
    if (gap !== undefined) {
      this.#cursor = nowCursor(store);
      return { texts: [JSON.stringify(gap)], more: true };
    }
    const piece = this.#cursor.history
      ? readHistory(store, this.#cursor, this.#wanted, PIECE)
      : this.#shared.after(store, this.#cursor);
    this.#cursor = piece.next;
    const texts: string[] = [];
    for (const { run, key, text } of piece.frames) if (isWanted(this.#wanted, run, key)) texts.push(text);
    return { texts, more: piece.more || piece.frames.length > 0 };
  }
}
