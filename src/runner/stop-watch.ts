import { closeSync, openSync, readSync } from 'node:fs';
import { parseLine } from '../events/line.ts';
import type { EventOf } from '../events/schema.ts';
import { folderChangeTime, listJournals } from '../journal/discover.ts';

/** How often the run's folder is looked at, in ms. */
const EVERY_MS = 250;

/**
 * Calls back for each `stop` event that is appended to the run's edits journals from now on and means this attempt (or
 * none by name). Looks instead of listening: notices of a folder tell of every metric that the job logs into it.
 */
export function watchForStop(
  folder: string,
  attempt: string,
  onStop: (stop: EventOf<'stop'>) => void,
): () => void {
  const offsets = new Map<string, number>();
  let seen: number | null = null;
  let first = true;
  const look = (): void => {
    try {
      const changed = folderChangeTime(folder);
      if (changed !== seen) {
        seen = changed;
        for (const { writer, path, sealed } of listJournals(folder)) {
          if (!sealed && writer.startsWith('edits-') && !offsets.has(path)) offsets.set(path, 0);
        }
      }
      for (const [path, offset] of offsets) {
        const { events, next } = readStops(path, offset);
        offsets.set(path, next);
        // What was there before this attempt was meant for an earlier one, unless it names this one.
        for (const stop of events) if (stop.attempt === attempt || (!stop.attempt && !first)) onStop(stop);
      }
      first = false;
    } catch {
      // A folder that cannot be read just now is looked at again.
    }
  };
  look();
  const timer = setInterval(look, EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

function readStops(path: string, offset: number): { events: EventOf<'stop'>[]; next: number } {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch {
    return { events: [], next: offset };
  }
  try {
    const chunk = Buffer.allocUnsafe(64 * 1024);
    const count = readSync(fd, chunk, 0, chunk.length, offset);
    const end = chunk.subarray(0, count).lastIndexOf(10) + 1;
    const events: EventOf<'stop'>[] = [];
    for (const line of chunk.toString('utf8', 0, end).split('\n')) {
      if (line === '') continue;
      const parsed = parseLine(line);
      if (parsed.type === 'event' && parsed.event.k === 'stop') events.push(parsed.event);
    }
    // A line longer than the chunk (long notes) is no stop: pass over it.
    return { events, next: offset + (end === 0 && count === chunk.length ? count : end) };
  } finally {
    closeSync(fd);
  }
}
