import { setImmediate, setTimeout } from 'node:timers/promises';
import { WaddleError } from '../errors/waddle-error.ts';
import { folderChangeTime } from '../journal/discover.ts';
import { type IngestOptions, type IngestReport, ingestSteps } from './catch-up.ts';
import { releaseLease, takeLease } from './lease.ts';

export interface FollowOptions extends Omit<IngestOptions, 'signal' | 'runs'> {
  signal: AbortSignal;
  /** Pause between two looks, in milliseconds. */
  everyMs?: number;
  /** Only one process at a time; the others look on until its lease ends. */
  lease?: boolean;
  /** After each round that changed something. */
  onApplied?: (report: IngestReport) => void;
  /** A round failed; the next one tries again. Without it, the error ends the following. */
  onError?: (error: unknown) => void;
}

/** One transaction holds a live process up for no longer than this, in milliseconds. */
const LIVE_BATCH_MS = 40;

/** Between two looks at all runs, only those with an open journal are looked at (milliseconds). */
const ALL_RUNS_EVERY_MS = 2000;
/** Looking at all runs may take this part of the time, however many there are. */
const ALL_RUNS_SHARE = 1 / 20;

/**
 * Keeps the database up to its journals until the signal: the background worker. Lets others run between transactions,
 * and reads all that is there once more before it returns. Throws `store-replaced` where the database was deleted or
 * exchanged under it: it must be opened again.
 */
export async function followJournals(options: FollowOptions): Promise<void> {
  const { layout, store, signal } = options;
  const everyMs = options.everyMs ?? 250;
  const holding = () => options.lease !== true || takeLease(store);
  let allAgainAt = 0;
  let runsChanged: number | null = null;
  try {
    for (;;) {
      const last = signal.aborted;
      if (store.replaced) throw replacedError(store.path);
      try {
        if (holding()) {
          const began = performance.now();
          const changed = folderChangeTime(layout.runs);
          const all = last || began >= allAgainAt || changed !== runsChanged;
          const report = await oneRound(options, all ? undefined : liveRuns(options), holding);
          if (all) {
            // What there was to read took its time once, and is no reason to look late.
            allAgainAt = began + Math.max(ALL_RUNS_EVERY_MS, report.lookedMs / ALL_RUNS_SHARE);
            runsChanged = changed;
          }
          if (report.changed) options.onApplied?.(report);
        }
      } catch (error) {
        if (options.onError === undefined) throw error;
        options.onError(error);
      }
      if (last) return;
      await setTimeout(everyMs, undefined, { signal }).catch(() => undefined);
    }
  } finally {
    if (options.lease === true) releaseLease(store);
  }
}

function replacedError(path: string): WaddleError {
  return new WaddleError(
    'store-replaced',
    `${path} was deleted or replaced while it was in use`,
    'Start the command again: the database is built anew from the journals.',
  );
}

/**
 * Runs with a journal that may grow. Asked for several times a second: two questions, each with its partial index, since
 * SQLite answers their UNION in the order of ids, by a look at every run.
 */
function liveRuns({ store }: FollowOptions): string[] {
  const ids = (sql: string) =>
    store
      .prepare(sql)
      .all()
      .map((row) => String(row.id));
  return [
    ...new Set([
      ...ids('SELECT id FROM folders WHERE live = 1'),
      ...ids("SELECT id FROM runs WHERE status = 'running'"),
    ]),
  ];
}

async function oneRound(
  options: FollowOptions,
  runs: readonly string[] | undefined,
  renew: () => boolean,
): Promise<IngestReport> {
  const { signal: _ends, ...rest } = options;
  const steps = ingestSteps({ batchMs: LIVE_BATCH_MS, ...rest, ...(runs === undefined ? {} : { runs }) });
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    options.onProgress?.(step.value);
    renew();
    await setImmediate();
  }
}
