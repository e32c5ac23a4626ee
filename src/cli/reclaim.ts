/**
 * What no run needs any more, and how it is let go. Nothing here touches what a living process may be writing: folders of
 * runs with a living writer stay, and so do artifacts that a job may be about to name, since it asked for them lately.
 */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { hasBlob, listAbandoned, listBlobs, removeBlob, restoreCondemned } from '../blobs/blob-store.ts';
import { readManifest } from '../blobs/folder-manifest.ts';
import { identityOfRow } from '../ingest/life.ts';
import { runFolder } from '../journal/layout.ts';
import { judgeLife } from '../journal/process-identity.ts';
import type { Opened } from './opened-store.ts';

/** Younger than this (milliseconds), a file may still be in somebody's hands. */
const YOUNG = 3_600_000;

/**
 * A run that began within the last minute and has not told of its snapshot yet: it may have found its tree pinned
 * already, for a run that was removed.
 */
export function findStarting(opened: Opened): string | undefined {
  const row = opened.store
    .prepare(
      `SELECT id FROM runs WHERE status = 'running' AND started_at > ?
       AND NOT EXISTS (SELECT 1 FROM snapshots WHERE run = num) LIMIT 1`,
    )
    .get(Date.now() / 1000 - 60);
  return row === undefined ? undefined : String(row.id);
}

export interface RemovedRun {
  id: string;
  num: number;
  bytes: number;
}

/** Runs that were removed and whose folders can go; and those that a process still writes to. */
export function findRemovedFolders(opened: Opened): { runs: RemovedRun[]; busy: string[] } {
  const runs: RemovedRun[] = [];
  const busy: string[] = [];
  for (const row of opened.store.prepare('SELECT id, num, status FROM runs WHERE removed = 1').all()) {
    const run = { id: String(row.id), num: Number(row.num) };
    const folder = runFolder(opened.layout, run.id);
    if (row.status === 'running' || hasLivingWriter(opened, run.num, folder)) busy.push(run.id);
    else runs.push({ ...run, bytes: folderSize(folder) });
  }
  return { runs, busy };
}

function hasLivingWriter(opened: Opened, run: number, folder: string): boolean {
  return opened.store
    .prepare('SELECT * FROM journals WHERE run = ? AND closed = 0')
    .all(run)
    .some((row) => {
      const identity = identityOfRow(row);
      const life = identity === null ? 'unknown' : judgeLife(identity);
      return life === 'alive' || (life === 'unknown' && newestChange(folder) > Date.now() - YOUNG);
    });
}

function newestChange(folder: string): number {
  let newest = 0;
  for (const path of filesBelow(folder)) {
    newest = Math.max(newest, lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  }
  return newest;
}

export function folderSize(folder: string): number {
  let bytes = 0;
  for (const path of filesBelow(folder)) bytes += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return bytes;
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

export function removeFolder(opened: Opened, run: RemovedRun): void {
  rmSync(runFolder(opened.layout, run.id), { recursive: true, force: true });
}

export interface LooseBlob {
  sha256: string;
  bytes: number;
  /** It goes only where nobody has asked for it since (ms since the epoch). */
  before: number;
}

/** While a run is going, bytes that were asked for within this time (ms) may be about to be named by it. */
const IN_HAND = 12 * YOUNG;

/**
 * Artifact bytes that no run names, the removed ones aside, and that nobody asked for lately: a job that finds bytes in the
 * store renews their date. `blocked` says why none may be judged now.
 */
export function findLooseBlobs(
  opened: Opened,
  removed: readonly RemovedRun[],
): { blobs: LooseBlob[]; blocked: string | undefined } {
  const { layout, store } = opened;
  restoreCondemned(layout.blobs);
  const running = Number(
    store.prepare("SELECT count(*) AS n FROM runs WHERE status = 'running'").get()?.n ?? 0,
  );
  const before = Date.now() - (running > 0 ? IN_HAND : YOUNG);
  const going = new Set(removed.map((run) => run.num));
  const needed = new Set<string>();
  for (const row of store.prepare('SELECT DISTINCT run, sha256, type FROM artifacts').all()) {
    if (going.has(Number(row.run))) continue;
    const sha256 = String(row.sha256);
    needed.add(sha256);
    if (row.type !== 'folder' || !hasBlob(layout.blobs, sha256)) continue;
    try {
      for (const entry of readManifest(layout.blobs, sha256)) needed.add(entry.sha256);
    } catch {
      return { blobs: [], blocked: `artifacts are left alone: the list of files ${sha256} is damaged` };
    }
  }
  const blobs: LooseBlob[] = [];
  for (const blob of listBlobs(layout.blobs)) {
    if (needed.has(blob.sha256) || blob.mtimeMs >= before) continue;
    blobs.push({ sha256: blob.sha256, bytes: blob.size, before });
  }
  return { blobs, blocked: undefined };
}

/** False where a job has asked for it meanwhile. */
export function dropBlob(opened: Opened, blob: LooseBlob): boolean {
  return removeBlob(opened.layout.blobs, blob.sha256, blob.before);
}

export interface LooseFile {
  path: string;
  bytes: number;
}

/** Temporary files of processes that were killed, an hour old and more. */
export function findAbandonedFiles(opened: Opened): LooseFile[] {
  const { layout, store } = opened;
  const paths = listAbandoned(layout.blobs, YOUNG);
  const folders = [
    layout.runs,
    dirname(store.path),
    ...store
      .prepare('SELECT id FROM runs')
      .all()
      .map((row) => runFolder(layout, String(row.id))),
  ];
  for (const folder of folders) {
    for (const path of filesIn(folder)) {
      if (/\.tmp$|\.sqlite\.rebuild-\d+(-wal|-shm|-journal)?$/.test(path)) paths.push(path);
    }
  }
  return [...new Set(paths)].flatMap((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || Date.now() - stat.mtimeMs < YOUNG) return [];
    return [{ path, bytes: stat.size }];
  });
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(folder, entry.name));
  } catch {
    return [];
  }
}

export function dropFile(file: LooseFile): void {
  rmSync(file.path, { force: true });
}
