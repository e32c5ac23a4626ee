/** What a run's journal keeps of a snapshot. JSON-safe; times are epoch seconds, sizes bytes, ids full hex. */

export type LeftOutReason =
  | 'size'
  | 'total'
  | 'count'
  | 'secret'
  | 'unreadable'
  | 'special'
  | 'unstable'
  | 'time'
  | 'excluded'
  | 'nested'
  | 'failed';

/**
 * A file that the snapshot lacks or may hold in another state; or, where they are many, a folder (its path then ends in
 * `/`, size and time are of all its files that are left out). './' is everything not looked at in time.
 */
export interface LeftOut {
  path: string;
  size: number | null;
  mtime: number | null;
  reason: LeftOutReason;
}

export interface SnapshotWarning {
  code: string;
  message: string;
  hint: string;
}

export type RepositoryState =
  | 'normal'
  | 'merging'
  | 'rebasing'
  | 'cherry-picking'
  | 'reverting'
  | 'bisecting'
  | 'unborn';

/** `U` is a path with conflicts: its text, markers and all, is in the tree. */
export interface ChangedFile {
  path: string;
  status: 'A' | 'M' | 'D' | 'T' | 'U';
}

export interface Snapshot {
  /** Where the tree is pinned. */
  store: 'repository' | 'private' | 'none';
  /** The absolute top folder that the tree's paths are relative to. */
  repository: string | null;
  /** The git dir that holds objects and refs; for a linked worktree the one it shares. */
  git_dir: string | null;
  /** The working folder relative to `repository`, '' at the top. */
  prefix: string;
  /** HEAD when the snapshot was taken. */
  base: string | null;
  /** The tree of `base`: where commits do not travel, it does. */
  base_tree: string | null;
  tree: string | null;
  /** Equal to `base` where nothing differs from it. */
  commit: string | null;
  /** The commit's raw content where `commit` is not `base`, so that it can be brought back bit for bit. */
  commit_object: string | null;
  branch: string | null;
  state: RepositoryState;
  dirty: boolean;
  /** Something is missing that the user's own configuration did not exclude. */
  incomplete: boolean;
  left_out: LeftOut[];
  nested: { path: string; tree: string; commit: string | null }[];
  /** Against HEAD, the first 1,000. */
  changed: ChangedFile[];
  changed_count: number;
  object_format: 'sha1' | 'sha256' | null;
  warnings: SnapshotWarning[];
  duration_ms: number;
}

export const changedLimit = 1000;

/** The id of the tree without entries, which git knows without an object. */
export function emptyTree(format: 'sha1' | 'sha256'): string {
  return format === 'sha1'
    ? '4b825dc642cb6eb9a060e54bf8d69288fbee4904'
    : '6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321';
}
