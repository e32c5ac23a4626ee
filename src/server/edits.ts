/** Changes made on the page: each an event in an edits journal (or the project's own), then read into the store at once. */
import { WaddleError } from '../errors/waddle-error.ts';
import { eventTime } from '../events/line.ts';
import type { Event, EventOf } from '../events/schema.ts';
import { appendWhole } from '../journal/append-whole.ts';
import { amendHead } from '../journal/head.ts';
import { runFolder } from '../journal/layout.ts';
import type { Edited, RunPatch } from '../protocol/api.ts';
import { nextClock } from '../store/find-run.ts';
import type { Store } from '../store/open.ts';
import { formatCursor } from './live/cursor.ts';
import { nowCursor } from './live/frames.ts';
import type { ServerOptions } from './options.ts';
import { knownRun } from './runs.ts';

type Change = Pick<EventOf<'edit'>, 'field' | 'key' | 'value'>;

const DEFAULT_GRACE_S = 30;

export class Editor {
  readonly #options: ServerOptions;
  readonly #store: () => Store;

  constructor(options: ServerOptions, store: () => Store) {
    this.#options = options;
    this.#store = store;
  }

  /** @throws WaddleError `run-not-found`, `tag-invalid`, `not-written`; then nothing was changed */
  patch(ids: readonly string[], patch: RunPatch): Edited {
    const store = this.#store();
    const runs = unique(ids).map((id) => knownRun(store, id).id);
    const changes = changesOf(patch);
    if (changes.length > 0) {
      let clock = nextClock(store);
      for (const run of runs) {
        const events = changes.map(
          (change): Event => ({ k: 'edit', t: eventTime(), clock: clock++, ...change }),
        );
        const folder = runFolder(this.#options.layout, run);
        this.#append(folder, 'edits', run, events);
        const named = changes.findLast((change) => change.field === 'name')?.value;
        if (typeof named === 'string') amendHead(folder, { name: named });
      }
    }
    return this.#done(runs);
  }

  remove(ids: readonly string[], removed: boolean): Edited {
    const store = this.#store();
    const runs = unique(ids).map((id) => knownRun(store, id, { removed: true }).id);
    let clock = nextClock(store);
    const k = removed ? 'remove' : 'restore';
    const events = runs.map((run): Event => ({ k, t: eventTime(), run, clock: clock++ }));
    this.#append(this.#options.layout.projectJournals, 'project', null, events);
    for (const run of runs) amendHead(runFolder(this.#options.layout, run), { removed });
    return this.#done(runs);
  }

  /** Asks running jobs to stop; those that have ended are passed over. */
  async stop(ids: readonly string[], grace: number = DEFAULT_GRACE_S): Promise<Edited> {
    const store = this.#store();
    const runs = unique(ids)
      .map((id) => knownRun(store, id))
      .filter((run) => run.status === 'running');
    await Promise.all(runs.map((run) => this.#options.stop(run.id, grace)));
    return this.#done(runs.map((run) => run.id));
  }

  #done(runs: string[]): Edited {
    const store = this.#store();
    this.#options.catchUp(store, runs);
    return { runs, cursor: formatCursor(nowCursor(store)) };
  }

  #append(folder: string, role: 'edits' | 'project', run: string | null, events: readonly Event[]): void {
    const client = `waddle-server ${this.#options.version}`;
    // Whoever reads the hint may be elsewhere: it does not tell where the folder lies.
    appendWhole({ folder, role, run, client }, events, 'the project folder');
  }
}

function unique(ids: readonly string[]): string[] {
  return [...new Set(ids)];
}

function changesOf(patch: RunPatch): Change[] {
  const changes: Change[] = [];
  if (patch.name !== undefined) changes.push({ field: 'name', value: patch.name });
  if (patch.notes !== undefined) changes.push({ field: 'notes', value: patch.notes });
  if (patch.archived !== undefined) changes.push({ field: 'archived', value: patch.archived });
  for (const [key, value] of Object.entries(patch.tags ?? {})) {
    if (key === '')
      throw new WaddleError('tag-invalid', 'a tag needs a key', 'Write key=value.', { exitCode: 2 });
    changes.push({ field: 'tag', key, value });
  }
  return changes;
}
