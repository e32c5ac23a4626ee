/** What a piece of a journal must be before it is taken from somebody who may mean harm. */

import { isRunId, isWriterName } from '../events/ids.ts';
import { parseLine } from '../events/line.ts';
import type { Event } from '../events/schema.ts';
import { otherLines } from './piece-lines.ts';
import { type JournalPiece, MAX_BODY_BYTES } from './space.ts';

/** Whether a piece is addressed to a journal that can be: names are names, never paths. */
export function hasValidNames(piece: Pick<JournalPiece, 'run' | 'writer'>): boolean {
  if (!isWriterName(piece.writer)) return false;
  const ofProject = piece.writer.startsWith('project-');
  return piece.run === null ? ofProject : !ofProject && isRunId(piece.run);
}

/**
 * Why the piece cannot be taken; null where it can. A line that is torn or broken is let through in a run's journal, as its
 * readers do: they report it. An event that speaks for another run or writer is not.
 */
export function faultOf(piece: JournalPiece): string | null {
  if (!hasValidNames(piece)) return 'the name of the run or of the writer is none';
  const bytes = Buffer.from(piece.bytes.buffer, piece.bytes.byteOffset, piece.bytes.byteLength);
  if (bytes.length > MAX_BODY_BYTES) return `it has more than ${MAX_BODY_BYTES} bytes`;
  if (!Number.isSafeInteger(piece.offset) || piece.offset < 0) return 'its offset is no number of bytes';
  if (bytes.length === 0) return null;
  if (bytes[bytes.length - 1] !== 10) return 'its last line is not whole';
  let first = piece.offset === 0;
  let looked = 0;
  for (const [at, end] of otherLines(piece)) {
    if (piece.run === null && at > looked) return METRICS;
    looked = end + 1;
    const parsed = parseLine(bytes.toString('utf8', at, end));
    if (first && (at > 0 || parsed.type !== 'event' || parsed.event.k !== 'open')) return NO_OPEN;
    const fault =
      parsed.type === 'event' ? eventFault(piece, parsed.event, first) : lineFault(piece, parsed.type);
    if (fault !== null) return `${fault} (at byte ${piece.offset + at})`;
    first = false;
  }
  if (piece.run === null && looked < bytes.length) return METRICS;
  return first ? NO_OPEN : null;
}

const METRICS = 'metrics do not travel in a project journal';

const NO_OPEN = 'it does not begin with an "open" event';

function lineFault(piece: JournalPiece, type: 'unknown' | 'broken'): string | null {
  return piece.run === null ? `a line of a project journal is ${type}` : null;
}

function eventFault(piece: JournalPiece, event: Event, first: boolean): string | null {
  const { run, writer } = piece;
  if (event.k === 'open') {
    if (!first) return 'a second "open" event';
    if (event.writer !== writer || (event.run !== undefined && event.run !== run))
      return 'it is of another run or writer';
    return writer.startsWith(`${event.role}-`) ? null : 'its role is not that of its name';
  }
  const ofProject = event.k === 'remove' || event.k === 'restore';
  if (run === null) {
    if (ofProject) return isRunId(event.run) ? null : 'it removes what is no run';
    return event.k === 'close' ? null : `a "${event.k}" event does not travel in a project journal`;
  }
  if (ofProject || event.k === 'link') return `a "${event.k}" event in a run's journal`;
  if (event.k === 'start' && event.id !== run) return 'its "start" event is of another run';
  return null;
}
