/** What can be a chart, a column or stand in a filter: asked when runs come, and now and then while some still grow. */
import { effect, signal } from '@preact/signals';
import type { Keys } from '../../protocol/api.ts';
import { type ApiFailure, asFailure, getKeys, isAbort } from '../api/client.ts';
import { onBatch } from '../api/live.ts';
import { chartRuns } from './shown-runs.ts';
import { view } from './view.ts';

/** Of all runs of the project. */
export const keys = signal<Keys | null>(null);
/** Of the charted runs, in order. */
export const chartKeys = signal<readonly string[] | null>(null);
export const keysFailure = signal<ApiFailure | null>(null);

/** A run that grows may get a new metric: asked at most so often, and only while points come. */
const REFRESH_MS = 4000;

let request: AbortController | undefined;
let timer: number | undefined;

async function load(project: string, ids: readonly string[]): Promise<void> {
  request?.abort();
  const mine = new AbortController();
  request = mine;
  try {
    const charted = ids.length === 0 ? Promise.resolve(null) : getKeys({ runs: ids.join() }, mine.signal);
    const of = await charted;
    if (mine.signal.aborted) return;
    setChartKeys((of?.metrics ?? []).map((entry) => entry.key));
    keysFailure.value = null;
    const all = await getKeys(project === '' ? {} : { project }, mine.signal);
    if (!mine.signal.aborted) keys.value = all;
  } catch (error) {
    if (!isAbort(error) && !mine.signal.aborted) keysFailure.value = asFailure(error);
  }
}

function setChartKeys(list: readonly string[]): void {
  const before = chartKeys.peek();
  if (before !== null && before.length === list.length && before.every((key, index) => key === list[index]))
    return;
  chartKeys.value = list;
}

export const reloadKeys = (): void =>
  void load(
    view.peek().project,
    chartRuns.peek().map((run) => run.id),
  );

/** Follows the charted runs; returns how to stop. */
export function startKeys(ready: () => boolean): () => void {
  let asked = '';
  const stopEffect = effect(() => {
    const { project } = view.value;
    const ids = chartRuns.value.map((run) => run.id);
    const now = `${project} ${ids.join()}`;
    if (!ready() || now === asked) return;
    asked = now;
    void load(project, ids);
  });
  const stopBatch = onBatch((batch) => {
    if (batch.runs.length === 0 && batch.points.length === 0) return;
    timer ??= window.setTimeout(() => {
      timer = undefined;
      if (!document.hidden) reloadKeys();
    }, REFRESH_MS);
  });
  return () => {
    stopEffect();
    stopBatch();
    clearTimeout(timer);
    timer = undefined;
    request?.abort();
  };
}
