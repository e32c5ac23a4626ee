import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { isSystemError } from '../errors/waddle-error.ts';
import { MAX_LINE_BYTES } from '../events/line.ts';
import { SealedFile } from './sealed.ts';

/** One whole line of a journal. Offsets are of plain bytes; `end` is just after its newline. */
export interface JournalLine {
  start: number;
  end: number;
  /** Without the newline; null where the line is longer than MAX_LINE_BYTES and was skipped. */
  text: string | null;
}

export interface LineBatch {
  lines: JournalLine[];
  /** Where to read on: just after the last whole line that was seen. */
  next: number;
}

/** The plain bytes of a journal, sealed or not; must be closed. */
export interface PlainBytes {
  /** Plain bytes in all, as of the opening. */
  readonly length: number;
  readonly sealed: boolean;
  read(target: Buffer, offset: number): number;
  close(): void;
}

/**
 * Opens `<writer>.jsonl`, or where that is gone `<writer>.jsonl.zst`. Null where neither is there.
 * @param path the plain journal's path, whichever of the two exists
 */
export function openPlainBytes(path: string): PlainBytes | null {
  try {
    const fd = openSync(path, 'r');
    return {
      length: fstatSync(fd).size,
      sealed: false,
      read: (target, offset) => readSync(fd, target, 0, target.length, offset),
      close: () => closeSync(fd),
    };
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
  try {
    const file = new SealedFile(`${path}.zst`);
    return {
      length: file.length,
      sealed: true,
      read: (target, offset) => file.read(target, offset),
      close: () => file.close(),
    };
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return null;
    throw error;
  }
}

/** Bytes read at a time. A batch holds the whole lines of one such chunk, so memory does not grow with the journal. */
const CHUNK_BYTES = 1024 * 1024;

/**
 * Reads whole lines from a plain offset on, a chunk at a time. An unfinished last line is left for later: read again from
 * the last batch's `next`. Empty lines are passed over. Memory is constant, but for a line longer than a chunk.
 */
export function* readLines(
  bytes: PlainBytes,
  offset: number,
  chunkBytes = CHUNK_BYTES,
): Generator<LineBatch> {
  const chunk = Buffer.allocUnsafe(chunkBytes);
  /** The beginning of a line whose end has not been read yet, in pieces. */
  let pieces: Buffer[] = [];
  let carried = 0;
  let lineStart = offset;
  let at = offset;
  for (;;) {
    const count = bytes.read(chunk, at);
    if (count === 0) return;
    const lines: JournalLine[] = [];
    let from = 0;
    for (;;) {
      const newline = chunk.indexOf(10, from);
      if (newline === -1 || newline >= count) break;
      const end = at + newline + 1;
      const length = end - 1 - lineStart;
      if (length > MAX_LINE_BYTES) lines.push({ start: lineStart, end, text: null });
      else if (length > 0) {
        const text =
          carried === 0
            ? chunk.toString('utf8', from, newline)
            : Buffer.concat([...pieces, chunk.subarray(from, newline)]).toString('utf8');
        lines.push({ start: lineStart, end, text });
      }
      pieces = [];
      carried = 0;
      lineStart = end;
      from = newline + 1;
    }
    const rest = count - from;
    if (rest > 0) {
      carried += rest;
      // A line over the limit is not kept: only its end is still looked for.
      if (carried <= MAX_LINE_BYTES) pieces.push(Buffer.from(chunk.subarray(from, count)));
      else pieces = [];
    }
    at += count;
    yield { lines, next: lineStart };
  }
}
