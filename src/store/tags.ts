import type { Store } from './open.ts';

/** Files of the snapshot changed while the job ran. */
export const TAG_CODE_CHANGED = 'waddle_code_changed';
/** The code is kept in the private repository in `.waddle/`. */
export const TAG_WORKSPACE_SNAPSHOT = 'waddle_workspace_snapshot';

/**
 * Writes one tag as it stands: what an edit says (null removes it), else what the job or its command line said, else what
 * Waddle itself found.
 */
export function resolveTag(store: Store, run: number, key: string, revision: number): void {
  const value = tagValue(store, run, key);
  if (value === null) {
    store.prepare('DELETE FROM tags WHERE run = ? AND key = ?').run(run, key);
    return;
  }
  store
    .prepare(
      `INSERT INTO tags (run, key, value, revision) VALUES (?, ?, ?, ?)
       ON CONFLICT (run, key) DO UPDATE SET value = excluded.value, revision = excluded.revision
       WHERE value <> excluded.value`,
    )
    .run(run, key, value, revision);
}

function tagValue(store: Store, run: number, key: string): string | null {
  const edit = store
    .prepare("SELECT value FROM edits WHERE run = ? AND field = 'tag' AND key = ?")
    .get(run, key);
  if (edit !== undefined) {
    const value: unknown = JSON.parse(String(edit.value));
    return value === null ? null : String(value);
  }
  const fact = store.prepare('SELECT value FROM tag_facts WHERE run = ? AND key = ?').get(run, key);
  if (fact !== undefined) return String(fact.value);
  if (key !== TAG_CODE_CHANGED && key !== TAG_WORKSPACE_SNAPSHOT) return null;
  const row = store
    .prepare(
      `SELECT json_array_length(drift) > 0 AS changed, json_extract(snapshot, '$.store') = 'private' AS private
       FROM runs WHERE num = ?`,
    )
    .get(run);
  const found = key === TAG_CODE_CHANGED ? row?.changed : row?.private;
  return found === 1 ? 'true' : null;
}
