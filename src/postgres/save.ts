import type { Row, Session } from './database.ts';
import { isLocalRevision, type Scratch, type ScratchChanges, type TableChange } from './scratch.ts';

/** Revisions whose changes are kept for live clients, as in the store. */
const KEPT_REVISIONS = 4096;
/** Told on each commit that changed something: `<space> <revision>`. */
export const CHANGED_CHANNEL = 'waddle_changed';

/**
 * Writes what a scratch changed, at the next revision of the space. From the taking of the revision to the commit no other
 * transaction of the space takes one: revisions are seen in their order. What needs no revision is written before.
 * @returns the revision
 */
export async function saveChanges(
  session: Session,
  space: string,
  scratch: Scratch,
  { tables, clock }: ScratchChanges,
): Promise<number> {
  await scratch.chunks.write(session, (series) => scratch.idOf(series));
  const revision = await nextRevision(session);
  const statements: { sql: string; value: string }[] = [];
  for (const change of tables) {
    const { table } = change;
    const range = table === 'changes' ? ['seq0', 'seq1'] : table === 'console_changes' ? ['n0', 'n1'] : null;
    if (range !== null) change.fresh = mergeRanges(change, range as [string, string]);
    statements.push(...statementsOf(change, revision));
  }
  await runTogether(session, statements);
  if (scratch.run === null) await applyTombstones(session, tables, revision);
  else if (tables.some(({ table, fresh }) => table === 'runs' && fresh.length > 0)) {
    // It may have been removed while it was being made.
    await session.change(
      'UPDATE runs r SET removed = t.removed FROM tombstones t WHERE r.num = $1 AND t.run = r.id AND r.removed <> t.removed',
      [scratch.num],
    );
  }
  await finishRevision(session, space, revision, clock);
  return revision;
}

/** Takes the next revision of the space; whoever takes one next waits for the end of the transaction. */
export async function nextRevision(session: Session): Promise<number> {
  const [row] = await session.rows(
    "UPDATE meta SET value = (value::bigint + 1)::text WHERE key = 'revision' RETURNING value",
  );
  return Number(row?.value);
}

/** Tells who listens, and prunes what no live client can ask for any more. */
export async function finishRevision(
  session: Session,
  space: string,
  revision: number,
  clock = 0,
): Promise<void> {
  if (clock > 0) {
    await session.change(
      "UPDATE meta SET value = $1::text WHERE key = 'clock' AND value::bigint < $1::bigint",
      [clock],
    );
  }
  await session.rows('SELECT pg_notify($1, $2)', [CHANGED_CHANNEL, `${space} ${revision}`]);
  const floor = revision - KEPT_REVISIONS;
  if (revision % 64 !== 0 || floor <= 0) return;
  await session.change('DELETE FROM changes WHERE revision <= $1', [floor]);
  await session.change('DELETE FROM console_changes WHERE revision <= $1', [floor]);
  await session.change("UPDATE meta SET value = $1 WHERE key = 'changes_from'", [String(floor)]);
}

/** What the scratch's own revisions brought, as one revision's: of each series or stream one range. */
function mergeRanges({ fresh, key }: TableChange, [low, high]: [string, string]): Row[] {
  const merged = new Map<string, Row>();
  for (const row of fresh) {
    const name = JSON.stringify(key.map((column) => (column === 'revision' ? 0 : row[column])));
    const known = merged.get(name);
    if (known === undefined) merged.set(name, { ...row });
    else {
      known[low] = Math.min(Number(known[low]), Number(row[low]));
      known[high] = Math.max(Number(known[high]), Number(row[high]));
    }
  }
  return [...merged.values()];
}

function statementsOf(change: TableChange, revision: number): { sql: string; value: string }[] {
  const { table, key, columns, fresh, changedColumns, changed, gone } = change;
  const names = (list: readonly string[]) => list.map((name) => `"${name}"`).join(', ');
  const given = `json_populate_recordset(NULL::${table}, $::json)`;
  const statements: { sql: string; value: string }[] = [];
  if (fresh.length > 0) {
    // A line of the console may be told again by another writer, and is then one of these.
    const others = columns.filter((name) => !key.includes(name));
    const update = others.map((name) => `"${name}" = excluded."${name}"`).join(', ');
    const conflict = table === 'artifacts' ? '' : ` (${names(key)})`;
    const rule = table === 'artifacts' || others.length === 0 ? 'NOTHING' : `UPDATE SET ${update}`;
    statements.push({
      sql: `INSERT INTO ${table} (${names(columns)}) SELECT ${names(columns)} FROM ${given} ON CONFLICT${conflict} DO ${rule}`,
      value: toJson(fresh, revision),
    });
  }
  if (changed.length > 0) {
    const update = changedColumns.map((name) => `"${name}" = x."${name}"`).join(', ');
    statements.push({
      sql: `UPDATE ${table} t SET ${update} FROM ${given} x WHERE ${sameKey(key)}`,
      value: toJson(changed, revision),
    });
  }
  if (gone.length > 0) {
    statements.push({
      sql: `DELETE FROM ${table} t USING ${given} x WHERE ${sameKey(key)}`,
      value: toJson(gone, revision),
    });
  }
  return statements;
}

function sameKey(key: readonly string[]): string {
  return key.map((name) => `t."${name}" = x."${name}"`).join(' AND ');
}

function toJson(rows: readonly Row[], revision: number): string {
  return JSON.stringify(rows, (name, value: unknown) =>
    (name === 'revision' || name === 'status_revision') && isLocalRevision(value) ? revision : value,
  );
}

/** All in one statement, so that it costs one round trip. They touch different rows. */
async function runTogether(
  session: Session,
  statements: readonly { sql: string; value: string }[],
): Promise<void> {
  if (statements.length === 0) return;
  const parts = statements.map(
    ({ sql }, index) => `p${index} AS (${sql.replaceAll('$::', `$${index + 1}::`)})`,
  );
  await session.rows(
    `WITH ${parts.join(', ')} SELECT 1`,
    statements.map(({ value }) => value),
  );
}

/** What was removed or brought back is so in the runs too. */
async function applyTombstones(
  session: Session,
  tables: readonly TableChange[],
  revision: number,
): Promise<void> {
  const change = tables.find(({ table }) => table === 'tombstones');
  if (change === undefined) return;
  const runs = [...change.fresh, ...change.changed].map(({ run }) => String(run));
  await session.change(
    `UPDATE runs r SET removed = t.removed, revision = $2 FROM tombstones t
     WHERE t.run = ANY($1) AND r.id = t.run AND r.removed <> t.removed`,
    [runs, revision],
  );
}
