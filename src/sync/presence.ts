import { createHash } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Layout } from '../journal/layout.ts';

/** A folder that changed this recently may change again without its change time moving (milliseconds). */
const FRESH_MS = 2000;

/**
 * A text that moves whenever a blob or a pin comes or goes: the change times of the folders that hold them. Null where one
 * of them has changed just now, and so may change again unseen.
 * @param gitDirs the stores of code
 */
export function presenceOf(layout: Layout, gitDirs: readonly string[]): string | null {
  const now = Date.now();
  const parts: string[] = [];
  let fresh = false;
  const look = (path: string): void => {
    const changed = statSync(path, { throwIfNoEntry: false })?.mtimeMs;
    if (changed === undefined) return;
    if (now - changed < FRESH_MS) fresh = true;
    parts.push(`${path} ${changed}`);
  };
  for (const folder of [join(layout.blobs, 'sha256'), join(layout.root, 'owned')]) {
    look(folder);
    for (const name of namesIn(folder)) look(join(folder, name));
  }
  for (const gitDir of gitDirs) {
    for (const name of ['refs/waddle/tree', 'refs/waddle/trees', 'packed-refs']) look(join(gitDir, name));
  }
  return fresh ? null : createHash('sha256').update(parts.join('\n')).digest('hex');
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
