import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { type Blob, blobPath, missingBlob, putBytes, putFile } from './blob-store.ts';

/** One file of a folder that was kept. */
export interface ManifestEntry {
  /** Relative to the folder, with `/`. */
  path: string;
  /** Bytes. */
  size: number;
  sha256: string;
  /** Permission bits, as `0o755`. */
  mode: number;
}

export interface FolderBlob {
  /** Of the manifest: a JSON text of the entries sorted by path. */
  sha256: string;
  /** Bytes of all files. */
  size: number;
  files: number;
}

/**
 * Copies every file of a folder into the store, then its manifest. A symbolic link is followed to a file, and to a folder
 * only where that does not lead back into itself; what is neither a file nor a folder (a socket, a FIFO) is passed over.
 */
export function putFolder(blobs: string, folder: string): FolderBlob {
  const entries: ManifestEntry[] = [];
  collect(blobs, folder, '', entries, new Set());
  entries.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  const manifest: Blob = putBytes(blobs, Buffer.from(JSON.stringify(entries), 'utf8'));
  return {
    sha256: manifest.sha256,
    size: entries.reduce((sum, entry) => sum + entry.size, 0),
    files: entries.length,
  };
}

function collect(
  blobs: string,
  folder: string,
  prefix: string,
  entries: ManifestEntry[],
  above: Set<string>,
): void {
  const own = lstatKey(folder);
  if (above.has(own)) return;
  above.add(own);
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined) {
      // A broken link keeps nothing; a file that vanished meanwhile neither.
      if (lstatSync(path, { throwIfNoEntry: false }) === undefined) continue;
      throw new WaddleError(
        'artifact-broken-link',
        `${path} is a link to nothing`,
        'Remove the link, or log the files one by one.',
      );
    }
    if (stats.isDirectory()) collect(blobs, path, `${prefix}${name}/`, entries, above);
    else if (stats.isFile()) {
      entries.push({ path: `${prefix}${name}`, ...putFile(blobs, path), mode: stats.mode & 0o777 });
    }
  }
  above.delete(own);
}

function lstatKey(folder: string): string {
  const stats = statSync(folder);
  return `${stats.dev}:${stats.ino}`;
}

/** The entries of a kept folder. @throws WaddleError where the manifest is missing or is none */
export function readManifest(blobs: string, sha256: string): ManifestEntry[] {
  let text: string;
  try {
    text = readFileSync(blobPath(blobs, sha256), 'utf8');
  } catch {
    throw missingBlob(sha256);
  }
  const value: unknown = JSON.parse(text);
  if (!Array.isArray(value)) {
    throw new WaddleError(
      'manifest-invalid',
      `${sha256} is not the manifest of a folder`,
      'It may be a file.',
    );
  }
  return value as ManifestEntry[];
}
