import { hostname } from 'node:os';
import type { ProcessIdentity } from '../journal/process-identity.ts';
import type { ReaderClock } from '../store/journal-state.ts';
import type { Store } from '../store/open.ts';

/** What tells whether a process lives; `judgeLife` but in tests. */
export type JudgeLife = (process: ProcessIdentity) => 'alive' | 'dead' | 'unknown';

/** This machine's clocks. The second counts since boot and stands still while the machine sleeps. */
export const SYSTEM_CLOCK: ReaderClock = {
  now: () => Date.now(),
  mono: () => Number(process.hrtime.bigint() / 1_000_000n),
};

/** Seconds of silence before a run whose processes are all gone is called crashed (SPEC.md, section 2). */
const SILENCE_S = 30;
/** Seconds without growth, by the reader's clocks, where nobody here can tell (DESIGN.md, decision 13). */
const SILENCE_ELSEWHERE_S = 600;

type Row = Record<string, unknown>;

/** A journal's writer as a process. Null where its journal never said who it is. */
export function identityOfRow(row: Row): ProcessIdentity | null {
  if (typeof row.pid !== 'number' || typeof row.host !== 'string') return null;
  return {
    host: row.host,
    pid: row.pid,
    boot: typeof row.boot === 'string' ? row.boot : null,
    pidns: typeof row.pidns === 'string' ? row.pidns : null,
    started: typeof row.started === 'number' ? row.started : null,
  };
}

/**
 * Whether a run that its journals leave running is over: nobody lives, and it has been silent. `judge` is asked for the
 * supervisor, the helper, each process of the job with an open journal, and the process that the supervisor started.
 */
export function isCrashed(store: Store, run: number, clock: ReaderClock, judge: JudgeLife): boolean {
  const now = clock.now() / 1000;
  const journals = store
    .prepare("SELECT * FROM journals WHERE run = ? AND writer NOT LIKE 'edits-%'")
    .all(run) as Row[];
  let lastEvent = Number.NEGATIVE_INFINITY;
  let silence = Number.POSITIVE_INFINITY;
  for (const journal of journals) {
    if (typeof journal.last_event_at === 'number') lastEvent = Math.max(lastEvent, journal.last_event_at);
    silence = Math.min(silence, secondsSinceGrowth(journal, clock));
  }
  // Most runs are judged here, for the price of one query: something was heard just now.
  const sinceEvent = now - lastEvent;
  if (silence < SILENCE_S && sinceEvent > -SILENCE_S && sinceEvent < SILENCE_S) return false;

  let unknown = false;
  for (const identity of processesOf(store, run, journals)) {
    const life = identity === null ? 'unknown' : judge(identity);
    if (life === 'alive') return false;
    if (life === 'unknown') unknown = true;
  }
  if (unknown) return silence >= SILENCE_ELSEWHERE_S;
  return silence >= SILENCE_S || sinceEvent >= SILENCE_S;
}

/**
 * By both clocks, the smaller: a wall clock that jumped, and a machine that slept, do not age a journal. A monotonic
 * clock that is behind began anew with a boot; then the wall clock alone tells.
 */
function secondsSinceGrowth(journal: Row, clock: ReaderClock): number {
  const wall = clock.now() / 1000 - Number(journal.grown_at);
  const mono = clock.mono() / 1000 - Number(journal.grown_mono);
  if (mono < 0) return Math.max(0, wall);
  return wall < 0 ? mono : Math.min(wall, mono);
}

function processesOf(store: Store, run: number, journals: Row[]): (ProcessIdentity | null)[] {
  const open = journals.filter((journal) => journal.closed !== 1).map(identityOfRow);
  const started = store
    .prepare("SELECT writer, body FROM kept_events WHERE run = ? AND kind = 'job'")
    .all(run)
    .map((row) => {
      const event = JSON.parse(String(row.body)) as Row;
      const host = journals.find((journal) => journal.writer === row.writer)?.host ?? hostname();
      return identityOfRow({ ...event, host });
    });
  return [...open, ...started];
}
