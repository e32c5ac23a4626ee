import { createHash } from 'node:crypto';
import type { RunState } from './space.ts';

/**
 * One hash of all that a space has of a run (docs/remote.md): SHA-256, in hex, of the sorted lines `j <writer> <length>
 * <root>`, `b <sha256> <size>` and `t <tree>`, each ended by a newline.
 */
export function runDigest(state: Pick<RunState, 'journals' | 'blobs' | 'trees'>): string {
  const lines = [
    ...[...state.journals].map(([writer, { length, root }]) => `j ${writer} ${length} ${root}\n`),
    ...state.blobs.map(({ sha256, size }) => `b ${sha256} ${size}\n`),
    ...state.trees.map((tree) => `t ${tree}\n`),
  ];
  return createHash('sha256').update(lines.sort().join('')).digest('hex');
}
