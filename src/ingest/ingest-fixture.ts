/** A project folder of journals for the tests of ingest: real files, a real database. */
import { appendFileSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeEvent } from '../events/line.ts';
import type { Event, EventOf } from '../events/schema.ts';
import { type Layout, layoutOf } from '../journal/layout.ts';
import type { ReaderClock } from '../store/journal-state.ts';
import { openStore, type Store } from '../store/open.ts';
import type { JudgeLife } from './life.ts';

/** Epoch seconds at which the tests' runs begin. */
export const T0 = 1_764_000_000;

/** Clocks that stand until they are told to go on. */
export class TestClock implements ReaderClock {
  wallMs = T0 * 1000;
  monoMs = 5_000_000;
  now = () => this.wallMs;
  mono = () => this.monoMs;

  /** Lets time pass on both. */
  pass(seconds: number): void {
    this.wallMs += seconds * 1000;
    this.monoMs += seconds * 1000;
  }
}

export const everybodyLives: JudgeLife = () => 'alive';
export const nobodyLives: JudgeLife = () => 'dead';
export const nobodyKnows: JudgeLife = () => 'unknown';

/** Must be removed. */
export class TestProject {
  readonly layout: Layout;
  readonly #stores: Store[] = [];

  constructor() {
    this.layout = layoutOf(realpathSync(mkdtempSync(join(tmpdir(), 'waddle-ingest-'))));
    mkdirSync(this.layout.runs, { recursive: true });
  }

  get database(): string {
    return join(this.layout.root, 'waddle.sqlite');
  }

  open(path = this.database): Store {
    const store = openStore(path);
    this.#stores.push(store);
    return store;
  }

  /** Appends events to a writer's journal; strings are lines as they are, without their newline. */
  write(run: string | null, writer: string, ...events: (Event | string)[]): void {
    this.append(
      run,
      writer,
      events.map((event) => (typeof event === 'string' ? `${event}\n` : encodeEvent(event))).join(''),
    );
  }

  append(run: string | null, writer: string, bytes: string | Uint8Array): void {
    const path = this.path(run, writer);
    mkdirSync(join(path, '..'), { recursive: true });
    appendFileSync(path, bytes);
  }

  path(run: string | null, writer: string): string {
    const folder = run === null ? this.layout.projectJournals : join(this.layout.runs, run);
    return join(folder, `${writer}.jsonl`);
  }

  remove(): void {
    for (const store of this.#stores) store.close();
    rmSync(this.layout.project, { recursive: true, force: true });
  }
}

export function opening(writer: string, more: Partial<EventOf<'open'>> = {}): EventOf<'open'> {
  return {
    k: 'open',
    t: T0,
    format: 1,
    writer,
    role: writer.split('-')[0] ?? 'job',
    run: null,
    host: 'goose',
    user: 'ada',
    pid: 4242,
    boot: 'a-boot',
    pidns: '4026531836',
    started: 100,
    client: 'test',
    ...more,
  };
}

export function starting(
  id: string,
  attempt: string,
  more: Partial<EventOf<'start'>> = {},
): EventOf<'start'> {
  return { k: 'start', t: T0, id, attempt, default_name: 'brave-duck', supervised: true, ...more };
}

export function metric(s: number, v: EventOf<'m'>['v'], t: number = T0 + s): EventOf<'m'> {
  return { k: 'm', t, s, v };
}
