/** What lies in an object store, for somebody without rights of their own: by addresses that open one object for a while. */
import type { UploadedPart } from './s3-uploads.ts';

export interface PartAddress {
  url: string;
  /** Must be sent with the part: the store refuses other bytes than those that they tell of. */
  headers: Record<string, string>;
}

export interface DirectAccess {
  /** @param seconds for how long it opens */
  reading(key: string, seconds: number): Promise<string>;
  /** Begins an upload in parts, of which nothing is seen until it is complete. */
  begin(key: string): Promise<string>;
  /** For exactly these bytes. */
  part(
    key: string,
    session: string,
    part: { number: number; sha256: string; size: number },
    seconds: number,
  ): Promise<PartAddress>;
  /** Null where there is no such upload, or no longer. */
  parts(key: string, session: string): Promise<UploadedPart[] | null>;
  complete(key: string, session: string, parts: readonly UploadedPart[]): Promise<void>;
  abort(key: string, session: string): Promise<void>;
}
