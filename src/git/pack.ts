/**
 * Packs: how recorded code travels from one store to another. A thin pack holds what a commit has beyond a commit that
 * the other side knows; git mends it from there on arrival, and the tree is pinned.
 */
import { closeSync, openSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { WaddleError } from '../errors/waddle-error.ts';
import { commitId, writeCommit } from './commit.ts';
import { pinTree } from './refs.ts';
import { type Environment, firstLine, type Git, runGit } from './run-git.ts';

export interface PackedCode {
  /** The commit to ship; its raw content, where the store may have dropped it. */
  commit: string;
  commitObject: string | null;
  tree: string;
  /** A commit that both sides have; null makes a pack that stands by itself. */
  base: string | null;
}

/**
 * Writes a pack to `file`: the commit and what it has beyond `base`. Deltas are against objects of the base, so that
 * three changed files cost their changes whatever the size of the repository.
 * Errors: `pack-failed`.
 */
export async function makePack(options: {
  gitDir: string;
  code: PackedCode;
  file: string;
  env: Environment;
}): Promise<void> {
  const { gitDir, code, file, env } = options;
  const git: Git = { env, cwd: gitDir, gitDir };
  if (code.commitObject !== null) await writeCommit(git, code.commitObject);
  // The commit, never the tree: a tree's objects would all be sent.
  const wanted = `${code.commit}\n${code.base === null ? '' : `^${code.base}\n`}`;
  const own = `${file}.tmp`;
  const output = openSync(own, 'w', 0o600);
  try {
    const args = ['pack-objects', '--quiet', '--stdout', '--thin', '--revs', '--delta-base-offset'];
    const packed = await runGit({ ...git, output }, args, wanted);
    if (!packed.ok) throw failed('could not be made', packed.err);
    await rename(own, file);
  } finally {
    closeSync(output);
    await rm(own, { force: true });
  }
}

/**
 * Takes a pack into a store: its objects checked one by one, then the whole tree looked for, then pinned.
 * Errors: `pack-base-missing` where the base is not here, `pack-failed`.
 */
export async function takePack(options: {
  gitDir: string;
  code: PackedCode;
  file: string;
  env: Environment;
  /** Default true; false where something else will keep it. */
  pin?: boolean;
}): Promise<void> {
  const { gitDir, code, file, env } = options;
  const git: Git = { env, cwd: gitDir, gitDir };
  if (code.commitObject !== null) {
    const format = code.tree.length === 64 ? 'sha256' : 'sha1';
    if (commitId(code.commitObject, format) !== code.commit) {
      throw failed('is not of this run', 'the commit is another');
    }
  }
  if (code.base !== null) {
    const known = await runGit(git, ['cat-file', '-e', `${code.base}^{commit}`]);
    if (!known.ok) {
      throw new WaddleError(
        'pack-base-missing',
        `the commit ${code.base} that the pack builds on is not here`,
        'git fetch brings it, if it was pushed; else ask for a pack without base.',
      );
    }
  }
  const input = openSync(file, 'r');
  try {
    const taken = await runGit(git, ['index-pack', '--stdin', '--fix-thin', '--strict'], input);
    if (!taken.ok) throw failed('could not be taken', taken.err);
  } finally {
    closeSync(input);
  }
  const tree = await runGit(git, ['rev-parse', '--verify', '--quiet', `${code.commit}^{tree}`]);
  if (tree.out.toString().trim() !== code.tree) {
    throw failed('is not of this run', 'it lacks the commit, or the commit has another tree');
  }
  const known = code.base === null ? [] : ['--not', code.base];
  const whole = await runGit(git, ['rev-list', '--objects', '--quiet', code.commit, ...known]);
  if (!whole.ok) throw failed('is not whole', whole.err);
  if (options.pin !== false) await pinTree({ gitDir, env, tree: code.tree });
}

function failed(what: string, said: string): WaddleError {
  return new WaddleError(
    'pack-failed',
    `the pack of the code ${what}: ${firstLine(said.trim())}`,
    'Make the pack anew; git fsck checks the store that it comes from.',
  );
}
