/** All of one run but its samples and console: fetched, and kept true by the live stream. */
import { batch, signal } from '@preact/signals';
import type { Batch, LiveRun, RunDetail } from '../../protocol/api.ts';
import {
  type ApiFailure,
  asFailure,
  getRunsPage,
  getTextAt,
  isAbort,
  runPath,
  runsPath,
} from '../api/client.ts';
import { beginStream, onBatch, onReconnect, watch } from '../api/live.ts';
import { parseExact } from './values.ts';

/** Where a run changes all the time, it is read again at most so often. */
const REREAD_MS = 1500;
/** A heartbeat alone is no news to the stream; it is asked for so often, while somebody looks. */
const HEARD_MS = 60_000;

export class RunData {
  readonly id: string;
  readonly detail = signal<RunDetail | null>(null);
  readonly state = signal<'loading' | 'ready' | 'failed'>('loading');
  readonly failure = signal<ApiFailure | null>(null);
  readonly removed = signal(false);
  /** When `last_event_at` was true, in epoch seconds. */
  readonly looked = signal(Date.now() / 1000);
  #request: AbortController | undefined;
  #timer: number | undefined;
  #lastRead = 0;
  readonly #stop: (() => void)[];

  constructor(id: string) {
    this.id = id;
    watch(this, { runs: [id] });
    this.#stop = [onBatch((message) => this.#receive(message)), onReconnect(() => void this.read())];
    const timer = setInterval(() => void this.#listen(), HEARD_MS);
    this.#stop.push(() => clearInterval(timer));
    void this.read();
  }

  async read(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    this.#lastRead = performance.now();
    const begin = beginStream();
    try {
      const { text, cursor } = await getTextAt(runPath(this.id), request.signal);
      begin(cursor);
      batch(() => {
        this.detail.value = parseExact(text) as RunDetail;
        this.state.value = 'ready';
        this.failure.value = null;
        this.removed.value = false;
        this.looked.value = Date.now() / 1000;
      });
    } catch (error) {
      if (isAbort(error) || request.signal.aborted) return;
      const failure = asFailure(error);
      batch(() => {
        this.failure.value = failure;
        // Without a connection what is here stays; the offline bar tells.
        if (this.detail.peek() === null) this.state.value = 'failed';
        else if (failure.status === 404) this.removed.value = true;
      });
    } finally {
      begin(undefined);
      if (this.#request === request) this.#request = undefined;
    }
  }

  /** When a running run was last heard of. */
  async #listen(): Promise<void> {
    if (document.hidden || this.detail.peek()?.run.status !== 'running') return;
    try {
      const page = await getRunsPage(runsPath({ filter: `id = '${this.id}'`, archived: true, limit: 1 }));
      const row = page.items[0];
      if (row === undefined) return;
      batch(() => {
        this.looked.value = Date.now() / 1000;
        this.change((detail) => ({ ...detail, run: { ...detail.run, last_event_at: row.last_event_at } }));
      });
    } catch {
      // The next time tells; the bar at the top says where the server is gone.
    }
  }

  /** Changes what is shown at once, before the server has answered. */
  change(change: (detail: RunDetail) => RunDetail): void {
    const now = this.detail.peek();
    if (now !== null) this.detail.value = change(now);
  }

  #soon(wait: number): void {
    this.#timer ??= window.setTimeout(() => void this.read(), wait);
  }

  #receive(message: Batch): void {
    if (message.gap === 'all') return void this.read();
    if (message.metrics?.some(({ run }) => run === this.id)) this.#soon(150);
    const row = message.runs.find((run) => run.id === this.id);
    if (row === undefined) return;
    if (row.removed) {
      this.removed.value = true;
      return;
    }
    this.change((detail) => ({ ...detail, run: { ...detail.run, ...ownFields(row) } }));
    this.#soon(Math.max(50, REREAD_MS - (performance.now() - this.#lastRead)));
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#request?.abort();
    watch(this, undefined);
    for (const stop of this.#stop) stop();
  }
}

/** A row of the stream without the columns that it carries for tables. */
function ownFields(row: LiveRun): Partial<RunDetail['run']> {
  const { removed: _, params: _params, tags: _tags, metrics: _metrics, ...own } = row;
  return own;
}
