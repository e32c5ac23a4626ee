import { isUtf8 } from 'node:buffer';
import { lstatSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { WaddleError } from '../errors/waddle-error.ts';
import { type Blob, blobPath, missingBlob, putBytes, putFile } from './blob-store.ts';

/** One file of a folder that was kept. */
export interface ManifestEntry {
  /** Relative to the folder, with `/`. Bytes of names that are not UTF-8 are written `\xNN`. */
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
  collect(blobs, Buffer.from(folder), '', entries, new Set());
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
  folder: Buffer,
  prefix: string,
  entries: ManifestEntry[],
  above: Set<string>,
): void {
  const own = lstatKey(folder);
  if (above.has(own)) return;
  above.add(own);
  for (const bytes of readdirSync(folder, 'buffer')) {
    const path = Buffer.concat([folder, Buffer.from('/'), bytes]);
    const name = nameText(bytes);
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

/** A name as text; of one that is not UTF-8, each byte that belongs to no character is written `\xNN`. */
function nameText(name: Buffer): string {
  if (isUtf8(name)) return name.toString('utf8');
  let text = '';
  for (let at = 0; at < name.length; ) {
    const from = at;
    const length = [1, 2, 3, 4].find((many) => isUtf8(name.subarray(from, from + many)));
    if (length === undefined) text += `\\x${name.toString('hex', at, at + 1)}`;
    else text += name.toString('utf8', at, at + length);
    at += length ?? 1;
  }
  return text;
}

function lstatKey(folder: Buffer): string {
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
