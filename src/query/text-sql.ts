import type { RunStatus } from '../events/schema.ts';
import type { Sql } from './filter-sql.ts';

const MAX_WORDS = 20;
const STATUSES: readonly RunStatus[] = ['running', 'completed', 'failed', 'crashed', 'aborted'];

/**
 * Conditions on `runs r`, each that one word of a text is found in the run, in any case of ASCII letters: in its id, name,
 * project, entry, command, status, host, user, group, notes, commit, tags or params.
 */
export function textConditions(text: string): Sql[] {
  return wordsOf(text).map((word) => ({
    text: `(EXISTS (SELECT 1 FROM run_texts x WHERE x.run = r.num AND ${HOLDS}) OR ${like('r.status')})`,
    values: [word, containing(word)],
  }));
}

/**
 * Selects the runs that hold all words of a text (`run`), by reading nothing but what runs are searched by. Null where a status holds one of the
 * words, which is not in that.
 */
export function textSelection(text: string): Sql | null {
  const words = wordsOf(text);
  if (words.length === 0 || words.some((word) => STATUSES.some((status) => status.includes(word))))
    return null;
  return {
    text: `SELECT x.run AS run FROM run_texts x WHERE ${words.map(() => HOLDS).join(' AND ')}`,
    values: words,
  };
}

/** `run_texts` has small letters only (`src/store/run-text.ts`). */
const HOLDS = 'instr(x.text, ?) > 0';

function wordsOf(text: string): string[] {
  return text
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '')
    .slice(0, MAX_WORDS)
    .map((word) => word.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()));
}

function like(sql: string): string {
  return `${sql} LIKE ? ESCAPE '\\'`;
}

/** The LIKE pattern of all that contains a text. */
export function containing(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`;
}
