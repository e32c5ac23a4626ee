/** What several routes ask of the database about runs. */
import { WaddleError } from '../errors/waddle-error.ts';
import { encodeNumber } from '../events/line.ts';
import type { SnapshotRecord } from '../events/schema.ts';
import type { Keys, KeysQuery, MetricSample, MetricsQuery, ProjectEntry } from '../protocol/api.ts';
import { readConsistently } from '../query/consistent-read.ts';
import { readSamples } from '../query/samples.ts';
import type { Store } from '../store/open.ts';
import { MAX_SEQ } from '../store/schema.ts';

export interface KnownRun {
  num: number;
  id: string;
  removed: boolean;
  status: string;
  attempt: string | null;
}

/** The run of this id. @throws WaddleError `run-not-found` */
export function knownRun(store: Store, id: string, options: { removed?: boolean } = {}): KnownRun {
  const row = store.prepare('SELECT num, id, removed, status, attempt FROM runs WHERE id = ?').get(id);
  if (row === undefined || (row.removed === 1 && options.removed !== true)) throw runNotFound(id);
  return {
    num: Number(row.num),
    id: String(row.id),
    removed: row.removed === 1,
    status: String(row.status),
    attempt: row.attempt === null ? null : String(row.attempt),
  };
}

export function runNotFound(id: string): WaddleError {
  const shown = id.length > 40 ? `${id.slice(0, 40)}…` : id;
  return new WaddleError('run-not-found', `there is no run ${shown}`, 'GET /api/runs lists them.');
}

/** A run's snapshot; null where none was taken. */
export function snapshotOf(store: Store, num: number): SnapshotRecord | null {
  const row = store.prepare('SELECT snapshot FROM runs WHERE num = ?').get(num);
  return typeof row?.snapshot === 'string' ? (JSON.parse(row.snapshot) as SnapshotRecord) : null;
}

export function listProjects(store: Store): ProjectEntry[] {
  return store
    .prepare('SELECT name, runs, running, last_started_at FROM projects ORDER BY last_started_at DESC, name')
    .all() as unknown as ProjectEntry[];
}

/** At most so many values of a tag are told. */
const TAG_VALUES = 20;

export function listKeys(store: Store, query: KeysQuery): Keys {
  const conditions = ['removed = 0'];
  const values: string[] = [];
  if (query.project !== undefined) {
    conditions.push('project = ?');
    values.push(query.project);
  }
  if (query.runs !== undefined) {
    conditions.push('id IN (SELECT value FROM json_each(?))');
    values.push(JSON.stringify(query.runs.split(',')));
  }
  const among = `run IN (SELECT num FROM runs WHERE ${conditions.join(' AND ')})`;
  return readConsistently(store.db, () => {
    const params = store.db
      .prepare(
        `SELECT key, count(*) AS runs, min(type = 'number') AS numeric FROM param_leaves WHERE ${among}
         GROUP BY key ORDER BY key`,
      )
      .all(...values)
      .map((row) => ({ key: String(row.key), runs: Number(row.runs), numeric: row.numeric === 1 }));
    const tags = new Map<string, Keys['tags'][number]>();
    const rows = store.db
      .prepare(
        `SELECT key, value, count(*) AS runs FROM tags WHERE ${among} GROUP BY key, value ORDER BY key, runs DESC, value`,
      )
      .iterate(...values);
    for (const row of rows) {
      const key = String(row.key);
      const tag = tags.get(key) ?? { key, runs: 0, values: [] };
      tag.runs += Number(row.runs);
      if (tag.values.length < TAG_VALUES) tag.values.push(String(row.value));
      tags.set(key, tag);
    }
    const metrics = store.db
      .prepare(`SELECT key, count(*) AS runs FROM metric_summaries WHERE ${among} GROUP BY key ORDER BY key`)
      .all(...values)
      .map((row) => ({ key: String(row.key), runs: Number(row.runs) }));
    return { params, tags: [...tags.values()], metrics };
  });
}

/** Without a key, the samples are sorted at the time of asking: not more than this many. */
const MAX_SORTED = 1_000_000;

/** A page of a run's samples, of one key or of all. */
export function samplePage(
  store: Store,
  run: KnownRun,
  query: MetricsQuery,
): { rows: MetricSample[]; next: string | null } {
  const { key, limit = 2000 } = query;
  if (key !== undefined) return readSamples(store.db, { run: run.id, key, limit, after: query.cursor });
  const from = query.cursor === undefined ? 0 : Number(/^\d{1,9}$/.exec(query.cursor)?.[0] ?? Number.NaN);
  if (Number.isNaN(from)) {
    throw new WaddleError(
      'cursor-invalid',
      'the cursor does not belong to this list',
      'Ask for the first page without one.',
      {
        exitCode: 2,
      },
    );
  }
  const total = Number(
    store.prepare('SELECT sum(count) AS n FROM series WHERE run = ?').get(run.num)?.n ?? 0,
  );
  if (total > MAX_SORTED) {
    throw new WaddleError(
      'query-invalid',
      `this run has ${total} samples, too many to sort all at once`,
      'Name a key: ?key=loss',
      { exitCode: 2 },
    );
  }
  const rows = store
    .prepare(
      `SELECT m.id, s.key, m.step, (s.t0 + m.dt) / 1000.0 AS ts, m.value FROM series s
       JOIN samples m ON m.id BETWEEN s.id * ${MAX_SEQ} AND s.id * ${MAX_SEQ} + ${MAX_SEQ - 1}
       WHERE s.run = ? ORDER BY m.step, ts, s.writer, m.id LIMIT ? OFFSET ?`,
    )
    .all(run.num, limit + 1, from)
    .map((row) => ({
      rowid: Number(row.id),
      key: String(row.key),
      step: Number(row.step),
      ts: Number(row.ts),
      value: encodeNumber(row.value === null ? Number.NaN : Number(row.value)),
    }));
  const more = rows.length > limit;
  if (more) rows.pop();
  return { rows, next: more ? String(from + limit) : null };
}

/**
 * Numbers of the runs in which every word is found, in any case of letters: in id, name, project, entry, command, status,
 * host, user, group, notes, commit, tags, and params.
 */
export function findText(store: Store, text: string): number[] {
  const words = text
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '')
    .slice(0, 20);
  const condition = words
    .map(
      (_, index) => `(r.id LIKE ?${index + 1} ESCAPE '\\' OR r.name LIKE ?${index + 1} ESCAPE '\\'
        OR r.project LIKE ?${index + 1} ESCAPE '\\' OR r.entry LIKE ?${index + 1} ESCAPE '\\'
        OR r.command LIKE ?${index + 1} ESCAPE '\\' OR r.status LIKE ?${index + 1} ESCAPE '\\'
        OR r.host LIKE ?${index + 1} ESCAPE '\\' OR r.user LIKE ?${index + 1} ESCAPE '\\'
        OR r."group" LIKE ?${index + 1} ESCAPE '\\' OR r.notes LIKE ?${index + 1} ESCAPE '\\'
        OR r.commit_sha LIKE ?${index + 1} ESCAPE '\\'
        OR EXISTS (SELECT 1 FROM tags t WHERE t.run = r.num AND (t.value LIKE ?${index + 1} ESCAPE '\\' OR t.key LIKE ?${index + 1} ESCAPE '\\'))
        OR EXISTS (SELECT 1 FROM param_leaves p WHERE p.run = r.num AND (p.text LIKE ?${index + 1} ESCAPE '\\' OR p.key LIKE ?${index + 1} ESCAPE '\\')))`,
    )
    .join(' AND ');
  return store
    .prepare(`SELECT r.num FROM runs r WHERE r.removed = 0 ${condition === '' ? '' : `AND ${condition}`}`)
    .all(...words.map((word) => `%${word.replace(/[\\%_]/g, '\\$&')}%`))
    .map((row) => Number(row.num));
}
