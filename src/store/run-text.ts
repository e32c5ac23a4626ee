/**
 * What a run is searched by, as one text: each of its own texts, its tags' and its params', in small ASCII letters, on lines of
 * their own. A word holds no white space, so it is found in the whole where it is found in one of them. The status is not
 * among them: it may change without anything being read.
 */
import type { Store } from './open.ts';

/** SELECT of a run's number and its text, from `runs r`, without a WHERE. Also of migrations: it is never edited. */
export const RUN_TEXT_SELECT = `SELECT r.num, lower(concat_ws(char(10), r.id, r.name, r.project, r.entry, r.command, r.host,
    r.user, r."group", r.notes, r.commit_sha,
    (SELECT group_concat(t.key || char(10) || t.value, char(10) ORDER BY t.key) FROM tags t WHERE t.run = r.num),
    (SELECT group_concat(p.key || char(10) || p.text, char(10) ORDER BY p.key) FROM param_leaves p WHERE p.run = r.num)))
  FROM runs r`;

/** Writes a run's text anew. */
export function writeRunText(store: Store, run: number): void {
  store
    .prepare(
      `INSERT INTO run_texts (run, text) ${RUN_TEXT_SELECT} WHERE r.num = ?
       ON CONFLICT (run) DO UPDATE SET text = excluded.text WHERE text <> excluded.text`,
    )
    .run(run);
}
