import { createHash } from 'node:crypto';

/** Plain bytes that are hashed as one block. A grown journal costs the hash of its last blocks only. */
export const BLOCK_BYTES = 1024 * 1024;

/** SHA-256 of one block of at most BLOCK_BYTES: 32 bytes. */
export function hashBlock(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** The root of a journal: SHA-256, in hex, over the hashes of its blocks in order; all but the last are full. */
export function rootOf(blocks: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const block of blocks) hash.update(block);
  return hash.digest('hex');
}
