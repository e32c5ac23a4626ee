/** Finding the trees of nested repositories again: the record names them by path, since their stores may move. */
import { join } from 'node:path';
import { privateGitDir } from './private-repository.ts';
import { findRepository } from './repository.ts';
import { type Environment, runGit } from './run-git.ts';
import type { Snapshot } from './snapshot-record.ts';

export interface NestedTree {
  /** Relative to the outermost top. */
  path: string;
  tree: string;
  gitDir: string;
}

/**
 * Where the trees of a snapshot's nested repositories are now: in each one's own repository, the outer one's modules,
 * or the private store. The paths that are nowhere are given as `missing`.
 */
export async function findNestedTrees(options: {
  snapshot: Pick<Snapshot, 'repository' | 'git_dir' | 'nested' | 'object_format'>;
  env: Environment;
  privateDir: string;
  /** Git dirs, and working folders of the outer repository, that may have them too: this may be another clone. */
  homes?: readonly { gitDir: string; top: string | null }[];
}): Promise<{ nested: NestedTree[]; missing: string[] }> {
  const { snapshot, env, privateDir } = options;
  const nested: NestedTree[] = [];
  const missing: string[] = [];
  for (const { path, tree } of snapshot.nested) {
    const places: string[] = [];
    if (snapshot.repository !== null) {
      const found = await findRepository({ cwd: join(snapshot.repository, path), env });
      if (found.kind === 'repository') places.push(found.commonDir);
    }
    if (snapshot.git_dir !== null) places.push(join(snapshot.git_dir, 'modules', path));
    for (const { gitDir, top } of options.homes ?? []) {
      if (top !== null) {
        const found = await findRepository({ cwd: join(top, path), env });
        if (found.kind === 'repository') places.push(found.commonDir);
      }
      places.push(join(gitDir, 'modules', path), gitDir);
    }
    places.push(privateGitDir(privateDir, tree.length === 64 ? 'sha256' : 'sha1'));
    const home = await firstWith(places, tree, env);
    if (home === null) missing.push(path);
    else nested.push({ path, tree, gitDir: home });
  }
  return { nested, missing };
}

async function firstWith(places: readonly string[], tree: string, env: Environment): Promise<string | null> {
  for (const gitDir of places) {
    const result = await runGit({ env, cwd: gitDir, gitDir }, ['cat-file', '-e', `${tree}^{tree}`]);
    if (result.ok) return gitDir;
  }
  return null;
}
