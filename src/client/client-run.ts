import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { putFile } from '../blobs/blob-store.ts';
import { putFolder } from '../blobs/folder-manifest.ts';
import { encodeEvent, eventTime, MAX_WRITTEN_BYTES } from '../events/line.ts';
import type { EventOf, RunError } from '../events/schema.ts';
import { layoutOf } from '../journal/layout.ts';
import type { ArtifactOptions, FinishOptions, LogOptions, MetricValue, Run } from './client.ts';
import type { JobJournal } from './job-journal.ts';
import { noteStep } from './last-step.ts';
import { isStrict } from './say.ts';
import { isStep, jsonText, numberText, plainText, shown } from './values.ts';

/** Prepared keys that are kept; beyond that (keys made up at run time) they are dropped and made anew. */
const MAX_KEYS = 65_536;
/** The largest file that `inline` keeps in the journal, in bytes. */
const MAX_INLINE = 64 * 1024;
/** The last step is noted in head.json so often, in ms. */
const HEAD_MS = 5000;

const MIME: Record<string, string> = {
  '.bin': 'application/octet-stream',
  '.csv': 'text/csv',
  '.gif': 'image/gif',
  '.html': 'text/html',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.jsonl': 'application/jsonl',
  '.md': 'text/markdown',
  '.pdf': 'application/pdf',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.tsv': 'text/tab-separated-values',
  '.txt': 'text/plain',
  '.wav': 'audio/wav',
  '.webp': 'image/webp',
  '.zip': 'application/zip',
};

/** How the end of a run is told. */
export interface Ending extends FinishOptions {
  signal?: string | undefined;
  error?: RunError | undefined;
}

export class ClientRun implements Run {
  readonly id: string;
  readonly name: string | null;
  readonly project: string | null;
  readonly dir: string;
  readonly journal: JobJournal;
  /** Whether this process began the attempt, so that its end is the run's. */
  owner: boolean;
  #onFinish: (run: ClientRun) => void;
  /** Key to `"key":` in JSON. */
  #keys = new Map<string, string>();
  #millisecond = 0;
  /** A metric's line up to its step, good for one millisecond. */
  #stamp = '';
  #top = Number.NEGATIVE_INFINITY;
  #noted = Number.NEGATIVE_INFINITY;
  #noteAt = 0;
  /** The step of the next `log` without one. */
  #next: number;

  constructor(options: {
    id: string;
    name: string | null;
    project: string | null;
    dir: string;
    journal: JobJournal;
    owner: boolean;
    /** The last step of earlier attempts. */
    lastStep: number | null;
    onFinish(run: ClientRun): void;
  }) {
    this.id = options.id;
    this.name = options.name;
    this.project = options.project;
    this.dir = options.dir;
    this.journal = options.journal;
    this.owner = options.owner;
    this.#next = options.lastStep === null ? 0 : options.lastStep + 1;
    this.#onFinish = options.onFinish;
    this.#noteAt = Date.now() + HEAD_MS;
  }

  logMetric(key: string, step: number, value: MetricValue): void {
    const head = this.#keys.get(key);
    // `value - value` is 0 for all numbers but NaN and the infinities.
    if (
      head !== undefined &&
      typeof value === 'number' &&
      value - value === 0 &&
      Number.isSafeInteger(step)
    ) {
      if (step > this.#top) this.#top = step;
      const now = Date.now();
      if (now !== this.#millisecond) this.#tick(now);
      this.journal.appendLines(`${this.#stamp}${step},"v":{${head}${value}}}\n`, 1);
      return;
    }
    this.#logSlowly([[key, value]], step);
  }

  log(values: Record<string, MetricValue>, options: LogOptions = {}): void {
    let { step } = options;
    if (step === undefined || step === null) {
      step = this.#next;
      this.#next += 1;
    }
    if (typeof values !== 'object' || values === null) {
      this.#refuse('not_a_mapping', 'log', 'log() takes an object of keys and numbers');
      return;
    }
    if (Number.isSafeInteger(step)) {
      let body = '';
      let plain = true;
      for (const key in values) {
        const head = this.#keys.get(key);
        const value = values[key];
        if (head === undefined || typeof value !== 'number' || value - value !== 0) {
          plain = false;
          break;
        }
        body += body === '' ? head + value : `,${head}${value}`;
      }
      if (plain && body !== '') {
        if (step > this.#top) this.#top = step;
        const now = Date.now();
        if (now !== this.#millisecond) this.#tick(now);
        this.journal.appendLines(`${this.#stamp}${step},"v":{${body}}}\n`, 1);
        return;
      }
    }
    this.#logSlowly(Object.entries(values), step);
  }

  #tick(now: number): void {
    this.#millisecond = now;
    this.#stamp = `{"k":"m","t":${now / 1000},"s":`;
    if (now >= this.#noteAt) {
      this.#noteAt = now + HEAD_MS;
      this.#note();
    }
  }

  #note(): void {
    if (this.#top <= this.#noted) return;
    this.#noted = this.#top;
    noteStep(this.journal.folder, Math.floor(this.#top), this.journal.attempt);
  }

  /** As `logMetric` and `log` for any values: refuses one by one what cannot be kept. */
  #logSlowly(entries: readonly [string, unknown][], step: unknown): void {
    if (entries.length === 0) return;
    if (!isStep(step)) {
      for (const [key] of entries) {
        const message = `metric "${plainText(key)}": a step is an integer within 2^53 or a finite number, not ${shown(step)}`;
        this.#refuse('bad_step', plainText(key), message);
      }
      return;
    }
    let body = '';
    for (const [key, value] of entries) {
      const number = numberText(value);
      if (number === undefined) {
        const name = plainText(key);
        this.#refuse('not_a_number', name, `metric "${name}": ${shown(value)} is not a number`);
        continue;
      }
      body += `${body === '' ? '' : ','}${this.#prepare(key)}${number}`;
    }
    if (body === '') return;
    if (step > this.#top) this.#top = step;
    this.#tick(Date.now());
    this.journal.appendLines(`${this.#stamp}${step},"v":{${body}}}\n`, 1);
  }

  #prepare(key: string): string {
    const head = `${JSON.stringify(plainText(key))}:`;
    if (typeof key === 'string') {
      if (this.#keys.size >= MAX_KEYS) this.#keys.clear();
      this.#keys.set(key, head);
    }
    return head;
  }

  /** Counts what cannot be kept; warns once for each key, or throws where WADDLE_STRICT=1. */
  #refuse(reason: string, key: string, message: string): void {
    this.journal.drop(reason);
    if (isStrict()) throw new TypeError(message);
    if (this.journal.warn(`${reason}:${key}`, `${message}; such values are not kept`)) {
      this.journal.append({ k: 'warning', t: eventTime(), code: reason, message, hint: null });
    }
  }

  logParam(key: string, value: unknown): void {
    this.logParams({ [key]: value });
  }

  logParams(values: Record<string, unknown>): void {
    if (typeof values !== 'object' || values === null) {
      this.#refuse('not_a_mapping', 'params', 'logParams() takes an object');
      return;
    }
    const entries = Object.entries(values);
    const t = eventTime();
    let lines = '';
    let count = 0;
    for (const [key, value] of entries) {
      const line = `{"k":"param","t":${t},"key":${JSON.stringify(plainText(key))},"value":${jsonText(value)}}\n`;
      if (this.#isTooLarge('param', key, line)) continue;
      lines += line;
      count += 1;
    }
    if (count > 0) this.journal.appendLines(lines, count);
  }

  logTag(key: string, value: unknown): void {
    const line = encodeEvent({ k: 'tag', t: eventTime(), key: plainText(key), value: plainText(value) });
    if (!this.#isTooLarge('tag', key, line)) this.journal.appendLines(line, 1);
  }

  #isTooLarge(kind: string, key: string, line: string): boolean {
    const bytes = Buffer.byteLength(line);
    if (bytes <= MAX_WRITTEN_BYTES) return false;
    const name = JSON.stringify(key.slice(0, 100));
    this.#refuse('too_large', key, `${kind} ${name}: an event of ${bytes} bytes is over the limit of 8 MiB`);
    return true;
  }

  logArtifact(name: string, path: string, options: ArtifactOptions = {}): string {
    if (plainText(name) === '') throw new TypeError('an artifact needs a name');
    const { blobs } = layoutOf(this.dir);
    const place = (path as unknown) instanceof URL ? fileURLToPath(path) : path;
    const stats = statSync(place);
    const described: EventOf<'artifact'> = {
      k: 'artifact',
      t: eventTime(),
      name: plainText(name),
      kind: options.kind === undefined ? null : plainText(options.kind),
      type: 'file',
      sha256: '',
      size: 0,
    };
    if (stats.isDirectory()) {
      Object.assign(described, { type: 'folder', ...putFolder(blobs, place) });
    } else if (!stats.isFile()) {
      throw new TypeError(`${place} is neither a file nor a folder`);
    } else {
      described.mime = MIME[extname(place).toLowerCase()] ?? null;
      const bytes = options.inline === true && stats.size <= MAX_INLINE ? readFileSync(place) : null;
      if (bytes !== null && bytes.length <= MAX_INLINE) {
        described.sha256 = createHash('sha256').update(bytes).digest('hex');
        described.size = bytes.length;
        described.inline = bytes.toString('base64');
      } else Object.assign(described, putFile(blobs, place));
    }
    this.journal.append(described);
    return described.sha256;
  }

  finish(options: Ending = {}): void {
    if (this.owner) {
      this.owner = false;
      this.tellEnd(options);
    }
    this.#note();
    this.journal.close();
    this.#onFinish(this);
  }

  /** Writes how the attempt ended, as its job sees it. */
  tellEnd(ending: Ending): void {
    const { attempt } = this.journal;
    if (attempt === null) return;
    this.journal.append({
      k: 'end',
      t: eventTime(),
      attempt,
      status: ending.status ?? 'completed',
      exit_code: ending.exitCode ?? null,
      signal: ending.signal ?? null,
      reason: ending.reason ?? null,
      error: ending.error ?? null,
      by: 'job',
    });
  }

  [Symbol.dispose](): void {
    this.finish();
  }
}

/** Stands for a run where nothing is to be kept: WADDLE_DISABLED=1, or no `init` yet. */
export class DisabledRun implements Run {
  readonly id = '';
  readonly name: string | null;
  readonly project: string | null;
  readonly dir = '';

  constructor(name: string | null = null, project: string | null = null) {
    this.name = name;
    this.project = project;
  }

  logParam(): void {}
  logParams(): void {}
  logTag(): void {}
  logMetric(): void {}
  log(): void {}
  logArtifact(_name: string, path: string): string {
    statSync(path);
    return '';
  }
  finish(): void {}
  [Symbol.dispose](): void {}
}
