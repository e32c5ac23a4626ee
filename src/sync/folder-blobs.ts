/** Artifacts' bytes, as a space over a project folder takes and gives them. */
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { adoptFile, blobPath, isSha256 } from '../blobs/blob-store.ts';
import type { Layout } from '../journal/layout.ts';
import { refusedPart } from './call.ts';
import { withFolderLock } from './folder-lock.ts';
import type { NamedBlob } from './journal-facts.ts';
import { PartialFile } from './partial-file.ts';
import { type BlobMark, type BlobPart, MAX_BODY_BYTES, type PartResult } from './space.ts';

/** A manifest larger than this is no folder's; and so many files are read of one at most. */
const MANIFEST_BYTES = 64 * 1024 * 1024;
const MANIFEST_FILES = 1_000_000;

/** Blobs that a run names. `size` is null where only the bytes themselves can tell: a manifest's. */
export type NamedSizes = Map<string, number | null>;

export class FolderBlobs {
  readonly #layout: Layout;
  /** Bytes count for a project only where somebody has shown them there: knowing a hash is no right to a blob. */
  readonly #isolated: boolean;
  /** Greatest blob that is taken, in bytes. */
  readonly #most: number;

  constructor(layout: Layout, options: { isolated: boolean; maxBlobBytes: number }) {
    this.#layout = layout;
    this.#isolated = options.isolated;
    this.#most = options.maxBlobBytes;
  }

  /** Size of a blob that is stored for the project; null where it is not. */
  #sizeOf(project: string, sha256: string): number | null {
    const stats = statSync(blobPath(this.#layout.blobs, sha256), { throwIfNoEntry: false });
    if (stats === undefined) return null;
    return this.#isolated && !existsSync(this.#mark(project, sha256)) ? null : stats.size;
  }

  /** A file whose being there says that the project's members have shown the bytes. */
  #mark(project: string, sha256: string): string {
    return join(this.#layout.root, 'owned', projectName(project), sha256);
  }

  /** The blobs of a run that are stored: what its artifacts name, then the files of its folders. */
  stored(project: string, named: readonly NamedBlob[]): BlobMark[] {
    const marks = new Map<string, number>();
    const add = (sha256: string): boolean => {
      if (marks.has(sha256)) return true;
      const size = this.#sizeOf(project, sha256);
      if (size !== null) marks.set(sha256, size);
      return size !== null;
    };
    const folders = named.filter(({ sha256, folder }) => add(sha256) && folder);
    for (const { sha256 } of folders) for (const member of this.#members(sha256).keys()) add(member);
    return [...marks].map(([sha256, size]) => ({ sha256, size }));
  }

  /** What the run's journals and stored manifests name, with the size that it must have. */
  named(project: string, blobs: readonly NamedBlob[]): NamedSizes {
    const sizes: NamedSizes = new Map();
    for (const { sha256, size, folder } of blobs) if (!folder) sizes.set(sha256, size);
    for (const { sha256, folder } of blobs) {
      if (!folder) continue;
      if (!sizes.has(sha256)) sizes.set(sha256, null);
      if (this.#sizeOf(project, sha256) === null) continue;
      for (const [member, size] of this.#members(sha256)) if (!sizes.has(member)) sizes.set(member, size);
    }
    return sizes;
  }

  /** Files of a folder artifact by their hash, with their size. Nothing where it is no manifest. */
  #members(manifest: string): Map<string, number> {
    const members = new Map<string, number>();
    try {
      const path = blobPath(this.#layout.blobs, manifest);
      if (statSync(path).size > MANIFEST_BYTES) return members;
      const entries: unknown = JSON.parse(readFileSync(path, 'utf8'));
      if (!Array.isArray(entries)) return members;
      for (const entry of entries.slice(0, MANIFEST_FILES) as unknown[]) {
        const { sha256, size } = (entry ?? {}) as Record<string, unknown>;
        if (typeof sha256 === 'string' && isSha256(sha256) && typeof size === 'number') {
          members.set(sha256, size);
        }
      }
    } catch {
      // It is a file, or gone.
    }
    return members;
  }

  missing(project: string, blobs: readonly BlobMark[]): { sha256: string; received: number }[] {
    return blobs
      .filter(({ sha256 }) => isSha256(sha256) && this.#sizeOf(project, sha256) === null)
      .map(({ sha256, size }) => ({ sha256, received: this.#incoming(project, { sha256, size }).received }));
  }

  #incoming(project: string, { sha256, size }: BlobMark): PartialFile {
    const name = `${this.#isolated ? projectName(project) : 'own'}-${sha256}.${size}.part`;
    return new PartialFile(join(this.#layout.root, 'incoming', 'blobs', name), size);
  }

  async write(project: string, named: NamedSizes, part: BlobPart): Promise<PartResult> {
    const { sha256, size } = part;
    const expected = named.get(sha256);
    if (!isSha256(sha256) || expected === undefined) {
      return refusedPart('blob-not-named', 'no artifact of the run has this hash');
    }
    if (!Number.isSafeInteger(size) || size < 0 || (expected !== null && expected !== size)) {
      return refusedPart('hash-mismatch', `its size is not the ${expected} bytes that the run names`);
    }
    const most = expected === null ? Math.min(MANIFEST_BYTES, this.#most) : this.#most;
    if (size > most) return refusedPart('quota-exceeded', `${size} bytes are not taken`);
    if (this.#sizeOf(project, sha256) === size) return { ok: true, received: size, stored: true };
    const file = this.#incoming(project, part);
    return withFolderLock(join(this.#layout.root, 'cache', 'locks', `blob-${sha256}`), async () => {
      if (this.#sizeOf(project, sha256) === size) {
        file.remove();
        return { ok: true, received: size, stored: true };
      }
      const placed = await file.put(part.offset, part.bytes);
      if (!placed.ok) return refusedPart('part-offset', placed.message, placed.received);
      if (placed.received < size) return { ok: true, received: placed.received, stored: false };
      if ((await file.sha256()) !== sha256) {
        file.remove();
        return refusedPart('hash-mismatch', 'its bytes have another hash');
      }
      await this.#store(project, sha256, file.path);
      return { ok: true, received: size, stored: true };
    });
  }

  async #store(project: string, sha256: string, path: string): Promise<void> {
    const { blobs } = this.#layout;
    const target = blobPath(blobs, sha256);
    chmodSync(path, 0o444);
    adoptFile(blobs, path, sha256);
    const changed = [dirname(target), dirname(dirname(target))];
    if (this.#isolated) {
      const mark = this.#mark(project, sha256);
      mkdirSync(dirname(mark), { recursive: true });
      writeFileSync(mark, '');
      changed.push(dirname(mark));
    }
    for (const folder of changed) await syncFolder(folder);
  }

  /** Bytes from `offset` on, at most MAX_BODY_BYTES. */
  async read(project: string, sha256: string, offset: number): Promise<Uint8Array | null> {
    const size = this.#sizeOf(project, sha256);
    if (size === null) return null;
    const from = Math.min(Math.max(0, offset), size);
    const bytes = Buffer.allocUnsafe(Math.min(size - from, MAX_BODY_BYTES));
    const handle = await open(blobPath(this.#layout.blobs, sha256), 'r');
    try {
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, from + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    } finally {
      await handle.close();
    }
  }
}

/** A project's name as a folder's. */
export function projectName(project: string): string {
  return createHash('sha256').update(project).digest('hex').slice(0, 32);
}

async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r');
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  } catch {
    // Some file systems refuse to sync a folder.
  }
}
