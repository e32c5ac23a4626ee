import { closeSync, type FSWatcher, openSync, readSync, rmSync, watch } from 'node:fs';
import type { Writable } from 'node:stream';
import { eventTime } from '../events/line.ts';
import { consoleFile } from '../journal/layout.ts';
import { ConsoleLines } from './console-lines.ts';

/** Bytes read at a time; a batch of lines is one write to the journal. */
const CHUNK_BYTES = 128 * 1024;
/** Without change notices from the system the files are looked at this often (ms); with them, as a net below them. */
const POLL_BLIND_MS = 25;
const POLL_NOTIFIED_MS = 250;
/** An unfinished line is journaled once it is that old (ms) … */
const PARTIAL_AFTER_MS = 1000;
/** … and again, if it changed, this long after (ms). */
const PARTIAL_EVERY_MS = 5000;

/** Where lines go: a journal. False where they could not be written. */
export interface LineSink {
  appendLines(lines: string, count: number): boolean;
}

export interface FollowedStream {
  stream: 1 | 2;
  /** Where the bytes are shown as they come; null shows nothing. */
  display: Writable | null;
  /** Lines that are in a journal already: they are read again and passed over. */
  journaled?: number;
}

/**
 * Follows the files that take a job's stdout and stderr: shows their bytes as they come and journals their lines.
 *
 * Showing and journaling read each for itself: a pager that nobody scrolls must not hold up the record, nor a full disk
 * the terminal. A line that could not be journaled is tried again; a line's number makes the second time harmless.
 */
export class ConsoleFollower {
  #streams: { journal: JournalCursor; display: DisplayCursor | null; watcher: FSWatcher | null }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #pumping = false;
  #again = false;
  #stopped = false;

  constructor(options: {
    folder: string;
    attempt: string;
    journal: LineSink;
    streams: readonly FollowedStream[];
    /** Epoch ms that the lines bear; default: when each is read. */
    time?: number;
  }) {
    let blind = false;
    for (const { stream, display, journaled } of options.streams) {
      const path = consoleFile(options.folder, stream, options.attempt);
      let watcher: FSWatcher | null = null;
      try {
        watcher = watch(path, { persistent: false }, () => this.pump());
        watcher.on('error', () => watcher?.close());
      } catch {
        blind = true;
      }
      this.#streams.push({
        journal: new JournalCursor(path, stream, options.attempt, options.journal, {
          known: journaled ?? 0,
          time: options.time,
        }),
        display: display === null ? null : new DisplayCursor(path, display),
        watcher,
      });
    }
    this.#timer = setInterval(() => this.pump(), blind ? POLL_BLIND_MS : POLL_NOTIFIED_MS);
    this.#timer.unref();
  }

  /** Reads what is new. A job that prints without pause does not keep the process from anything else. */
  pump(): void {
    if (this.#stopped) return;
    if (this.#pumping) {
      this.#again = true;
      return;
    }
    this.#pumping = true;
    const more = this.#step();
    this.#pumping = false;
    if (more || this.#again) {
      this.#again = false;
      setImmediate(() => this.pump());
    }
  }

  #step(): boolean {
    let more = false;
    for (const { journal, display } of this.#streams) {
      if (display?.pump()) more = true;
      if (journal.pump()) more = true;
    }
    return more;
  }

  /**
   * The job has ended: reads to the end, journals an unfinished line as it stands. True where all of it is in the
   * journal. What is shown may lag behind still: `drained` waits for that.
   */
  finish(options: { keepPartial?: boolean } = {}): boolean {
    this.#stopped = true;
    clearInterval(this.#timer);
    for (const { watcher } of this.#streams) watcher?.close();
    let whole = true;
    for (const { journal } of this.#streams) {
      while (journal.pump());
      if (!journal.finish(options.keepPartial === true)) whole = false;
    }
    return whole;
  }

  /** Resolves when everything that was printed has been handed to the display, or nobody is there to see it. */
  async drained(): Promise<void> {
    await Promise.all(this.#streams.map(({ display }) => display?.finish()));
  }

  close(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    for (const { journal, display, watcher } of this.#streams) {
      watcher?.close();
      journal.close();
      display?.close();
    }
  }
}

/** Removes an attempt's files; everything in them must be in a journal. */
export function removeConsoleFiles(folder: string, attempt: string): void {
  for (const stream of [1, 2] as const) rmSync(consoleFile(folder, stream, attempt), { force: true });
}

class DisplayCursor {
  #fd: number;
  #offset = 0;
  #display: Writable;
  #waiting = false;
  #gone = false;
  #onReady: () => void = () => undefined;

  constructor(path: string, display: Writable) {
    this.#fd = openSync(path, 'r');
    this.#display = display;
    display.on('error', () => {
      // The reader went away (`| head`): the job and its record go on.
      this.#gone = true;
      this.#onReady();
    });
  }

  /** Shows the next chunk; true where there may be more at once. */
  pump(): boolean {
    if (this.#gone || this.#waiting) return false;
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    const count = readSync(this.#fd, chunk, 0, chunk.length, this.#offset);
    if (count === 0) return false;
    this.#offset += count;
    if (!this.#display.write(chunk.subarray(0, count))) {
      this.#waiting = true;
      this.#display.once('drain', () => {
        this.#waiting = false;
        this.#onReady();
      });
      return false;
    }
    return count === chunk.length;
  }

  async finish(): Promise<void> {
    for (;;) {
      while (this.pump());
      if (this.#gone || !this.#waiting) return;
      await new Promise<void>((resolve) => {
        this.#onReady = resolve;
      });
    }
  }

  close(): void {
    closeSync(this.#fd);
  }
}

class JournalCursor {
  #fd: number;
  #offset = 0;
  #stream: 1 | 2;
  #attempt: string;
  #journal: LineSink;
  #lines = new ConsoleLines();
  /** Number of the next line. */
  #next = 0;
  /** Lines below this number are in a journal already. */
  #known: number;
  /** Lines that are not in the journal yet since the disk is full. */
  #pending: { text: string; count: number } | null = null;
  /** When (monotonic ms) the unfinished line was first seen, and last journaled. */
  #partialSince: number | null = null;
  #partialTold: { at: number; text: string } | null = null;
  #buffer = Buffer.allocUnsafe(CHUNK_BYTES);

  /** Epoch ms that its lines bear; undefined: the time of reading. */
  #time: number | undefined;

  constructor(
    path: string,
    stream: 1 | 2,
    attempt: string,
    journal: LineSink,
    options: { known: number; time: number | undefined },
  ) {
    this.#fd = openSync(path, 'r');
    this.#stream = stream;
    this.#attempt = attempt;
    this.#journal = journal;
    this.#known = options.known;
    this.#time = options.time;
  }

  /** Journals the next chunk; true where there may be more at once. */
  pump(): boolean {
    if (!this.#flush()) return false;
    const count = readSync(this.#fd, this.#buffer, 0, this.#buffer.length, this.#offset);
    if (count === 0) {
      this.#tellPartial();
      return false;
    }
    this.#offset += count;
    const lines = this.#lines.feed(this.#buffer.subarray(0, count));
    if (lines.length > 0) {
      this.#take(lines);
      this.#partialSince = null;
      this.#partialTold = null;
    }
    if (this.#partialSince === null && this.#lines.partial !== null) this.#partialSince = performance.now();
    this.#tellPartial();
    return count === this.#buffer.length;
  }

  #take(lines: readonly string[]): void {
    const t = eventTime(this.#time);
    let text = '';
    let count = 0;
    for (const line of lines) {
      const n = this.#next;
      this.#next += 1;
      if (n < this.#known) continue;
      text += this.#encode(t, n, line, false);
      count += 1;
    }
    if (count === 0) return;
    this.#pending =
      this.#pending === null
        ? { text, count }
        : { text: this.#pending.text + text, count: this.#pending.count + count };
    this.#flush();
  }

  #encode(t: number, n: number, line: string, partial: boolean): string {
    const mark = partial ? ',"p":true' : '';
    return `{"k":"c","t":${t},"o":${this.#stream},"n":${n},"x":${JSON.stringify(line)}${mark},"a":"${this.#attempt}"}\n`;
  }

  #flush(): boolean {
    if (this.#pending === null) return true;
    if (!this.#journal.appendLines(this.#pending.text, this.#pending.count)) return false;
    this.#pending = null;
    return true;
  }

  #tellPartial(): void {
    if (this.#partialSince === null || this.#next < this.#known) return;
    const now = performance.now();
    const told = this.#partialTold;
    if (told === null ? now - this.#partialSince < PARTIAL_AFTER_MS : now - told.at < PARTIAL_EVERY_MS)
      return;
    const text = this.#lines.partial;
    if (text === null || text === told?.text) return;
    this.#partialTold = { at: now, text };
    this.#journal.appendLines(this.#encode(eventTime(), this.#next, text, true), 1);
  }

  /** Journals the unfinished last line as a whole one, unless its job may yet finish it. True where nothing is left to journal. */
  finish(keepPartial: boolean): boolean {
    const rest = this.#lines.partial;
    if (rest !== null && !keepPartial) {
      this.#lines = new ConsoleLines();
      this.#take([rest]);
    }
    return this.#flush();
  }

  close(): void {
    closeSync(this.#fd);
  }
}
