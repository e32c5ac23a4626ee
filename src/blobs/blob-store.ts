import { createHash, type Hash, randomBytes } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  fchmodSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';

/**
 * Content-addressed files: `<blobs>/sha256/ab/abcdef…`, each named by the SHA-256 of its bytes, read-only, never changed.
 * A blob is there whole or not at all: bytes are written to a temporary file, synced, and moved in.
 */
export interface Blob {
  /** 64 lowercase hexadecimal digits. */
  sha256: string;
  /** Bytes. */
  size: number;
}

const CHUNK_BYTES = 1024 * 1024;

export function isSha256(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text);
}

/** Where a blob lies, whether or not it is there. */
export function blobPath(blobs: string, sha256: string): string {
  if (!isSha256(sha256)) {
    throw new WaddleError('blob-invalid', `"${sha256}" is not a SHA-256`, 'It has 64 hexadecimal digits.');
  }
  return join(blobs, 'sha256', sha256.slice(0, 2), sha256);
}

export function hasBlob(blobs: string, sha256: string): boolean {
  return existsSync(blobPath(blobs, sha256));
}

/**
 * Copies a file's bytes into the store as they are now. The copy and the hash come from one pass, so that a file that
 * changes meanwhile still gets the hash of what was kept. Memory stays at one chunk.
 * @throws the system's error where the file cannot be read or the store not be written.
 */
export function putFile(blobs: string, path: string | Buffer): Blob {
  const source = openSync(path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    return putPieces(blobs, () => {
      const count = readSync(source, chunk, 0, chunk.length, null);
      return count === 0 ? null : chunk.subarray(0, count);
    });
  } finally {
    closeSync(source);
  }
}

export function putBytes(blobs: string, bytes: Uint8Array): Blob {
  let given = false;
  return putPieces(blobs, () => {
    if (given) return null;
    given = true;
    return bytes;
  });
}

/** @param next the next piece of the content, null at its end; a piece may be overwritten once the next is asked for */
function putPieces(blobs: string, next: () => Uint8Array | null): Blob {
  const incoming = join(blobs, 'incoming');
  mkdirSync(incoming, { recursive: true });
  const temporary = join(incoming, `${process.pid}-${randomBytes(8).toString('hex')}.tmp`);
  const hash: Hash = createHash('sha256');
  let size = 0;
  try {
    const fd = openSync(temporary, 'wx', 0o644);
    try {
      for (let piece = next(); piece !== null; piece = next()) {
        hash.update(piece);
        for (let at = 0; at < piece.length; ) at += writeSync(fd, piece, at);
        size += piece.length;
      }
      const sha256 = hash.digest('hex');
      const path = blobPath(blobs, sha256);
      // The same bytes are there already: nothing to sync, nothing to move.
      if (sizeOf(path) === size && renew(path)) return { sha256, size };
      fchmodSync(fd, 0o444);
      fsyncSync(fd);
      mkdirSync(dirname(path), { recursive: true });
      renameSync(temporary, path);
      return { sha256, size };
    } finally {
      closeSync(fd);
    }
  } finally {
    rmSync(temporary, { force: true });
  }
}

/**
 * Gives a blob that is found again today's date: `gc` lets go of none that was asked for lately, so that a job may find one
 * and name it a moment later. False where that failed (it is gone, or another user's): then it has to be written anew.
 */
function renew(path: string): boolean {
  try {
    const now = new Date();
    utimesSync(path, now, now);
    return true;
  } catch {
    return false;
  }
}

function sizeOf(path: string): number | null {
  try {
    return statSync(path).size;
  } catch {
    return null;
  }
}

/** Takes a finished file over as a blob whose hash the caller has proved (a download). The file is moved, not copied. */
export function adoptFile(blobs: string, path: string, sha256: string): void {
  const target = blobPath(blobs, sha256);
  mkdirSync(dirname(target), { recursive: true });
  try {
    linkSync(path, target);
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) {
      renameSync(path, target);
      return;
    }
    if (!renew(target)) {
      renameSync(path, target);
      return;
    }
  }
  rmSync(path, { force: true });
}

/**
 * A blob's bytes as a stream.
 * @throws WaddleError where the store does not have it
 */
export function readBlob(blobs: string, sha256: string, range?: { start: number; end: number }) {
  const path = blobPath(blobs, sha256);
  if (!existsSync(path)) throw missingBlob(sha256);
  return createReadStream(path, range);
}

export function missingBlob(sha256: string): WaddleError {
  return new WaddleError(
    'blob-missing',
    `the bytes of ${sha256.slice(0, 12)}… are not in this project folder`,
    'A pull brings them: waddle pull',
  );
}

/** Every blob, in no order. What is not a blob's file (a temporary one) is passed over. */
export function* listBlobs(blobs: string): Generator<Blob & { path: string; mtimeMs: number }> {
  for (const prefix of folderNames(join(blobs, 'sha256'))) {
    for (const sha256 of folderNames(join(blobs, 'sha256', prefix))) {
      if (!isSha256(sha256)) continue;
      const path = join(blobs, 'sha256', prefix, sha256);
      const stats = statSync(path, { throwIfNoEntry: false });
      if (stats !== undefined) yield { sha256, size: stats.size, path, mtimeMs: stats.mtimeMs };
    }
  }
}

/** Temporary files that a killed process left behind, older than `ageMs`; `gc` removes them. */
export function listAbandoned(blobs: string, ageMs: number): string[] {
  const incoming = join(blobs, 'incoming');
  const sha256 = join(blobs, 'sha256');
  // The Python client's lie beside the blobs' folders.
  const theirs = folderNames(sha256).filter((name) => name.startsWith('.new-'));
  return [
    ...folderNames(incoming).map((name) => join(incoming, name)),
    ...theirs.map((name) => join(sha256, name)),
  ].filter((path) => {
    const stats = statSync(path, { throwIfNoEntry: false });
    return stats !== undefined && Date.now() - stats.mtimeMs > ageMs;
  });
}

function folderNames(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/**
 * Removes a blob that was not asked for since `olderThan` (ms since the epoch); false where it was, or is gone. Only `gc`
 * may judge that nothing needs it. It is moved aside first and looked at again there, so that a job which finds it at this
 * very moment either has renewed it, and it comes back, or does not find it, and writes it anew.
 */
export function removeBlob(blobs: string, sha256: string, olderThan: number): boolean {
  const path = blobPath(blobs, sha256);
  const aside = join(blobs, 'condemned', sha256);
  mkdirSync(dirname(aside), { recursive: true });
  try {
    renameSync(path, aside);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
  if (statSync(aside).mtimeMs >= olderThan) {
    restore(path, aside);
    return false;
  }
  rmSync(aside, { force: true });
  return true;
}

/** Puts back what a `gc` that was killed had moved aside; the next one judges it again. */
export function restoreCondemned(blobs: string): void {
  for (const sha256 of folderNames(join(blobs, 'condemned'))) {
    if (isSha256(sha256)) restore(blobPath(blobs, sha256), join(blobs, 'condemned', sha256));
  }
}

function restore(path: string, aside: string): void {
  mkdirSync(dirname(path), { recursive: true });
  try {
    linkSync(aside, path);
  } catch (error) {
    // Written anew meanwhile; or a file system without links, where a rename does the same.
    if (!isSystemError(error, 'EEXIST', 'ENOENT')) {
      renameSync(aside, path);
      return;
    }
  }
  rmSync(aside, { force: true });
}
