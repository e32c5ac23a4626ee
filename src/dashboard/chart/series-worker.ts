/**
 * Fetches and takes apart bodies of series off the main thread. Each key's lines come back in a buffer of their own, so
 * that a panel that closes frees its memory, however many came in the same answer.
 */
import type { SeriesRequest } from '../../protocol/api.ts';
import { type DecodedSeries, decodeSeriesBody } from '../../protocol/series-body.ts';

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
      headers: { 'content-type': 'application/json' },
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
      const packed = pack(list);
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

const COLUMNS = ['x0', 'x1', 'min', 'max', 'first', 'last', 'mean', 'count', 'nan'] as const;

/** Copies the columns of some lines into one buffer; columns that share memory share it again. */
function pack(list: readonly DecodedSeries[]): { series: DecodedSeries[]; buffer: ArrayBuffer } {
  const columnsOf = (series: DecodedSeries) =>
    COLUMNS.map((name) => series[name]).filter((column): column is Float64Array => column !== undefined);
  let total = 0;
  for (const series of list) {
    for (const offset of new Set(columnsOf(series).map((column) => column.byteOffset))) {
      if (offset >= 0) total += series.n;
    }
  }
  const buffer = new ArrayBuffer(total * 8);
  let at = 0;
  const series = list.map((one) => {
    const copies = new Map<number, Float64Array>();
    const packed = { ...one };
    for (const name of COLUMNS) {
      const column = one[name];
      if (column === undefined || column.length === 0) continue;
      let copy = copies.get(column.byteOffset);
      if (copy === undefined) {
        copy = new Float64Array(buffer, at * 8, column.length);
        copy.set(column);
        at += column.length;
        copies.set(column.byteOffset, copy);
      }
      packed[name] = copy;
    }
    return packed;
  });
  return { series, buffer };
}
