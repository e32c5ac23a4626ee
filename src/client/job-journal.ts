import manifest from '../../package.json' with { type: 'json' };
import { encodeEvent } from '../events/line.ts';
import type { Event } from '../events/schema.ts';
import { JournalWriter } from '../journal/writer.ts';
import { readRank } from './rank.ts';
import { isStrict, say } from './say.ts';

const CLIENT = `waddle-node/${manifest.version}`;

/** After a failure to create a file, so many ms pass before the next try. */
const REOPEN_MS = 500;
const MAX_WARNINGS = 1000;

/**
 * The journal of this thread, made at the first line. What is logged after it was closed goes to a new file of the same
 * attempt. Nothing here throws, unless WADDLE_STRICT=1 asks for it.
 */
export class JobJournal {
  readonly folder: string;
  readonly run: string;
  /** The attempt that it belongs to; null where that is not known. */
  readonly attempt: string | null;
  #writer: JournalWriter | null = null;
  #retryAt = 0;
  /** Refused while there was no file. */
  #dropped = new Map<string, number>();
  #warned = new Set<string>();

  constructor(folder: string, run: string, attempt: string | null, writer: JournalWriter | null = null) {
    this.folder = folder;
    this.run = run;
    this.attempt = attempt;
    this.#writer = writer;
  }

  /** A journal that begins an attempt, named by its own writer. Throws the system's error where it cannot be made. */
  static begin(folder: string, run: string): JobJournal {
    const writer = openWriter(folder, run, 'self');
    return new JobJournal(folder, run, writer.name, writer);
  }

  append(event: Event): boolean {
    return this.appendLines(encodeEvent(event), 1);
  }

  /** Appends whole lines by one write; false where they could not be kept. */
  appendLines(lines: string, count: number): boolean {
    const writer = this.#writer ?? this.#open();
    if (writer?.appendLines(lines, count) === true) return true;
    if (writer === null) this.drop('write_failed', count);
    if (isStrict()) throw new Error(`waddle cannot write to ${this.folder}`);
    this.warn(
      'write_failed',
      `cannot write to ${this.folder} (is the disk full?); what is logged meanwhile is lost, and the job goes on`,
    );
    return false;
  }

  /** Makes the file now: a rank shows that it is there before it logs. */
  touch(): void {
    if (this.#writer === null) this.#open();
  }

  #open(): JournalWriter | null {
    if (performance.now() < this.#retryAt) return null;
    try {
      this.#writer = openWriter(this.folder, this.run, this.attempt);
      for (const [reason, count] of this.#dropped) this.#writer.drop(reason, count);
      this.#dropped.clear();
      return this.#writer;
    } catch {
      this.#retryAt = performance.now() + REOPEN_MS;
      return null;
    }
  }

  /** Counts something that was not kept; the closing line tells. */
  drop(reason: string, count = 1): void {
    if (this.#writer !== null) this.#writer.drop(reason, count);
    else this.#dropped.set(reason, (this.#dropped.get(reason) ?? 0) + count);
  }

  /** Says a thing once for each topic; true where it was the first time. */
  warn(topic: string, message: string): boolean {
    if (this.#warned.has(topic) || this.#warned.size >= MAX_WARNINGS) return false;
    this.#warned.add(topic);
    say(message);
    return true;
  }

  /** Ends the file with its closing line. */
  close(): void {
    try {
      this.#writer?.close();
    } catch {
      // Its descriptor is gone: there is nothing to end.
    }
    this.#writer = null;
  }
}

function openWriter(folder: string, run: string, attempt: string | null | 'self'): JournalWriter {
  const open = { ...readRank(process.env), mono: Math.round(performance.now()) / 1000 };
  return JournalWriter.open({ folder, role: 'job', run, client: CLIENT, attempt, open });
}
