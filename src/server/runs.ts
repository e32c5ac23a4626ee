/** What several routes ask of the database about runs. */
import { WaddleError } from '../errors/waddle-error.ts';
import type { SnapshotRecord } from '../events/schema.ts';
import type { Keys, KeysQuery, MetricsQuery, ProjectEntry } from '../protocol/api.ts';
import { readAllSamples, readSamples, type SamplePage } from '../query/samples.ts';
import { type Bound, type Question, row, rows } from '../store/question.ts';

export interface KnownRun {
  num: number;
  id: string;
  removed: boolean;
  status: string;
  attempt: string | null;
}

/** The run of this id. @throws WaddleError `run-not-found` */
export function* knownRun(id: string, options: { removed?: boolean } = {}): Question<KnownRun> {
  const found = yield* row(
    'SELECT r.num, r.id, r.removed, r.status, r.attempt FROM runs r WHERE r.id = ?',
    id,
  );
  if (found === undefined || (found.removed === 1 && options.removed !== true)) throw runNotFound(id);
  return {
    num: Number(found.num),
    id: String(found.id),
    removed: found.removed === 1,
    status: String(found.status),
    attempt: found.attempt === null ? null : String(found.attempt),
  };
}

export function runNotFound(id: string): WaddleError {
  const shown = id.length > 40 ? `${id.slice(0, 40)}…` : id;
  return new WaddleError('run-not-found', `there is no run ${shown}`, 'GET /api/runs lists them.');
}

/** A run's snapshot; null where none was taken. */
export function* snapshotOf(num: number): Question<SnapshotRecord | null> {
  const found = yield* row('SELECT r.snapshot FROM runs r WHERE r.num = ?', num);
  return typeof found?.snapshot === 'string' ? (JSON.parse(found.snapshot) as SnapshotRecord) : null;
}

export function* listProjects(): Question<ProjectEntry[]> {
  const found = yield* rows(
    `SELECT r.project, r."user", count(*) AS runs, sum(CASE r.status WHEN 'running' THEN 1 ELSE 0 END) AS running,
       max(r.started_at) AS started, max(r.last_event_at) AS heard
     FROM runs r WHERE r.removed = 0 GROUP BY r.project, r."user"`,
  );
  const latest = (a: number | null, b: number | null) => (a === null ? b : Math.max(a, b ?? a));
  const number = (value: unknown) => (typeof value === 'number' ? value : null);
  const projects = new Map<string, ProjectEntry>();
  for (const row of found) {
    const name = String(row.project);
    const entry = projects.get(name) ?? {
      name,
      runs: 0,
      running: 0,
      last_started_at: null,
      last_event_at: null,
      users: [],
    };
    projects.set(name, entry);
    const [runs, running, heard] = [Number(row.runs), Number(row.running), number(row.heard)];
    entry.runs += runs;
    entry.running += running;
    entry.last_started_at = latest(entry.last_started_at, number(row.started));
    entry.last_event_at = latest(entry.last_event_at, heard);
    if (typeof row.user === 'string')
      entry.users.push({ name: row.user, runs, running, last_event_at: heard });
  }
  for (const { users } of projects.values())
    users.sort((a, b) => (b.last_event_at ?? 0) - (a.last_event_at ?? 0));
  return [...projects.values()].sort(
    (a, b) => (b.last_started_at ?? 0) - (a.last_started_at ?? 0) || (a.name < b.name ? -1 : 1),
  );
}

/** At most so many values of a tag are told. */
const TAG_VALUES = 20;

export function* listKeys(query: KeysQuery): Question<Keys> {
  const conditions = ['r.removed = 0'];
  const values: Bound[] = [];
  if (query.project !== undefined) {
    conditions.push('r.project = ?');
    values.push(query.project);
  }
  if (query.runs !== undefined) {
    conditions.push('r.id IN (SELECT value FROM json_each(?))');
    values.push(query.runs.split(','));
  }
  // Where every run counts, an index has the answer, and no run need be looked up.
  const removed = 'SELECT r.num FROM runs r WHERE r.removed <> 0 LIMIT 1';
  const every = values.length === 0 && (yield* row(removed)) === undefined;
  const among = every ? 'TRUE' : `m.run IN (SELECT r.num FROM runs r WHERE ${conditions.join(' AND ')})`;
  const params = yield* rows(
    `SELECT m.key, count(*) AS runs, min(CASE m.type WHEN 'number' THEN 1 ELSE 0 END) AS numeric
     FROM param_leaves m WHERE ${among} GROUP BY m.key ORDER BY m.key`,
    ...values,
  );
  const tags = new Map<string, Keys['tags'][number]>();
  for (const found of yield* rows(
    `SELECT m.key, m.value, count(*) AS runs FROM tags m WHERE ${among} GROUP BY m.key, m.value
     ORDER BY m.key, runs DESC, m.value`,
    ...values,
  )) {
    const key = String(found.key);
    const tag = tags.get(key) ?? { key, runs: 0, values: [] };
    tag.runs += Number(found.runs);
    if (tag.values.length < TAG_VALUES) tag.values.push(String(found.value));
    tags.set(key, tag);
  }
  const metrics = yield* rows(
    `SELECT m.key, count(*) AS runs FROM metric_summaries m WHERE ${among} GROUP BY m.key ORDER BY m.key`,
    ...values,
  );
  const counted = (found: Record<string, unknown>) => ({ key: String(found.key), runs: Number(found.runs) });
  return {
    params: params.map((found) => ({ ...counted(found), numeric: found.numeric === 1 })),
    tags: [...tags.values()],
    metrics: metrics.map(counted),
  };
}

/** A page of a run's samples, of one key or of all. @throws WaddleError `run-not-found` */
export function* samplePage(id: string, query: MetricsQuery): Question<SamplePage> {
  const { key, limit, cursor: after } = query;
  const run = (yield* knownRun(id)).id;
  if (key === undefined) return yield* readAllSamples({ run, limit, after });
  return yield* readSamples({ run, key, limit, after });
}
