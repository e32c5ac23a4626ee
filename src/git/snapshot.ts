/** `takeSnapshot`: the exact code of a workspace, pinned. Whatever state the user's repository is in, the job runs. */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { snapshotFolder } from './folder-snapshot.ts';
import { policyOf, type SnapshotPolicy, withIgnoreFiles } from './policy.ts';
import { findRepository, type Repository, type RepositoryFailure } from './repository.ts';
import { headFormat, snapshotRepository } from './repository-snapshot.ts';
import { type Environment, type GitResult, runGit } from './run-git.ts';
import type { Snapshot, SnapshotWarning } from './snapshot-record.ts';
import { emptySnapshot, type SnapshotSession } from './snapshot-session.ts';

export interface SnapshotOptions {
  cwd: string;
  env: Environment;
  /** `.waddle/git`: the private repository and private indexes; made when needed. */
  privateDir: string;
  message?: string | undefined;
  /** Default true. False records HEAD and whether the workspace differs from it, and stores nothing. */
  autoCommit?: boolean | undefined;
  policy?: SnapshotPolicy | undefined;
  /** What is recorded where there is no repository; default `cwd`. */
  folder?: string | undefined;
  /** Default true: keep what makes `findDrift` cheap. */
  keepIndex?: boolean | undefined;
  /** Nothing is written into the user's repository: all objects and pins go to `privateDir`, to be removed with it. */
  throwaway?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Default 30,000; after that the remaining untracked files are left out. */
  timeoutMs?: number | undefined;
}

/**
 * Takes a snapshot of the workspace that `cwd` is in. Every state of the user's repository has an outcome, with
 * warnings for what was not kept; rejects only with the reason of an aborted `signal`.
 */
export async function takeSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  const started = performance.now();
  const session: SnapshotSession = {
    env: options.env,
    privateDir: resolve(options.cwd, options.privateDir),
    message: options.message,
    autoCommit: options.autoCommit ?? true,
    keepIndex: options.keepIndex ?? true,
    throwaway: options.throwaway ?? false,
    policy: policyOf(options.policy),
    signal: options.signal,
    deadline: started + (options.timeoutMs ?? 30_000),
    depth: 0,
  };
  const snapshot = await takeOne(options.cwd, session, options.folder);
  snapshot.duration_ms = Math.round((performance.now() - started) * 10) / 10;
  return snapshot;
}

async function takeOne(cwd: string, session: SnapshotSession, folder?: string): Promise<Snapshot> {
  const { env, signal } = session;
  try {
    // HEAD is read while git finds the repository; where there is none, the answer is not looked at.
    const head = runGit({ env, cwd, signal }, headFormat);
    head.catch(() => {});
    const found = await findRepository({ cwd, env, signal });
    const snapshot =
      found.kind === 'repository'
        ? await takeOfRepository(found, head, withIgnores(session, found.top, cwd))
        : await takeWithout(found, cwd, session, folder);
    snapshot.prefix = prefixOf(cwd, snapshot.repository);
    return snapshot;
  } catch (error) {
    if (signal?.aborted) throw error;
    return nothing(
      'snapshot-failed',
      `the code could not be recorded: ${messageOf(error)}`,
      'run `waddle doctor`',
    );
  }
}

async function takeOfRepository(
  repository: Repository,
  head: Promise<GitResult>,
  session: SnapshotSession,
): Promise<Snapshot> {
  const warnings: SnapshotWarning[] = [];
  let ownObjects = session.throwaway;
  let newIndex = false;
  for (;;) {
    try {
      const snapshot = await snapshotRepository(repository, session, {
        head,
        take: takeOne,
        ownObjects,
        newIndex,
      });
      if (snapshot.store === 'private' && warnings.length === 0 && !session.throwaway)
        warnings.push(readOnly(repository, 'read-only'));
      snapshot.warnings.unshift(...warnings);
      return snapshot;
    } catch (error) {
      if (session.signal?.aborted || !(error instanceof WaddleError)) throw error;
      if (error.code === 'store-refused' && !ownObjects) {
        ownObjects = true;
        warnings.push(readOnly(repository, error.message));
      } else if (error.code === 'index-corrupt' && !newIndex) {
        newIndex = true;
        warnings.push({
          code: 'index-corrupt',
          message: `git cannot read the index (${error.message}); the code was kept in Waddle's own store`,
          hint: `rm '${repository.indexPath}' && git reset rebuilds it; your files stay as they are`,
        });
      } else {
        const failure: RepositoryFailure = { kind: 'corrupt', message: error.message, hint: error.hint };
        const snapshot = await takeWithout(failure, repository.top, session, repository.top);
        snapshot.warnings.unshift(...warnings);
        return snapshot;
      }
    }
  }
}

function readOnly(repository: Repository, why: string): SnapshotWarning {
  return {
    code: 'repository-read-only',
    message: `${repository.commonDir} cannot be written (${why}); the code was kept in Waddle's own store`,
    hint: 'keep the repository where it is: the store borrows its objects',
  };
}

/** The outcomes without a usable repository. */
async function takeWithout(
  failure: RepositoryFailure,
  cwd: string,
  session: SnapshotSession,
  folder?: string,
): Promise<Snapshot> {
  const { kind, message, hint } = failure;
  if (kind === 'git-missing') return nothing(kind, `${message}: the code was not recorded`, hint);
  if (!session.autoCommit) {
    // Nothing was asked for, so nothing is missing.
    return { ...nothing(kind === 'none' ? 'no-repository' : kind, message, hint), incomplete: false };
  }
  // A repository that git refuses is still where the code's top is.
  const top = folder ?? (kind === 'dubious-ownership' || kind === 'corrupt' ? topByName(cwd) : null) ?? cwd;
  const snapshot = await snapshotFolder(top, withIgnores(session, top, cwd), takeOne);
  snapshot.warnings.unshift({
    code: kind === 'none' ? 'no-repository' : kind,
    message: `${message}; the code was kept in Waddle's own store`,
    hint,
  });
  return snapshot;
}

function withIgnores(session: SnapshotSession, top: string, cwd: string): SnapshotSession {
  return { ...session, policy: withIgnoreFiles(session.policy, realpathSync(top), realpathSync(cwd)) };
}

function topByName(cwd: string): string | null {
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, '.git'))) return folder;
    if (folder === dirname(folder)) return null;
  }
}

function prefixOf(cwd: string, top: string | null): string {
  if (top === null) return '';
  const path = relative(top, realpathSync(cwd));
  return path.startsWith('..') ? '' : path;
}

function nothing(code: string, message: string, hint: string): Snapshot {
  return { ...emptySnapshot(), incomplete: true, warnings: [{ code, message, hint }] };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
