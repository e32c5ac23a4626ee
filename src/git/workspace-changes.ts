/** What a snapshot has to do about each path that git names, decided by name and `lstat` alone: nothing is hashed here. */
import { type FileStamp, fileStamp, fileStamps } from './file-stamp.ts';
import type { NestedFound } from './nested.ts';
import { pathText } from './path-text.ts';
import {
  applyPolicy,
  type Candidate,
  environmentFolders,
  excludedAs,
  folderIn,
  isWaddles,
  type Policy,
} from './policy.ts';
import type { LeftOut, Snapshot } from './snapshot-record.ts';
import type { IndexEntry, StageItem } from './staging.ts';
import type { IndexEntries, Status, StatusEntry } from './status.ts';

export interface WorkspaceChanges {
  /** To be hashed. */
  items: StageItem[];
  removals: IndexEntry[];
  nested: NestedFound[];
  leftOut: LeftOut[];
  assumed: Buffer[];
  skipped: Buffer[];
  unmerged: string[];
  /** The index differs from HEAD. */
  staged: boolean;
  dirty: boolean;
  changes: Snapshot['changed'];
}

/** Decides on every path that git names, by name and `lstat` alone. */
export async function findChanges(
  top: string,
  status: Status,
  index: IndexEntries,
  policy: Policy,
): Promise<WorkspaceChanges> {
  const nullId = '0'.repeat(status.head?.length ?? 40);
  const result: WorkspaceChanges = {
    items: [],
    removals: [],
    nested: index.submodules.map(({ path, id }) => ({ path, id })),
    leftOut: [],
    assumed: [],
    skipped: [],
    unmerged: [],
    staged: false,
    dirty: false,
    changes: [],
  };
  const untracked: { path: Buffer; text: string }[] = [];
  const tracked: { entry: StatusEntry; text: string }[] = [];
  for (const entry of status.entries) {
    const text = pathText(entry.path);
    if (isWaddles(text)) continue;
    if (entry.kind === 'untracked') untracked.push({ path: entry.path, text });
    else tracked.push({ entry, text });
  }

  const excluded = new Set<string>();
  const environments = new Set(environmentFolders(untracked.map((each) => each.text)));
  const candidates: { path: Buffer; text: string }[] = [];
  for (const each of untracked) {
    const whole = excludedAs(each.text, policy) ?? folderIn(each.text, environments);
    if (whole !== null) {
      excluded.add(whole);
      continue;
    }
    result.dirty = true;
    result.changes.push({ path: each.text, status: 'A' });
    if (each.text.endsWith('/')) {
      result.nested.push({ path: each.path.subarray(0, -1), id: null });
    } else candidates.push(each);
  }
  for (const path of excluded) result.leftOut.push({ path, size: null, mtime: null, reason: 'excluded' });

  const stamps = await fileStamps(
    top,
    candidates.map((each) => each.path),
  );
  const existing: Candidate[] = candidates.flatMap((each, at) => {
    const stamp = stamps[at];
    return stamp ? [{ ...each, stamp }] : [];
  });
  const { kept, refused } = applyPolicy(existing, policy);
  for (const { candidate, reason } of refused) result.leftOut.push(leftOutItem(candidate, reason));

  for (const { entry, text } of tracked) {
    result.dirty = true;
    result.changes.push({ path: text, status: entry.change });
    if (entry.kind === 'unmerged') result.unmerged.push(text);
    if (entry.staged !== '.') result.staged = true;
    if (entry.kind === 'changed' && entry.unstaged === '.') continue;
    const stamp = fileStamp(top, entry.path);
    sortTracked(entry, text, stamp, nullId, result);
  }
  if (result.unmerged.length > 0) result.staged = true;

  const marked = existingOf(top, [...index.assumed, ...index.skipped]);
  result.assumed = index.assumed.filter((path) => marked.has(path));
  result.skipped = index.skipped.filter((path) => marked.has(path));
  const known = new Set(result.items.map((item) => item.text));
  for (const [path, stamp] of marked) {
    const text = pathText(path);
    if (known.has(text) || isWaddles(text)) continue;
    known.add(text);
    if (stamp.kind === 'special' || !stamp.readable) {
      result.leftOut.push(leftOutItem({ text, stamp }, stamp.readable ? 'special' : 'unreadable'));
    } else if (stamp.kind !== 'folder') result.items.push({ path, text, stamp, tracked: true });
  }
  result.items.push(...kept.map((each) => ({ ...each, tracked: false })));
  return result;
}

function sortTracked(
  entry: StatusEntry,
  text: string,
  stamp: FileStamp | null,
  nullId: string,
  result: WorkspaceChanges,
): void {
  const removal: IndexEntry = { path: entry.path, mode: '0', id: nullId };
  if (entry.submodule && stamp?.kind === 'folder') {
    // Recorded as a nested repository, with what is uncommitted in it. In a conflict its HEAD is what counts.
    if (entry.kind === 'unmerged') {
      result.removals.push(removal);
      result.nested.push({ path: entry.path, id: null });
    }
  } else if (entry.unstaged === 'D' || stamp === null || stamp.kind === 'folder') {
    result.removals.push(removal);
  } else if (stamp.kind === 'special' || !stamp.readable) {
    result.leftOut.push(leftOutItem({ text, stamp }, stamp.readable ? 'special' : 'unreadable'));
    // A tree cannot be written while a path has three versions.
    if (entry.kind === 'unmerged') result.removals.push(removal);
  } else result.items.push({ path: entry.path, text, stamp, tracked: true });
}

/** Marked files that are on disk. In a sparse checkout whole folders are not, so those are asked for first. */
function existingOf(top: string, paths: readonly Buffer[]): Map<Buffer, FileStamp> {
  const missing = new Set<string>();
  const found = new Map<Buffer, FileStamp>();
  for (const path of paths) {
    const slash = path.lastIndexOf(47);
    const folder = slash < 0 ? '' : path.toString('latin1', 0, slash);
    if (missing.has(folder)) continue;
    const stamp = fileStamp(top, path);
    if (stamp) found.set(path, stamp);
    else if (folder !== '' && !fileStamp(top, path.subarray(0, slash))) missing.add(folder);
  }
  return found;
}

export function leftOutItem(item: { text: string; stamp: FileStamp }, reason: LeftOut['reason']): LeftOut {
  return { path: item.text, size: item.stamp.size, mtime: item.stamp.mtime, reason };
}
