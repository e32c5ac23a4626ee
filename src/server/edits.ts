/** Changes made on the page: each an event in an edits journal (or the project's own), then read into the store at once. */
import { WaddleError } from '../errors/waddle-error.ts';
import { eventTime } from '../events/line.ts';
import type { Event, EventOf } from '../events/schema.ts';
import type { Edited, RunPatch } from '../protocol/api.ts';
import { nextClock } from '../store/find-run.ts';
import { type Engine, type Question, together } from '../store/question.ts';
import { formatCursor } from './live/cursor.ts';
import { nowCursor } from './live/stream-state.ts';
import { type KnownRun, knownRun } from './runs.ts';

type Change = Pick<EventOf<'edit'>, 'field' | 'key' | 'value'>;

/** Events of a run's own journal of edits, or (null) of the project's. */
export interface Changes {
  run: string | null;
  events: readonly Event[];
}

/** Who changes something; null: whoever the server runs as. */
export type Person = string | null;

/** Where a person's changes are kept. */
export interface ChangeLog {
  /**
   * Writes the events durably, then brings the engine up to them and wakes who listens. A failure to do the latter is
   * none: they are read later. @throws WaddleError `not-written`; what comes before in the list may have been written
   */
  append(changes: readonly Changes[], by: Person): Promise<void>;
  /** Sees to it that a job that was asked to stop does so. */
  stop(run: string, graceSeconds: number, by: Person): Promise<void>;
}

const DEFAULT_GRACE_S = 30;

export class Editor {
  readonly #engine: Engine;
  readonly #log: ChangeLog;

  constructor(engine: Engine, log: ChangeLog) {
    this.#engine = engine;
    this.#log = log;
  }

  /** @throws WaddleError `run-not-found`, `tag-invalid`, `not-written`; then nothing was changed */
  async patch(ids: readonly string[], patch: RunPatch, by: Person): Promise<Edited> {
    const known = await this.#engine.answer(knownRuns(ids, { removed: false }));
    const changes = changesOf(patch);
    let { clock } = known;
    const runs = known.runs.map((run) => run.id);
    if (changes.length > 0) {
      await this.#log.append(
        runs.map((run) => ({
          run,
          events: changes.map((change): Event => ({ k: 'edit', t: eventTime(), clock: clock++, ...change })),
        })),
        by,
      );
    }
    return this.#done(runs);
  }

  async remove(ids: readonly string[], removed: boolean, by: Person): Promise<Edited> {
    const known = await this.#engine.answer(knownRuns(ids, { removed: true }));
    let { clock } = known;
    const runs = known.runs.map((run) => run.id);
    const k = removed ? 'remove' : 'restore';
    const events = runs.map((run): Event => ({ k, t: eventTime(), run, clock: clock++ }));
    await this.#log.append([{ run: null, events }], by);
    return this.#done(runs);
  }

  /** Asks running jobs to stop; those that have ended are passed over. */
  async stop(ids: readonly string[], grace: number | undefined, by: Person): Promise<Edited> {
    const known = await this.#engine.answer(knownRuns(ids, { removed: false }));
    const runs = known.runs.filter((run) => run.status === 'running').map((run) => run.id);
    await Promise.all(runs.map((run) => this.#log.stop(run, grace ?? DEFAULT_GRACE_S, by)));
    return this.#done(runs);
  }

  async #done(runs: string[]): Promise<Edited> {
    return { runs, cursor: formatCursor(await this.#engine.answer(nowCursor())) };
  }
}

/** Each run once, and the clock of the next edit. @throws WaddleError `run-not-found` */
function* knownRuns(
  ids: readonly string[],
  options: { removed: boolean },
): Question<{ runs: KnownRun[]; clock: number }> {
  const runs = yield* together([...new Set(ids)].map((id) => knownRun(id, options)));
  return { runs, clock: yield* nextClock() };
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
