/**
 * Fetches and takes apart bodies of series off the main thread. Each key's lines come back in a buffer of their own, so
 * that a panel that closes frees its memory, however many came in the same answer.
 */
import type { SeriesRequest } from '../../protocol/api.ts';
import { type DecodedSeries, decodeSeriesBody } from '../../protocol/series-body.ts';
import { fitSeries } from './bucket.ts';

export interface WorkerAsk {
  id: number;
  request: SeriesRequest | null; // null: stop it
}

export type WorkerAnswer =
  | { id: number; cursor: string; keys: { key: string; series: DecodedSeries[] }[] }
  | { id: number; failure: { status: number; text: string } }
  | { id: number; aborted: true };

const scope = self as unknown as {
  onmessage: ((event: MessageEvent<WorkerAsk>) => void) | null;
  postMessage: (message: WorkerAnswer, transfer?: Transferable[]) => void;
};

const RAW = ['x0', 'first'] as const;
const COLUMNS = ['x0', 'x1', 'min', 'max', 'mean', 'nan'] as const;
const NONE = new Float64Array(0);
const EMPTY = {
  x0: NONE,
  x1: NONE,
  min: NONE,
  max: NONE,
  mean: NONE,
  first: NONE,
  last: NONE,
  count: undefined,
};

/** Between two programs of one machine compressing takes longer than it spares. */
const LOCAL: Record<string, string> = /^(localhost|127\.|\[::1\])/.test(location.hostname)
  ? { 'x-no-compression': '1' }
  : {};

const running = new Map<number, AbortController>();

scope.onmessage = ({ data: { id, request } }) => {
  if (request === null) running.get(id)?.abort();
  else void answer(id, request);
};

async function answer(id: number, request: SeriesRequest): Promise<void> {
  const controller = new AbortController();
  running.set(id, controller);
  try {
    const response = await fetch('/api/series', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...LOCAL },
      body: JSON.stringify(request),
      signal: controller.signal,
    });
    if (!response.ok) {
      scope.postMessage({ id, failure: { status: response.status, text: await response.text() } });
      return;
    }
    const { cursor, series } = decodeSeriesBody(await response.arrayBuffer());
    const transfer: Transferable[] = [];
    const keys = [...Map.groupBy(series, (one) => one.key)].map(([key, list]) => {
      const packed = pack(list.map((one) => fitSeries(one, request.points)));
      transfer.push(packed.buffer);
      return { key, series: packed.series };
    });
    scope.postMessage({ id, cursor, keys }, transfer);
  } catch (error) {
    if (controller.signal.aborted) scope.postMessage({ id, aborted: true });
    else scope.postMessage({ id, failure: { status: 0, text: String(error) } });
  } finally {
    running.delete(id);
  }
}

/** Copies what a chart draws of some lines into one buffer; a raw line has its x and its value alone. */
function pack(list: readonly DecodedSeries[]): { series: DecodedSeries[]; buffer: ArrayBuffer } {
  const namesOf = (series: DecodedSeries) => (series.raw ? RAW : COLUMNS);
  const buffer = new ArrayBuffer(
    list.reduce((sum, series) => sum + namesOf(series).length * series.n * 8, 0),
  );
  let at = 0;
  const series = list.map((one) => {
    const packed: DecodedSeries = { ...one, ...EMPTY };
    for (const name of namesOf(one)) {
      const copy = new Float64Array(buffer, at, one.n);
      const column = one[name];
      if (column !== undefined && column.length === one.n) copy.set(column);
      packed[name] = copy;
      at += one.n * 8;
    }
    return packed;
  });
  return { series, buffer };
}
