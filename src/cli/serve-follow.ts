/** Ingest while a server is up: at once where the disk tells of a change, and now and then where it does not. */
import { type FSWatcher, watch } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { WaddleError } from '../errors/waddle-error.ts';
import { ingestSteps } from '../ingest/catch-up.ts';
import { type Layout, runFolder } from '../journal/layout.ts';
import type { Store } from '../store/open.ts';
import { recoverLostOutput } from './lost-output.ts';

/** Changes that come together are read together (milliseconds). */
const GATHER_MS = 20;
/** Who writes all the time is read this often: each round is a revision, and the store keeps so many of them. */
const ROUND_MS = 80;
/** Runs that may grow are looked at this often although nothing was told: network disks tell nothing. */
const LIVE_EVERY_MS = 500;
/** All runs, and who has died. */
const ALL_EVERY_MS = 2000;
/** Looking at all runs may take this part of the time. */
const ALL_SHARE = 1 / 20;
/** One transaction keeps requests waiting for no longer than this. */
const BATCH_MS = 25;
/** The system has only so many watches. */
const MAX_WATCHED = 500;

/** Resolves after the signal, when all that is there has been read. */
export async function followForServer(options: {
  layout: Layout;
  store: () => Store;
  applied: () => void;
  signal: AbortSignal;
  warn: (text: string) => void;
  /** Waited for between two transactions: others have something more urgent to do. */
  pause?: (() => Promise<void>) | undefined;
}): Promise<void> {
  const { layout, signal } = options;
  const watches = new Watches(layout);
  signal.addEventListener('abort', () => watches.wake(), { once: true });
  let allAt = 0;
  let liveAt = 0;
  let told = '';
  try {
    for (;;) {
      const last = signal.aborted;
      const store = options.store();
      if (store.readOnly) {
        if (last) return;
        await watches.changed(ALL_EVERY_MS);
        continue;
      }
      try {
        const now = performance.now();
        const all = last || now >= allAt || watches.takeAll();
        const live = all ? [] : now >= liveAt ? liveRuns(store) : watches.takeRuns();
        await readJournals(options, all ? undefined : live);
        const after = performance.now();
        if (all) {
          const lost = recoverLostOutput(layout, options.store());
          if (lost.length > 0) await readJournals(options, lost);
          allAt = after + Math.max(ALL_EVERY_MS, (after - now) / ALL_SHARE);
          watches.follow(liveRuns(options.store()));
        }
        if (all || now >= liveAt) liveAt = after + LIVE_EVERY_MS;
        told = '';
      } catch (error) {
        // The database was replaced while it was read: the new one is next.
        if (!last && options.store() !== store) continue;
        // A busy store, a full disk: the journals have everything, and the next round tries again.
        const text = error instanceof WaddleError ? `${error.message}\n${error.hint}` : String(error);
        if (text !== told) options.warn(`waddle: ${text}\n`);
        told = text;
        if (last) return;
        await watches.changed(ALL_EVERY_MS);
      }
      if (last) return;
      if (!signal.aborted) await watches.changed(Math.max(0, Math.min(allAt, liveAt) - performance.now()));
    }
  } finally {
    watches.close();
  }
}

async function readJournals(
  { layout, store, applied, pause }: Parameters<typeof followForServer>[0],
  runs: readonly string[] | undefined,
): Promise<void> {
  if (runs?.length === 0) return;
  const before = store().revision;
  const steps = ingestSteps({
    layout,
    store: store(),
    batchMs: BATCH_MS,
    ...(runs === undefined ? {} : { runs }),
  });
  for (const _ of steps) {
    applied();
    await setImmediate();
    await pause?.();
  }
  if (store().revision !== before) applied();
}

/** Runs with a journal that may grow. */
function liveRuns(store: Store): string[] {
  return store
    .prepare("SELECT id FROM folders WHERE live = 1 UNION SELECT id FROM runs WHERE status = 'running'")
    .all()
    .map((row) => String(row.id));
}

/** Watches on the folders of live runs, on that of all runs and on the project's own journals. */
class Watches {
  readonly #layout: Layout;
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #dirty = new Set<string>();
  #all = false;
  #wake: (() => void) | undefined;

  constructor(layout: Layout) {
    this.#layout = layout;
    for (const folder of [layout.runs, layout.projectJournals]) {
      this.#watch(folder, folder, () => {
        this.#all = true;
      });
    }
  }

  takeAll(): boolean {
    const all = this.#all;
    this.#all = false;
    if (all) this.#dirty.clear();
    return all;
  }

  takeRuns(): string[] {
    const runs = [...this.#dirty];
    this.#dirty.clear();
    return runs;
  }

  follow(runs: readonly string[]): void {
    const wanted = new Set(runs.slice(0, MAX_WATCHED));
    for (const [name, watcher] of this.#watchers) {
      if (name.startsWith('/') || wanted.has(name)) continue;
      watcher.close();
      this.#watchers.delete(name);
    }
    for (const run of wanted) {
      if (!this.#watchers.has(run)) {
        this.#watch(run, runFolder(this.#layout, run), () => this.#dirty.add(run));
        // What came between the reading and the watch.
        this.#dirty.add(run);
      }
    }
    // The folder may not have been there before.
    const { projectJournals } = this.#layout;
    if (!this.#watchers.has(projectJournals)) {
      this.#watch(projectJournals, projectJournals, () => {
        this.#all = true;
      });
    }
  }

  wake(): void {
    this.#wake?.();
  }

  /** Resolves when something has changed, gathered for a moment, or it is time to look anyway. */
  async changed(ms: number): Promise<void> {
    const since = performance.now();
    if (!this.#all && this.#dirty.size === 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, ms);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      this.#wake = undefined;
    }
    if (ms <= GATHER_MS) return;
    const gather = Math.max(GATHER_MS, ROUND_MS - (performance.now() - since));
    await new Promise((resolve) => setTimeout(resolve, gather));
  }

  #watch(name: string, folder: string, changed: () => void): void {
    try {
      const watcher = watch(folder, () => {
        changed();
        this.#wake?.();
      });
      watcher.on('error', () => {
        watcher.close();
        this.#watchers.delete(name);
      });
      this.#watchers.set(name, watcher);
    } catch {
      // No more watches to be had, or no such folder yet: looking now and then must do.
    }
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
  }
}
