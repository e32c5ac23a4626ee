/** One run’s console as it is loaded: pages join at both ends, live lines at the last one. */
import { batch, signal } from '@preact/signals';
import type { Batch, ConsoleLine, ConsolePage } from '../../protocol/api.ts';
import { type ApiFailure, asFailure, getJson, isAbort } from '../api/client.ts';
import { onBatch, onReconnect, watch } from '../api/live.ts';
import {
  append,
  appendLive,
  lastPlaced,
  leavesHole,
  NOTHING,
  prepend,
  type Stretch,
  stretchOf,
} from './console-model.ts';

const PAGE = 1000;

export type Streams = '' | 'stdout' | 'stderr';

export class ConsoleData {
  readonly stretch = signal<Stretch>(NOTHING);
  readonly state = signal<'loading' | 'ready' | 'failed'>('loading');
  readonly failure = signal<ApiFailure | null>(null);
  /** What is asked for now. */
  readonly busy = signal<'before' | 'after' | null>(null);
  /** Lines that were put before the others since they were last looked at. */
  added = 0;
  readonly run: string;
  readonly find: string;
  readonly streams: Streams;
  #request: AbortController | undefined;
  readonly #stop: (() => void)[];

  constructor(run: string, find: string, streams: Streams, at: string) {
    this.run = run;
    this.find = find;
    this.streams = streams;
    watch(this, { runs: [run], console: run });
    this.#stop = [onBatch((message) => this.#receive(message)), onReconnect(() => void this.catchUp())];
    if (at !== '') void this.around(at);
    else void this.toEnd().then(() => setTimeout(() => void this.catchUp(), 400));
  }

  async #page(query: Record<string, string | number | boolean | undefined>): Promise<ConsolePage> {
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    return getJson<ConsolePage>(
      `/api/runs/${encodeURIComponent(this.run)}/console`,
      { limit: PAGE, stream: this.streams, q: this.find, ...query },
      request.signal,
    );
  }

  async #load(query: Record<string, string | boolean>, put: (page: ConsolePage) => Stretch): Promise<void> {
    try {
      const page = await this.#page(query);
      batch(() => {
        this.stretch.value = put(page);
        this.state.value = 'ready';
        this.failure.value = null;
      });
    } catch (error) {
      if (isAbort(error)) return;
      batch(() => {
        this.failure.value = asFailure(error);
        if (this.stretch.peek().lines.length === 0) this.state.value = 'failed';
      });
    } finally {
      this.busy.value = null;
    }
  }

  toEnd(): Promise<void> {
    return this.#load({ tail: true }, stretchOf);
  }

  toStart(): Promise<void> {
    return this.#load({}, stretchOf);
  }

  /** The lines on both sides of a place. */
  async around(at: string): Promise<void> {
    await this.#load({ before: at }, stretchOf);
    await this.#load({ after: this.stretch.peek().lines.at(-1)?.at ?? '' }, (page) =>
      this.stretch.peek().lines.length === 0 ? stretchOf(page) : append(this.stretch.peek(), page),
    );
  }

  before(): void {
    const { lines, moreBefore } = this.stretch.peek();
    const first = lines[0];
    if (!moreBefore || this.busy.peek() !== null || first === undefined) return;
    this.busy.value = 'before';
    // Its place is not known where only live lines are held; the last page has places again.
    if (first.at === '') void this.toEnd();
    else
      void this.#load({ before: first.at }, (page) => {
        const now = this.stretch.peek();
        const next = prepend(now, page);
        this.added += now.lines[0] === undefined ? 0 : next.lines.indexOf(now.lines[0]);
        return next;
      });
  }

  after(): void {
    if (this.stretch.peek().moreAfter && this.busy.peek() === null) void this.catchUp();
  }

  /** What lies after the last line whose place is known. */
  async catchUp(): Promise<void> {
    const at = lastPlaced(this.stretch.peek().lines);
    this.busy.value = 'after';
    if (at === undefined) await this.toEnd();
    else await this.#load({ after: at }, (page) => append(this.stretch.peek(), page));
  }

  #receive(message: Batch): void {
    if (message.gap === 'console' || message.gap === 'all') return void this.catchUp();
    if (this.state.peek() !== 'ready') return;
    const wanted = (line: ConsoleLine) =>
      (this.streams === '' || line.stream === (this.streams === 'stdout' ? 1 : 2)) &&
      (this.find === '' || line.text.toLowerCase().includes(this.find.toLowerCase()));
    const own = message.console.filter((line) => line.run === this.run && wanted(line));
    if (own.length === 0) return;
    const stretch = this.stretch.peek();
    if (this.find === '' && !stretch.moreAfter && leavesHole(stretch, own)) void this.catchUp();
    else this.stretch.value = appendLive(stretch, own);
  }

  close(): void {
    this.#request?.abort();
    watch(this, undefined);
    for (const stop of this.#stop) stop();
  }
}
