/** Comparing two recorded trees (or commits), in whichever git dir holds both. */
import { pathText, splitNul } from './path-text.ts';
import { type Environment, type Git, needGit } from './run-git.ts';
import { type ChangedFile, emptyTree } from './snapshot-record.ts';

interface Trees {
  gitDir: string;
  /** Ids of trees or commits; null is the tree without files. */
  a: string | null;
  b: string | null;
  env: Environment;
}

function ids({ a, b }: Trees): [string, string] {
  const empty = emptyTree((a ?? b ?? '').length === 64 ? 'sha256' : 'sha1');
  return [a ?? empty, b ?? empty];
}

/**
 * A unified patch from `a` to `b`; with `nameOnly` the changed paths, one a line; with `stat` a summary. The user's
 * diff settings and external tools have no say. Errors: `git-failed` where an id is not in the git dir.
 */
export async function diffTrees(
  options: Trees & { nameOnly?: boolean; stat?: boolean; color?: boolean },
): Promise<string> {
  const { gitDir, env } = options;
  const form = options.nameOnly ? ['--name-only'] : options.stat ? ['--stat=100'] : ['-p', '-M'];
  const color = options.color ? '--color=always' : '--color=never';
  const out = await needGit({ env, cwd: gitDir, gitDir }, [
    '-c',
    'core.quotePath=false',
    'diff-tree',
    '-r',
    '--no-ext-diff',
    '--no-textconv',
    '--src-prefix=a/',
    '--dst-prefix=b/',
    color,
    ...form,
    ...ids(options),
    '--',
  ]);
  return out.toString();
}

/** The files that differ, renames as a removal and an addition. */
export async function changedFiles(options: Trees): Promise<ChangedFile[]> {
  const { gitDir, env } = options;
  return changedIn({ env, cwd: gitDir, gitDir }, ...ids(options));
}

/** The same within a place of one's own (objects in two folders, say). */
export async function changedIn(git: Git, a: string, b: string): Promise<ChangedFile[]> {
  return parseRaw(await needGit(git, ['diff-tree', '-r', '-z', '--raw', '--no-renames', a, b, '--']));
}

/** `--raw -z`: `:<mode> <mode> <id> <id> <letter>` NUL path NUL. */
export function parseRaw(out: Buffer): ChangedFile[] {
  const parts = splitNul(out);
  const files: ChangedFile[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const head = parts[at];
    const path = parts[at + 1];
    if (!head || !path) continue;
    const letter = String.fromCharCode(head[head.length - 1] ?? 0);
    files.push({ path: pathText(path), status: statuses[letter] ?? 'M' });
  }
  return files;
}

const statuses: Readonly<Record<string, ChangedFile['status']>> = { A: 'A', D: 'D', M: 'M', T: 'T', U: 'U' };
