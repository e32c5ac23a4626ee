import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';
import { openPlainBytes, type PlainBytes } from './reader.ts';
import { compressFrame, encodeSeekTable, FRAME_BYTES, type FrameSize, SealedFile } from './sealed.ts';

export type SealOutcome = 'sealed' | 'already-sealed' | 'grew' | 'missing';

/**
 * Seals one journal: compresses `<writer>.jsonl` into `<writer>.jsonl.zst`, reads that back and compares, swaps it in by
 * rename, and only then removes the plain file. A crash anywhere leaves a whole journal behind: readers take the plain
 * file where both are there.
 *
 * The caller answers for the writer being gone (it closed, or its host proved it dead): a write to a replaced file would
 * vanish. As a last check a file that grew meanwhile is left as it is (`grew`).
 * @param path the plain journal
 */
export function sealJournal(path: string): SealOutcome {
  const steps = sealSteps(path);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/** As `sealJournal`, but comes up for air after each frame. */
export function* sealSteps(path: string): Generator<void, SealOutcome> {
  const sealedPath = `${path}.zst`;
  const plain = openPlainBytes(path);
  if (plain === null) return 'missing';
  if (plain.sealed) {
    plain.close();
    return 'already-sealed';
  }
  const temporary = `${sealedPath}.${process.pid}.tmp`;
  try {
    const written = yield* compressTo(plain, temporary);
    const verified = new SealedFile(temporary);
    try {
      if (verified.length !== written.length || (yield* hashOf(verified)) !== written.hash) {
        throw new Error(`the sealed copy of ${path} does not read back`);
      }
    } finally {
      verified.close();
    }
    if (statSync(path).size !== written.length) return 'grew';
    renameSync(temporary, sealedPath);
    syncFolder(dirname(path));
    rmSync(path, { force: true });
    return 'sealed';
  } catch (error) {
    // Another sealer may have finished the same journal meanwhile.
    if (isSystemError(error, 'ENOENT')) return 'already-sealed';
    throw error;
  } finally {
    plain.close();
    rmSync(temporary, { force: true });
  }
}

function* compressTo(plain: PlainBytes, target: string): Generator<void, { length: number; hash: string }> {
  const hash = createHash('sha256');
  const frames: FrameSize[] = [];
  const chunk = Buffer.allocUnsafe(FRAME_BYTES);
  const fd = openSync(target, 'w', 0o644);
  let length = 0;
  try {
    for (;;) {
      let filled = 0;
      while (filled < FRAME_BYTES) {
        const count = plain.read(chunk.subarray(filled), length + filled);
        if (count === 0) break;
        filled += count;
      }
      if (filled === 0) break;
      const bytes = chunk.subarray(0, filled);
      hash.update(bytes);
      const frame = compressFrame(bytes);
      writeWhole(fd, frame);
      frames.push({ compressed: frame.length, plain: filled });
      length += filled;
      yield;
    }
    writeWhole(fd, encodeSeekTable(frames));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  return { length, hash: hash.digest('hex') };
}

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

function* hashOf(bytes: { read(target: Buffer, offset: number): number }): Generator<void, string> {
  const hash = createHash('sha256');
  const chunk = Buffer.allocUnsafe(FRAME_BYTES);
  for (let at = 0; ; ) {
    const count = bytes.read(chunk, at);
    if (count === 0) return hash.digest('hex');
    hash.update(chunk.subarray(0, count));
    at += count;
    yield;
  }
}

/** Makes a rename durable. Not every system lets a folder be opened; then the rename is as durable as it gets. */
function syncFolder(folder: string): void {
  let fd: number;
  try {
    fd = openSync(folder, 'r');
  } catch {
    return;
  }
  try {
    fsyncSync(fd);
  } catch {
    // Some file systems refuse to sync a folder.
  } finally {
    closeSync(fd);
  }
}
