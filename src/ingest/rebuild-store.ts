import { existsSync, renameSync, rmSync } from 'node:fs';
import { backup } from 'node:sqlite';
import { setTimeout } from 'node:timers/promises';
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
        await copyInto(fresh, path);
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

/** Between two tries to copy into a database that others write to. */
const RETRY_MS = 200;
const TRIES = 10;

/**
 * Replaces a database's content in one transaction. Where another process writes at the wrong moment SQLite gives up, at times
 * with the words "not an error"; nothing has changed then, and it is tried again.
 */
async function copyInto(fresh: Store, path: string): Promise<void> {
  for (let left = TRIES; ; left -= 1) {
    try {
      await backup(fresh.db, path);
      return;
    } catch (error) {
      if (left <= 1) throw storeError(path, error);
      await setTimeout(RETRY_MS);
    }
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
