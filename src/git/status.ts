/** git's two descriptions of a workspace, parsed: `status --porcelain=v2 -z` and `ls-files -v -s -z`. Paths are bytes. */
import { splitNul } from './path-text.ts';
import type { ChangedFile } from './snapshot-record.ts';

export interface StatusEntry {
  readonly kind: 'changed' | 'unmerged' | 'untracked';
  readonly path: Buffer;
  /** Index against HEAD, and working folder against index: `.` is no difference. */
  readonly staged: string;
  readonly unstaged: string;
  readonly submodule: boolean;
  /** Against HEAD. */
  readonly change: ChangedFile['status'];
}

export interface Status {
  /** Null before the first commit. */
  readonly head: string | null;
  /** Null where HEAD is detached. */
  readonly branch: string | null;
  readonly entries: StatusEntry[];
}

export function parseStatus(out: Buffer): Status {
  let head: string | null = null;
  let branch: string | null = null;
  const entries: StatusEntry[] = [];
  for (const part of splitNul(out)) {
    const kind = String.fromCharCode(part[0] ?? 0);
    if (kind === '#') {
      const line = part.toString();
      if (line.startsWith('# branch.oid ')) head = line === '# branch.oid (initial)' ? null : line.slice(13);
      else if (line.startsWith('# branch.head '))
        branch = line === '# branch.head (detached)' ? null : line.slice(14);
    } else if (kind === '?') {
      entries.push({
        kind: 'untracked',
        path: part.subarray(2),
        staged: '?',
        unstaged: '?',
        submodule: false,
        change: 'A',
      });
    } else if (kind === '1' || kind === 'u') {
      // 1 XY sub mH mI mW hH hI path; u XY sub m1 m2 m3 mW h1 h2 h3 path
      const fields = kind === '1' ? 8 : 10;
      const at = afterSpaces(part, fields);
      const [, xy = '..', sub = 'N...', inHead = '', , , inWork = ''] = part
        .toString('latin1', 0, at)
        .split(' ');
      const onDisk = kind === '1' ? (part.toString('latin1', 0, at).split(' ')[5] ?? '') : inWork;
      entries.push({
        kind: kind === 'u' ? 'unmerged' : 'changed',
        path: part.subarray(at),
        staged: xy[0] ?? '.',
        unstaged: xy[1] ?? '.',
        submodule: sub.startsWith('S'),
        change: kind === 'u' ? 'U' : changeOf(inHead, onDisk),
      });
    }
  }
  return { head, branch, entries };
}

function changeOf(before: string, after: string): ChangedFile['status'] {
  if (Number(before) === 0) return 'A';
  if (Number(after) === 0) return 'D';
  // 100644 and 100755 are one type; 120000 (a link) and 160000 (a submodule) are others.
  return before.slice(0, 3) === after.slice(0, 3) ? 'M' : 'T';
}

function afterSpaces(bytes: Buffer, count: number): number {
  let at = 0;
  for (let seen = 0; seen < count; seen += 1) at = bytes.indexOf(32, at) + 1;
  return at;
}

/** One letter before each warning; what it could not open is missing from the list, even where it exits 0. */
export function unopenedFolders(err: string): string[] {
  return [...err.matchAll(/could not open directory '(.*)': /g)].map((match) => match[1] ?? '');
}

export interface IndexEntries {
  /** Entries whose changes git was told not to look for. */
  readonly assumed: Buffer[];
  readonly skipped: Buffer[];
  readonly submodules: { path: Buffer; id: string }[];
  readonly paths: Buffer[];
}

/** Each record is `<letter> <mode> <id> <stage>TAB<path>`: a small letter is assume-unchanged, `S` skip-worktree. */
export function parseIndexEntries(out: Buffer): IndexEntries {
  const assumed: Buffer[] = [];
  const skipped: Buffer[] = [];
  const submodules: { path: Buffer; id: string }[] = [];
  const paths: Buffer[] = [];
  for (const part of splitNul(out)) {
    const tab = part.indexOf(9);
    const path = part.subarray(tab + 1);
    paths.push(path);
    const letter = part[0] ?? 0;
    if (letter >= 97) assumed.push(path);
    if (letter === 83 || letter === 115) skipped.push(path);
    if (part[2] === 49 && part[3] === 54) {
      submodules.push({ path, id: part.toString('latin1', 9, part.indexOf(32, 9)) });
    }
  }
  return { assumed, skipped, submodules, paths };
}
