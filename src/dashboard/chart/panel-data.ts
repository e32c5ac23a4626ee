/** What one chart shows: its lines, fetched, kept while finer ones are on their way, and grown by live points. */
import { signal } from '@preact/signals';
import type { Batch, LivePoints } from '../../protocol/api.ts';
import { type ApiFailure, asFailure, isAbort } from '../api/client.ts';
import { onBatch, onReconnect, watch } from '../api/live.ts';
import { appendPoints, type Line } from './line.ts';
import { fetchSeries, type SeriesAsk } from './series-client.ts';

/** More live points than this many times what was asked: time to have them bucketed by the server. */
const GROWN = 3;
/** After a run's end. */
const LAST_MS = 1200;

export class PanelData {
  lines: Line[] = [];
  /** Counts every change of the lines. */
  readonly version = signal(0);
  /** `stale`: what is shown is of an earlier question; the answer is on its way. */
  readonly state = signal<'empty' | 'loading' | 'ready' | 'stale' | 'failed'>('empty');
  failure: ApiFailure | undefined;
  /** Only of these are the lines on hand. */
  #ask: SeriesAsk | undefined;
  /** What was asked for the lines on hand. */
  #answered: SeriesAsk | undefined;
  /** The lines of the whole range, kept while a part of it is shown: zooming out has something to show at once. */
  #whole: { ask: SeriesAsk; lines: Line[] } | undefined;
  #live: ReadonlySet<string> = new Set();
  #request: AbortController | undefined;
  #early: LivePoints[] = [];
  #appended = 0;
  #last: number | undefined;
  readonly #startOf: (run: string) => number;
  readonly #stop: (() => void)[];

  /** `startOf` gives a run's start in epoch seconds, for relative time. */
  constructor(startOf: (run: string) => number) {
    this.#startOf = startOf;
    this.#stop = [onBatch((batch) => this.#receive(batch))];
    this.#stop.push(onReconnect(() => this.state.peek() === 'failed' && this.again()));
  }

  /** Asks anew where the question differs. `live`: runs that still grow. */
  ask(ask: SeriesAsk, live: readonly string[]): void {
    const ended = [...this.#live].some((run) => !live.includes(run) && ask.runs.includes(run));
    this.#live = new Set(live);
    // The stream of a run that has ended is left; what came last is asked once more.
    if (ended) {
      clearTimeout(this.#last);
      this.#last = window.setTimeout(() => {
        this.#whole = undefined;
        this.again();
      }, LAST_MS);
    }
    watch(this, live.length === 0 ? undefined : { runs: live, keys: [ask.key] });
    if (this.#ask !== undefined && sameAsk(this.#ask, ask)) return;
    // Of another axis or key the lines would be wrong; of other runs or another range they are merely old.
    if (this.#ask !== undefined && (this.#ask.axis !== ask.axis || this.#ask.key !== ask.key))
      this.lines = [];
    const wanted = new Set(ask.runs);
    if (this.lines.some((line) => !wanted.has(line.run))) {
      this.lines = this.lines.filter((line) => wanted.has(line.run));
      this.version.value++;
    }
    this.#ask = ask;
    const whole = this.#whole;
    if (whole !== undefined && sameAsk(whole.ask, { ...ask, from: undefined, to: undefined })) {
      if (!covers(this.#answered, ask)) {
        this.lines = whole.lines;
        this.#answered = whole.ask;
        this.version.value++;
      }
      if (sameAsk(whole.ask, ask) && this.lines === whole.lines) {
        this.#request?.abort();
        this.#request = undefined;
        this.state.value = 'ready';
        return;
      }
    } else this.#whole = undefined;
    this.again();
  }

  again(): void {
    const ask = this.#ask;
    if (ask === undefined) return;
    this.#request?.abort();
    if (ask.runs.length === 0) {
      this.lines = [];
      this.state.value = 'ready';
      this.version.value++;
      return;
    }
    const request = new AbortController();
    this.#request = request;
    this.#early = [];
    this.state.value = this.lines.length > 0 ? 'stale' : 'loading';
    fetchSeries(ask, request.signal).then(
      ({ lines }) => {
        if (request.signal.aborted) return;
        this.#request = undefined;
        this.lines = lines;
        this.#answered = ask;
        if (ask.from === undefined && ask.to === undefined) this.#whole = { ask, lines };
        this.#appended = 0;
        const early = this.#early;
        this.#early = [];
        for (const points of early) this.#append(points);
        this.state.value = 'ready';
        this.version.value++;
      },
      (error: unknown) => {
        if (isAbort(error) || request.signal.aborted) return;
        this.#request = undefined;
        this.failure = asFailure(error);
        this.state.value = 'failed';
      },
    );
  }

  #receive(batch: Batch): void {
    const ask = this.#ask;
    if (ask === undefined) return;
    if (batch.gap === 'points' || batch.gap === 'all') {
      this.#whole = undefined;
      this.again();
      return;
    }
    let changed = false;
    for (const points of batch.points) {
      if (points.key !== ask.key || !ask.runs.includes(points.run)) continue;
      if (this.#request !== undefined) {
        this.#early.push(points);
        // While an answer is on its way, what is on hand grows too.
        if (this.lines.length === 0) continue;
      }
      changed = this.#append(points) || changed;
    }
    if (changed) this.version.value++;
    if (this.#appended > ask.points * GROWN * Math.max(1, this.#live.size) && this.#request === undefined)
      this.again();
  }

  #append(points: LivePoints): boolean {
    const ask = this.#ask;
    if (ask === undefined) return false;
    const result = appendPoints(this.lines, points, ask.axis, this.#startOf(points.run));
    const whole = this.#whole;
    if (whole !== undefined && whole.lines !== this.lines) {
      if (appendPoints(whole.lines, points, ask.axis, this.#startOf(points.run)) === 'gap')
        this.#whole = undefined;
    }
    if (result === 'gap' && this.#request === undefined) this.again();
    if (result !== 'appended') return false;
    this.#appended += points.v.length;
    return true;
  }

  close(): void {
    clearTimeout(this.#last);
    this.#request?.abort();
    watch(this, undefined);
    for (const stop of this.#stop) stop();
  }
}

/** Whether the lines of one question reach over the range of another. */
function covers(had: SeriesAsk | undefined, ask: SeriesAsk): boolean {
  if (had === undefined) return false;
  const [from, to] = [had.from ?? Number.NEGATIVE_INFINITY, had.to ?? Number.POSITIVE_INFINITY];
  return from <= (ask.from ?? Number.NEGATIVE_INFINITY) && to >= (ask.to ?? Number.POSITIVE_INFINITY);
}

function sameAsk(a: SeriesAsk, b: SeriesAsk): boolean {
  return (
    a.key === b.key &&
    a.points === b.points &&
    a.axis === b.axis &&
    a.from === b.from &&
    a.to === b.to &&
    a.runs.length === b.runs.length &&
    a.runs.every((run, index) => run === b.runs[index])
  );
}
