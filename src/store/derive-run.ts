import type { EventOf, RunStatus } from '../events/schema.ts';
import { arrayOr, fieldsOf, integerOr, jsonOr, textOr } from './lenient.ts';
import type { Store } from './open.ts';

/** A rare event as it was written, and by whom. */
interface Kept {
  writer: string;
  place: number;
  t: number;
  event: EventOf<'start' | 'resume' | 'update' | 'end' | 'job' | 'drift' | 'stop'>;
}

/** Where several tell how an attempt ended, the lower number is believed. */
const END_PRECEDENCE = { supervisor: 0, helper: 1, job: 2 } as const;

interface Attempt {
  name: string;
  begin: Kept | undefined;
  ends: Kept[];
}

/** How an attempt stands by its journals alone. */
interface AttemptOutcome {
  status: RunStatus;
  endedAt: number | null;
  exitCode: number | null;
  signal: string | null;
  reason: string | null;
  error: { type: string | null; message: string | null; traceback: string | null } | null;
}

/**
 * Writes a run's own row and its attempts anew from what its journals said, whatever the order in which they were read.
 *
 * A run that was judged `crashed` stays so unless `alive`: something new came from its own writers.
 */
export function deriveRun(store: Store, run: number, revision: number, alive: boolean): void {
  const kept = keptEvents(store, run);
  const starts = kept.filter((item) => item.event.k === 'start');
  const start = starts[0]?.event as EventOf<'start'> | undefined;
  const attempts = attemptsOf(kept);
  const latest = attempts.at(-1);
  const outcome = latest === undefined ? RUNNING : outcomeOf(latest);
  const before = store.prepare('SELECT status, last_event_at FROM runs WHERE num = ?').get(run);
  const journalStatus = outcome.status;
  const crashed = journalStatus === 'running' && before?.status === 'crashed' && !alive;
  const status = crashed ? 'crashed' : journalStatus;
  const lastEventAt = lastEventTime(store, run);

  const filled = {
    name: textOr(start?.name),
    project: textOr(start?.project),
    notes: textOr(start?.notes),
    group: textOr(start?.group),
  };
  for (const { event } of kept) {
    if (event.k !== 'update') continue;
    filled.name ??= textOr(event.fields.name);
    filled.project ??= textOr(event.fields.project);
    filled.notes ??= textOr(event.fields.notes);
    filled.group ??= textOr(event.fields.group);
  }
  const edits = runEdits(store, run);
  const id = String(store.prepare('SELECT id FROM runs WHERE num = ?').get(run)?.id);
  const origin = originOf(store, run, starts[0]?.writer);
  const snapshot = store
    .prepare('SELECT sha, body FROM snapshots WHERE run = ? ORDER BY t DESC, writer DESC LIMIT 1')
    .get(run);
  const drift = driftOf(kept);

  store
    .prepare(
      `UPDATE runs SET name = ?, project = ?, status = ?, journal_status = ?, entry = ?, command = ?, argv = ?, cwd = ?,
        repo = ?, commit_sha = ?, started_at = ?, ended_at = ?, exit_code = ?, signal = ?, reason = ?, host = ?, user = ?,
        "group" = ?, parent = ?, reproduces = ?, archived = ?, error_type = ?, error_message = ?, last_event_at = ?,
        attempt = ?, supervised = ?, revision = ?, status_revision = iif(status = ?, status_revision, ?), notes = ?,
        traceback = ?, drift = ?, snapshot = ? WHERE num = ?`,
    )
    .run(
      textOr(edits.get('name')) ?? filled.name ?? textOr(start?.default_name) ?? id,
      filled.project ?? 'default',
      status,
      journalStatus,
      textOr(start?.entry),
      jsonOr(start?.command),
      jsonOr(start?.argv),
      textOr(start?.cwd),
      textOr(start?.repo),
      sqlText(snapshot?.sha),
      attempts.find((attempt) => attempt.begin !== undefined)?.begin?.t ?? origin.openedAt,
      crashed ? lastEventAt : outcome.endedAt,
      outcome.exitCode,
      outcome.signal,
      outcome.reason,
      origin.host,
      origin.user,
      filled.group,
      textOr(start?.parent),
      textOr(start?.reproduces),
      edits.get('archived') === true ? 1 : 0,
      outcome.error?.type ?? null,
      outcome.error?.message ?? null,
      lastEventAt,
      latest?.name ?? null,
      supervisedOf(latest),
      revision,
      status,
      revision,
      // An edit may empty the notes.
      edits.has('notes') ? textOr(edits.get('notes')) : filled.notes,
      outcome.error?.traceback ?? null,
      jsonOr(drift),
      sqlText(snapshot?.body),
      run,
    );
  writeAttempts(store, run, attempts, crashed ? lastEventAt : null);
}

const RUNNING: AttemptOutcome = {
  status: 'running',
  endedAt: null,
  exitCode: null,
  signal: null,
  reason: null,
  error: null,
};

function keptEvents(store: Store, run: number): Kept[] {
  return store
    .prepare('SELECT writer, place, t, body FROM kept_events WHERE run = ? ORDER BY t, writer, place')
    .all(run)
    .map((row) => ({
      writer: String(row.writer),
      place: Number(row.place),
      t: Number(row.t),
      event: JSON.parse(String(row.body)) as Kept['event'],
    }));
}

/** Attempts in order of their beginning, then name; those whose beginning was never read come first. */
function attemptsOf(kept: Kept[]): Attempt[] {
  const attempts = new Map<string, Attempt>();
  for (const item of kept) {
    const { event } = item;
    if (event.k !== 'start' && event.k !== 'resume' && event.k !== 'end') continue;
    let attempt = attempts.get(event.attempt);
    if (attempt === undefined) {
      attempt = { name: event.attempt, begin: undefined, ends: [] };
      attempts.set(event.attempt, attempt);
    }
    if (event.k === 'end') attempt.ends.push(item);
    else attempt.begin ??= item;
  }
  const time = (attempt: Attempt) => attempt.begin?.t ?? Number.NEGATIVE_INFINITY;
  return [...attempts.values()].sort((a, b) =>
    time(a) === time(b) ? (a.name < b.name ? -1 : 1) : time(a) - time(b),
  );
}

function outcomeOf(attempt: Attempt): AttemptOutcome {
  // The most believed first, and of equals the latest (`ends` is in order of time).
  const ends = attempt.ends
    .toReversed()
    .map((item) => item.event as EventOf<'end'>)
    .sort((a, b) => precedence(a) - precedence(b));
  const end = ends[0];
  if (end === undefined) return RUNNING;
  const error = ends.find((item) => item.error !== undefined && item.error !== null)?.error;
  return {
    status: end.status,
    endedAt: end.t,
    exitCode: integerOr(end.exit_code),
    signal: textOr(end.signal),
    reason: textOr(end.reason),
    error: error
      ? { type: textOr(error.type), message: textOr(error.message), traceback: textOr(error.traceback) }
      : null,
  };
}

function precedence(end: EventOf<'end'>): number {
  return END_PRECEDENCE[end.by] ?? Object.keys(END_PRECEDENCE).length;
}

function supervisedOf(attempt: Attempt | undefined): number | null {
  const event = attempt?.begin?.event;
  if (event?.k !== 'start' && event?.k !== 'resume') return null;
  return typeof event.supervised === 'boolean' ? Number(event.supervised) : null;
}

/** Edits of the run's own fields, decoded. */
function runEdits(store: Store, run: number): Map<string, unknown> {
  const rows = store
    .prepare("SELECT field, value FROM edits WHERE run = ? AND field IN ('name', 'notes', 'archived')")
    .all(run);
  return new Map(rows.map((row) => [String(row.field), JSON.parse(String(row.value))]));
}

/** Who began the run: the writer of `start`, else the one that opened first. */
function originOf(store: Store, run: number, starter: string | undefined) {
  const row = store
    .prepare(
      `SELECT host, user, opened_at FROM journals WHERE run = ? AND opened_at IS NOT NULL AND writer NOT LIKE 'edits-%'
       ORDER BY writer = ? DESC, opened_at, writer LIMIT 1`,
    )
    .get(run, starter ?? '');
  return {
    host: sqlText(row?.host),
    user: sqlText(row?.user),
    openedAt: row === undefined ? null : Number(row.opened_at),
  };
}

/** The latest event of the run's own writers; edits are no sign of life. */
function lastEventTime(store: Store, run: number): number | null {
  const row = store
    .prepare("SELECT max(last_event_at) AS t FROM journals WHERE run = ? AND writer NOT LIKE 'edits-%'")
    .get(run);
  return row === undefined || row.t === null ? null : Number(row.t);
}

/** What every watcher found, by path: each watcher's last word, together. */
function driftOf(kept: Kept[]): { path: string; change: string }[] | null {
  const last = new Map<string, EventOf<'drift'>>();
  for (const { writer, event } of kept) if (event.k === 'drift') last.set(writer, event);
  if (last.size === 0) return null;
  const files = new Map<string, string>();
  for (const event of last.values()) {
    for (const item of arrayOr(event.files)) {
      const { path, change } = fieldsOf(item);
      if (typeof path === 'string') files.set(path, textOr(change) ?? 'changed');
    }
  }
  return [...files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, change]) => ({ path, change }));
}

function writeAttempts(store: Store, run: number, attempts: Attempt[], crashedAt: number | null): void {
  store.prepare('DELETE FROM attempts WHERE run = ?').run(run);
  const insert = store.prepare(
    `INSERT INTO attempts (run, attempt, number, started_at, ended_at, status, exit_code, signal, reason, host, user,
      supervised, cwd, argv, command, error_type, error_message, traceback)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  for (const [index, attempt] of attempts.entries()) {
    const outcome = outcomeOf(attempt);
    const latest = index === attempts.length - 1;
    // An attempt that never said how it ended, and was followed by another, crashed.
    const crashed = outcome.status === 'running' && (!latest || crashedAt !== null);
    const event = attempt.begin?.event;
    const begin = event?.k === 'start' || event?.k === 'resume' ? event : undefined;
    const writer = store
      .prepare('SELECT host, user FROM journals WHERE run = ? AND writer = ?')
      .get(run, attempt.name);
    insert.run(
      run,
      attempt.name,
      index + 1,
      attempt.begin?.t ?? null,
      outcome.endedAt ?? (latest ? crashedAt : null),
      crashed ? 'crashed' : outcome.status,
      outcome.exitCode,
      outcome.signal,
      outcome.reason,
      sqlText(writer?.host),
      sqlText(writer?.user),
      supervisedOf(attempt),
      textOr(begin?.cwd),
      jsonOr(begin?.argv),
      jsonOr(begin?.command),
      outcome.error?.type ?? null,
      outcome.error?.message ?? null,
      outcome.error?.traceback ?? null,
    );
  }
}

function sqlText(value: unknown): string | null {
  return value === undefined || value === null ? null : String(value);
}
