/**
 * The runs that a query finds, as rows, kept true by the live stream. Pages come one after the other, so that the first rows
 * are there at once; what is on hand stays until the answer to a new question is here.
 */
import { computed, signal } from '@preact/signals';
import type { Batch, RunRow } from '../../protocol/api.ts';
import {
  type ApiFailure,
  asFailure,
  firstRunsPath,
  getRunsPage,
  isAbort,
  type Page,
  type RunsAsk,
  runsPath,
} from './client.ts';
import { beginStream, onBatch, onReconnect } from './live.ts';
import { inView, whenQuiet } from './quiet.ts';

const NEXT_PAGE = 2000;
/** So many come by themselves; the rest when the table is scrolled to their place. */
const EAGER_RUNS = 2200;
/** More runs than this are not held; the filter finds them. */
const MAX_RUNS = 20_000;
/** Where a change may bring runs into a filter or out of it: asked again at most so often. */
const REFRESH_MS = 2000;

const rows = signal<ReadonlyMap<string, RunRow>>(new Map());
/** Newest first. */
export const runRows = computed<readonly RunRow[]>(() =>
  [...rows.value.values()].sort(
    (a, b) => (b.started_at ?? 0) - (a.started_at ?? 0) || (a.id < b.id ? -1 : 1),
  ),
);
/** `loading`: nothing yet; `partial`: more pages are coming; `stale`: the rows answer an earlier question. */
export const runsState = signal<'loading' | 'partial' | 'ready' | 'stale' | 'failed'>('loading');
export const runsFailure = signal<ApiFailure | null>(null);
/** There are more than are held. */
export const moreRuns = signal(false);
/** After a count of runs: `+` while there are more than have come. */
export const countSuffix = computed(() => (moreRuns.value || runsState.value === 'partial' ? '+' : ''));

export const runById = (id: string): RunRow | undefined => rows.value.get(id);

let ask: RunsAsk | undefined;
/** What is held answers the question at hand. */
let reloaded = false;
let request: AbortController | undefined;
/** The page after the rows on hand. */
let following: string | undefined;
let timer: number | undefined;
/** What came live while a page was on its way; it beats the page. */
let fresh = new Map<string, RunRow | null>();

export function askRuns(next: RunsAsk): void {
  if (ask !== undefined && JSON.stringify(ask) === JSON.stringify(next)) return;
  reloaded = false;
  ask = next;
  if (runsState.peek() !== 'loading') runsState.value = 'stale';
  void load();
}

export const reloadRuns = (): void => void load();

/** The table shows the last of the rows on hand: more, where there are any. */
export async function moreRunsPlease(): Promise<void> {
  const href = following;
  if (href === undefined || request !== undefined || rows.peek().size >= MAX_RUNS) return;
  const mine = new AbortController();
  request = mine;
  fresh = new Map();
  try {
    const page = await getRunsPage(href, mine.signal);
    if (mine.signal.aborted) return;
    following = page.next;
    moreRuns.value = following !== undefined;
    publish(new Map([...rows.peek(), ...page.items.map((row) => [row.id, row] as const)]));
  } catch (error) {
    if (!isAbort(error)) runsFailure.value = asFailure(error);
  } finally {
    if (request === mine) request = undefined;
  }
}

async function load(): Promise<void> {
  if (ask === undefined) return;
  clearTimeout(timer);
  timer = undefined;
  request?.abort();
  const mine = new AbortController();
  request = mine;
  fresh = new Map();
  // What happens from the first answer on comes with the stream.
  const begin = beginStream();
  try {
    let href: string | undefined = firstRunsPath(ask);
    const found = new Map<string, RunRow>();
    // A reload has as many as were there.
    const enough = Math.min(MAX_RUNS, Math.max(EAGER_RUNS, reloaded ? rows.peek().size : 0));
    while (href !== undefined && found.size < enough) {
      const isFirst = found.size === 0;
      if (!isFirst) await whenQuiet();
      const page: Page<RunRow> = await inView(getRunsPage(href, mine.signal));
      begin(page.cursor);
      for (const row of page.items) found.set(row.id, row);
      href = page.next?.replace(/([?&]limit=)\d+/, `$1${NEXT_PAGE}`);
      if (mine.signal.aborted) return;
      const first = runsState.peek() === 'loading' || runsState.peek() === 'partial' || isFirst;
      // A quiet reload of many pages is shown when it is whole, so that no rows blink out.
      if (href === undefined || found.size >= enough || (first && found.size >= rows.peek().size))
        publish(found);
      runsFailure.value = null;
      runsState.value =
        href === undefined || found.size >= enough
          ? 'ready'
          : runsState.peek() === 'stale'
            ? 'stale'
            : 'partial';
    }
    following = href;
    moreRuns.value = href !== undefined;
    publish(found);
    runsState.value = 'ready';
    reloaded = true;
  } catch (error) {
    if (isAbort(error) || mine.signal.aborted) return;
    runsFailure.value = asFailure(error);
    runsState.value = rows.peek().size > 0 ? 'stale' : 'failed';
    if (runsFailure.value.code !== 'unreachable') runsState.value = 'failed';
  } finally {
    begin(undefined);
    if (request === mine) request = undefined;
  }
}

/** Every run of the project, whatever the view finds: what is held where that is all, else asked. */
export function everyRun(stop: AbortSignal): readonly RunRow[] | Promise<readonly RunRow[]> {
  const all = ask !== undefined && !ask.filter && !ask.q && !ask.project && !moreRuns.peek();
  return all && runsState.peek() === 'ready' ? runRows.peek() : askEveryRun(stop);
}

async function askEveryRun(stop: AbortSignal): Promise<readonly RunRow[]> {
  const found: RunRow[] = [];
  try {
    let href: string | undefined = runsPath({ limit: NEXT_PAGE });
    while (href !== undefined && found.length < EAGER_RUNS) {
      const page = await getRunsPage(href, stop);
      found.push(...page.items);
      href = page.next;
    }
  } catch {
    // What is here stays of use without the server.
    return found.length > 0 ? found : runRows.peek();
  }
  return found;
}

function publish(found: ReadonlyMap<string, RunRow>): void {
  const next = new Map(found);
  for (const [id, row] of fresh) {
    if (row === null) next.delete(id);
    else if (next.has(id)) next.set(id, row);
  }
  rows.value = next;
}

function refreshSoon(wait = REFRESH_MS): void {
  timer ??= window.setTimeout(() => void load(), wait);
}

/**
 * Changes rows at once, before the server has answered; the stream or a reload makes it true. Returns what takes it back,
 * where the server did not take it.
 */
export function patchRows(ids: readonly string[], change: (row: RunRow) => RunRow | null): () => void {
  const before = rows.peek();
  const next = new Map(before);
  for (const id of ids) {
    const row = next.get(id);
    const changed = row && change(row);
    if (changed === null) next.delete(id);
    else if (changed !== undefined) next.set(id, changed);
  }
  rows.value = next;
  return () => {
    const back = new Map(rows.peek());
    for (const id of ids) {
      const row = before.get(id);
      if (row !== undefined) back.set(id, row);
    }
    rows.value = back;
  };
}

/** A heartbeat alone is no news to the stream. */
const HEARD_MS = 60_000;

/**
 * On a collector, whose runs live elsewhere: when each running one was last heard of, while somebody looks. Returns how to
 * stop.
 */
export function followHeard(): () => void {
  const ask = async () => {
    if (document.hidden || ![...rows.peek().values()].some((row) => row.status === 'running')) return;
    try {
      const page = await getRunsPage(runsPath({ filter: "status = 'running'", limit: 500 }));
      const heard = new Map(page.items.map((row) => [row.id, row.last_event_at]));
      patchRows(
        page.items.map((row) => row.id),
        (row) => ({ ...row, last_event_at: heard.get(row.id) ?? row.last_event_at }),
      );
    } catch {
      // The next time tells; the bar at the top says where the server is gone.
    }
  };
  const timer = window.setInterval(ask, HEARD_MS);
  return () => clearInterval(timer);
}

function receive(batch: Batch): void {
  if (ask === undefined) return;
  if (batch.gap === 'all') {
    reloadRuns();
    return;
  }
  if (batch.runs.length === 0) return;
  const narrow = Boolean(ask.filter || ask.q);
  const next = new Map(rows.peek());
  let changed = false;
  for (const { removed, ...row } of batch.runs) {
    const gone =
      removed || (row.archived && ask.archived !== true) || (ask.project && row.project !== ask.project);
    if (gone) {
      if (request) fresh.set(row.id, null);
      changed = next.delete(row.id) || changed;
    } else if (next.has(row.id) || !narrow) {
      if (request) fresh.set(row.id, row);
      next.set(row.id, row);
      changed = true;
    }
    if (narrow && !gone) refreshSoon();
  }
  if (changed) rows.value = next;
}

/** Joins the store to the live stream; called once. */
export function startRuns(): void {
  onBatch(receive);
  onReconnect(reloadRuns);
}
