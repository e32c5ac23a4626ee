/**
 * Blobs that go past the space itself, to and from where it keeps them: by addresses that open one object for a short while.
 * What came so is checked by the space before anything refers to it.
 */
import type { BlobMark, PartCode, PartResult } from './space.ts';

export interface DirectAddress {
  url: string;
  /** For how long it opens. */
  seconds: number;
}

export interface DirectPart extends DirectAddress {
  /** Must be sent with the part. */
  headers: Record<string, string>;
}

/** `received`: bytes that are there, from where it goes on. Without `upload` all of it is there already. */
export type Begun =
  | { ok: true; upload: string | null; partBytes: number; received: number }
  | { ok: false; code: PartCode; message: string };

export interface DirectBlobs {
  /** Null where the run has no such blob. */
  address(run: string, sha256: string): Promise<DirectAddress | null>;
  /** Begins an upload, or goes on with one that was cut off. Its bytes count from here on. */
  begin(run: string, blob: BlobMark): Promise<Begun>;
  /**
   * @param number of the part, from 1 on; all but the last one have `partBytes`
   * @param sha256 of the part. Null: there is no such upload, or no such part of it.
   */
  part(run: string, upload: string, number: number, sha256: string): Promise<DirectPart | null>;
  /** Checks what has come: neither refused nor `stored` says that it is at it, ask again. */
  finish(run: string, upload: string): Promise<PartResult>;
  /** Forgets an upload, and what has come of it. */
  drop(run: string, upload: string): Promise<void>;
}
