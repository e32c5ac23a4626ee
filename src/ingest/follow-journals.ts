import { setImmediate, setTimeout } from 'node:timers/promises';
import { type IngestOptions, type IngestReport, ingestSteps } from './catch-up.ts';
import { releaseLease, takeLease } from './lease.ts';

export interface FollowOptions extends Omit<IngestOptions, 'signal'> {
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

/**
 * Keeps the database up to its journals until the signal: the background worker. Lets others run between transactions,
 * and reads all that is there once more before it returns.
 */
export async function followJournals(options: FollowOptions): Promise<void> {
  const { store, signal } = options;
  const everyMs = options.everyMs ?? 250;
  const holding = () => options.lease !== true || takeLease(store);
  try {
    for (;;) {
      const last = signal.aborted;
      try {
        if (holding()) {
          const report = await oneRound(options, holding);
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

async function oneRound(options: FollowOptions, renew: () => boolean): Promise<IngestReport> {
  const { signal: _ends, ...rest } = options;
  const steps = ingestSteps({ batchMs: LIVE_BATCH_MS, ...rest });
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    options.onProgress?.(step.value);
    renew();
    await setImmediate();
  }
}
