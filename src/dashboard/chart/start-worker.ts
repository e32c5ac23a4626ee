/** A worker that reads series; it may be started before anybody listens, as it speaks only when it is asked. */
export const startSeriesWorker = (): Worker =>
  new Worker(new URL('./series-worker.ts', import.meta.url), { type: 'module' });

let first: Worker | undefined;

/** Starts one before the first question, which then need not wait for it. */
export function prepareSeries(): void {
  first ??= startSeriesWorker();
}

/** The one that was prepared, once; undefined: there is none. */
export function preparedWorker(): Worker | undefined {
  const worker = first;
  first = undefined;
  return worker;
}
