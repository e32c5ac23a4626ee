import { parseExactJson } from '../events/line.ts';
import type { MetricNumber, RunStatus } from '../events/schema.ts';
import type { Row } from '../store/question.ts';
import type { MetricStat } from './fields.ts';
import { OWN_SQL } from './filter-sql.ts';

/** A parameter's value: any JSON, where an integer beyond 2^53 is a bigint (print with `stringifyExactJson`). */
export type ParamValue = unknown;

/** A run as `/api/runs` gives it. Times are epoch seconds, `duration` seconds (of a running run, so far). */
export interface RunRow {
  id: string;
  name: string;
  status: RunStatus;
  started_at: number | null;
  ended_at: number | null;
  duration: number | null;
  commit_sha: string | null;
  entry: string | null;
  project: string;
  command: string[] | null;
  argv: string[] | null;
  cwd: string | null;
  repo: string | null;
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
  error_type: string | null;
  error_message: string | null;
  last_event_at: number | null;
  /** Of the asked columns, those that the run has, by their flattened key. */
  params?: Record<string, ParamValue>;
  tags?: Record<string, string>;
  metrics?: Record<string, Partial<Record<MetricStat, MetricNumber>>>;
}

/** Columns of `runs r` that make a RunRow. */
export const RUN_COLUMNS = `r.id, r.name, r.status, r.started_at, r.ended_at,
  ${OWN_SQL.duration} AS duration,
  r.commit_sha, r.entry, r.project, r.command, r.argv, r.cwd, r.repo, r.exit_code, r.signal, r.reason, r.host, r."user",
  r."group", r.notes, r.parent, r.reproduces, r.archived, r.error_type, r.error_message, r.last_event_at`;

function text(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}

function number(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value);
}

/** Seconds of which journals know milliseconds: without the dust of a subtraction. */
function milliseconds(value: unknown): number | null {
  const seconds = number(value);
  return seconds === null ? null : Math.round(seconds * 1000) / 1000;
}

function texts(value: unknown): string[] | null {
  const list = typeof value === 'string' ? parseExactJson(value) : null;
  return Array.isArray(list) ? list.map(String) : null;
}

export function readRunRow(row: Row): RunRow {
  return {
    id: String(row.id),
    name: String(row.name),
    status: String(row.status) as RunStatus,
    started_at: number(row.started_at),
    ended_at: number(row.ended_at),
    duration: milliseconds(row.duration),
    commit_sha: text(row.commit_sha),
    entry: text(row.entry),
    project: String(row.project),
    command: texts(row.command),
    argv: texts(row.argv),
    cwd: text(row.cwd),
    repo: text(row.repo),
    exit_code: number(row.exit_code),
    signal: text(row.signal),
    reason: text(row.reason),
    host: text(row.host),
    user: text(row.user),
    group: text(row.group),
    notes: text(row.notes),
    parent: text(row.parent),
    reproduces: text(row.reproduces),
    archived: row.archived === 1,
    error_type: text(row.error_type),
    error_message: text(row.error_message),
    last_event_at: number(row.last_event_at),
  };
}

/** The value of a `param_leaves` row: a string is itself, everything else JSON. */
export function readLeaf(type: unknown, value: unknown): ParamValue {
  return type === 'string' ? String(value) : parseExactJson(String(value));
}
