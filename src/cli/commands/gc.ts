import { statSync } from 'node:fs';
import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { sealEnded } from '../../ingest/seal-ended.ts';
import { dropIdleCopies } from '../../runner/copy-pool.ts';
import type { Context } from '../context.ts';
import { count, formatBytes } from '../format-number.ts';
import { example } from '../help.ts';
import { printJson } from '../json.ts';
import { type Opened, refresh, withStore } from '../opened-store.ts';
import { type Progress, startProgress } from '../progress.ts';
import {
  dropBlob,
  dropFile,
  findAbandonedFiles,
  findLooseBlobs,
  findRemovedFolders,
  findStarting,
  folderSize,
  removeFolder,
} from '../reclaim.ts';
import { dropPin, findLoosePins, pruneObjects, settlePinNotes } from '../reclaim-pins.ts';

interface Options {
  dryRun?: boolean;
  json?: boolean;
}

/** What was let go, or would be. */
interface Reclaimed {
  dry_run: boolean;
  freed_bytes: number;
  runs: string[];
  artifacts: number;
  snapshots: number;
  temporary_files: number;
  /** Copies of code that isolated runs no longer use. */
  copies: number;
  sealed_journals: number;
  /** What was left alone, and why. */
  kept: string[];
}

export function define(command: Command, context: Context): void {
  command
    .description(
      'Reclaims the space of removed runs: their folders, artifacts and snapshots that no other run needs.',
    )
    .option('--dry-run', 'only say what would go')
    .option('--json', 'print JSON')
    .action((options: Options) => gc(context, options));
  example(command, 'waddle gc --dry-run');
}

async function gc(context: Context, options: Options): Promise<void> {
  const dry = options.dryRun === true;
  const result = await withStore(context, (opened) => reclaim(opened, dry));
  if (options.json === true) printJson(context, result ?? nothing(dry));
  else if (result === undefined) context.say('Nothing here yet, so nothing to reclaim.\n');
  else context.out(describe(result));
}

function nothing(dry: boolean): Reclaimed {
  return {
    dry_run: dry,
    freed_bytes: 0,
    runs: [],
    artifacts: 0,
    snapshots: 0,
    temporary_files: 0,
    copies: 0,
    sealed_journals: 0,
    kept: [],
  };
}

async function reclaim(opened: Opened, dry: boolean): Promise<Reclaimed> {
  const report = await refresh(opened);
  if (report === undefined || report.failed.length > 0) {
    throw new WaddleError(
      'gc-unsafe',
      'what runs still need cannot be told while a journal cannot be read',
      'waddle doctor says which one and what to do. Nothing was removed.',
    );
  }
  const result = nothing(dry);
  const progress = startProgress(opened.context);
  try {
    await reclaimRuns(opened, result, progress);
    reclaimFiles(opened, result);
    await reclaimCopies(opened, result);
    if (!dry) result.sealed_journals = sealEnded(opened).sealed.length;
    if (!dry && result.runs.length > 0) result.freed_bytes += shrinkStore(opened);
  } finally {
    progress.end();
  }
  return result;
}

/** Pins go first, folders last: a gc that is killed in between finds the rest again. */
async function reclaimRuns(opened: Opened, result: Reclaimed, progress: Progress): Promise<void> {
  const starting = findStarting(opened);
  if (starting !== undefined) {
    result.kept.push(`runs, while ${starting} is starting: try again in a minute`);
    return;
  }
  const { runs, busy } = findRemovedFolders(opened);
  for (const id of busy) result.kept.push(`${id} was removed, but a process still writes to it`);
  const { pins, shared } = await findLoosePins(opened, runs);
  for (const { gitDir, reason } of shared) {
    result.kept.push(`snapshots in ${gitDir}: another project folder may need them, and ${reason}`);
  }
  const loose = findLooseBlobs(opened, runs);
  if (loose.blocked !== undefined) result.kept.push(loose.blocked);
  for (const pin of pins) {
    progress.update(`letting go of snapshot ${pin.tree}`);
    if (!result.dry_run) await dropPin(opened, pin);
    result.snapshots += 1;
  }
  if (!result.dry_run) {
    for (const gitDir of new Set(pins.map((pin) => pin.gitDir))) await pruneObjects(opened, gitDir);
    if (shared.length === 0) settlePinNotes(opened);
  }
  for (const blob of loose.blobs) {
    progress.update(`removing artifact ${blob.sha256}`);
    if (!result.dry_run && !dropBlob(opened, blob)) continue;
    result.artifacts += 1;
    result.freed_bytes += blob.bytes;
  }
  for (const run of runs) {
    progress.update(`removing run ${run.id}`);
    if (!result.dry_run) removeFolder(opened, run);
    result.runs.push(run.id);
    result.freed_bytes += run.bytes;
  }
  if (!result.dry_run && runs.length > 0) await refresh(opened);
}

function reclaimFiles(opened: Opened, result: Reclaimed): void {
  for (const file of findAbandonedFiles(opened)) {
    if (!result.dry_run) dropFile(file);
    result.temporary_files += 1;
    result.freed_bytes += file.bytes;
  }
}

/** A copy is made again where it is needed; one that was used lately is soon used again. */
const COPY_AGE_MS = 7 * 86_400_000;

async function reclaimCopies(opened: Opened, result: Reclaimed): Promise<void> {
  const dropped = await dropIdleCopies(opened.layout.pool, {
    minAgeMs: COPY_AGE_MS,
    dry: result.dry_run,
    env: opened.context.env,
    onDrop: (folder) => {
      result.freed_bytes += folderSize(folder);
    },
  });
  result.copies += dropped.length;
}

/** Gives the disk back what the database no longer uses, where nobody holds it open; returns the bytes. */
function shrinkStore(opened: Opened): number {
  const { db, path } = opened.store;
  const before = statSync(path).size;
  try {
    db.exec('PRAGMA busy_timeout = 500');
    db.exec('VACUUM');
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  } catch {
    // Somebody reads it at this moment; the free pages are used again all the same.
  }
  return Math.max(0, before - statSync(path).size);
}

function describe(result: Reclaimed): string {
  const parts = [
    result.runs.length > 0 ? count(result.runs.length, 'removed run') : '',
    result.artifacts > 0 ? count(result.artifacts, 'stored file') : '',
    result.snapshots > 0 ? count(result.snapshots, 'snapshot') : '',
    result.temporary_files > 0 ? count(result.temporary_files, 'temporary file') : '',
    result.copies > 0 ? count(result.copies, 'unused copy of code', 'unused copies of code') : '',
  ].filter((part) => part !== '');
  const verb = result.dry_run ? 'Would free' : 'Freed';
  let text =
    parts.length === 0
      ? 'Nothing to reclaim.\n'
      : `${verb} ${formatBytes(result.freed_bytes)}: ${parts.join(', ')}.\n`;
  if (result.sealed_journals > 0) text += `Compressed ${count(result.sealed_journals, 'journal')}.\n`;
  for (const line of result.kept) text += `Kept: ${line}.\n`;
  return text;
}
