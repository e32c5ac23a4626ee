/** Data that is ignored by git is not code, but a run's result depends on it: its listing is kept, not its content. */
import { createHash } from 'node:crypto';
import { globSync, lstatSync, opendirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

/** What was found at one path of `snapshot.fingerprint`. */
export interface DataFingerprint {
  files: number;
  /** Of all files. */
  bytes: number;
  /** SHA-256 of the whole listing: path, size and time of each file, sorted by path. */
  digest: string;
  /** The first files by path: `[path, bytes, epoch seconds]`. */
  listing: [string, number, number][];
  /** Not everything was looked at: too many files, or too little time. */
  partial: boolean;
}

/** Files that the digest covers, files that are named, and the time for all of it in ms. */
const COVERED = 200_000;
const LISTED = 500;
const PATIENCE_MS = 10_000;

/**
 * Lists the data at each pattern (a path, or a glob) relative to `folder`. The key is the path, with a `/` at its end for
 * a folder; a link is followed at the path itself, not below it. What is not there is not in the result.
 */
export function fingerprintData(
  folder: string,
  patterns: readonly string[],
): Record<string, DataFingerprint> {
  const result: Record<string, DataFingerprint> = {};
  const deadline = performance.now() + PATIENCE_MS;
  for (const pattern of patterns) {
    const plain = pattern.replace(/\/+$/, '');
    const paths = /[*?[{]/.test(plain) ? globSync(plain, { cwd: folder }).sort() : [plain];
    for (const path of paths) {
      const stats = statSync(join(folder, path), { throwIfNoEntry: false });
      if (stats === undefined) continue;
      result[stats.isDirectory() ? `${path}/` : path] = fingerprintOf(join(folder, path), deadline);
    }
  }
  return result;
}

function fingerprintOf(path: string, deadline: number): DataFingerprint {
  const { files, partial } = listFiles(path, deadline);
  files.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  const hash = createHash('sha256');
  let bytes = 0;
  for (const [name, size, time] of files) {
    hash.update(`${name}\0${size}\0${time}\n`);
    bytes += size;
  }
  return { files: files.length, bytes, digest: hash.digest('hex'), listing: files.slice(0, LISTED), partial };
}

function listFiles(top: string, deadline: number): { files: [string, number, number][]; partial: boolean } {
  const stats = statSync(top);
  if (!stats.isDirectory()) return { files: [['', stats.size, seconds(stats.mtimeMs)]], partial: false };
  const files: [string, number, number][] = [];
  let partial = false;
  const folders = [top];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const entries = entriesOf(folder);
    if (entries === null) partial = true;
    for (const entry of entries ?? []) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) {
        folders.push(path);
        continue;
      }
      if (files.length >= COVERED || performance.now() > deadline) return { files, partial: true };
      const found = statSync(path, { throwIfNoEntry: false }) ?? lstatSync(path, { throwIfNoEntry: false });
      if (found !== undefined) files.push([relative(top, path), found.size, seconds(found.mtimeMs)]);
    }
  }
  return { files, partial };
}

function entriesOf(folder: string) {
  try {
    const opened = opendirSync(folder);
    try {
      const entries = [];
      for (let entry = opened.readSync(); entry !== null; entry = opened.readSync()) entries.push(entry);
      return entries;
    } finally {
      opened.closeSync();
    }
  } catch {
    return null;
  }
}

/** Milliseconds are enough, and survive a copy that keeps times. */
function seconds(ms: number): number {
  return Math.floor(ms) / 1000;
}
