import { parseLine } from '../events/line.ts';
import type { EventOf } from '../events/schema.ts';
import { listJournals } from '../journal/discover.ts';
import type { ProcessIdentity } from '../journal/process-identity.ts';
import { openPlainBytes, readLines } from '../journal/reader.ts';

/** One attempt as its own journals tell of it, without the store. */
export interface AttemptState {
  attempt: string;
  /** Who watches it; null where `init()` began it. */
  supervisor: ProcessIdentity | null;
  /** The job's first process; for `init()` the program itself. Null before it was started. */
  job: ProcessIdentity | null;
  ended: EventOf<'end'> | null;
}

const BY_RANK: Record<string, number> = { supervisor: 3, helper: 2, job: 1 };

/**
 * The run's latest attempt, or the named one; null where there is none. Reads the journals of the run that begin an
 * attempt, passing over metrics.
 */
export function readAttempt(folder: string, named?: string): AttemptState | null {
  let latest: { state: AttemptState; t: number } | null = null;
  const ends: EventOf<'end'>[] = [];
  for (const { path, writer } of listJournals(folder)) {
    if (writer.startsWith('edits-')) continue;
    const found = readWriter(path, writer, ends);
    if (found === null || (named !== undefined && writer !== named)) continue;
    const later =
      latest === null || found.t > latest.t || (found.t === latest.t && writer > latest.state.attempt);
    if (later) latest = found;
  }
  if (latest === null) return null;
  const { state } = latest;
  for (const end of ends) {
    if (end.attempt !== state.attempt) continue;
    if (state.ended === null || (BY_RANK[end.by] ?? 0) > (BY_RANK[state.ended.by] ?? 0)) state.ended = end;
  }
  return state;
}

function readWriter(
  path: string,
  writer: string,
  ends: EventOf<'end'>[],
): { state: AttemptState; t: number } | null {
  const bytes = openPlainBytes(path);
  if (bytes === null) return null;
  const role = writer.slice(0, writer.indexOf('-'));
  let identity: ProcessIdentity | null = null;
  let state: AttemptState | null = null;
  let t = 0;
  try {
    for (const { lines } of readLines(bytes, 0)) {
      for (const { text } of lines) {
        if (text === null || /^\{"k":"(?:m|c|beat|snapshot)"/.test(text)) continue;
        const parsed = parseLine(text);
        if (parsed.type !== 'event') continue;
        const event = parsed.event;
        if (event.k === 'open' || event.k === 'job') {
          const { pid, boot = null, pidns = null, started = null } = event;
          const host: string = event.k === 'open' ? event.host : (identity?.host ?? '');
          const whose: ProcessIdentity = { host, pid, boot, pidns, started };
          if (event.k === 'open') identity = whose;
          else if (state !== null) state.job = whose;
        } else if (event.k === 'start' || event.k === 'resume') {
          const supervised = role === 'supervisor';
          t = event.t;
          state = {
            attempt: writer,
            supervisor: supervised ? identity : null,
            job: supervised ? null : identity,
            ended: null,
          };
        } else if (event.k === 'end') ends.push(event);
      }
    }
  } finally {
    bytes.close();
  }
  return state === null ? null : { state, t };
}
