import type { Sql } from './filter-sql.ts';

const OWN = [
  'r.id',
  'r.name',
  'r.project',
  'r.entry',
  'r.command',
  'r.status',
  'r.host',
  'r."user"',
  'r."group"',
  'r.notes',
  'r.commit_sha',
];

const MAX_WORDS = 20;

/**
 * Conditions on `runs r`, each that one word of a text is found in the run, in any case of ASCII letters: in its id, name,
 * project, entry, command, status, host, user, group, notes, commit, tags or params.
 */
export function textConditions(text: string): Sql[] {
  const words = text
    .trim()
    .split(/\s+/)
    .filter((word) => word !== '')
    .slice(0, MAX_WORDS);
  return words.map((word) => {
    const pattern = containing(word);
    const places = [
      ...OWN.map(like),
      `EXISTS (SELECT 1 FROM tags t WHERE t.run = r.num AND (${like('t.value')} OR ${like('t.key')}))`,
      `EXISTS (SELECT 1 FROM param_leaves p WHERE p.run = r.num AND (${like('p.text')} OR ${like('p.key')}))`,
    ];
    return { text: `(${places.join(' OR ')})`, values: new Array<string>(OWN.length + 4).fill(pattern) };
  });
}

function like(sql: string): string {
  return `${sql} LIKE ? ESCAPE '\\'`;
}

/** The LIKE pattern of all that contains a text. */
export function containing(text: string): string {
  return `%${text.replace(/[\\%_]/g, '\\$&')}%`;
}
