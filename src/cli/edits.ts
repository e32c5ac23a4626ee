/** Later changes: each is an event in a journal of its own, never a change of what is there. */
import { eventTime } from '../events/line.ts';
import type { Event, EventOf } from '../events/schema.ts';
import { appendWhole } from '../journal/append-whole.ts';
import { amendHead } from '../journal/head.ts';
import { runFolder } from '../journal/layout.ts';
import { answerNow } from '../store/answer-now.ts';
import { nextClock } from '../store/find-run.ts';
import { type Opened, refresh } from './opened-store.ts';
import { CLIENT } from './version.ts';

/** One change of a run's name, notes, archived mark or of one tag (null removes it). */
export type Change = Pick<EventOf<'edit'>, 'field' | 'key' | 'value'>;

/**
 * Appends changes to runs, each in a new edits journal of the run's folder, and brings the store up to them.
 * @throws WaddleError where the disk did not take all of them
 */
export async function applyChanges(
  opened: Opened,
  edits: readonly { run: string; changes: readonly Change[] }[],
): Promise<void> {
  const { layout, store } = opened;
  let clock = answerNow(store, nextClock());
  for (const { run, changes } of edits) {
    const events = changes.map((change): Event => ({ k: 'edit', t: eventTime(), clock: clock++, ...change }));
    append(runFolder(layout, run), 'edits', run, events);
    const named = changes.findLast((change) => change.field === 'name')?.value;
    if (typeof named === 'string') amendHead(runFolder(layout, run), { name: named });
  }
  await refresh(
    opened,
    edits.map(({ run }) => run),
  );
}

/** Removes runs, or brings them back. */
export async function setRemoved(opened: Opened, runs: readonly string[], removed: boolean): Promise<void> {
  let clock = answerNow(opened.store, nextClock());
  const k = removed ? 'remove' : 'restore';
  await appendToProject(
    opened,
    runs.map((run): Event => ({ k, t: eventTime(), run, clock: clock++ })),
  );
  for (const run of runs) amendHead(runFolder(opened.layout, run), { removed });
}

/** Links a repository under a name; a null path unlinks it. */
export async function setLink(opened: Opened, name: string, path: string | null): Promise<void> {
  await appendToProject(opened, [
    { k: 'link', t: eventTime(), name, path, clock: answerNow(opened.store, nextClock()) },
  ]);
}

async function appendToProject(opened: Opened, events: readonly Event[]): Promise<void> {
  if (events.length === 0) return;
  append(opened.layout.projectJournals, 'project', null, events);
  await refresh(opened, []);
}

function append(
  folder: string,
  role: 'edits' | 'project',
  run: string | null,
  events: readonly Event[],
): void {
  appendWhole({ folder, role, run, client: CLIENT }, events, folder);
}
