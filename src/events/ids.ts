import { randomBytes } from 'node:crypto';

/** Lowercase base32 (RFC 4648): no 0/1/8/9, which are read as letters; safe in file names on every system. */
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567';

/** `length` random base32 characters (5 bits each). */
function randomBase32(length: number): string {
  let text = '';
  for (const byte of randomBytes(length)) text += ALPHABET[byte & 31];
  return text;
}

/** A new run id: 12 random lowercase base32 characters (60 bits). */
export function newRunId(): string {
  return randomBase32(12);
}

export function isRunId(text: string): boolean {
  return /^[a-z2-7]{12}$/.test(text);
}

export type WriterRole = 'supervisor' | 'helper' | 'job' | 'edits' | 'project';

/** A new writer name: the role and 8 random characters. Its journal is `<name>.jsonl`, opened exclusively. */
export function newWriterName(role: WriterRole): string {
  return `${role}-${randomBase32(8)}`;
}

const WRITER_NAME = /^(supervisor|helper|job|edits|project)-[a-z2-7]{8}$/;

export function isWriterName(text: string): boolean {
  return WRITER_NAME.test(text);
}
