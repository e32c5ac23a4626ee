/** The names that people type: runs, projects, links, as the database has them. It is looked at, never brought up to date. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import { CONFIG_FILE } from '../../config/config.ts';
import type { WaddleJson } from '../../config/schema.ts';
import { layoutOf } from '../../journal/layout.ts';
import { peekStore } from '../../store/peek.ts';
import { type Context, storeFile, targetFolder } from '../context.ts';
import { formatAge } from '../format-time.ts';
import { inert } from '../inert.ts';
import { listRemotes } from '../remotes.ts';
import type { Candidate } from './candidates.ts';

export interface Names {
  /** Ids and names, the newest first; with a command that undoes, what it can bring back. */
  runs(undo?: string): Candidate[];
  projects(): Candidate[];
  groups(): Candidate[];
  links(): Candidate[];
  remotes(): Candidate[];
  tagKeys(): Candidate[];
  metrics(): Candidate[];
  /** What a run has, named as people name runs. */
  artifacts(run: string): Candidate[];
}

/** Runs that are looked at: all of a large folder would keep a person waiting. */
const NEWEST = 2000;

export function namesOf(context: Context): Names {
  const column = (sql: string, ...values: string[]): Candidate[] =>
    rows(context, sql, ...values).map(([value]) => ({ value: String(value) }));
  return {
    runs: (undo) => runs(context, undo),
    projects: () => column('SELECT DISTINCT project FROM runs WHERE removed = 0 ORDER BY project'),
    groups: () => column('SELECT DISTINCT "group" FROM runs WHERE removed = 0 AND "group" IS NOT NULL'),
    links: () => column('SELECT name FROM links WHERE path IS NOT NULL ORDER BY name'),
    remotes: () => remotes(context),
    tagKeys: () => column('SELECT DISTINCT key FROM tags ORDER BY key'),
    metrics: () => column('SELECT DISTINCT key FROM metric_summaries ORDER BY key'),
    artifacts: (run) =>
      column(
        `SELECT DISTINCT name FROM artifacts WHERE run = (SELECT num FROM runs WHERE removed = 0
           AND (id = ?1 OR name = ?1 OR (length(?1) > 3 AND substr(id, 1, length(?1)) = ?1) OR ?1 = '@last')
           ORDER BY id = ?1 DESC, name = ?1 DESC, started_at DESC LIMIT 1) ORDER BY name`,
        run,
      ),
  };
}

function runs(context: Context, undo: string | undefined): Candidate[] {
  const which = undo === 'rm' ? 'removed = 1' : `removed = 0 AND archived = ${undo === undefined ? 0 : 1}`;
  const found = rows(
    context,
    `SELECT id, name, status, started_at FROM runs WHERE ${which} ORDER BY started_at DESC, num DESC LIMIT ${NEWEST}`,
  );
  const known = new Set(found.map(([id]) => String(id)));
  const unread = undo === undefined ? newerThan(context, known) : [];
  const names = new Map<string, Candidate>();
  const ids: Candidate[] = unread.map((value) => ({ value }));
  for (const [id, name, status, startedAt] of found) {
    const age = typeof startedAt === 'number' ? `, ${formatAge(context.now() / 1000 - startedAt)}` : '';
    ids.push({ value: String(id), about: inert(`${name}, ${status}${age}`) });
    const value = String(name);
    // A name that is no text for a command line is left to its id.
    if (!names.has(value) && inert(value) === value) names.set(value, { value, about: `${status}${age}` });
  }
  const last = undo === undefined && ids.length > 0 ? [{ value: '@last', about: 'the newest run' }] : [];
  return [...last, ...names.values(), ...ids];
}

/** Runs whose journals nobody has read yet; only where the database knows all others, so that no gap shows. */
function newerThan(context: Context, known: ReadonlySet<string>): string[] {
  if (known.size >= NEWEST) return [];
  try {
    const all = readdirSync(layoutOf(targetFolder(context)).runs).filter((id) => /^[a-z2-7]{12}$/.test(id));
    const removed = new Set(
      rows(context, 'SELECT id FROM runs WHERE removed = 1 OR archived = 1').map(([id]) => id),
    );
    return all.filter((id) => !known.has(id) && !removed.has(id)).slice(0, 50);
  } catch {
    return [];
  }
}

function remotes(context: Context): Candidate[] {
  try {
    const project = { layout: layoutOf(targetFolder(context)), config: configOf(context) };
    return listRemotes(project).map(({ name }) => ({ value: name }));
  } catch {
    return [];
  }
}

/** `waddle.json` as it stands, unchecked: whoever types has no use for what is wrong with it. */
function configOf(context: Context): WaddleJson {
  try {
    return JSON.parse(readFileSync(join(targetFolder(context), CONFIG_FILE), 'utf8')) as WaddleJson;
  } catch {
    return {};
  }
}

function rows(context: Context, sql: string, ...values: string[]): unknown[][] {
  let db: DatabaseSync | undefined;
  try {
    const project = { layout: layoutOf(targetFolder(context)), config: configOf(context) };
    db = peekStore(storeFile(project, context.env));
    if (db === undefined) return [];
    const statement = db.prepare(sql);
    statement.setReturnArrays(true);
    return statement.all(...values) as unknown as unknown[][];
  } catch {
    return []; // busy, older, newer, damaged: other commands say so
  } finally {
    db?.close();
  }
}
