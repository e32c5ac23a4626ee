/** A branch at recorded code, in the user's own repository: the one ref outside of `refs/waddle` that is ever written. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { commitContent, commitId, writeCommit } from './commit.ts';
import { makePack, takePack } from './pack.ts';
import type { RecordedCode } from './recorded-code.ts';
import { type Environment, firstLine, type Git, needGit, runGit } from './run-git.ts';

export interface MadeBranch {
  commit: string;
  /** False: the recorded commit or its parent is gone, and the branch begins with a commit of the same tree. */
  recorded: boolean;
}

/**
 * Makes the branch at the recorded commit; its objects come over where another store has them. HEAD, index and working
 * folder stay as they are.
 * @param gitDir the git dir of the user's repository
 * Errors: `branch-invalid`, `branch-exists`, `git-failed`, `pack-failed`.
 */
export async function makeBranch(options: {
  code: RecordedCode;
  name: string;
  gitDir: string;
  env: Environment;
}): Promise<MadeBranch> {
  const { code, name, gitDir, env } = options;
  const git: Git = { env, cwd: gitDir, gitDir };
  const ref = `refs/heads/${name}`;
  if (name.startsWith('-') || name === 'HEAD' || !(await runGit(git, ['check-ref-format', ref])).ok) {
    throw new WaddleError(
      'branch-invalid',
      `"${name}" cannot be a branch's name`,
      'Such as: --into-branch old-run',
      { exitCode: 2 },
    );
  }
  if ((await runGit(git, ['show-ref', '--verify', '--quiet', ref])).ok) throw exists(name);
  const { commit, content, recorded } = await commitFor(code, git);
  if (code.gitDir !== gitDir) await bringOver(code, commit, content, gitDir, env);
  else if (content !== null) await writeCommit(git, content);
  const made = await runGit(git, ['update-ref', ref, commit, '0'.repeat(commit.length)]);
  if (made.ok) return { commit, recorded };
  if (/already exists|reference already/.test(made.err)) throw exists(name);
  throw new WaddleError(
    'git-failed',
    `the branch could not be made: ${firstLine(made.err)}`,
    'Check that the repository can be written; a branch a/b cannot be where there is a branch a.',
  );
}

function exists(name: string): WaddleError {
  return new WaddleError(
    'branch-exists',
    `there is a branch ${name} already`,
    'Name another; no branch of yours is ever moved.',
  );
}

/** The recorded commit where its history is in the user's repository; a branch must not lead to what is missing. */
async function commitFor(code: RecordedCode, git: Git): Promise<MadeBranch & { content: string | null }> {
  const { commit, commitObject, tree } = code;
  const has = async (id: string) => (await runGit(git, ['rev-list', '--quiet', id])).ok;
  if (commit !== null && commitObject !== null) {
    const parents = [...commitObject.matchAll(/^parent ([0-9a-f]+)$/gm)].map((match) => match[1] ?? '');
    if ((await Promise.all(parents.map(has))).every(Boolean)) {
      return { commit, content: commitObject, recorded: true };
    }
  } else if (commit !== null && (await has(commit))) {
    return { commit, content: null, recorded: true };
  }
  const content = commitContent({ tree, parent: null, time: 0 });
  return { commit: commitId(content, code.format), content, recorded: false };
}

async function bringOver(
  code: RecordedCode,
  commit: string,
  content: string | null,
  gitDir: string,
  env: Environment,
): Promise<void> {
  const place: Git = { env, cwd: gitDir, gitDir };
  const format = (await needGit(place, ['rev-parse', '--show-object-format'])).toString().trim();
  if (format !== code.format) {
    throw new WaddleError(
      'git-failed',
      `the repository has ${format} names, the recorded code ${code.format} ones`,
      'Without --into-branch, waddle checkout brings it into a folder.',
    );
  }
  const folder = await mkdtemp(join(env.TMPDIR || tmpdir(), 'waddle-pack-'));
  try {
    const packed = { commit, commitObject: content, tree: code.tree, base: null };
    const file = join(folder, 'code.pack');
    await makePack({ gitDir: code.gitDir, code: packed, file, env });
    await takePack({ gitDir, code: packed, file, env, pin: false });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
