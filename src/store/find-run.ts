import { WaddleError } from '../errors/waddle-error.ts';
import { type Question, row, rows } from './question.ts';

/** A run as somebody named it. */
export interface FoundRun {
  num: number;
  id: string;
  name: string;
  project: string;
  status: string;
  archived: boolean;
  /** By what the text was understood. */
  by: 'id' | 'name' | 'prefix' | 'last';
  /** Ids of other runs that the text fits too: `rm` and `archive` refuse then. */
  alsoFits: string[];
}

const COLUMNS = 'num, id, name, project, status, archived';
const NEWEST_FIRST = 'ORDER BY started_at DESC NULLS LAST, num DESC';

/**
 * The run that a text names (SPEC.md, section 1): a full id, an exact name (the newest of that name), a prefix of an id of
 * at least 4 characters, or `@last`, `@last~2`, in this order. Removed runs are not found. Throws `run-not-found`, or
 * `run-ambiguous` where a prefix fits several.
 */
export function* findRun(text: string): Question<FoundRun> {
  const byId = yield* rows(`SELECT ${COLUMNS} FROM runs WHERE removed = 0 AND id = ?`, text);
  const byName = yield* rows(
    `SELECT ${COLUMNS} FROM runs WHERE removed = 0 AND name = ? ${NEWEST_FIRST}`,
    text,
  );
  const byPrefix = /^[a-z2-7]{4,11}$/.test(text)
    ? yield* rows(
        `SELECT ${COLUMNS} FROM runs WHERE removed = 0 AND id >= ? AND id < ? ${NEWEST_FIRST}`,
        text,
        // '{' follows 'z'.
        `${text}{`,
      )
    : [];
  const all = [...byId, ...byName, ...byPrefix];
  const first = all[0];
  if (first !== undefined) {
    const by = byId.length > 0 ? 'id' : byName.length > 0 ? 'name' : 'prefix';
    if (by === 'prefix' && byPrefix.length > 1) throw ambiguousError(text, byPrefix);
    const alsoFits = [...new Set(all.map((row) => String(row.id)))].filter((id) => id !== first.id);
    return found(first, by, alsoFits);
  }
  const last = /^@last(?:~(\d{1,9}))?$/.exec(text);
  if (last === null) throw yield* notFoundError(text);
  const newest = yield* row(
    `SELECT ${COLUMNS} FROM runs WHERE removed = 0 ${NEWEST_FIRST} LIMIT 1 OFFSET ?`,
    Number(last[1] ?? 0),
  );
  if (newest === undefined) throw yield* notFoundError(text);
  return found(newest, 'last', []);
}

function found(row: Record<string, unknown>, by: FoundRun['by'], alsoFits: string[]): FoundRun {
  return {
    num: Number(row.num),
    id: String(row.id),
    name: String(row.name),
    project: String(row.project),
    status: String(row.status),
    archived: row.archived === 1,
    by,
    alsoFits,
  };
}

function* notFoundError(text: string): Question<WaddleError> {
  const count = Number((yield* row('SELECT count(*) AS n FROM runs WHERE removed = 0'))?.n ?? 0);
  return new WaddleError(
    'run-not-found',
    `there is no run ${JSON.stringify(text)} here`,
    count === 0
      ? 'This project folder has no runs yet: `waddle run` makes one, and --dir names another folder.'
      : 'A run is named by its id, its name, at least 4 characters of its id, or @last: see `waddle ls`.',
  );
}

function ambiguousError(text: string, rows: Record<string, unknown>[]): WaddleError {
  const names = rows.slice(0, 4).map((row) => `${row.id} (${row.name})`);
  const more = rows.length > names.length ? ` and ${rows.length - names.length} more` : '';
  return new WaddleError(
    'run-ambiguous',
    `${JSON.stringify(text)} fits ${rows.length} runs: ${names.join(', ')}${more}`,
    'Give more characters of the id.',
  );
}

/** The Lamport clock for a new edit: one more than the greatest that this database has seen. */
export function* nextClock(): Question<number> {
  return Number((yield* row("SELECT value FROM meta WHERE key = 'clock'"))?.value ?? 0) + 1;
}
