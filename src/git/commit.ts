/** Commits of Waddle's own making: the same content gives the same id, on every machine and at any time. */
import { createHash } from 'node:crypto';
import { type Environment, type Git, needGit } from './run-git.ts';

/** Fixed, so that a user without `user.email` can run, and two users of one tree share a commit. */
const identity = 'Waddle <snapshot@waddle.invalid>';

/** No run id and no name in it: the runs of a sweep share one snapshot. */
export const defaultMessage = 'Waddle snapshot of the workspace';

/** The raw object. `time` is the parent's committer time in epoch seconds; 0 where there is no parent. */
export function commitContent(options: {
  tree: string;
  parent: string | null;
  time: number;
  message?: string | undefined;
}): string {
  const { tree, parent, time } = options;
  const message = (options.message ?? '').replaceAll('\0', '').toWellFormed().trim() || defaultMessage;
  const lines = [`tree ${tree}`];
  if (parent !== null) lines.push(`parent ${parent}`);
  lines.push(`author ${identity} ${time} +0000`, `committer ${identity} ${time} +0000`);
  return `${lines.join('\n')}\n\n${message}\n`;
}

/** The id that git gives an object of this content. */
export function commitId(content: string, format: 'sha1' | 'sha256'): string {
  const bytes = Buffer.from(content);
  return createHash(format).update(`commit ${bytes.length}\0`).update(bytes).digest('hex');
}

/** Writes the commit and gives its id. Written as an object, not by `commit-tree`: no setting of the user's has a say. */
export async function writeCommit(git: Git, content: string): Promise<string> {
  const out = await needGit(git, ['hash-object', '-t', 'commit', '-w', '--stdin'], content);
  return out.toString().trim();
}

/** Writes a run's recorded commit back, bit for bit, and gives its id. Its tree has to be there: it is pinned. */
export async function bringBackCommit(options: {
  gitDir: string;
  commit_object: string;
  env: Environment;
}): Promise<string> {
  const { gitDir, env } = options;
  return writeCommit({ env, cwd: gitDir, gitDir }, options.commit_object);
}
