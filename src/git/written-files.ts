/** What a job wrote into a copy of recorded code: told by the index that Waddle keeps of it, which no job can reach. */
import { pathText, splitNul } from './path-text.ts';
import { type Environment, type Git, needGit, runGitPastFilters } from './run-git.ts';

export interface WrittenPath {
  /** Relative to the top of the tree; a folder that holds nothing of the tree ends in `/`. */
  path: Buffer;
  text: string;
  change: 'new' | 'changed' | 'removed';
}

/** New files (ignored ones too), and files of the tree that differ from it, by path. Errors: `git-failed`. */
export async function findWrittenFiles(options: {
  gitDir: string;
  folder: string;
  index: string;
  env: Environment;
}): Promise<WrittenPath[]> {
  const { gitDir, folder, index, env } = options;
  const git: Git = { env, cwd: folder, gitDir, workTree: folder, indexFile: index, rawFilters: [] };
  const [others, changed] = await Promise.all([
    needGit(git, ['ls-files', '-z', '--others', '--directory', '--no-empty-directory']),
    runGitPastFilters(git, [
      '-c',
      'diff.autoRefreshIndex=true',
      'diff',
      '--raw',
      '-z',
      '--no-renames',
      '--no-ext-diff',
      '--no-color',
      '--ignore-submodules=all',
    ]),
  ]);
  const found: WrittenPath[] = splitNul(others).map((path) => ({
    path,
    text: pathText(path),
    change: 'new',
  }));
  const fields = splitNul(changed.out);
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const path = fields[at + 1] ?? Buffer.alloc(0);
    const removed = fields[at]?.toString().endsWith(' D') === true;
    found.push({ path, text: pathText(path), change: removed ? 'removed' : 'changed' });
  }
  return found.sort((a, b) => Buffer.compare(a.path, b.path));
}

/** What a program makes beside code and can make again. */
export function isMadeAgain(text: string): boolean {
  return /(?:^|\/)(?:__pycache__|\.ipynb_checkpoints|\.pytest_cache)\/|\.py[co]$/.test(text);
}
