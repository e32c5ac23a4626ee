/** Finding the user's repository and saying what is wrong with it; nothing here writes. */
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Environment, firstLine, type Git, type GitResult, runGit } from './run-git.ts';
import type { RepositoryState } from './snapshot-record.ts';

export interface Repository {
  readonly kind: 'repository';
  /** The working folder's top, symbolic links resolved. */
  readonly top: string;
  /** This worktree's own git dir (HEAD, index, MERGE_HEAD). */
  readonly gitDir: string;
  /** The git dir that all linked worktrees share (objects, refs). */
  readonly commonDir: string;
  readonly indexPath: string;
  readonly objectFormat: 'sha1' | 'sha256';
}

export interface RepositoryFailure {
  readonly kind: 'none' | 'bare' | 'dubious-ownership' | 'corrupt' | 'git-missing';
  readonly message: string;
  readonly hint: string;
}

export interface RepositoryInspection extends Repository {
  readonly head: string | null;
  /** The short name of the branch; during a rebase, the branch that is rebased; null where HEAD is detached. */
  readonly branch: string | null;
  readonly state: RepositoryState;
}

/** The repository that `cwd` is in, as git sees it. */
export async function findRepository(options: {
  cwd: string;
  env: Environment;
  signal?: AbortSignal | undefined;
  deadline?: number | undefined;
}): Promise<Repository | RepositoryFailure> {
  const { cwd, env, signal, deadline } = options;
  // The yes-or-no answers stand between the paths, since a path may hold a newline.
  const result = await runGit({ env, cwd, signal, deadline }, [
    'rev-parse',
    '--show-object-format',
    '--is-inside-git-dir',
    '--show-toplevel',
    '--is-inside-git-dir',
    '--absolute-git-dir',
    '--is-inside-git-dir',
    '--git-common-dir',
    '--is-inside-git-dir',
    '--git-path',
    'index',
  ]);
  if (!result.ok) return classify(result, cwd);
  const [format, top, gitDir, commonDir, indexPath] = result.out
    .toString()
    .replace(/\n$/, '')
    .split(/\n(?:true|false)\n/);
  if (!top || !gitDir || !commonDir || !indexPath) {
    return {
      kind: 'corrupt',
      message: 'this git is too old to describe the repository',
      hint: 'install git 2.30 or newer',
    };
  }
  const real = realFolder(cwd);
  return {
    kind: 'repository',
    top,
    gitDir,
    commonDir: resolve(real, commonDir),
    indexPath: resolve(real, indexPath),
    objectFormat: format === 'sha256' ? 'sha256' : 'sha1',
  };
}

function realFolder(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function classify(result: GitResult, cwd: string): RepositoryFailure {
  const said = firstLine(result.err);
  if (result.why === 'missing') {
    return {
      kind: 'git-missing',
      message: 'git is not installed, or not in PATH',
      hint: 'install git, so that runs record their code',
    };
  }
  if (/dubious ownership|unsafe repository/.test(result.err)) {
    const folder = /repository (?:at )?\(?'(.+?)'/.exec(result.err)?.[1] ?? cwd;
    return {
      kind: 'dubious-ownership',
      message: `git does not trust ${folder}: another user owns it`,
      hint: `if you trust it: git config --global --add safe.directory '${folder}'`,
    };
  }
  if (/must be run in a work tree|cannot be used without a working tree/.test(result.err)) {
    return {
      kind: 'bare',
      message: `${cwd} is in a bare repository or inside a .git folder: there is no working folder to record`,
      hint: 'run in a clone or a linked worktree of it',
    };
  }
  if (/not a git repository \(or any|no such folder/.test(result.err)) {
    return {
      kind: 'none',
      message: `${cwd} is not in a git repository`,
      hint: 'git init && git add -A && git commit, so that every run names a commit',
    };
  }
  return {
    kind: 'corrupt',
    message: `git cannot read the repository: ${said || 'it did not answer in time'}`,
    hint: 'git fsck shows what is damaged',
  };
}

/** For `repo-link` and `doctor`: the repository with HEAD, branch and state, its index checked too. */
export async function inspectRepository(options: {
  cwd: string;
  env: Environment;
  signal?: AbortSignal | undefined;
}): Promise<RepositoryInspection | RepositoryFailure> {
  const found = await findRepository(options);
  if (found.kind !== 'repository') return found;
  const git: Git = { env: options.env, cwd: found.top, gitDir: found.gitDir, workTree: found.top };
  const [head, index] = await Promise.all([
    runGit(git, ['rev-parse', '--quiet', '--verify', 'HEAD^{commit}']),
    runGit(git, ['ls-files', '--stage', '-z', '--', '.git']),
  ]);
  if (!index.ok) {
    return {
      kind: 'corrupt',
      message: `git cannot read the index: ${firstLine(index.err)}`,
      hint: `rm '${found.indexPath}' && git reset rebuilds it; staged changes stay in your files`,
    };
  }
  const branch = await branchName(git, found);
  const id = head.ok ? head.out.toString().trim() : null;
  if (id === null && branch !== null) {
    const exists = await runGit(git, ['show-ref', '--quiet', '--', `refs/heads/${branch}`]);
    if (exists.ok) {
      return {
        kind: 'corrupt',
        message: `the branch ${branch} names a commit that is missing`,
        hint: 'git fsck shows what is damaged',
      };
    }
  }
  return { ...found, head: id, branch, state: repositoryState(found.gitDir, id !== null) };
}

async function branchName(git: Git, repository: Repository): Promise<string | null> {
  const symbolic = await runGit(git, ['symbolic-ref', '--quiet', 'HEAD']);
  if (!symbolic.ok) return rebasedBranch(repository.gitDir);
  return symbolic.out
    .toString()
    .replace(/\n$/, '')
    .replace(/^refs\/heads\//, '');
}

/** What git is in the middle of, by the files it leaves in the git dir. */
export function repositoryState(gitDir: string, hasHead: boolean): RepositoryState {
  const has = (name: string): boolean => existsSync(join(gitDir, name));
  if (has('rebase-merge') || has('rebase-apply')) return 'rebasing';
  if (has('MERGE_HEAD')) return 'merging';
  if (has('CHERRY_PICK_HEAD')) return 'cherry-picking';
  if (has('REVERT_HEAD')) return 'reverting';
  if (has('BISECT_LOG')) return 'bisecting';
  return hasHead ? 'normal' : 'unborn';
}

/** HEAD is detached during a rebase; git keeps the branch's name in a file. */
export function rebasedBranch(gitDir: string): string | null {
  for (const folder of ['rebase-merge', 'rebase-apply']) {
    try {
      const name = readFileSync(join(gitDir, folder, 'head-name'), 'utf8').trim();
      if (name.startsWith('refs/heads/')) return name.slice('refs/heads/'.length);
    } catch {
      // no such file: no rebase of this kind
    }
  }
  return null;
}

/** For example `2.39.5`; null where git is not installed. */
export async function gitVersion(env: Environment): Promise<string | null> {
  const result = await runGit({ env, cwd: '/' }, ['version']);
  return /(\d+(?:\.\d+)+)/.exec(result.out.toString())?.[1] ?? null;
}
