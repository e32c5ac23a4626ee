import { createReadStream, statSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { blobPath } from '../blobs/blob-store.ts';

/** Where artifacts' bytes are read from, by their SHA-256. */
export interface BlobSource {
  /** Bytes; null where it is not there. */
  size(sha256: string): Promise<number | null>;
  /** Bytes `start` … `end`, both included; null where it is not there. */
  read(sha256: string, range: { start: number; end: number }): Promise<Readable | null>;
  /**
   * An address that gives the bytes for a while to whoever has it, as a download with these headers; null where there
   * is none.
   */
  address?(sha256: string, headers: { type: string; disposition: string }): Promise<string | null>;
}

/** The blob store in this folder. */
export function localBlobs(blobs: string): BlobSource {
  const size = (sha256: string) => statSync(blobPath(blobs, sha256), { throwIfNoEntry: false })?.size ?? null;
  return {
    size: async (sha256) => size(sha256),
    read: async (sha256, range) =>
      size(sha256) === null ? null : createReadStream(blobPath(blobs, sha256), range),
  };
}
