/** Runs that were removed go for good, and what no run names any more is let go of. */
import { RUN_TABLES } from '../store/purge.ts';
import { type Database, LOCK, lockNumber, type Session } from './database.ts';
import { holdNames } from './put-objects.ts';
import { readKnown, removalsOf } from './team-journals.ts';

/** Tables with rows of a run under its id. */
const BY_ID = ['received', 'owners', 'blob_names', 'tree_names', 'work'];

/** Ids of the runs that have been removed for at least so long, by the time at which that was received here. */
export async function findRemovedRuns(session: Session, seconds: number): Promise<string[]> {
  const known = (await readKnown(session, [''])).get('') ?? [];
  const applied = known.filter(({ announced }) => !announced);
  const old = await session.rows(
    `SELECT writer FROM received WHERE run = '' AND announced = 0 AND grown_at < now() - $1 * interval '1 second'`,
    [seconds],
  );
  const settled = new Set(old.map((row) => row.writer));
  const young = new Set(
    applied
      .filter(({ writer }) => !settled.has(writer))
      .flatMap(({ facts }) => facts.removals.map(({ run }) => run)),
  );
  const removals = removalsOf(known);
  const removed = removals.of().filter(({ run }) => removals.has(run) && !young.has(run));
  const rows = await session.rows('SELECT run FROM owners WHERE run = ANY($1) ORDER BY run', [
    removed.map(({ run }) => run),
  ]);
  return rows.map((row) => String(row.run));
}

/** False where it is restored, or being taken in, at this moment. */
export async function forgetRun(
  database: Database,
  space: string,
  run: string,
  seconds: number,
): Promise<boolean> {
  return database.transaction(space, async (session) => {
    const [mine] = await session.rows('SELECT pg_try_advisory_xact_lock($1, $2) AS mine', [
      LOCK.run,
      lockNumber(space, run),
    ]);
    if (mine?.mine !== true) return false;
    // Whoever pushes something of it, or takes its removal back, does so before or after.
    const locks = [run, ''].map((name) => lockNumber(space, 'received', name));
    for (const number of locks.sort((a, b) => a - b)) {
      await session.rows('SELECT pg_advisory_xact_lock($1, $2)', [LOCK.receive, number]);
    }
    if (!(await findRemovedRuns(session, seconds)).includes(run)) return false;
    await session.change('DELETE FROM segments WHERE received IN (SELECT id FROM received WHERE run = $1)', [
      run,
    ]);
    for (const table of BY_ID) await session.change(`DELETE FROM ${table} WHERE run = $1`, [run]);
    const [row] = await session.rows('SELECT num FROM runs WHERE id = $1', [run]);
    if (row !== undefined) await forgetRows(session, row.num);
    return true;
  });
}

async function forgetRows(session: Session, num: unknown): Promise<void> {
  for (const table of ['sample_chunks', 'rollup_chunks', 'changes']) {
    await session.change(`DELETE FROM ${table} WHERE series IN (SELECT id FROM series WHERE run = $1)`, [
      num,
    ]);
  }
  await session.change('DELETE FROM broken_lines WHERE journal IN (SELECT id FROM journals WHERE run = $1)', [
    num,
  ]);
  for (const table of [...RUN_TABLES, 'series', 'journals']) {
    await session.change(`DELETE FROM ${table} WHERE run = $1`, [num]);
  }
  await session.change('DELETE FROM runs WHERE num = $1', [num]);
}

export interface Loose {
  blobs: number;
  trees: number;
  bytes: number;
}

/** Blobs and trees that no run of their project has named since, and that are older than so many seconds. */
export async function letGoOfLoose(
  database: Database,
  space: string,
  seconds: number,
  dry: boolean,
): Promise<Loose> {
  const verb = (table: string, condition: string) =>
    dry
      ? `SELECT size FROM ${table} it WHERE ${condition}`
      : `DELETE FROM ${table} it WHERE ${condition} RETURNING size`;
  const named = (names: string, column: string) =>
    `NOT EXISTS (SELECT 1 FROM ${names} n JOIN owners o ON o.run = n.run
       WHERE n.${column} = it.${column} AND o.project = it.project)
     AND it.stored_at < now() - $1 * interval '1 second'`;
  return database.transaction(space, async (session) => {
    // Whoever names one of them has done so before, or finds it gone and sends it again.
    if (!dry) await holdNames(session, space, 'alone');
    const blobs = await session.rows(verb('blobs', named('blob_names', 'sha256')), [seconds]);
    const standing =
      'NOT EXISTS (SELECT 1 FROM trees other WHERE other.project = it.project AND other.base = it.tree)';
    const loose = verb('trees', `${named('tree_names', 'tree')} AND ${standing}`);
    const trees = await session.rows(loose, [seconds]);
    // Then those that only they stood on, which stand by themselves.
    if (!dry) trees.push(...(await session.rows(loose, [seconds])));
    const bytes = [...blobs, ...trees].reduce((sum, row) => sum + Number(row.size), 0);
    return { blobs: blobs.length, trees: trees.length, bytes };
  });
}

/** Parts whose rest has not come for so many seconds. What is left of them as objects is garbage then. */
export async function letGoOfParts(
  database: Database,
  space: string,
  seconds: number,
  dry: boolean,
): Promise<number> {
  const old = `SELECT project, name FROM parts GROUP BY project, name
    HAVING max(came_at) < now() - $1 * interval '1 second'`;
  const text = dry
    ? `SELECT count(*) AS n FROM (${old}) AS each`
    : `WITH gone AS (DELETE FROM parts WHERE (project, name) IN (${old}) RETURNING project, name)
       SELECT count(*) AS n FROM (SELECT DISTINCT project, name FROM gone) AS each`;
  const [row] = await database.transaction(space, (session) => session.rows(text, [seconds]));
  return Number(row?.n ?? 0);
}
