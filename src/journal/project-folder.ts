import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureFolder } from './folder.ts';
import type { Layout } from './layout.ts';

/**
 * Makes `.waddle/` with a `.gitignore` of its own that ignores all of it. The file is finished before it is moved in: a
 * `git add .` beside this caught an empty one. Leaves what is there as it is.
 */
export function ensureProjectFolder(layout: Layout): void {
  ensureFolder(layout.runs);
  const ignore = join(layout.root, '.gitignore');
  if (existsSync(ignore)) return;
  // Written inside runs/, which git lists only as an untracked folder until the finished file moves up.
  const temporary = join(layout.runs, `.gitignore.${process.pid}.tmp`);
  try {
    writeFileSync(temporary, '# Made by Waddle: nothing in here is for git.\n*\n');
    renameSync(temporary, ignore);
  } finally {
    rmSync(temporary, { force: true });
  }
}
