import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CONFIG_FILE } from './config.ts';

/**
 * The project folder of a working directory: the nearest folder upwards with a `waddle.json` or a `.waddle/`, else the
 * top of the git repository around it, else the working directory itself. A `.git` file (linked worktree, submodule)
 * counts as a top too.
 */
export function findProject(cwd: string): string {
  let repository: string | undefined;
  for (let folder = resolve(cwd); ; folder = dirname(folder)) {
    if (existsSync(join(folder, CONFIG_FILE)) || existsSync(join(folder, '.waddle'))) return folder;
    if (repository === undefined && existsSync(join(folder, '.git'))) repository = folder;
    if (folder === dirname(folder)) return repository ?? resolve(cwd);
  }
}
