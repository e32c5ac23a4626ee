import { closeSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Which journals of a folder came from elsewhere (a pull, a push to a collector): their writers do not write here, so only
 * sync appends to them, and whether a process of this machine lives says nothing of them. A text of writer names, a line
 * each, only ever appended to.
 */
const NAME = 'received.list';

/** Notes that a journal comes from elsewhere; to be called before its first byte is there. Gives the file, to be synced. */
export function noteReceived(folder: string, writer: string): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, NAME);
  const fd = openSync(path, 'a', 0o644);
  try {
    // The newline before it ends a line that a full disk cut short.
    writeSync(fd, `\n${writer}\n`);
  } finally {
    closeSync(fd);
  }
  return path;
}

/** Writers of this folder whose journals came from elsewhere; empty where nothing did. */
export function readReceived(folder: string): Set<string> {
  try {
    return new Set(readFileSync(join(folder, NAME), 'utf8').split('\n').filter(Boolean));
  } catch {
    return new Set();
  }
}
