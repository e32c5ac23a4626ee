/** The store beside a run: kept caught up while the job runs, brought up to its end, sealed. */
import { WaddleError } from '../errors/waddle-error.ts';
import { catchUp } from '../ingest/catch-up.ts';
import { followJournals } from '../ingest/follow-journals.ts';
import { sealEnded } from '../ingest/seal-ended.ts';
import { openStore, type Store } from '../store/open.ts';
import { type Project, storeFile } from './context.ts';
import { formatNumber } from './format-number.ts';

type Env = Record<string, string | undefined>;

/** Keeps the store caught up until the signal. One process at a time does it, the others look on. */
export async function followStore(project: Project, env: Env, signal: AbortSignal): Promise<void> {
  const store = openStore(storeFile(project, env));
  try {
    await followJournals({
      layout: project.layout,
      store,
      signal,
      lease: true,
      everyMs: 500,
      // A store that is busy or a disk that is full: the next round tries again, and every reader catches up itself.
      onError: () => undefined,
    });
  } finally {
    store.close();
  }
}

export interface FinalState {
  /** As the job or an edit left it; null where the store could not tell. */
  name: string | null;
  metrics: { key: string; text: string }[];
  /** Log calls that were not kept, by reason. */
  dropped: Record<string, number>;
  /** What kept the store from being brought up to date; the journals have everything. */
  problem: string | null;
}

/**
 * Seals what other runs left unsealed: those that crashed have nobody who would. For the helper, at its leisure.
 * What cannot be sealed stays readable as it is, so a failure is nobody's concern here; `doctor` tells of a sick store.
 */
export function sealLeftovers(project: Project, env: Env): void {
  try {
    const store = openStore(storeFile(project, env));
    try {
      sealEnded({ layout: project.layout, store });
    } finally {
      store.close();
    }
  } catch {
    // Told by the next command that opens the store.
  }
}

/** Brings the store up to the end of a run, reads what its summary tells, and seals its journals. Never throws. */
export function settleRun(project: Project, env: Env, runId: string): FinalState {
  const state: FinalState = { name: null, metrics: [], dropped: {}, problem: null };
  try {
    const store = openStore(storeFile(project, env));
    try {
      catchUp({ layout: project.layout, store, runs: [runId] });
      readState(store, runId, state);
      sealEnded({ layout: project.layout, store, runs: [runId] });
    } finally {
      store.close();
    }
  } catch (error) {
    state.problem =
      error instanceof WaddleError ? `${error.message.replace(/\.$/, '')}. ${error.hint}` : String(error);
  }
  return state;
}

function readState(store: Store, runId: string, state: FinalState): void {
  const named = store.prepare('SELECT name FROM runs WHERE id = ?').get(runId);
  if (named !== undefined) state.name = String(named.name);
  const metrics = store
    .prepare(
      `SELECT key, last, last_is_nan FROM metric_summaries
       WHERE run = (SELECT num FROM runs WHERE id = ?) AND key NOT LIKE 'system/%' ORDER BY key`,
    )
    .all(runId);
  for (const { key, last, last_is_nan: isNan } of metrics) {
    state.metrics.push({ key: String(key), text: isNan === 1 ? 'NaN' : formatNumber(Number(last)) });
  }
  const journals = store
    .prepare(
      'SELECT dropped FROM journals WHERE run = (SELECT num FROM runs WHERE id = ?) AND dropped IS NOT NULL',
    )
    .all(runId);
  for (const { dropped } of journals) {
    const counts: unknown = JSON.parse(String(dropped));
    if (typeof counts !== 'object' || counts === null) continue;
    for (const [reason, count] of Object.entries(counts)) {
      state.dropped[reason] = (state.dropped[reason] ?? 0) + Number(count);
    }
  }
}
