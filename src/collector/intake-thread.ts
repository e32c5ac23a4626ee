import { Worker } from 'node:worker_threads';
import type { ObjectsPlace } from '../blobs/objects-place.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import type { Notices } from '../postgres/listener.ts';
import { WORK_CHANNEL } from '../postgres/team-journals.ts';
import { type PackedPiece, type UnpackedPiece, unpackPieces } from '../protocol/piece-frames.ts';
import type { JournalPiece, PieceResult } from '../sync/space.ts';
import {
  type FromIntake,
  heardError,
  type IntakeBeginning,
  type IntakeTask,
  type ToIntake,
} from './intake-messages.ts';

/** Milliseconds before a thread that died is followed by another; each time in a row waits longer. */
const RETRY_MS = [50, 200, 1000, 3000, 10_000];
/** One that has lived so long (milliseconds) was well. */
const WELL_MS = 60_000;
/** Of the thread's heap, what is young: most of what it makes is gone at once, and the collector's memory is to stay small. */
const YOUNG_MB = 8;
/** Packed bytes that are unpacked sooner than another thread is asked. */
const SMALL_BYTES = 16 * 1024;

export interface IntakeThreadOptions {
  /** Of the thread: `intake-worker.ts`, or what was built from it. */
  file: string | URL;
  database: string;
  connections: number;
  /** Of the thread that answers, which listens for both. */
  listener: Notices;
  objects: ObjectsPlace;
  failed(error: unknown): void;
}

interface Asked {
  done(answer: unknown): void;
  failed(error: unknown): void;
}

/**
 * Receives and takes in, on a thread of its own. Where the thread dies, what was not answered yet is refused (who asked
 * asks again), and another goes on from what the database has: a transaction of it was whole or never was. Must be closed.
 */
export class IntakeThread {
  readonly #options: IntakeThreadOptions;
  readonly #stopListening: () => void;
  readonly #spaces = new Set<string>();
  readonly #asked = new Map<number, Asked>();
  #worker: Worker | null = null;
  #ended: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #count = 0;
  #deaths = 0;
  #closed = false;

  constructor(options: IntakeThreadOptions) {
    this.#options = options;
    this.#stopListening = options.listener.on(WORK_CHANNEL, (space) => this.#say({ kind: 'work', space }));
    this.#begin();
  }

  #begin(): void {
    const { file, database, connections, objects, failed } = this.#options;
    const workerData: IntakeBeginning = { database, connections, objects };
    // node:sqlite still calls itself experimental.
    const execArgv = ['--disable-warning=ExperimentalWarning'];
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MB };
    const worker = new Worker(file, { workerData, execArgv, resourceLimits });
    const began = performance.now();
    this.#worker = worker;
    worker.on('message', (message: FromIntake) => this.#hear(message));
    worker.on('error', failed);
    this.#ended = new Promise((resolve) => {
      worker.once('exit', (code) => {
        this.#worker = null;
        this.#refuse();
        if (!this.#closed) this.#died(code, performance.now() - began);
        resolve();
      });
    });
    for (const space of this.#spaces) this.#say({ kind: 'space', space });
  }

  #died(code: number, lived: number): void {
    if (lived > WELL_MS) this.#deaths = 0;
    const wait = RETRY_MS[Math.min(this.#deaths, RETRY_MS.length - 1)] ?? 0;
    this.#deaths += 1;
    this.#options.failed(new Error(`the thread that takes in died (${code}); another follows in ${wait} ms`));
    this.#timer = setTimeout(() => this.#begin(), wait);
  }

  /** What was asked is not answered any more. */
  #refuse(): void {
    for (const { failed } of this.#asked.values()) failed(unanswered());
    this.#asked.clear();
  }

  #hear(message: FromIntake): void {
    if (message.kind === 'failed') {
      this.#options.failed(heardError(message.error));
      return;
    }
    const asked = this.#asked.get(message.id);
    this.#asked.delete(message.id);
    if (message.kind === 'done') asked?.done(message.answer);
    else asked?.failed(heardError(message.error));
  }

  #say(message: ToIntake): void {
    this.#worker?.postMessage(message);
  }

  #ask(task: IntakeTask): Promise<unknown> {
    return new Promise((done, failed) => {
      if (this.#worker === null || this.#closed) {
        failed(unanswered());
        return;
      }
      const id = this.#count++;
      this.#asked.set(id, { done, failed });
      this.#say({ kind: 'task', id, task });
    });
  }

  /** Whether there is one: after a death it takes a moment. */
  get alive(): boolean {
    return this.#worker !== null;
  }

  /** Takes in what comes of a space, from here on. Its schema must be there. */
  add(space: string): void {
    this.#spaces.add(space);
    this.#say({ kind: 'space', space });
  }

  /** @throws WaddleError `columns-invalid` */
  async unpack(pieces: PackedPiece[], most: number): Promise<UnpackedPiece[]> {
    const packed = pieces.reduce((sum, { payload }) => sum + payload.length, 0);
    if (packed < SMALL_BYTES) return unpackPieces(pieces, most);
    return (await this.#ask({ kind: 'unpack', pieces, most })) as UnpackedPiece[];
  }

  /** Durable when it resolves, and put down for taking in. */
  async write(space: string, pieces: readonly JournalPiece[]): Promise<PieceResult[]> {
    return (await this.#ask({ kind: 'write', space, pieces })) as PieceResult[];
  }

  /** Takes in what has come of a run, at once. */
  async now(space: string, run: string): Promise<void> {
    await this.#ask({ kind: 'now', space, run });
  }

  /** After what was asked is done. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#say({ kind: 'close' });
    await this.#ended;
  }
}

function unanswered(): WaddleError {
  return new WaddleError(
    'server-busy',
    'the collector could not finish it',
    'Try again in a moment: it goes on by itself.',
  );
}
