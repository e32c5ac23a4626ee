/** The list of what a snapshot lacks: each path by name, and a folder as one where all of it is missing. */
import type { LeftOut } from './snapshot-record.ts';

/** More than this many for one reason, and whole folders are named instead of their files. */
const foldFrom = 100;

/** More than this many that are still single, and their folders stand for them, though parts of these are kept. */
const singleLimit = 1000;

/** `kept` are the paths that the snapshot holds: a folder with one of these in it is never named as a whole. */
export function foldLeftOut(list: readonly LeftOut[], kept: () => Iterable<string>): LeftOut[] {
  const byReason = Map.groupBy(list, (each) => each.reason);
  let held: Set<string> | undefined;
  const result: LeftOut[] = [];
  for (const entries of byReason.values()) {
    if (entries.length <= foldFrom) {
      result.push(...entries);
      continue;
    }
    held ??= foldersOf(kept());
    // What is left out for another reason must stay named too.
    const taken = foldersOf(
      list.filter((each) => each.reason !== entries[0]?.reason).map((each) => each.path),
    );
    const names = entries.map((entry) => wholeFolder(entry.path, held ?? new Set(), taken));
    const tooMany = names.filter((name) => name === null).length > singleLimit;
    const folders = new Map<string, LeftOut>();
    for (const [at, entry] of entries.entries()) {
      const part = tooMany ? entry.path.slice(0, entry.path.lastIndexOf('/') + 1) || null : null;
      const folder = names[at] ?? part;
      const known = folder === null ? undefined : folders.get(folder);
      if (folder === null) result.push(entry);
      else if (!known) folders.set(folder, { ...entry, path: folder });
      else {
        known.size = (known.size ?? 0) + (entry.size ?? 0);
        known.mtime = Math.max(known.mtime ?? 0, entry.mtime ?? 0);
      }
    }
    result.push(...folders.values());
  }
  return result.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

function wholeFolder(path: string, ...held: Set<string>[]): string | null {
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    const folder = path.slice(0, at + 1);
    if (!held.some((each) => each.has(folder))) return folder;
  }
  return null;
}

function foldersOf(paths: Iterable<string>): Set<string> {
  const folders = new Set<string>();
  for (const path of paths) {
    for (let at = path.lastIndexOf('/'); at >= 0; at = path.lastIndexOf('/', at - 1)) {
      const folder = path.slice(0, at + 1);
      if (folders.has(folder)) break;
      folders.add(folder);
      if (at === 0) break;
    }
  }
  return folders;
}
