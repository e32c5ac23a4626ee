/**
 * Asks for series, many panels in one request. What is asked within the same few milliseconds for the same runs and range
 * goes together, in pieces small enough that the first charts are drawn while the next are on their way; a request of which
 * nobody wants anything any more is cancelled.
 */
import type { SeriesColumn, SeriesRequest } from '../../protocol/api.ts';
import { ApiFailure, readFailure } from '../api/client.ts';
import { inView } from '../api/quiet.ts';
import { type Axis, type Line, lineOf, markResumed } from './line.ts';
import type { WorkerAnswer, WorkerAsk } from './series-worker.ts';
import { preparedWorker, startSeriesWorker } from './start-worker.ts';

export interface SeriesAsk {
  runs: readonly string[];
  key: string;
  points: number;
  axis: Axis;
  from: number | undefined;
  to: number | undefined;
}

export interface SeriesAnswer {
  lines: Line[];
  cursor: string;
}

interface Waiting {
  ask: SeriesAsk;
  signal: AbortSignal;
  resolve: (answer: SeriesAnswer) => void;
  reject: (error: unknown) => void;
}

/** Series of one request: about what a server reads and sends in 50 to 100 ms. */
const MAX_SERIES = 800;
/** A server has one thread: two at a time would both be late. */
const MAX_REQUESTS = 1;
const COLUMNS: SeriesColumn[] = ['x0', 'x1', 'min', 'max', 'mean', 'nan'];

let worker: Worker | undefined;
let count = 0;
const pending = new Map<number, Waiting[]>();
let queue: Waiting[] = [];
let scheduled = false;

/** Throws ApiFailure, or the browser's AbortError. */
export function fetchSeries(ask: SeriesAsk, signal: AbortSignal): Promise<SeriesAnswer> {
  return inView(
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(aborted());
      queue.push({ ask, signal, resolve, reject });
      if (scheduled) return;
      scheduled = true;
      setTimeout(() => {
        scheduled = false;
        flush();
      }, 4);
    }),
  );
}

const aborted = () => new DOMException('nobody wants it any more', 'AbortError');

function flush(): void {
  queue = queue.filter((one) => {
    if (one.signal.aborted) one.reject(aborted());
    return !one.signal.aborted;
  });
  while (queue.length > 0 && pending.size < MAX_REQUESTS) {
    const [head] = queue;
    if (head === undefined) return;
    const group = groupName(head.ask);
    const room = Math.max(1, Math.floor(MAX_SERIES / Math.max(1, head.ask.runs.length)));
    const taken = queue.filter((one) => groupName(one.ask) === group).slice(0, room);
    const rest = new Set(taken);
    queue = queue.filter((one) => !rest.has(one));
    start(taken, head.ask);
  }
}

const names = new WeakMap<readonly string[], string>();

function groupName(ask: SeriesAsk): string {
  let runs = names.get(ask.runs);
  if (runs === undefined) {
    runs = ask.runs.join();
    names.set(ask.runs, runs);
  }
  return `${ask.axis} ${ask.points} ${ask.from} ${ask.to} ${runs}`;
}

function start(waiting: Waiting[], ask: SeriesAsk): void {
  const id = ++count;
  pending.set(id, waiting);
  const request: SeriesRequest = {
    runs: [...ask.runs],
    keys: [...new Set(waiting.map((one) => one.ask.key))],
    points: ask.points,
    axis: ask.axis,
    columns: COLUMNS,
    ...(ask.from === undefined ? {} : { from: ask.from }),
    ...(ask.to === undefined ? {} : { to: ask.to }),
  };
  post({ id, request });
  for (const one of waiting) {
    one.signal.addEventListener(
      'abort',
      () => {
        one.reject(aborted());
        if (waiting.every(({ signal }) => signal.aborted)) post({ id, request: null });
      },
      { once: true },
    );
  }
}

function post(ask: WorkerAsk): void {
  worker ??= startWorker();
  worker.postMessage(ask);
}

function startWorker(): Worker {
  const started = preparedWorker() ?? startSeriesWorker();
  started.addEventListener('message', ({ data }: MessageEvent<WorkerAnswer>) => void receive(data));
  started.addEventListener('error', () => {
    for (const list of pending.values()) {
      for (const one of list)
        one.reject(new ApiFailure('page', 'charts cannot be read', 'reload the page', 0));
    }
    pending.clear();
    worker = undefined;
  });
  return started;
}

async function receive(answer: WorkerAnswer): Promise<void> {
  const waiting = pending.get(answer.id) ?? [];
  pending.delete(answer.id);
  flush();
  if ('aborted' in answer) {
    for (const one of waiting) one.reject(aborted());
  } else if ('failure' in answer) {
    const { status, text } = answer.failure;
    const failure =
      status === 0
        ? new ApiFailure('unreachable', 'the server does not answer', 'is `waddle serve` still running?', 0)
        : await readFailure(new Response(text, { status }));
    for (const one of waiting) one.reject(failure);
  } else {
    const byKey = new Map(answer.keys.map(({ key, series }) => [key, series]));
    for (const one of waiting) {
      const lines = (byKey.get(one.ask.key) ?? []).map(lineOf);
      markResumed(lines);
      one.resolve({ lines, cursor: answer.cursor });
    }
  }
}
