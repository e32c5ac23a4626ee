import type { Part } from './chunks.ts';
import type { Row, Session } from './database.ts';
import { LOCAL_REVISIONS, type Scratch, type ScratchChanges, type TableChange } from './scratch.ts';

/** Revisions whose changes are kept for live clients, as in the store. */
const KEPT_REVISIONS = 4096;
/** Told on each commit that changed something: `<space> <revision>`. */
export const CHANGED_CHANNEL = 'waddle_changed';

/** Takes the next revision of the space; whoever takes one next waits for the end of the transaction. */
const REVISION =
  "UPDATE meta SET value = (value::bigint + 1)::text WHERE key = 'revision' RETURNING value::bigint AS value";
const CLOCK = "UPDATE meta SET value = $1::text WHERE key = 'clock' AND value::bigint < $1::bigint";

/**
 * Writes what a scratch changed, at the next revision of the space, and tells who listens. From the taking of the revision to the
 * commit no other transaction of the space takes one: revisions are seen in their order. All of it is one statement, so that one
 * round trip is all that they wait for.
 * @param also what else is to be done in it, and returns rows
 * @returns `also`: how many rows each of these returned
 */
export async function saveChanges(
  session: Session,
  space: string,
  scratch: Scratch,
  { tables, clock }: ScratchChanges,
  also: readonly Part[] = [],
): Promise<{ revision: number; also: number[] }> {
  const parts = [...also, ...(await scratch.chunks.gather(session, (series) => scratch.idOf(series)))];
  for (const change of tables) {
    const { table } = change;
    const range = table === 'changes' ? ['seq0', 'seq1'] : table === 'console_changes' ? ['n0', 'n1'] : null;
    if (range !== null) change.fresh = mergeRanges(change, range as [string, string]);
    parts.push(...partsOf(change));
  }
  if (clock > scratch.toldClock) parts.push({ sql: CLOCK, values: [clock] });
  const saved = await runTogether(session, parts, also.length, space);
  scratch.toldClock = clock;
  const { revision } = saved;
  if (scratch.run === null) await applyTombstones(session, tables, revision);
  else if (tables.some(({ table, fresh }) => table === 'runs' && fresh.length > 0)) {
    // It may have been removed while it was being made.
    await session.change(
      'UPDATE runs r SET removed = t.removed FROM tombstones t WHERE r.num = $1 AND t.run = r.id AND r.removed <> t.removed',
      [scratch.num],
    );
  }
  await prune(session, revision);
  return saved;
}

/** Of what no live client can ask for any more. */
async function prune(session: Session, revision: number): Promise<void> {
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

/** A column of what is given: revisions of the scratch's own become the space's. */
function given(name: string): string {
  if (name !== 'revision' && name !== 'status_revision') return `x."${name}"`;
  return `CASE WHEN x."${name}" > ${LOCAL_REVISIONS} THEN rev.value ELSE x."${name}" END`;
}

function partsOf(change: TableChange): Part[] {
  const { table, key, columns, fresh, changedColumns, changed, gone } = change;
  const names = (list: readonly string[]) => list.map((name) => `"${name}"`).join(', ');
  const rows = `json_populate_recordset(NULL::${table}, $1::json)`;
  const parts: Part[] = [];
  if (fresh.length > 0) {
    // A line of the console may be told again by another writer, and is then one of these.
    const others = columns.filter((name) => !key.includes(name));
    const update = others.map((name) => `"${name}" = excluded."${name}"`).join(', ');
    const conflict = table === 'artifacts' ? '' : ` (${names(key)})`;
    const rule = table === 'artifacts' || others.length === 0 ? 'NOTHING' : `UPDATE SET ${update}`;
    parts.push({
      sql: `INSERT INTO ${table} (${names(columns)}) SELECT ${columns.map(given).join(', ')} FROM rev, ${rows} x
        ON CONFLICT${conflict} DO ${rule}`,
      values: [JSON.stringify(fresh)],
    });
  }
  if (changed.length > 0) {
    const update = changedColumns.map((name) => `"${name}" = ${given(name)}`).join(', ');
    parts.push({
      sql: `UPDATE ${table} t SET ${update} FROM rev, ${rows} x WHERE ${sameKey(key)}`,
      values: [JSON.stringify(changed)],
    });
  }
  if (gone.length > 0) {
    parts.push({
      sql: `DELETE FROM ${table} t USING ${rows} x WHERE ${sameKey(key)}`,
      values: [JSON.stringify(gone)],
    });
  }
  return parts;
}

function sameKey(key: readonly string[]): string {
  return key.map((name) => `t."${name}" = x."${name}"`).join(' AND ');
}

/** All in one statement, so that it costs one round trip. They touch different rows. */
async function runTogether(
  session: Session,
  parts: readonly Part[],
  counted: number,
  space: string,
): Promise<{ revision: number; also: number[] }> {
  const values: unknown[] = [CHANGED_CHANNEL, space];
  const texts = parts.map((part, index) => {
    const before = values.length;
    values.push(...part.values);
    return `p${index} AS (${part.sql.replaceAll(/\$(\d+)/g, (_, place: string) => `$${before + Number(place)}`)})`;
  });
  const counts = Array.from(
    { length: counted },
    (_, index) => `(SELECT count(*) FROM p${index}) AS n${index}`,
  );
  const [row] = await session.often(
    `WITH rev AS (${REVISION}), ${texts.join(', ')}
     SELECT ${['rev.value AS revision', "pg_notify($1, $2::text || ' ' || rev.value)", ...counts].join(', ')} FROM rev`,
    values,
  );
  return {
    revision: Number(row?.revision),
    also: Array.from({ length: counted }, (_, index) => Number(row?.[`n${index}`])),
  };
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
