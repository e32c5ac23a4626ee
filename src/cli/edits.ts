/** Later changes to a run: each is an event in an edits journal of the run's folder, never a change of what is there. */
import { WaddleError } from '../errors/waddle-error.ts';
import { eventTime } from '../events/line.ts';
import type { Event, EventOf } from '../events/schema.ts';
import { type Layout, runFolder } from '../journal/layout.ts';
import { JournalWriter } from '../journal/writer.ts';
import { CLIENT } from './version.ts';

/** One change of a run's name, notes, archived mark or of one tag (null removes it). */
export type Change = Pick<EventOf<'edit'>, 'field' | 'key' | 'value'>;

/**
 * Appends changes to a run in a new edits journal.
 * @param clock the Lamport clock of the first change; one more than the greatest that was seen
 * @throws WaddleError where the disk did not take all of them
 */
export function writeChanges(layout: Layout, run: string, clock: number, changes: readonly Change[]): void {
  const events = changes.map((change, index): Event => {
    return { k: 'edit', t: eventTime(), clock: clock + index, ...change };
  });
  appendAll(runFolder(layout, run), 'edits', run, events);
}

/** Appends events of the project folder itself (links, removals, restorations) to a new journal of its own. */
export function writeProjectEvents(layout: Layout, events: readonly Event[]): void {
  appendAll(layout.projectJournals, 'project', null, events);
}

function appendAll(
  folder: string,
  role: 'edits' | 'project',
  run: string | null,
  events: readonly Event[],
): void {
  let whole: boolean;
  try {
    const journal = JournalWriter.open({ folder, role, run, client: CLIENT });
    whole = journal.append(...events);
    if (whole) journal.sync();
    journal.close();
  } catch (error) {
    throw new WaddleError(
      'not-written',
      `the change could not be written: ${error instanceof Error ? error.message : String(error)}`,
      `Check that ${folder} is writable and its disk has room.`,
      { cause: error },
    );
  }
  if (whole) return;
  throw new WaddleError(
    'not-written',
    'the change could not be written whole: the disk is full',
    `Make room on the disk of ${folder} and try again.`,
  );
}
