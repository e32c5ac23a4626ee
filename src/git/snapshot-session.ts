/** What the parts of one `takeSnapshot` share, nested repositories included. */
import type { Policy } from './policy.ts';
import type { Environment, Git } from './run-git.ts';
import type { LeftOut, LeftOutReason, Snapshot, SnapshotWarning } from './snapshot-record.ts';
import type { StageReport } from './staging.ts';

export interface SnapshotSession {
  readonly env: Environment;
  readonly privateDir: string;
  readonly message: string | undefined;
  readonly autoCommit: boolean;
  readonly keepIndex: boolean;
  /** Everything goes to `privateDir`, whatever the user's repository could hold. */
  readonly throwaway: boolean;
  readonly policy: Policy;
  readonly signal: AbortSignal | undefined;
  /** `performance.now()` from which on untracked files are given up. */
  readonly deadline: number;
  /** How many repositories this one is nested in. */
  readonly depth: number;
}

/** Takes the snapshot of a repository inside another; passed down, since it is the whole of `takeSnapshot` again. */
export type TakeNested = (folder: string, session: SnapshotSession) => Promise<Snapshot>;

export function emptySnapshot(): Snapshot {
  return {
    store: 'none',
    repository: null,
    git_dir: null,
    prefix: '',
    base: null,
    base_tree: null,
    tree: null,
    commit: null,
    commit_object: null,
    branch: null,
    state: 'normal',
    dirty: false,
    incomplete: false,
    left_out: [],
    nested: [],
    changed: [],
    changed_count: 0,
    object_format: null,
    warnings: [],
    duration_ms: 0,
  };
}

/** Files that the user excluded, or that a program made and can make again, leave nothing incomplete. */
export function isIncomplete(leftOut: readonly LeftOut[]): boolean {
  return leftOut.some((each) => each.reason !== 'excluded');
}

const said: Readonly<Record<Exclude<LeftOutReason, 'excluded'>, [string, string]>> = {
  size: [
    'untracked and over the size limit',
    'raise snapshot.max_file_mb, or list data in .gitignore to make this quiet',
  ],
  total: ['beyond the total size of untracked files', 'list data in .gitignore, or commit what is code'],
  count: ['beyond the number of untracked files', 'list data in .gitignore, or commit what is code'],
  secret: [
    'untracked and named like a secret: only the path is kept',
    'list it in .gitignore; if it is no secret, commit it',
  ],
  unreadable: ['not readable', 'chmod u+r what the run needs'],
  special: ['neither file nor link', 'nothing to do unless the code needs it'],
  unstable: [
    'changing while it was read: it may be kept in another state',
    'write outputs to an ignored folder',
  ],
  time: ['left when the time for the snapshot was over', 'list data in .gitignore'],
  nested: ['repositories inside this one that could not be recorded', 'git status in there says why'],
  failed: ['refused by git', 'git add of the file says why'],
};

/** One warning for each reason, with the first paths by name. */
export function leftOutWarnings(leftOut: readonly LeftOut[]): SnapshotWarning[] {
  const warnings: SnapshotWarning[] = [];
  for (const [reason, entries] of Map.groupBy(leftOut, (each) => each.reason)) {
    if (reason === 'excluded') continue;
    const [what, hint] = said[reason];
    const lead = reason === 'unstable' ? '' : 'not kept, ';
    warnings.push({
      code: `left-out-${reason}`,
      message: `${lead}${what}: ${someOf(entries.map((each) => each.path))}`,
      hint,
    });
  }
  return warnings;
}

export function someOf(paths: readonly string[]): string {
  const shown = paths.slice(0, 5).join(', ');
  return paths.length > 5 ? `${shown} and ${paths.length - 5} more` : shown;
}

/** What git did to content on its way in, where that cannot be undone. */
export function contentWarnings(git: Git, staged: StageReport): SnapshotWarning[] {
  const { raw, lineEnds } = staged;
  const warnings: SnapshotWarning[] = [];
  const filters = [...(git.rawFilters ?? []), ...staged.filters];
  if (filters.length > 0) {
    warnings.push({
      code: 'filter-missing',
      message: `the filter ${filters.join(', ')} cannot run here: content is kept as it lies on disk`,
      hint: 'install it (for lfs: git lfs install)',
    });
  }
  if (raw.length > 0) {
    warnings.push({
      code: 'stored-raw',
      message: `kept as they lie on disk, since git could not convert them: ${someOf(raw)}`,
      hint: 'git add of the file says why',
    });
  }
  if (lineEnds.length > 0) {
    warnings.push({
      code: 'line-ends',
      message: `line ends that git will not bring back as they are: ${someOf(lineEnds)}`,
      hint: 'core.autocrlf or a .gitattributes of yours converts them',
    });
  }
  return warnings;
}
