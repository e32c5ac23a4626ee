import { closeSync, constants, fsyncSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';
import { newWriterName, type WriterRole } from '../events/ids.ts';
import { encodeEvent, eventTime, JOURNAL_FORMAT } from '../events/line.ts';
import type { Event, EventOf } from '../events/schema.ts';
import { identityOf, userName } from './process-identity.ts';

/** Two journals cannot share a file: `O_EXCL` makes a name that exists an error, `O_APPEND` makes every write an append. */
const OPEN_FLAGS = constants.O_CREAT | constants.O_EXCL | constants.O_APPEND | constants.O_WRONLY;

export interface WriterOptions {
  /** The run's folder, or the project's journal folder; made where it is missing. */
  folder: string;
  role: WriterRole;
  /** Null in the project's own journal. */
  run: string | null;
  /** Name and version of the writing program. */
  client: string;
  /** The attempt it belongs to; a supervisor names its own. `self` stands for the writer's own name. */
  attempt?: string | null | 'self';
  /** Further fields of the `open` event (rank, …). */
  open?: Partial<EventOf<'open'>>;
}

/**
 * An append-only journal of one writer. Each `append` is one `write(2)` of whole lines: it is durable against `kill -9`
 * of this process when it returns. Not against power loss, except after `sync`.
 */
export class JournalWriter {
  readonly name: string;
  readonly path: string;
  /** Bytes written so far; the place of the next line. */
  length = 0;
  #fd: number | undefined;
  /** The last write was cut short: the next one begins with a newline, so that lines are not glued. */
  #torn = false;
  #dropped: Record<string, number> = {};

  private constructor(name: string, path: string, fd: number) {
    this.name = name;
    this.path = path;
    this.#fd = fd;
  }

  /** Makes a new journal and writes its `open` event. Throws the system's error where the folder cannot be written. */
  static open(options: WriterOptions): JournalWriter {
    mkdirSync(options.folder, { recursive: true });
    for (;;) {
      const name = newWriterName(options.role);
      const path = join(options.folder, `${name}.jsonl`);
      let fd: number;
      try {
        fd = openSync(path, OPEN_FLAGS, 0o644);
      } catch (error) {
        if (isSystemError(error, 'EEXIST')) continue;
        throw error;
      }
      const writer = new JournalWriter(name, path, fd);
      const { host, pid, boot, pidns, started } = identityOf(process.pid);
      writer.append({
        k: 'open',
        t: eventTime(),
        format: JOURNAL_FORMAT,
        writer: name,
        role: options.role,
        run: options.run,
        host,
        user: userName(),
        pid,
        boot,
        pidns,
        started,
        client: options.client,
        attempt: options.attempt === 'self' ? name : (options.attempt ?? null),
        ...options.open,
      });
      return writer;
    }
  }

  /**
   * Appends events as whole lines in one write. False where they could not be written whole (disk full): they are
   * counted as dropped and the journal stays sound. Throws only for a journal that was closed.
   */
  append(...events: Event[]): boolean {
    let text = '';
    for (const event of events) text += encodeEvent(event);
    return this.appendLines(text, events.length);
  }

  /** As `append`, for `count` lines that are already encoded and end with a newline. */
  appendLines(lines: string, count: number): boolean {
    if (this.#fd === undefined) throw new Error(`journal ${this.name} is closed`);
    const bytes = Buffer.from(this.#torn ? `\n${lines}` : lines, 'utf8');
    let written = 0;
    try {
      written = writeSync(this.#fd, bytes);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'error';
      this.#dropped[code] = (this.#dropped[code] ?? 0) + count;
      return false;
    }
    this.length += written;
    this.#torn = written < bytes.length && (written > 0 ? bytes[written - 1] !== 10 : this.#torn);
    if (written === bytes.length) return true;
    this.#dropped['short-write'] = (this.#dropped['short-write'] ?? 0) + count;
    return false;
  }

  /** Counts something that was refused before it came to a write; the closing line tells. */
  drop(reason: string, count = 1): void {
    this.#dropped[reason] = (this.#dropped[reason] ?? 0) + count;
  }

  get closed(): boolean {
    return this.#fd === undefined;
  }

  /** Forces what was written to the disk itself. */
  sync(): void {
    if (this.#fd !== undefined) fsyncSync(this.#fd);
  }

  /** Writes the closing line and closes the file: it may be sealed from now on. Safe to call again. */
  close(): void {
    if (this.#fd === undefined) return;
    const dropped = this.#dropped;
    this.append({ k: 'close', t: eventTime(), ...(Object.keys(dropped).length > 0 ? { dropped } : {}) });
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}
