/**
 * Writing recorded code into a folder, without `git worktree`: the user's repository does not learn of it. The folder
 * becomes a small repository of its own, and so does each nested one in it.
 */
import { copyFile, lstat, mkdir, readdir, realpath, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { type CopyHead, disableFilters, writeCopyRepository } from './copy-repository.ts';
import type { CodeTree, RecordedCode } from './recorded-code.ts';
import { type Environment, firstLine, type Git, needGit, runGitPastFilters } from './run-git.ts';
import type { SnapshotWarning } from './snapshot-record.ts';

export interface CheckedOut {
  head: CopyHead;
  warnings: SnapshotWarning[];
}

/**
 * Writes the code into `into`, which is missing or empty: modes and symbolic links as recorded, content as it lies in
 * the store where a filter cannot run (then a warning says so), nested repositories from their own trees.
 * Errors: `folder-not-empty`, `code-damaged`, `git-failed`.
 */
export async function checkoutCode(options: {
  code: RecordedCode;
  into: string;
  env: Environment;
  signal?: AbortSignal | undefined;
}): Promise<CheckedOut> {
  const { code, env, signal } = options;
  await mkdir(options.into, { recursive: true });
  const into = await realpath(options.into);
  if ((await readdir(into)).length > 0) {
    throw new WaddleError('folder-not-empty', `${into} is not empty`, 'Name a new folder.');
  }
  return writeCode({ code, folder: into, env, signal, indexOf: () => null });
}

/**
 * Makes a folder that `checkoutCode` or this function has written before hold other code, or the same again: what
 * differs is written, what does not belong is removed (ignored files too), and nothing else is read.
 * @param indexes a folder for the indexes by which git knows what it wrote, out of reach of whoever works in the copy
 * @param before paths of the nested repositories that may be there now
 * Errors: `code-damaged`, `git-failed`.
 */
export async function repointCode(options: {
  code: RecordedCode;
  folder: string;
  indexes: string;
  before: readonly string[];
  env: Environment;
  signal?: AbortSignal | undefined;
}): Promise<CheckedOut> {
  const { code, env, signal, indexes } = options;
  await Promise.all([mkdir(options.folder, { recursive: true }), mkdir(indexes, { recursive: true })]);
  const folder = await realpath(options.folder);
  const indexOf = (path: string): string =>
    join(indexes, path === '' ? 'top' : `nested-${Buffer.from(path).toString('base64url')}`);
  const stay = new Set(code.nested.map((each) => each.path));
  for (const path of [...options.before].sort((a, b) => b.length - a.length)) {
    if (stay.has(path)) continue;
    await rm(indexOf(path), { force: true });
    // git leaves a repository alone that stands in its way, and a link on the way must not lead out of the copy.
    if (await isOwnFolder(folder, path)) await rm(join(folder, path), { recursive: true, force: true });
  }
  return writeCode({ code, folder, env, signal, indexOf });
}

interface Writing {
  code: RecordedCode;
  folder: string;
  env: Environment;
  signal: AbortSignal | undefined;
  /** The index kept outside of the copy; null where the folder is new and its own will do. */
  indexOf(path: string): string | null;
}

async function writeCode(writing: Writing): Promise<CheckedOut> {
  const { code, folder } = writing;
  const filters: string[] = [];
  const head = await writeTree(writing, code, folder, writing.indexOf(''), filters);
  // Outer ones first, so that a submodule within a submodule finds its folder.
  for (const each of [...code.nested].sort((a, b) => a.path.length - b.path.length)) {
    const inner = join(folder, each.path);
    if (!(await isOwnFolder(folder, each.path, true))) {
      throw new WaddleError(
        'git-failed',
        `${each.path} leads out of the folder`,
        'The recorded tree is damaged.',
      );
    }
    const { recorded } = await writeTree(writing, each, inner, writing.indexOf(each.path), filters);
    // Under another commit than the outer tree names it would count as changed; without its own git it does not.
    if (!recorded) await rm(join(inner, '.git'), { recursive: true, force: true });
  }
  const warnings: SnapshotWarning[] = [];
  if (filters.length > 0) {
    warnings.push({
      code: 'filter-missing',
      message: `the filter ${[...new Set(filters)].join(', ')} cannot run here: its files are written as they are stored`,
      hint: 'install it (for lfs: git lfs install), then check out again',
    });
  }
  return { head, warnings };
}

async function writeTree(
  writing: Writing,
  code: CodeTree,
  folder: string,
  index: string | null,
  filters: string[],
): Promise<CopyHead> {
  const { env, signal } = writing;
  const head = await writeCopyRepository({ folder, code, env });
  const gitDir = join(folder, '.git');
  const indexFile = index ?? join(gitDir, 'index');
  const rawFilters: string[] = [];
  const git: Git = { env, signal, rawFilters, cwd: folder, gitDir, workTree: folder, indexFile };
  // Left by a git that was killed; nobody else works on this index.
  if (index !== null) await rm(`${index}.lock`, { force: true });
  const written = await runGitPastFilters(git, [...settings, 'read-tree', '--reset', '-u', code.tree]);
  if (!written.ok) {
    throw new WaddleError(
      'git-failed',
      `the code could not be written: ${firstLine(written.err)}`,
      `Check that ${code.gitDir} still holds the tree ${code.tree}: git fsck`,
    );
  }
  if (index !== null) {
    await needGit(git, [...settings, 'clean', '-ffdxq']);
    await copyIndexTo(index, join(gitDir, 'index'));
  }
  await disableFilters(folder, rawFilters);
  filters.push(...rawFilters);
  return head;
}

/** The user's sparse checkout is about their working folder, not about this one. */
const settings = ['core.sparseCheckout=false', 'core.symlinks=true', 'submodule.recurse=false'].flatMap(
  (each) => ['-c', each],
);

/** As `copyIndex` does: with its time, or edits of the same second and size would go unseen. */
async function copyIndexTo(from: string, to: string): Promise<void> {
  const { mtimeMs } = await lstat(from);
  await copyFile(from, to);
  const seconds = Math.floor(mtimeMs / 1000);
  await utimes(to, seconds, seconds);
}

/** Whether no link stands between the folder and `path` in it; with `make`, the path is made a folder first. */
async function isOwnFolder(folder: string, path: string, make = false): Promise<boolean> {
  const whole = join(folder, path);
  try {
    if ((await realpath(dirname(whole))) !== dirname(whole)) return false;
    if (make) await mkdir(whole, { recursive: true });
    return (await realpath(whole)) === whole;
  } catch (error) {
    if (isSystemError(error, 'ENOENT') && make) {
      await mkdir(whole, { recursive: true });
      return (await realpath(whole)) === whole;
    }
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EEXIST')) return false;
    throw error;
  }
}
