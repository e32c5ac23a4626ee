import {
  cover,
  firstAtStep,
  type Question,
  type SampleColumns,
  samples,
  together,
} from '../store/question.ts';
import { MAX_SEQ } from '../store/schema.ts';
import { MAX_SEGMENTS, TOP_LEVEL } from '../store/series.ts';
import type { MetricSeries } from './metric-series.ts';

/** One value of a metric. `ts` is in epoch seconds. */
export interface Sample {
  /** Unique in this database; another one after a rebuild. */
  rowid: number;
  key: string;
  step: number;
  ts: number;
  value: number;
  writer: string;
}

/** Consecutive samples of one series whose steps do not go back. */
interface Stream {
  series: MetricSeries;
  /** Place of the series in the order that was given. */
  order: number;
  columns: SampleColumns;
  /** Number of the first sample in the columns, and how many of them have been taken. */
  seq: number;
  index: number;
  /** Sample to read next, and the end. */
  next: number;
  end: number;
  /** Numbers of the samples where they are not consecutive. */
  seqs: Uint32Array | undefined;
  /** Of the head: its place in the columns, its step, and its time in milliseconds since the epoch. */
  at: number;
  step: number;
  ms: number;
}

const CHUNK = 4096;

/**
 * Series merged by step. What has the same step comes in the order of time, but of one writer's metric in the order of
 * arrival, wherever its clock went; and of the same time, in the order of the series given. Holds a part of each series.
 */
export class MergedSamples {
  readonly #chunk: number;
  readonly #heap: Stream[] = [];
  /** The stream on top has no samples at hand. */
  #hungry = false;

  private constructor(chunk: number) {
    this.#chunk = chunk;
  }

  /** From a step on, if given. About so many samples are wanted. */
  static *open(
    all: readonly MetricSeries[],
    fromStep: number | undefined,
    wanted: number,
  ): Question<MergedSamples> {
    const ranges = (yield* together(all.map(segmentRanges))).flatMap((list, order) => {
      const series = all[order];
      return series === undefined ? [] : list.map((range) => ({ ...range, series, order }));
    });
    const chunk = Math.max(16, Math.min(CHUNK, wanted, Math.ceil((8 * CHUNK) / Math.max(1, ranges.length))));
    const starts = yield* together(
      ranges.map(({ series, from, to, unsorted }) =>
        fromStep === undefined || unsorted
          ? known(from)
          : firstAtStep({ series: series.id, from, to }, fromStep),
      ),
    );
    const wantedRanges = ranges.map(({ series, from, to, unsorted }, index) => {
      const start = starts[index] ?? from;
      return { series: series.id, from: start, to: unsorted ? to : Math.min(to, start + chunk) };
    });
    const read = yield* samples(wantedRanges, { times: true });
    const merged = new MergedSamples(chunk);
    for (const [index, { series, order, to, unsorted }] of ranges.entries()) {
      const [columns, range] = [read[index], wantedRanges[index]];
      if (columns === undefined || range === undefined || columns.step.length === 0) continue;
      const stream: Stream = {
        series,
        order,
        columns,
        seq: range.from,
        index: 0,
        next: range.to,
        end: to,
        seqs: unsorted ? sortedFrom(columns, fromStep) : undefined,
        at: 0,
        step: 0,
        ms: 0,
      };
      if (readHead(stream)) merged.#heap.push(stream);
    }
    for (let index = (merged.#heap.length >> 1) - 1; index >= 0; index--) merged.#sink(index);
    return merged;
  }

  /** It must be fed before the next sample is taken. */
  get hungry(): boolean {
    return this.#hungry;
  }

  *feed(): Question<void> {
    const stream = this.#heap[0];
    if (!this.#hungry || stream === undefined) return;
    const { series, next, end } = stream;
    const to = Math.min(end, next + this.#chunk);
    const [columns] = yield* samples([{ series: series.id, from: next, to }], { times: true });
    if (columns !== undefined) stream.columns = columns;
    stream.seq = next;
    stream.index = 0;
    stream.next = to;
    this.#hungry = false;
    this.#settle(stream);
  }

  /** The next sample; undefined at the end. */
  take(): Sample | undefined {
    const stream = this.#heap[0];
    if (stream === undefined) return undefined;
    const { series, seqs, columns, at } = stream;
    const sample: Sample = {
      rowid: series.id * MAX_SEQ + stream.seq + at,
      key: series.key,
      step: stream.step,
      ts: stream.ms / 1000,
      value: columns.value[at] ?? Number.NaN,
      writer: series.writer,
    };
    stream.index += 1;
    if (stream.index >= (seqs?.length ?? columns.step.length) && stream.next < stream.end)
      this.#hungry = true;
    else this.#settle(stream);
    return sample;
  }

  /** Puts the stream on top where its new head belongs. */
  #settle(stream: Stream): void {
    const heap = this.#heap;
    if (!readHead(stream)) {
      const last = heap.pop();
      if (last === undefined || last === stream) return;
      heap[0] = last;
    }
    if (heap.length > 1) this.#sink(0);
  }

  #sink(from: number): void {
    const heap = this.#heap;
    const item = heap[from];
    if (item === undefined) return;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      let least = heap[child];
      if (least === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && comesBefore(right, least)) [child, least] = [child + 1, right];
      if (!comesBefore(least, item)) break;
      heap[at] = least;
      at = child;
    }
    heap[at] = item;
  }
}

/** False where the columns are at their end. */
function readHead(stream: Stream): boolean {
  const { columns, index, seqs, series } = stream;
  if (index >= (seqs?.length ?? columns.step.length)) return false;
  const at = seqs?.[index] ?? index;
  stream.at = at;
  stream.step = columns.step[at] ?? 0;
  stream.ms = series.t0 + (columns.dt[at] ?? 0);
  return true;
}

function comesBefore(a: Stream, b: Stream): boolean {
  if (a.step !== b.step) return a.step < b.step;
  const alike = a.series.writer === b.series.writer && a.series.key === b.series.key;
  if (!alike && a.ms !== b.ms) return a.ms < b.ms;
  return a.order === b.order ? a.seq + a.at < b.seq + b.at : a.order < b.order;
}

interface SegmentRange {
  from: number;
  to: number;
  /** Its steps go back all the same: it must be sorted. */
  unsorted: boolean;
}

/** The parts of a series in which steps do not go back. Each ended one has a bucket at the top level. */
function* segmentRanges(series: MetricSeries): Question<SegmentRange[]> {
  const starts = [0];
  if (series.segment > 0) {
    const part = { level: TOP_LEVEL, from: 0, to: series.count, segment: series.segment };
    const [buckets = []] = yield* cover(series.id, 'arrival', { from: 0, to: 0, width: -1 }, [part]);
    for (const [index, { seq, segment }] of buckets.entries()) {
      if (index > 0 && segment !== buckets[index - 1]?.segment) starts.push(seq);
    }
  }
  return starts.map((from, index) => ({
    from,
    to: starts[index + 1] ?? series.count,
    unsorted: index === starts.length - 1 && series.segment >= MAX_SEGMENTS,
  }));
}

// biome-ignore lint/correctness/useYield: an answer that is known beside those that are not
function* known<T>(value: T): Question<T> {
  return value;
}

/** Places of the samples from a step on, by step, then arrival. */
function sortedFrom({ step }: SampleColumns, from: number | undefined): Uint32Array {
  const places = Uint32Array.from(step.keys()).filter((at) => from === undefined || (step[at] ?? 0) >= from);
  return places.sort((a, b) => (step[a] ?? 0) - (step[b] ?? 0) || a - b);
}
