/** The drift check: which files of a snapshot were changed or removed since it was taken. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { parseRaw } from './diff.ts';
import { claimIndex, newIndexPath, removeIndex } from './index-file.ts';
import { findNestedTrees } from './nested-trees.ts';
import { isWaddles } from './policy.ts';
import { type Environment, type Git, needGit, runGitPastFilters } from './run-git.ts';
import type { Snapshot } from './snapshot-record.ts';

export interface Drift {
  path: string;
  change: 'changed' | 'removed';
}

/**
 * Compares the folder with the recorded tree, by the index that `takeSnapshot` left in `privateDir`: files whose times
 * have not moved are not read. That index is used up; where it is gone, or another process has taken it, every file
 * is read. New files do not count, nor files that the snapshot had left out. Any process may ask.
 * Errors: `git-missing`, `git-failed` where the tree or the folder is gone.
 */
export async function findDrift(options: {
  snapshot: Snapshot;
  cwd: string;
  env: Environment;
  privateDir: string;
  signal?: AbortSignal | undefined;
}): Promise<Drift[]> {
  const { snapshot, env, privateDir, signal } = options;
  const { repository, git_dir: home, tree } = snapshot;
  if (snapshot.store === 'none' || repository === null || home === null || tree === null) return [];
  const place = { env, privateDir, signal };
  const drift = await driftOf({ top: repository, gitDir: home, tree }, place);
  const { nested, missing } = await findNestedTrees({ snapshot, env, privateDir });
  for (const path of missing) drift.push({ path: `${path}/`, change: 'removed' });
  for (const { path, tree, gitDir } of nested) {
    const top = join(repository, path);
    const inner = existsSync(join(top, '.git')) ? await driftOf({ top, gitDir, tree }, place) : null;
    if (inner === null) drift.push({ path: `${path}/`, change: 'removed' });
    else drift.push(...inner.map((each) => ({ ...each, path: `${path}/${each.path}` })));
  }
  // What was left out differs from its tree from the start; what was unstable may have settled in either state.
  const leftOut = new Set(
    snapshot.left_out.filter((each) => each.reason !== 'unstable').map((each) => each.path),
  );
  return drift.filter((each) => !leftOut.has(each.path) && !isWaddles(each.path));
}

interface Place {
  env: Environment;
  privateDir: string;
  signal: AbortSignal | undefined;
}

async function driftOf(
  what: { top: string; gitDir: string; tree: string },
  { env, privateDir, signal }: Place,
): Promise<Drift[]> {
  const claimed = await claimIndex(privateDir, what.top, what.tree);
  const indexFile = claimed ?? (await newIndexPath(privateDir, env));
  const git: Git = {
    env,
    cwd: what.top,
    gitDir: what.gitDir,
    workTree: what.top,
    indexFile,
    rawFilters: [],
    signal,
  };
  try {
    if (claimed === null) await needGit(git, ['read-tree', what.tree]);
    // Not `diff-files`: that names files whose times moved though their content did not.
    const result = await runGitPastFilters(git, [
      '-c',
      'diff.autoRefreshIndex=true',
      'diff',
      '--raw',
      '-z',
      '--no-renames',
      '--no-ext-diff',
      '--no-textconv',
      '--no-color',
      '--ignore-submodules=all',
    ]);
    if (!result.ok) {
      throw new WaddleError(
        'git-failed',
        `git diff failed: ${result.err.trim()}`,
        'run `waddle doctor` to check the repository',
      );
    }
    return parseRaw(result.out).map(({ path, status }) => ({
      path,
      change: status === 'D' ? 'removed' : 'changed',
    }));
  } finally {
    await removeIndex(indexFile);
  }
}
