import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';

/** How long a look waits for another process, in milliseconds: somebody is in the middle of typing. */
const PATIENCE_MS = 50;

/**
 * A look into a database that leaves no file behind and changes none: nothing is migrated or caught up. A `-wal` file beside it
 * means that others have it open, or that one was killed, and is read too; without one, SQLite is told that nobody writes, or it
 * would make the file. Undefined where there is no database. What it throws, and what a query throws, is to be passed over.
 */
export function peekStore(path: string): DatabaseSync | undefined {
  if (!existsSync(path)) return undefined;
  if (existsSync(`${path}-wal`)) return new DatabaseSync(path, { readOnly: true, timeout: PATIENCE_MS });
  const url = pathToFileURL(path);
  url.searchParams.set('immutable', '1');
  return new DatabaseSync(url, { readOnly: true });
}
