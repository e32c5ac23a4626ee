/** What the lines of a journal's piece say that decides whether somebody may write it. */
import { parseLine } from '../events/line.ts';
import { otherLines } from '../sync/piece-lines.ts';
import type { JournalPiece } from '../sync/space.ts';

function* linesIn(bytes: Uint8Array): Generator<string> {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < buffer.length; ) {
    const newline = buffer.indexOf(10, at);
    const end = newline === -1 ? buffer.length : newline;
    yield buffer.toString('utf8', at, end);
    at = end + 1;
  }
}

/** What the starts and updates in a piece say: of a start without a project, null. */
export function projectsIn(piece: Pick<JournalPiece, 'bytes' | 'others'>): (string | null)[] {
  const { bytes } = piece;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const said: (string | null)[] = [];
  for (const [from, end] of otherLines(piece)) {
    const parsed = parseLine(text.toString('utf8', from, end));
    if (parsed.type !== 'event') continue;
    const { event } = parsed;
    if (event.k === 'start') said.push(typeof event.project === 'string' ? event.project : null);
    else if (event.k === 'update' && typeof event.fields.project === 'string')
      said.push(event.fields.project);
  }
  return said;
}

/** The runs that a piece of a project journal removes or brings back; null where it says anything else. */
export function removedRuns(bytes: Uint8Array): string[] | null {
  const runs: string[] = [];
  for (const line of linesIn(bytes)) {
    const parsed = parseLine(line);
    if (parsed.type !== 'event') return null;
    const { event } = parsed;
    if (event.k === 'remove' || event.k === 'restore') runs.push(event.run);
    else if (event.k !== 'open' && event.k !== 'close') return null;
  }
  return runs;
}

export function samplesIn(bytes: Uint8Array): number {
  let samples = 0;
  for (const line of linesIn(bytes)) {
    if (!line.includes('"m"')) continue;
    const parsed = parseLine(line);
    if (parsed.type === 'event' && parsed.event.k === 'm') samples += Object.keys(parsed.event.v).length;
  }
  return samples;
}
