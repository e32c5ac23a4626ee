import { parseExactJson } from '../events/line.ts';
import type { SnapshotRecord } from '../events/schema.ts';
import { row as one, type Question, rows, together } from './question.ts';

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
export function* readRun(num: number): Question<RunRow | undefined> {
  const row = yield* one('SELECT * FROM runs WHERE num = ?', num);
  if (row === undefined) return undefined;
  const run: Record<string, unknown> = { ...row };
  for (const name of JSON_COLUMNS) if (typeof run[name] === 'string') run[name] = parseExactJson(run[name]);
  run.archived = row.archived === 1;
  run.removed = row.removed === 1;
  run.supervised = row.supervised === null ? null : row.supervised === 1;
  return run as unknown as RunRow;
}

/** Parameters as logged, by key. `json` is JSON text with all digits. */
export function* readParams(num: number): Question<{ key: string; json: string }[]> {
  const found = yield* rows('SELECT key, value FROM params WHERE run = ? ORDER BY key', num);
  return found.map((row) => ({ key: String(row.key), json: String(row.value) }));
}

/** Tags as they stand, by key. */
export function* readTags(num: number): Question<{ key: string; value: string }[]> {
  const found = yield* rows('SELECT key, value FROM tags WHERE run = ? ORDER BY key', num);
  return found.map((row) => ({ key: String(row.key), value: String(row.value) }));
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
export function* readMetricSummaries(num: number): Question<MetricSummary[]> {
  const found = yield* rows(
    `SELECT key, count, nan_count, first, first_step, first_ts, last, last_step, last_ts, min, max, mean, min_step,
      max_step FROM metric_summaries WHERE run = ? ORDER BY key`,
    num,
  );
  return found.map((row) => ({
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
export function* readArtifacts(num: number): Question<ArtifactRow[]> {
  const found = yield* rows(
    `SELECT id, name, kind, type, created_at, sha256, size, files, mime,
      CASE WHEN inline IS NULL THEN 0 ELSE 1 END AS held
     FROM artifacts WHERE run = ? ORDER BY name, created_at, writer, place`,
    num,
  );
  return found.map(({ held, ...row }) => ({ ...(row as unknown as ArtifactRow), inline: held === 1 }));
}

/** The bytes of an inline artifact; undefined where they are in the blob store. */
export function* readInline(artifact: number): Question<Uint8Array | undefined> {
  const bytes = (yield* one('SELECT inline FROM artifacts WHERE id = ?', artifact))?.inline;
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
export function* readWarnings(num: number): Question<WarningRow[]> {
  const found = yield* rows(
    'SELECT ts, code, message, hint, writer FROM warnings WHERE run = ? ORDER BY ts, writer, place',
    num,
  );
  return found as unknown as WarningRow[];
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

export function* readAttempts(num: number): Question<AttemptRow[]> {
  const found = yield* rows(
    `SELECT attempt, number, started_at, ended_at, status, exit_code, signal, reason, host, "user"
     FROM attempts WHERE run = ? ORDER BY number`,
    num,
  );
  return found as unknown as AttemptRow[];
}

/** What a run's writers could not write (disk full), by reason, over all of them. */
export function* readDropped(num: number): Question<Record<string, number>> {
  const dropped: Record<string, number> = {};
  for (const row of yield* rows(
    'SELECT dropped FROM journals WHERE run = ? AND dropped IS NOT NULL ORDER BY writer',
    num,
  )) {
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
export function* readConsole(
  num: number,
  options: { after?: ConsoleCursor | undefined; limit: number; stream?: 1 | 2 | undefined },
): Question<{ lines: ConsoleLine[]; next: ConsoleCursor | undefined }> {
  const attempts = yield* consoleAttempts(num);
  const lines: ConsoleLine[] = [];
  let cursor = options.after;
  const begin = cursor === undefined ? 0 : Math.max(0, attempts.indexOf(cursor.attempt));
  for (const attempt of attempts.slice(begin)) {
    const next: [number, number] = cursor?.attempt === attempt ? [...cursor.next] : [0, 0];
    const room = options.limit - lines.length;
    if (room <= 0) break;
    const [out = [], err = []] = yield* together(
      ([1, 2] as const).map((stream) =>
        consoleRows(num, attempt, stream, next[stream - 1] ?? 0, options.stream === 3 - stream ? 0 : room),
      ),
    );
    for (const line of weave(out, err).slice(0, room)) {
      lines.push(line);
      next[line.stream - 1] = line.n + 1;
    }
    cursor = { attempt, next };
  }
  return { lines, next: cursor };
}

/** Attempts that printed something, in the order of the run's attempts. Lines without an attempt have the empty name. */
function* consoleAttempts(num: number): Question<string[]> {
  const names: string[] = [];
  const after = 'SELECT attempt FROM console WHERE run = ? AND attempt > ? ORDER BY attempt LIMIT 1';
  const unnamed = yield* one("SELECT attempt FROM console WHERE run = ? AND attempt = '' LIMIT 1", num);
  if (unnamed !== undefined) names.push('');
  for (
    let row = yield* one(after, num, '');
    row !== undefined;
    row = yield* one(after, num, names.at(-1) ?? '')
  ) {
    names.push(String(row.attempt));
  }
  const order = new Map((yield* readAttempts(num)).map(({ attempt, number }) => [attempt, number]));
  return names.sort((a, b) => (order.get(a) ?? 0) - (order.get(b) ?? 0) || (a < b ? -1 : 1));
}

function* consoleRows(
  num: number,
  attempt: string,
  stream: 1 | 2,
  from: number,
  limit: number,
): Question<ConsoleLine[]> {
  const found = yield* rows(
    `SELECT n, ts, text, partial FROM console WHERE run = ? AND attempt = ? AND stream = ? AND n >= ?
     ORDER BY n LIMIT ?`,
    num,
    attempt,
    stream,
    from,
    limit,
  );
  return found.map((row) => ({
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
export function* readBrokenLines(num: number): Question<BrokenLineRow[]> {
  const found = yield* rows(
    `SELECT j.writer, b."offset", b.reason FROM journals j JOIN broken_lines b ON b.journal = j.id
     WHERE j.run = ? ORDER BY j.writer, b."offset"`,
    num,
  );
  return found as unknown as BrokenLineRow[];
}
