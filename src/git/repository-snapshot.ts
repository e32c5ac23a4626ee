/** The snapshot of a workspace that git knows: `GIT.md`'s algorithm, step by step. */
import { accessSync, constants } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { commitContent, commitId, writeCommit } from './commit.ts';
import { changedIn } from './diff.ts';
import { fileStamps } from './file-stamp.ts';
import { copyIndex, keepIndex, newIndexPath, removeIndex } from './index-file.ts';
import { foldLeftOut } from './left-out.ts';
import { takeNestedSnapshots } from './nested.ts';
import { pathText } from './path-text.ts';
import { borrowObjects, openPrivateRepository } from './private-repository.ts';
import { pinTree } from './refs.ts';
import { type Repository, rebasedBranch, repositoryState } from './repository.ts';
import { firstLine, type Git, type GitResult, needGit, runGit, runGitPastFilters } from './run-git.ts';
import { changedLimit, emptyTree, type LeftOut, type Snapshot } from './snapshot-record.ts';
import {
  contentWarnings,
  emptySnapshot,
  isIncomplete,
  leftOutWarnings,
  type SnapshotSession,
  type TakeNested,
} from './snapshot-session.ts';
import { clearMarks, type IndexEntry, type StageItem, stageEntries, stageFiles } from './staging.ts';
import { type IndexEntries, parseIndexEntries, parseStatus, type Status, unopenedFolders } from './status.ts';
import { findChanges, leftOutItem } from './workspace-changes.ts';

export const headFormat = ['log', '-1', '--no-show-signature', '--format=%H %T %ct'];

export interface Head {
  readonly id: string;
  readonly tree: string;
  /** Epoch seconds. */
  readonly time: number;
}

/**
 * Errors: `store-refused` where objects or refs cannot be written (try again with `ownObjects`), `index-corrupt` (try
 * again with `newIndex`), `repository-unreadable` where git cannot describe the workspace at all.
 */
export async function snapshotRepository(
  repository: Repository,
  session: SnapshotSession,
  options: { head: Promise<GitResult>; take: TakeNested; ownObjects?: boolean; newIndex?: boolean },
): Promise<Snapshot> {
  const { top, commonDir, objectFormat } = repository;
  const { env, privateDir } = session;
  const objects = join(commonDir, 'objects');
  const own =
    session.autoCommit && (options.ownObjects || options.newIndex || !isWritable(commonDir))
      ? await openPrivateRepository(privateDir, objectFormat)
      : null;
  if (own !== null) await borrowObjects(own, objects);
  const indexFile = await newIndexPath(privateDir, env);
  const git: Git = {
    env,
    cwd: top,
    gitDir: repository.gitDir,
    workTree: top,
    indexFile,
    objectDir: own === null ? undefined : join(own, 'objects'),
    alternate: own === null ? undefined : objects,
    rawFilters: [],
    signal: session.signal,
    deadline: session.deadline,
  };
  let kept = false;
  try {
    if (options.newIndex || !(await copyIndex(repository.indexPath, indexFile))) {
      // Without an index every tracked file would be taken for a new one. Before the first commit there is no HEAD.
      await runGit(git, ['read-tree', 'HEAD']);
    }
    const snapshot = emptySnapshot();
    snapshot.repository = top;
    snapshot.git_dir = own ?? commonDir;
    snapshot.object_format = objectFormat;
    const { status, index, head, missed } = await describe(git, session, options.head);
    snapshot.base = head?.id ?? null;
    snapshot.base_tree = head?.tree ?? null;
    snapshot.branch = status.branch ?? rebasedBranch(repository.gitDir);
    snapshot.state = repositoryState(repository.gitDir, head !== null);
    const sorted = await findChanges(top, status, index, session.policy);
    snapshot.dirty = sorted.dirty;
    if (!session.autoCommit) {
      snapshot.tree = head?.tree ?? null;
      snapshot.commit = snapshot.base;
      snapshot.changed_count = sorted.changes.length;
      snapshot.changed = sorted.changes.slice(0, changedLimit);
      return snapshot;
    }

    const nested = await takeNestedSnapshots({
      found: sorted.nested,
      top,
      commonDir,
      session,
      take: options.take,
    });
    snapshot.dirty ||= nested.dirty;
    const leftOut: LeftOut[] = [...missed, ...sorted.leftOut, ...nested.leftOut];
    const entries = [...sorted.removals, ...nestedChanges(nested.entries, index)];
    await clearMarks(git, sorted.assumed, sorted.skipped);
    const removed = await stageEntries(git, entries);
    if (!removed) await stageOneByOne(git, entries, leftOut);
    const staged = await stageFiles(git, sorted.items);
    for (const item of staged.failed) leftOut.push(leftOutItem(item, 'failed'));
    for (const item of staged.late) leftOut.push(leftOutItem(item, 'time'));
    const unchanged = sorted.items.length === 0 && entries.length === 0 && !sorted.staged;
    const [tree, unstable] = await Promise.all([
      unchanged && head ? head.tree : writeTree(git),
      findUnstable(top, sorted.items, leftOut),
    ]);
    leftOut.push(...unstable);

    snapshot.tree = tree;
    snapshot.nested = nested.nested;
    const pin = pinTree({ gitDir: snapshot.git_dir, env, tree, privateDir });
    if (head && tree === head.tree) {
      snapshot.commit = head.id;
      await pin;
    } else {
      const content = commitContent({
        tree,
        parent: head?.id ?? null,
        time: head?.time ?? 0,
        message: session.message,
      });
      snapshot.commit_object = content;
      snapshot.commit = commitId(content, objectFormat);
      const patient = { ...git, deadline: undefined };
      const [changes] = await Promise.all([
        changedIn(patient, head?.tree ?? emptyTree(objectFormat), tree),
        writeCommit(patient, content),
        pin,
      ]);
      const unmerged = new Set(sorted.unmerged);
      snapshot.changed_count = changes.length;
      snapshot.changed = changes
        .slice(0, changedLimit)
        .map((each) => (unmerged.has(each.path) ? { ...each, status: 'U' } : each));
    }
    snapshot.store = own === null ? 'repository' : 'private';
    snapshot.left_out = foldLeftOut(leftOut, () => [
      ...index.paths.map(pathText),
      ...sorted.items.map((item) => item.text),
    ]);
    snapshot.incomplete = isIncomplete(snapshot.left_out);
    snapshot.warnings = [
      ...nested.warnings,
      ...contentWarnings(git, staged),
      ...leftOutWarnings(snapshot.left_out),
    ];
    if (session.keepIndex) {
      await keepIndex(indexFile, privateDir, top, tree);
      kept = true;
    }
    return snapshot;
  } catch (error) {
    if (error instanceof WaddleError && (error.code === 'pin-failed' || error.code === 'git-failed')) {
      throw new WaddleError('store-refused', error.message, error.hint, { cause: error });
    }
    throw error;
  } finally {
    if (!kept) await removeIndex(indexFile);
  }
}

/** By permission, or by a file system mounted read-only. Whoever is root may write either way. */
function isWritable(commonDir: string): boolean {
  try {
    for (const folder of ['.', 'objects', 'refs']) accessSync(join(commonDir, folder), constants.W_OK);
    return true;
  } catch (error) {
    if (isSystemError(error, 'EACCES', 'EROFS', 'EPERM')) return false;
    // A reftable repository has no folder of loose refs to speak of; git itself will say.
    return true;
  }
}

interface Described {
  status: Status;
  index: IndexEntries;
  head: Head | null;
  /** What git could not look into. */
  missed: LeftOut[];
}

/**
 * Three processes side by side, all of them reading. What is uncommitted in submodules is found by their own snapshots;
 * only where none are taken, status has to go into them.
 */
async function describe(git: Git, session: SnapshotSession, early: Promise<GitResult>): Promise<Described> {
  const missed: LeftOut[] = [];
  const [first, listed, logged] = await Promise.all([
    runGitPastFilters(git, statusArguments(session.autoCommit ? 'dirty' : 'untracked', 'all')),
    runGit({ ...git, deadline: undefined }, ['ls-files', '-v', '-s', '-z']),
    early,
  ]);
  let result = first;
  if (result.why === 'late') {
    // The untracked files alone can take this long (a data folder on a network disk); tracked ones come first.
    missed.push({ path: './', size: null, mtime: null, reason: 'time' });
    result = await runGitPastFilters({ ...git, deadline: undefined }, statusArguments('dirty', 'no'));
  }
  if (!result.ok && listed.ok && parseIndexEntries(listed.out).submodules.length > 0) {
    // Perhaps a submodule that git does not trust or cannot read; the rest can be described all the same.
    result = await runGitPastFilters({ ...git, deadline: undefined }, statusArguments('all', 'all'));
  }
  const failed = !result.ok ? result : !listed.ok ? listed : null;
  if (failed) {
    const corrupt =
      /index file|bad signature|index uses|bad index|unknown index entry|unordered stage|index extension|malformed mode/;
    throw new WaddleError(
      corrupt.test(failed.err) ? 'index-corrupt' : 'repository-unreadable',
      firstLine(failed.err) || 'git status was ended',
      'git status says what is wrong',
    );
  }
  for (const folder of unopenedFolders(result.err)) {
    missed.push({ path: folder, size: null, mtime: null, reason: 'unreadable' });
  }
  const status = parseStatus(result.out);
  return {
    status,
    index: parseIndexEntries(listed.out),
    head: await headOf(git, status.head, logged),
    missed,
  };
}

function statusArguments(ignoreSubmodules: string, untracked: string): string[] {
  return [
    'status',
    '--porcelain=v2',
    '-z',
    '--branch',
    '--no-ahead-behind',
    `--untracked-files=${untracked}`,
    '--no-renames',
    `--ignore-submodules=${ignoreSubmodules}`,
  ];
}

/** HEAD's line was read beside everything else; where HEAD moved since, it is read again. */
async function headOf(git: Git, id: string | null, logged: GitResult): Promise<Head | null> {
  if (id === null) return null;
  let line = logged.out.toString().trim();
  if (!line.startsWith(`${id} `)) {
    line = (await needGit({ ...git, deadline: undefined }, [...headFormat, id, '--'])).toString().trim();
  }
  const [, tree = '', time = '0'] = line.split(' ');
  return { id, tree, time: Number(time) };
}

/** Submodules whose commit the index has already need no entry. */
function nestedChanges(entries: readonly IndexEntry[], index: IndexEntries): IndexEntry[] {
  const known = new Map(index.submodules.map(({ path, id }) => [path.toString('latin1'), id]));
  return entries.filter((entry) => known.get(entry.path.toString('latin1')) !== entry.id);
}

async function stageOneByOne(git: Git, entries: readonly IndexEntry[], leftOut: LeftOut[]): Promise<void> {
  for (const entry of entries) {
    if (await stageEntries(git, [entry])) continue;
    leftOut.push({ path: pathText(entry.path), size: null, mtime: null, reason: 'failed' });
  }
}

/** Objects of a partial clone may be elsewhere: they need not be here to be named. */
async function writeTree(git: Git): Promise<string> {
  const result = await runGit({ ...git, deadline: undefined }, ['write-tree', '--missing-ok']);
  if (result.ok) return result.out.toString().trim();
  throw new WaddleError('store-refused', firstLine(result.err), 'run `waddle doctor`');
}

/** Files that moved between the first look and now: the tree may hold them in either state. */
async function findUnstable(
  top: string,
  items: readonly StageItem[],
  leftOut: readonly LeftOut[],
): Promise<LeftOut[]> {
  const named = new Set(leftOut.map((each) => each.path));
  const stamps = await fileStamps(
    top,
    items.map((item) => item.path),
  );
  return items
    .filter((item, at) => stamps[at]?.mark !== item.stamp.mark && !named.has(item.text))
    .map((item) => leftOutItem(item, 'unstable'));
}
