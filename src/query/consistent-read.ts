import type { DatabaseSync } from 'node:sqlite';

/** Runs `read` on one state of the database: what another process commits meanwhile is not seen. */
export function readConsistently<T>(db: DatabaseSync, read: () => T): T {
  if (db.isTransaction) return read();
  db.exec('BEGIN');
  try {
    return read();
  } finally {
    if (db.isTransaction) db.exec('COMMIT');
  }
}
