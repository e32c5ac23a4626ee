import type { Subscribe } from '../../protocol/api.ts';
import type { Engine } from '../../store/question.ts';
import { type Cursor, cursorAt, formatCursor, parseCursor } from './cursor.ts';
import type { Piece, PieceOrGap } from './frame-writer.ts';
import { readAfter } from './frames.ts';
import { readHistory } from './history.ts';
import type { SharedReads } from './shared-reads.ts';
import { beginning } from './stream-state.ts';
import { isWanted, KeySet, type Wanted } from './wanted.ts';

/** Frames read at a time. */
const PIECE = 1000;

/** The pieces that were read last, so that clients who stand at the same place share the reading. */
export class SharedPieces {
  readonly #reads: SharedReads;
  readonly #pieces = new Map<string, Piece>();

  constructor(reads: SharedReads) {
    this.#reads = reads;
  }

  async after(cursor: Cursor): Promise<PieceOrGap> {
    const name = formatCursor(cursor);
    const known = this.#pieces.get(name);
    if (known !== undefined) return { piece: known };
    const read = await this.#reads.read(`plain ${name}`, () => readAfter(cursor, PIECE));
    // An empty piece says nothing of what will come.
    if ('piece' in read && read.piece.frames.length > 0) {
      if (this.#pieces.size >= 16) this.#pieces.delete(this.#pieces.keys().next().value ?? '');
      this.#pieces.set(name, read.piece);
    }
    return read;
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

  constructor(now: Cursor, shared: SharedPieces) {
    this.#cursor = now;
    this.#shared = shared;
  }

  get cursor(): string {
    return formatCursor(this.#cursor);
  }

  subscribe(now: Cursor, { runs, keys, since }: Subscribe): void {
    this.#wanted = {
      runs: runs === undefined ? undefined : new Set(runs),
      keys: keys === undefined ? undefined : new KeySet(keys),
    };
    if (since === undefined) this.#cursor = now;
    else if (since === 0 || since === '0') this.#cursor = beginning(now);
    else this.#cursor = parseCursor(since) ?? cursorAt('0', 0);
  }

  async next(engine: Engine): Promise<Outgoing> {
    const read = this.#cursor.history
      ? await engine.answer(readHistory(this.#cursor, this.#wanted, PIECE))
      : await this.#shared.after(this.#cursor);
    if ('gap' in read) {
      this.#cursor = read.now;
      return { texts: [JSON.stringify(read.gap)], more: true };
    }
    const { piece } = read;
    this.#cursor = piece.next;
    const texts: string[] = [];
    for (const { run, key, text } of piece.frames) if (isWanted(this.#wanted, run, key)) texts.push(text);
    return { texts, more: piece.more || piece.frames.length > 0 };
  }
}
