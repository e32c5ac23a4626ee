/** What can be a chart, a column or stand in a filter: asked when runs come, and now and then while some still grow. */
import { effect, signal } from '@preact/signals';
import type { Keys } from '../../protocol/api.ts';
import { type ApiFailure, asFailure, getKeys, isAbort } from '../api/client.ts';
import { chartRuns } from './shown-runs.ts';
import { view } from './view.ts';

/** Of all runs of the project. */
export const keys = signal<Keys | null>(null);
/** Of the charted runs, in order. */
export const chartKeys = signal<readonly string[] | null>(null);
export const keysFailure = signal<ApiFailure | null>(null);

/** A run that grows may get a new metric, of which the stream says nothing: asked ever less often while there is none. */
const REFRESH_MS = 300;
const SELDOM_MS = 15_000;

let request: AbortController | undefined;
let wait = REFRESH_MS;
let timer: number | undefined;

/** `quiet`: what all runs have is asked only where the charted ones have something new. */
async function load(project: string, ids: readonly string[], quiet: boolean): Promise<void> {
  request?.abort();
  const mine = new AbortController();
  request = mine;
  try {
    const charted = ids.length === 0 ? Promise.resolve(null) : getKeys({ runs: ids.join() }, mine.signal);
    const of = await charted;
    if (mine.signal.aborted) return;
    const changed = setChartKeys((of?.metrics ?? []).map((entry) => entry.key));
    wait = changed ? REFRESH_MS : Math.min(SELDOM_MS, wait * 2);
    keysFailure.value = null;
    if (quiet && !changed) return;
    const all = await getKeys(project === '' ? {} : { project }, mine.signal);
    if (!mine.signal.aborted) keys.value = all;
  } catch (error) {
    if (!isAbort(error) && !mine.signal.aborted) keysFailure.value = asFailure(error);
  } finally {
    if (!mine.signal.aborted) reloadSoon();
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

/** Nothing is asked while no run grows, or nobody looks. */
function reloadSoon(): void {
  clearTimeout(timer);
  timer = undefined;
  if (document.hidden || !chartRuns.peek().some((run) => run.live)) return;
  timer = window.setTimeout(reloadKeys, wait);
}

export function reloadKeys(): void {
  const ids = chartRuns.peek().map((run) => run.id);
  void load(view.peek().project, ids, true);
}

/** Follows the charted runs; returns how to stop. */
export function startKeys(ready: () => boolean): () => void {
  let asked = '';
  const stopEffect = effect(() => {
    const { project } = view.value;
    const ids = chartRuns.value.map((run) => run.id);
    // A run that ends may have logged a last new metric.
    const live = chartRuns.value.filter((run) => run.live).length;
    const now = `${project} ${live} ${ids.join()}`;
    if (!ready() || now === asked) return;
    asked = now;
    wait = REFRESH_MS;
    void load(project, ids, false);
  });
  document.addEventListener('visibilitychange', reloadSoon);
  return () => {
    stopEffect();
    document.removeEventListener('visibilitychange', reloadSoon);
    clearTimeout(timer);
    timer = undefined;
    request?.abort();
  };
}
