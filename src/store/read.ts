import { parseExactJson } from '../events/line.ts';
import type { SnapshotRecord } from '../events/schema.ts';
import type { Store } from './open.ts';

/** A run's own row, its JSON columns decoded. Times are epoch seconds. */
export interface RunRow {
  num: number;
  id: string;
  name: string;
  project: string;
  status: string;
  entry: string | null;
  command: string[] | null;
  argv: string[] | null;
  cwd: string | null;
  repo: string | null;
  commit_sha: string | null;
  started_at: number | null;
  ended_at: number | null;
  exit_code: number | null;
  signal: string | null;
  reason: string | null;
  host: string | null;
  user: string | null;
  group: string | null;
  notes: string | null;
  parent: string | null;
  reproduces: string | null;
  archived: boolean;
  removed: boolean;
  error_type: string | null;
  error_message: string | null;
  traceback: string | null;
  last_event_at: number | null;
  attempt: string | null;
  supervised: boolean | null;
  snapshot: SnapshotRecord | null;
  drift: { path: string; change: string }[] | null;
  environment: Record<string, unknown> | null;
  revision: number;
}

const JSON_COLUMNS = ['command', 'argv', 'snapshot', 'drift', 'environment'];

/** The run, or undefined where there is none of that number. */
export function readRun(store: Store, num: number): RunRow | undefined {
  const row = store.prepare('SELECT * FROM runs WHERE num = ?').get(num);
  if (row === undefined) return undefined;
  const run: Record<string, unknown> = { ...row };
  for (const name of JSON_COLUMNS) if (typeof run[name] === 'string') run[name] = parseExactJson(run[name]);
  run.archived = row.archived === 1;
  run.removed = row.removed === 1;
  run.supervised = row.supervised === null ? null : row.supervised === 1;
  return run as unknown as RunRow;
}

/** Parameters as logged, by key. `json` is JSON text with all digits. */
export function readParams(store: Store, num: number): { key: string; json: string }[] {
  return store
    .prepare('SELECT key, value FROM params WHERE run = ? ORDER BY key')
    .all(num)
    .map((row) => ({ key: String(row.key), json: String(row.value) }));
}

/** Tags as they stand, by key. */
export function readTags(store: Store, num: number): { key: string; value: string }[] {
  return store
    .prepare('SELECT key, value FROM tags WHERE run = ? ORDER BY key')
    .all(num)
    .map((row) => ({ key: String(row.key), value: String(row.value) }));
}

export interface MetricSummary {
  key: string;
  count: number;
  nan_count: number;
  /** NaN where the sample was. */
  first: number;
  first_step: number;
  first_ts: number;
  last: number;
  last_step: number;
  last_ts: number;
  /** Null where every sample is NaN. */
  min: number | null;
  max: number | null;
  mean: number | null;
  min_step: number;
  max_step: number;
}

/** Summaries of a run's metrics over all its writers, by key. */
export function readMetricSummaries(store: Store, num: number): MetricSummary[] {
  return store
    .prepare(
      `SELECT key, count, nan_count, first, first_step, first_ts, last, last_step, last_ts, min, max, mean, min_step,
        max_step FROM metric_summaries WHERE run = ? ORDER BY key`,
    )
    .all(num)
    .map((row) => ({
      ...(row as unknown as MetricSummary),
      first: row.first === null ? Number.NaN : Number(row.first),
      last: row.last === null ? Number.NaN : Number(row.last),
    }));
}

export interface ArtifactRow {
  id: number;
  name: string;
  kind: string | null;
  type: 'file' | 'folder';
  created_at: number;
  sha256: string;
  size: number;
  files: number | null;
  mime: string | null;
  /** The bytes are in the database: `readInline` gives them. */
  inline: boolean;
}

/** Every version of every artifact, by name, the newest of a name last. */
export function readArtifacts(store: Store, num: number): ArtifactRow[] {
  return store
    .prepare(
      `SELECT id, name, kind, type, created_at, sha256, size, files, mime, inline IS NOT NULL AS inline
       FROM artifacts WHERE run = ? ORDER BY name, created_at, writer, place`,
    )
    .all(num)
    .map((row) => ({ ...(row as unknown as ArtifactRow), inline: row.inline === 1 }));
}

/** The bytes of an inline artifact; undefined where they are in the blob store. */
export function readInline(store: Store, artifact: number): Uint8Array | undefined {
  const bytes = store.prepare('SELECT inline FROM artifacts WHERE id = ?').get(artifact)?.inline;
  return bytes instanceof Uint8Array ? bytes : undefined;
}

export interface WarningRow {
  ts: number;
  code: string;
  message: string;
  hint: string | null;
  writer: string;
}

/** Warnings in order of time. */
export function readWarnings(store: Store, num: number): WarningRow[] {
  return store
    .prepare('SELECT ts, code, message, hint, writer FROM warnings WHERE run = ? ORDER BY ts, writer, place')
    .all(num) as unknown as WarningRow[];
}

export interface AttemptRow {
  attempt: string;
  number: number;
  started_at: number | null;
  ended_at: number | null;
  status: string;
  exit_code: number | null;
  signal: string | null;
  reason: string | null;
  host: string | null;
  user: string | null;
}

export function readAttempts(store: Store, num: number): AttemptRow[] {
  return store
    .prepare(
      `SELECT attempt, number, started_at, ended_at, status, exit_code, signal, reason, host, user
       FROM attempts WHERE run = ? ORDER BY number`,
    )
    .all(num) as unknown as AttemptRow[];
}

/** What a run's writers could not write (disk full), by reason, over all of them. */
export function readDropped(store: Store, num: number): Record<string, number> {
  const dropped: Record<string, number> = {};
  for (const row of store
    .prepare('SELECT dropped FROM journals WHERE run = ? AND dropped IS NOT NULL')
    .all(num)) {
    for (const [reason, count] of Object.entries(
      JSON.parse(String(row.dropped)) as Record<string, unknown>,
    )) {
      if (typeof count === 'number') dropped[reason] = (dropped[reason] ?? 0) + count;
    }
  }
  return dropped;
}

export interface ConsoleLine {
  attempt: string;
  /** 1 stdout, 2 stderr. */
  stream: 1 | 2;
  n: number;
  ts: number;
  text: string;
  /** Still unfinished. */
  partial: boolean;
}

/** Where a reader of the console stands: the attempt, and the next line of each stream. */
export interface ConsoleCursor {
  attempt: string;
  next: [number, number];
}

/**
 * A page of what the job printed: attempt by attempt, each stream in its own order, the two woven together by time.
 * `next` continues after the last line given, also where that was still partial.
 */
export function readConsole(
  store: Store,
  num: number,
  options: { after?: ConsoleCursor | undefined; limit: number; stream?: 1 | 2 | undefined },
): { lines: ConsoleLine[]; next: ConsoleCursor | undefined } {
  const attempts = consoleAttempts(store, num);
  const lines: ConsoleLine[] = [];
  let cursor = options.after;
  const begin = cursor === undefined ? 0 : Math.max(0, attempts.indexOf(cursor.attempt));
  for (const attempt of attempts.slice(begin)) {
    const next: [number, number] = cursor?.attempt === attempt ? [...cursor.next] : [0, 0];
    const room = options.limit - lines.length;
    if (room <= 0) break;
    const streams = ([1, 2] as const).map((stream) =>
      options.stream !== undefined && options.stream !== stream
        ? []
        : consoleRows(store, num, attempt, stream, next[stream - 1] ?? 0, room),
    );
    for (const line of weave(streams[0] ?? [], streams[1] ?? []).slice(0, room)) {
      lines.push(line);
      next[line.stream - 1] = line.n + 1;
    }
    cursor = { attempt, next };
  }
  return { lines, next: cursor };
}

/** Attempts that printed something, in the order of the run's attempts. */
function consoleAttempts(store: Store, num: number): string[] {
  const names: string[] = [];
  const after = store.prepare(
    'SELECT attempt FROM console WHERE run = ? AND attempt > ? ORDER BY attempt LIMIT 1',
  );
  // Lines without an attempt have the empty name.
  const unnamed = store.prepare("SELECT 1 FROM console WHERE run = ? AND attempt = '' LIMIT 1").get(num);
  if (unnamed !== undefined) names.push('');
  for (let row = after.get(num, ''); row !== undefined; row = after.get(num, names.at(-1) ?? '')) {
    names.push(String(row.attempt));
  }
  const order = new Map(readAttempts(store, num).map(({ attempt, number }) => [attempt, number]));
  return names.sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0) || (a < b ? -1 : 1));
}

function consoleRows(
  store: Store,
  num: number,
  attempt: string,
  stream: 1 | 2,
  from: number,
  limit: number,
): ConsoleLine[] {
  return store
    .prepare(
      `SELECT n, ts, text, partial FROM console WHERE run = ? AND attempt = ? AND stream = ? AND n >= ?
       ORDER BY n LIMIT ?`,
    )
    .all(num, attempt, stream, from, limit)
    .map((row) => ({
      attempt,
      stream,
      n: Number(row.n),
      ts: Number(row.ts),
      text: String(row.text),
      partial: row.partial === 1,
    }));
}

/** Two lists that each keep their own order, by time where they meet. */
function weave(out: ConsoleLine[], err: ConsoleLine[]): ConsoleLine[] {
  const lines: ConsoleLine[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [a, b] = [out[i], err[j]];
    if (a === undefined && b === undefined) return lines;
    if (b === undefined || (a !== undefined && a.ts <= b.ts)) {
      if (a !== undefined) lines.push(a);
      i += 1;
    } else {
      lines.push(b);
      j += 1;
    }
  }
}

export interface BrokenLineRow {
  writer: string;
  offset: number;
  reason: string;
}

/** Lines of a run's journals that could not be read. */
export function readBrokenLines(store: Store, num: number): BrokenLineRow[] {
  return store
    .prepare(
      `SELECT j.writer, b.offset, b.reason FROM journals j JOIN broken_lines b ON b.journal = j.id
       WHERE j.run = ? ORDER BY j.writer, b.offset`,
    )
    .all(num) as unknown as BrokenLineRow[];
}
