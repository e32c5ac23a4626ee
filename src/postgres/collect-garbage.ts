/**
 * Collects a team's garbage. Safe beside any number of collectors and uploads: rows go under the locks of whoever writes them,
 * and an object goes only when it is old, nothing refers to it, and nobody can begin to (put-objects.ts).
 */
import { randomBytes } from 'node:crypto';
import type { ObjectStore } from '../blobs/object-store.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { type Database, LOCK, openSpaceSchema, type Session } from './database.ts';
import { findRemovedRuns, forgetRun, letGoOfLoose, letGoOfParts } from './forget-runs.ts';
import { removeLooseObjects } from './loose-objects.ts';
import { letGoOfUploads } from './team-uploads.ts';

/** Seconds. */
export interface GarbageAges {
  /** What nothing refers to. */
  loose: number;
  /** Uploads that nobody goes on with. */
  unfinished: number;
  /** Removed runs, from when the removal came here. */
  removed: number;
}

export const USUAL_AGES: GarbageAges = { loose: 86_400, unfinished: 7 * 86_400, removed: 30 * 86_400 };
/** How often it is collected, in hours, by whichever collector looks first. */
const EVERY_HOURS = 24;

/** What went, or would go. */
export interface Garbage {
  /** As `space/run`. */
  runs: string[];
  blobs: number;
  trees: number;
  uploads: number;
  objects: number;
  /** Of the objects. */
  bytes: number;
}

/**
 * @param signal ends it between two steps: the rest is for the next time
 * @param dry only says what would go; objects that would only then be referred to by nothing are not among it
 * @throws WaddleError `gc-runs`, `gc-unsafe`
 */
export async function collectGarbage(
  database: Database,
  objects: ObjectStore,
  ages: GarbageAges,
  dry: boolean,
  signal?: AbortSignal,
): Promise<Garbage> {
  await checkAlone(database, objects);
  const client = await database.client();
  try {
    await client.connect();
    const { rows } = await client.query<{ mine: boolean }>('SELECT pg_try_advisory_lock($1, 0) AS mine', [
      LOCK.garbage,
    ]);
    if (rows[0]?.mine !== true) {
      throw new WaddleError('gc-runs', 'another collects the garbage of this database', 'Let it finish.');
    }
    return await collect(database, objects, ages, dry, signal);
  } finally {
    // The lock goes with it.
    await client.end();
  }
}

async function collect(
  database: Database,
  objects: ObjectStore,
  ages: GarbageAges,
  dry: boolean,
  signal: AbortSignal | undefined,
): Promise<Garbage> {
  const garbage: Garbage = { runs: [], blobs: 0, trees: 0, uploads: 0, objects: 0, bytes: 0 };
  const before = Date.now() - ages.loose * 1000;
  const spaces = await database.transaction(null, (session) =>
    session.rows('SELECT name FROM spaces ORDER BY name'),
  );
  for (const row of spaces) {
    const space = String(row.name);
    await openSpaceSchema(database, space);
    const removed = await database.transaction(
      space,
      (session) => findRemovedRuns(session, ages.removed),
      'snapshot',
    );
    for (const run of removed) {
      signal?.throwIfAborted();
      if (dry || (await forgetRun(database, space, run, ages.removed))) garbage.runs.push(`${space}/${run}`);
    }
    const loose = await letGoOfLoose(database, space, ages.loose, dry);
    garbage.blobs += loose.blobs;
    garbage.trees += loose.trees;
    garbage.uploads += await letGoOfParts(database, space, ages.unfinished, dry);
    garbage.uploads += await letGoOfUploads(database, objects, space, ages.unfinished, dry);
  }
  return { ...garbage, ...(await removeLooseObjects(database, objects, { before, dry, signal })) };
}

/** Collects once a day, by whichever collector comes to it; null where it is not due, or another does. */
export async function collectDaily(
  database: Database,
  objects: ObjectStore,
  signal?: AbortSignal,
): Promise<Garbage | null> {
  const due = await database.transaction(null, (session) =>
    session.rows(
      `INSERT INTO chores (name, done_at) VALUES ('garbage', now())
       ON CONFLICT (name) DO UPDATE SET done_at = now() WHERE chores.done_at < now() - $1 * interval '1 hour'
       RETURNING name`,
      [EVERY_HOURS],
    ),
  );
  if (due.length === 0) return null;
  try {
    return await collectGarbage(database, objects, USUAL_AGES, false, signal);
  } catch (error) {
    if (error instanceof WaddleError && error.code === 'gc-runs') return null;
    throw error;
  }
}

const MARKS = 'databases';

/** Leaves in the bucket who uses it: what another database's collectors put there looks like garbage from here. */
export async function markObjects(database: Database, objects: ObjectStore): Promise<string> {
  const mark = await database.transaction(null, databaseMark);
  await objects.putIfAbsent(
    `${MARKS}/${mark}`,
    Buffer.from('A database of Waddle keeps its objects here.\n'),
  );
  return mark;
}

async function databaseMark(session: Session): Promise<string> {
  await session.change("INSERT INTO secrets VALUES ('mark', $1) ON CONFLICT DO NOTHING", [randomBytes(8)]);
  const [row] = await session.rows("SELECT encode(value, 'hex') AS mark FROM secrets WHERE name = 'mark'");
  return String(row?.mark);
}

async function checkAlone(database: Database, objects: ObjectStore): Promise<void> {
  const mark = await markObjects(database, objects);
  for await (const { key } of objects.list(`${MARKS}/`)) {
    if (key === `${MARKS}/${mark}`) continue;
    throw new WaddleError(
      'gc-unsafe',
      'another database keeps its objects at the same place: they would look like garbage',
      `Give each database a prefix of its own. If the other one is gone for good, remove the object ${key}. Nothing was removed.`,
    );
  }
}
