import { WaddleError } from '../errors/waddle-error.ts';
import type { Event } from '../events/schema.ts';
import { JournalWriter, type WriterOptions } from './writer.ts';

/**
 * Writes events into a journal of their own, and on to the disk itself: what a person asked for (a tag, a removal, a link) is
 * kept when this returns. `user`: who that is, where it is not who this process runs as. `place` is what the hint calls the folder.
 * @throws WaddleError `not-written` where they could not be written, or not whole
 */
export function appendWhole(
  {
    user,
    ...options
  }: Pick<WriterOptions, 'folder' | 'role' | 'run' | 'client'> & { user?: string | null | undefined },
  events: readonly Event[],
  place: string,
): void {
  let whole: boolean;
  try {
    const journal = JournalWriter.open({ ...options, ...(user == null ? {} : { open: { user } }) });
    whole = journal.append(...events);
    if (whole) journal.sync();
    journal.close();
  } catch (error) {
    throw new WaddleError(
      'not-written',
      `the change could not be written: ${error instanceof Error ? error.message : String(error)}`,
      `Check that ${place} is writable and its disk has room.`,
      { cause: error },
    );
  }
  if (whole) return;
  throw new WaddleError(
    'not-written',
    'the change could not be written whole: the disk is full',
    `Make room on the disk of ${place} and try again.`,
  );
}
