/** Objects that nothing in the database refers to: of uploads that broke off, and of what was let go of. */
import type { ObjectStore } from '../blobs/object-store.ts';
import { type Database, type Session, schemaName } from './database.ts';
import { lockObjects } from './put-objects.ts';

/** All that collectors put. What else is below the prefix is not theirs. */
const FOLDERS = ['announced', 'blobs', 'direct', 'incoming', 'project', 'runs', 'trees'];
/** Keys that are asked for at once, and that are removed in one transaction. */
const ASKED = 1000;
const REMOVED = 50;

export interface LooseObjects {
  objects: number;
  bytes: number;
}

interface Found {
  key: string;
  size: number;
}

/** Removes objects that are older than `before` (epoch milliseconds) and that no space refers to. */
export async function removeLooseObjects(
  database: Database,
  objects: ObjectStore,
  { before, dry, signal }: { before: number; dry: boolean; signal?: AbortSignal | undefined },
): Promise<LooseObjects> {
  const result: LooseObjects = { objects: 0, bytes: 0 };
  let batch: Found[] = [];
  const look = async () => {
    const keys = batch.map(({ key }) => key);
    const used = await database.transaction(null, (session) => referredTo(session, keys));
    const loose = batch.filter(({ key }) => !used.has(key));
    batch = [];
    for (let at = 0; at < loose.length; at += REMOVED) {
      signal?.throwIfAborted();
      const gone = dry
        ? loose.slice(at, at + REMOVED)
        : await remove(database, objects, loose.slice(at, at + REMOVED));
      result.objects += gone.length;
      for (const { size } of gone) result.bytes += size;
    }
  };
  for (const folder of FOLDERS) {
    for await (const { key, size, modified } of objects.list(`${folder}/`)) {
      signal?.throwIfAborted();
      if (modified >= before) continue;
      batch.push({ key, size });
      if (batch.length === ASKED) await look();
    }
  }
  if (batch.length > 0) await look();
  return result;
}

/** Under their locks it is looked once more: whoever has begun to refer to one in between keeps it. */
async function remove(
  database: Database,
  objects: ObjectStore,
  loose: readonly Found[],
): Promise<readonly Found[]> {
  const keys = loose.map(({ key }) => key);
  return database.transaction(null, async (session) => {
    await lockObjects(session, keys, 'alone');
    const used = await referredTo(session, keys);
    const gone = loose.filter(({ key }) => !used.has(key));
    await Promise.all(gone.map(({ key }) => objects.delete(key)));
    return gone;
  });
}

/** Of these keys, those that a space refers to. */
async function referredTo(session: Session, keys: readonly string[]): Promise<Set<string>> {
  const used = new Set<string>();
  const hashes = keys.flatMap((key) => /^blobs\/sha256\/..\/([0-9a-f]{64})$/.exec(key)?.[1] ?? []);
  const spaces = await session.rows(
    `SELECT substr(schemaname, 8) AS name FROM pg_catalog.pg_tables
     WHERE tablename = 'uploads' AND schemaname LIKE 'waddle\\_%'`,
  );
  for (const { name } of spaces) {
    const schema = schemaName(String(name));
    const rows = await session.rows(
      `SELECT object FROM ${schema}.segments WHERE object = ANY($1)
       UNION ALL SELECT object FROM ${schema}.trees WHERE object = ANY($1)
       UNION ALL SELECT object FROM ${schema}.parts WHERE object = ANY($1)
       UNION ALL SELECT object FROM ${schema}.blobs WHERE object = ANY($1)
       UNION ALL SELECT object FROM ${schema}.uploads WHERE object = ANY($1)
       UNION ALL SELECT 'blobs/sha256/' || left(sha256, 2) || '/' || sha256 FROM ${schema}.blobs
         WHERE sha256 = ANY($2) AND object IS NULL`,
      [keys, hashes],
    );
    for (const { object } of rows) used.add(String(object));
  }
  return used;
}
