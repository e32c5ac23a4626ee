/** Writing a recorded tree into a folder, without `git worktree`: the user's repository does not learn of it. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { removeIndex } from './index-file.ts';
import type { NestedTree } from './nested-trees.ts';
import { type Environment, firstLine, type Git, runGit, runGitPastFilters } from './run-git.ts';
import type { SnapshotWarning } from './snapshot-record.ts';

/**
 * Writes the files of `tree` into `into`, which is missing or empty: modes and symbolic links as recorded, content as
 * it lies in the store where a filter cannot run (then a warning says so), nested repositories from their own trees.
 * Errors: `folder-not-empty`, `git-failed`.
 */
export async function checkoutTree(options: {
  gitDir: string;
  tree: string;
  into: string;
  env: Environment;
  nested?: readonly NestedTree[] | undefined;
  signal?: AbortSignal | undefined;
}): Promise<{ warnings: SnapshotWarning[] }> {
  const { env, signal } = options;
  await mkdir(options.into, { recursive: true });
  const into = await realpath(options.into);
  if ((await readdir(into)).length > 0) {
    throw new WaddleError('folder-not-empty', `${into} is not empty`, 'name a new folder');
  }
  const rawFilters: string[] = [];
  // Outer ones first, so that a submodule within a submodule finds its folder.
  const nested = [...(options.nested ?? [])].sort((a, b) => a.path.length - b.path.length);
  await writeTree({ env, signal, rawFilters }, options.gitDir, options.tree, into);
  for (const each of nested) {
    const folder = join(into, each.path);
    await mkdir(folder, { recursive: true });
    // A link in the outer tree must not lead the inner one out of the folder.
    if ((await realpath(folder)) !== folder) {
      throw new WaddleError(
        'git-failed',
        `${each.path} leads out of the folder`,
        'the recorded tree is damaged',
      );
    }
    await writeTree({ env, signal, rawFilters }, each.gitDir, each.tree, folder);
  }
  const warnings: SnapshotWarning[] = [];
  if (rawFilters.length > 0) {
    warnings.push({
      code: 'filter-missing',
      message: `the filter ${rawFilters.join(', ')} cannot run here: its files are written as they are stored`,
      hint: 'install it (for lfs: git lfs install), then check out again',
    });
  }
  return { warnings };
}

async function writeTree(
  base: Pick<Git, 'env' | 'signal' | 'rawFilters'>,
  gitDir: string,
  tree: string,
  into: string,
): Promise<void> {
  const indexFile = join(dirname(into), `.waddle-index-${randomBytes(6).toString('hex')}`);
  const git: Git = { ...base, cwd: into, gitDir, workTree: into, indexFile };
  // The user's sparse checkout is about their working folder, not about this one.
  const whole = ['-c', 'core.sparseCheckout=false', '-c', 'core.symlinks=true'];
  try {
    const read = await runGit(git, [...whole, 'read-tree', tree]);
    const write = read.ok
      ? await runGitPastFilters(git, [...whole, 'checkout-index', '--all', '--force', '--quiet'])
      : read;
    if (!write.ok) {
      throw new WaddleError(
        'git-failed',
        `the code could not be written: ${firstLine(write.err)}`,
        `check that ${gitDir} still holds the tree ${tree}`,
      );
    }
  } finally {
    await removeIndex(indexFile);
  }
}
