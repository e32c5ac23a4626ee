/** What can be a chart, a column or stand in a filter: asked when runs come, and when the stream tells of a new metric. */
import { effect, signal } from '@preact/signals';
import type { Keys } from '../../protocol/api.ts';
import { type ApiFailure, apiPath, asFailure, getKeys, isAbort } from '../api/client.ts';
import { onBatch, onReconnect, watch } from '../api/live.ts';
import { inView, whenQuiet } from '../api/quiet.ts';
import { keysPath } from './asks.ts';
import { chartRuns } from './shown-runs.ts';
import { view } from './view.ts';

/** Of all runs of the project. */
export const keys = signal<Keys | null>(null);
/** Of the charted runs, in order. */
export const chartKeys = signal<readonly string[] | null>(null);
export const keysFailure = signal<ApiFailure | null>(null);

/** The metrics of one call come together, those of many processes do not. */
const SETTLE_MS = 150;
const FIRST_MS = 1000;

let request: AbortController | undefined;
let timer: number | undefined;

/** `quiet`: what all runs have is asked only where the charted ones have something new. */
async function load(project: string, ids: readonly string[], quiet: boolean): Promise<void> {
  request?.abort();
  const mine = new AbortController();
  request = mine;
  try {
    const charted = ids.length === 0 ? Promise.resolve(null) : inView(getKeys(keysPath(ids), mine.signal));
    const of = await charted;
    if (mine.signal.aborted) return;
    const changed = setChartKeys((of?.metrics ?? []).map((entry) => entry.key));
    keysFailure.value = null;
    if (quiet && !changed) return;
    await whenQuiet();
    if (mine.signal.aborted) return;
    const all = await getKeys(apiPath('/api/keys', { project }), mine.signal);
    if (!mine.signal.aborted) keys.value = all;
  } catch (error) {
    if (!isAbort(error) && !mine.signal.aborted) keysFailure.value = asFailure(error);
  }
}

/** Whether they are others than before. */
function setChartKeys(list: readonly string[]): boolean {
  const before = chartKeys.peek();
  if (before !== null && before.length === list.length && before.every((key, index) => key === list[index]))
    return false;
  chartKeys.value = list;
  return true;
}

export function reloadKeys(): void {
  const ids = chartRuns.peek().map((run) => run.id);
  void load(view.peek().project, ids, true);
}

/** Follows the charted runs; returns how to stop. */
export function startKeys(ready: () => boolean): () => void {
  let asked = '';
  const me = {};
  let watched = '';
  const reloadSoon = (wait = SETTLE_MS) => {
    timer ??= window.setTimeout(() => {
      timer = undefined;
      reloadKeys();
    }, wait);
  };
  const stops = [
    effect(() => {
      const { project } = view.value;
      const ids = chartRuns.value.map((run) => run.id);
      const live = chartRuns.value.filter((run) => run.live).map((run) => run.id);
      watch(me, live.length === 0 ? undefined : { runs: live });
      // What is new between the answer and the stream's beginning to tell of these runs.
      if (live.length > 0 && live.join() !== watched) reloadSoon(FIRST_MS);
      watched = live.join();
      // A run that ends may have logged a last new metric.
      const now = `${project} ${live.length} ${ids.join()}`;
      if (!ready() || now === asked) return;
      asked = now;
      void load(project, ids, false);
    }),
    onBatch(({ metrics, gap }) => {
      const known = new Set(chartKeys.peek() ?? []);
      if (gap !== undefined || metrics?.some(({ key }) => !known.has(key))) reloadSoon();
    }),
    onReconnect(() => reloadSoon()),
  ];
  return () => {
    for (const stop of stops) stop();
    watch(me, undefined);
    clearTimeout(timer);
    timer = undefined;
    request?.abort();
  };
}
