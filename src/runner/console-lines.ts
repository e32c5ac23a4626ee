/**
 * Turns what a job prints into lines.
 *
 * A pure function of the bytes, however they are cut into reads: whoever reads a log file again from its beginning finds
 * the same lines under the same numbers. That is how a line is neither lost nor doubled when a supervisor dies.
 *
 * - Of a line redrawn with carriage returns the last state counts: what stands after the last `\r` that anything follows.
 * - Bytes that are not UTF-8 become U+FFFD.
 * - A line over LINE_LIMIT bytes is cut into lines of at most that (never inside a character); all but the last of them
 *   end in CUT_MARK. Nothing is left out.
 */
export const LINE_LIMIT = 64 * 1024;
export const CUT_MARK = '…';

const NEWLINE = 10;
const RETURN = 13;

export class ConsoleLines {
  /** What the line holds since its last carriage return, in pieces of copied bytes. */
  #pieces: Buffer[] = [];
  #length = 0;
  /** The last state that a carriage return ended; stands until something follows it. */
  #redrawn: Buffer | null = null;

  /** The lines that these bytes complete, in order. */
  feed(bytes: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (;;) {
      const newline = bytes.indexOf(NEWLINE, from);
      const end = newline === -1 ? bytes.length : newline;
      this.#stretch(bytes.subarray(from, end), newline !== -1, lines);
      if (newline === -1) return lines;
      from = newline + 1;
    }
  }

  /** The unfinished last line as it looks now; null where there is none. */
  get partial(): string | null {
    if (this.#length > 0) return Buffer.concat(this.#pieces).toString('utf8');
    return this.#redrawn === null ? null : this.#redrawn.toString('utf8');
  }

  /** Bytes without a newline in them, which end the line where `ends`. */
  #stretch(bytes: Buffer, ends: boolean, lines: string[]): void {
    if (
      ends &&
      this.#length === 0 &&
      this.#redrawn === null &&
      bytes.length <= LINE_LIMIT &&
      !bytes.includes(RETURN)
    ) {
      lines.push(bytes.toString('utf8'));
      return;
    }
    let from = 0;
    for (;;) {
      const at = bytes.indexOf(RETURN, from);
      this.#add(bytes.subarray(from, at === -1 ? bytes.length : at), lines);
      if (at === -1) break;
      if (this.#length > 0) {
        this.#redrawn = Buffer.concat(this.#pieces);
        this.#drop();
      }
      from = at + 1;
    }
    if (!ends) return;
    lines.push(this.partial ?? '');
    this.#drop();
    this.#redrawn = null;
  }

  #add(bytes: Buffer, lines: string[]): void {
    let rest = bytes;
    while (this.#length + rest.length > LINE_LIMIT) {
      const held = Buffer.concat([...this.#pieces, rest.subarray(0, LINE_LIMIT + 1 - this.#length)]);
      const cut = characterStart(held, LINE_LIMIT);
      lines.push(held.toString('utf8', 0, cut) + CUT_MARK);
      const taken = cut - this.#length;
      this.#drop();
      this.#redrawn = null;
      if (taken >= 0) rest = rest.subarray(taken);
      else rest = Buffer.concat([held.subarray(cut, cut - taken), rest]);
    }
    if (rest.length === 0) return;
    this.#pieces.push(Buffer.from(rest));
    this.#length += rest.length;
  }

  #drop(): void {
    this.#pieces = [];
    this.#length = 0;
  }
}

/** `at`, or the beginning of the UTF-8 character that lies across it. */
function characterStart(bytes: Buffer, at: number): number {
  let start = at;
  while (start > at - 3 && ((bytes[start] ?? 0) & 0xc0) === 0x80) start -= 1;
  return ((bytes[start] ?? 0) & 0xc0) === 0x80 ? at : start;
}
