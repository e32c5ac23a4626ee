/** Sealing while a collector is up: journals of ended runs are compressed, a frame at a time. */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { endedJournals, sealReceived } from '../ingest/seal-received.ts';
import type { Layout } from '../journal/layout.ts';
import type { Store } from '../store/open.ts';

/** How often it is looked for what has ended, in milliseconds. */
const LOOK_MS = 1000;
/** How often all runs are looked at, for journals that have fallen silent or could not be sealed, in milliseconds. */
const ALL_EVERY_MS = 600_000;
/** So many are looked up at a time. */
const MOST = 100;

/** Resolves after the signal; what is half done then is left as it was. */
export async function sealForCollector(options: {
  layout: Layout;
  store: () => Store;
  /** Does the work while nobody else is at the run's journals. */
  exclusively(run: string, work: () => Promise<void>): Promise<void>;
  signal: AbortSignal;
  /** Waited for between two frames: others have something more urgent to do. */
  pause: () => Promise<void>;
  warn: (text: string) => void;
}): Promise<void> {
  const { layout, store, signal } = options;
  /** Journals that could not be sealed, by what the database had of them. */
  const given = new Map<string, number>();
  /** Of runs that have not changed since this revision, all is sealed that can be. */
  let since = -1;
  let allAt = performance.now() + ALL_EVERY_MS;
  while (!signal.aborted) {
    const { revision } = store();
    if (performance.now() > allAt) {
      since = -1;
      given.clear();
      allAt = performance.now() + ALL_EVERY_MS;
    }
    const most = MOST + given.size;
    const found = endedJournals(layout, store(), { now: Date.now(), since, most });
    const open = found.filter(({ path, offset }) => given.get(path) !== offset);
    for (const journal of open) {
      if (signal.aborted) return;
      try {
        await options.exclusively(journal.runId, async () => {
          const steps = sealReceived(store(), journal);
          for (;;) {
            const step = signal.aborted ? steps.return(false) : steps.next();
            if (step.done) return;
            await setImmediate();
            await options.pause();
          }
        });
      } catch (error) {
        given.set(journal.path, journal.offset);
        options.warn(
          `waddle: a journal stays as it is: ${error instanceof Error ? error.message : String(error)}\n`,
        );
      }
    }
    if (found.length < most) since = revision;
    // What has grown meanwhile is found again once that is taken in.
    await setTimeout(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}
