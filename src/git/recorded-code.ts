/** Finding the code of a run again: the record names repositories by path, and these may have moved or been rewritten. */
import { WaddleError } from '../errors/waddle-error.ts';
import { findNestedTrees } from './nested-trees.ts';
import { privateGitDir } from './private-repository.ts';
import { findRepository } from './repository.ts';
import { type Environment, runGit } from './run-git.ts';
import type { Snapshot } from './snapshot-record.ts';

/** A tree, the store that has it, and what is known of its commit. */
export interface CodeTree {
  /** A git dir whose objects hold the tree. */
  gitDir: string;
  tree: string;
  /** The recorded commit; null where there was none. */
  commit: string | null;
  /** The commit's raw content, where Waddle made it. */
  commitObject: string | null;
}

export interface NestedCode extends CodeTree {
  /** Relative to the outermost top. */
  path: string;
}

export interface RecordedCode extends CodeTree {
  format: 'sha1' | 'sha256';
  nested: NestedCode[];
  /** Nested repositories whose trees are nowhere any more. */
  missing: string[];
}

type CodeRecord = Pick<
  Snapshot,
  | 'store'
  | 'repository'
  | 'git_dir'
  | 'tree'
  | 'commit'
  | 'commit_object'
  | 'dirty'
  | 'nested'
  | 'object_format'
>;

/**
 * The code of a snapshot and where it is now: in the store that the record names, in the repository around one of
 * `places`, or in the private store.
 * Errors: `code-not-recorded`, `code-missing`.
 */
export async function findRecordedCode(options: {
  snapshot: CodeRecord;
  env: Environment;
  privateDir: string;
  /** Folders whose repositories may hold it too: the repository may have moved, or this may be another clone. */
  places: readonly string[];
}): Promise<RecordedCode> {
  const { snapshot, env, privateDir } = options;
  const { tree } = snapshot;
  if (tree === null || (snapshot.store === 'none' && snapshot.dirty)) {
    throw new WaddleError(
      'code-not-recorded',
      'the code of this run was not recorded',
      'A run keeps its code where it is not told --no-auto-commit and git is installed.',
    );
  }
  const format = tree.length === 64 ? 'sha256' : 'sha1';
  const gitDir = await findTree(options, tree, format);
  if (gitDir === null) {
    throw new WaddleError(
      'code-missing',
      `no repository here holds the recorded code (tree ${tree})`,
      `Look for it where the run was made${snapshot.repository === null ? '' : `: ${snapshot.repository}`}; waddle doctor says what else is missing.`,
    );
  }
  const homes: { gitDir: string; top: string | null }[] = [{ gitDir, top: null }];
  for (const cwd of snapshot.nested.length === 0 ? [] : options.places) {
    const found = await findRepository({ cwd, env });
    if (found.kind === 'repository') homes.push({ gitDir: found.commonDir, top: found.top });
  }
  const { nested, missing } = await findNestedTrees({ snapshot, env, privateDir, homes });
  const commits = new Map(snapshot.nested.map((each) => [each.path, each.commit]));
  return {
    gitDir,
    tree,
    commit: snapshot.commit,
    commitObject: snapshot.commit_object,
    format,
    nested: nested.map((each) => ({
      ...each,
      commit: commits.get(each.path) ?? null,
      commitObject: null,
    })),
    missing,
  };
}

async function findTree(
  options: Parameters<typeof findRecordedCode>[0],
  tree: string,
  format: 'sha1' | 'sha256',
): Promise<string | null> {
  const { snapshot, env, privateDir } = options;
  const tried = new Set<string>();
  const has = async (gitDir: string): Promise<boolean> => {
    if (tried.has(gitDir)) return false;
    tried.add(gitDir);
    return (await runGit({ env, cwd: gitDir, gitDir }, ['cat-file', '-e', `${tree}^{tree}`])).ok;
  };
  if (snapshot.git_dir !== null && (await has(snapshot.git_dir))) return snapshot.git_dir;
  for (const cwd of [...(snapshot.repository === null ? [] : [snapshot.repository]), ...options.places]) {
    const found = await findRepository({ cwd, env });
    if (found.kind === 'repository' && (await has(found.commonDir))) return found.commonDir;
  }
  const own = privateGitDir(privateDir, format);
  return (await has(own)) ? own : null;
}
