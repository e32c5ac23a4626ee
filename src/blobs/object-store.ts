import type { DirectAccess } from './direct-access.ts';

export interface ListedObject {
  key: string;
  /** Bytes. */
  size: number;
  /** When it was put, in epoch milliseconds. */
  modified: number;
}

/**
 * Objects by key, whole and never changed: what a shared folder and an S3 bucket have in common. A key is a relative path
 * of harmless names.
 */
export interface ObjectStore {
  /** Puts it where there is none of that key; false where there is. Whole and durable when it resolves. */
  putIfAbsent(key: string, content: Uint8Array | { file: string }): Promise<boolean>;
  /** Bytes from `start` on, at most `length`; null where there is no such object. */
  get(key: string, start?: number, length?: number): Promise<Uint8Array | null>;
  /** Objects whose keys have that beginning, in order of key. */
  list(prefix: string): AsyncIterable<ListedObject>;
  /** Bytes; null where there is no such object. */
  head(key: string): Promise<number | null>;
  delete(key: string): Promise<void>;
  /** Where clients may go to the objects themselves. */
  readonly direct?: DirectAccess | null;
  close?(): Promise<void>;
}

/** Whether a key may be used: no part of it leads out of the store or hides in it. */
export function isKey(key: string): boolean {
  return key.length <= 512 && key.split('/').every((part) => /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(part));
}
