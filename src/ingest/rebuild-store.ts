import { existsSync, renameSync, rmSync } from 'node:fs';
import { backup } from 'node:sqlite';
import { WaddleError } from '../errors/waddle-error.ts';
import type { Layout } from '../journal/layout.ts';
import { openStore, type Store, storeError } from '../store/open.ts';
import { catchUp, type IngestOptions, type IngestReport } from './catch-up.ts';

/**
 * Builds the database anew from the journals, beside the old one, and puts it in its place. Where the old one is sound,
 * the new content goes in through SQLite, so that processes which have it open see one or the other; where it is damaged,
 * or another program's, it is replaced (and its content is a view: nothing is lost).
 */
export async function rebuildStore(
  options: { layout: Layout; path: string } & Pick<
    IngestOptions,
    'onProgress' | 'signal' | 'clock' | 'judge'
  >,
): Promise<IngestReport> {
  const { layout, path, ...rest } = options;
  const temporary = `${path}.rebuild-${process.pid}`;
  removeDatabase(temporary);
  try {
    const fresh = openStore(temporary);
    let report: IngestReport;
    try {
      report = catchUp({ ...rest, layout, store: fresh });
      if (report.interrupted) return report;
      const old = openSound(path);
      if (old !== null) {
        old.close();
        try {
          await backup(fresh.db, path);
        } catch (error) {
          throw storeError(path, error);
        }
        return report;
      }
      fresh.db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } finally {
      fresh.close();
    }
    // A log of the old file must not be played into the new one.
    rmSync(`${path}-wal`, { force: true });
    rmSync(`${path}-shm`, { force: true });
    renameSync(temporary, path);
    return report;
  } finally {
    removeDatabase(temporary);
  }
}

/** Null where there is no database that can be written into. */
function openSound(path: string): Store | null {
  if (!existsSync(path)) return null;
  try {
    const store = openStore(path);
    const check = store.db.prepare('PRAGMA quick_check(1)').get();
    if (check?.quick_check === 'ok') return store;
    store.close();
    return null;
  } catch (error) {
    if (error instanceof WaddleError && error.code === 'store-corrupt') return null;
    throw error;
  }
}

function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${path}${suffix}`, { force: true });
}
