import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** Files that say which packages a project has. */
const LOCK_FILE =
  /^(?:uv\.lock|poetry\.lock|pdm\.lock|Pipfile\.lock|pylock(?:\.[^.]+)?\.toml|pixi\.lock|conda-lock\.ya?ml|environment\.ya?ml|(?:requirements|constraints)[^/]*\.(?:txt|lock|in)|package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.yaml|bun\.lockb?|deno\.lock|Cargo\.lock|renv\.lock|Manifest\.toml|flake\.lock|go\.sum)$/;

const LARGEST = 32 * 2 ** 20;

/**
 * The SHA-256 of each lock file in the working folder and the folders above it, up to the top of the repository (or, where
 * there is none, in the working folder alone). Names are relative to that top, with `/`.
 */
export function hashLockFiles(cwd: string): Record<string, string> {
  const folders = foldersToTop(resolve(cwd));
  const top = folders.at(-1) ?? cwd;
  const hashes: [string, string][] = [];
  for (const folder of folders) {
    for (const name of namesIn(folder)) {
      if (!LOCK_FILE.test(name)) continue;
      const path = join(folder, name);
      try {
        const { size } = statSync(path);
        if (size > LARGEST) continue;
        const sha256 = createHash('sha256').update(readFileSync(path)).digest('hex');
        hashes.push([relative(top, path).replaceAll('\\', '/'), sha256]);
      } catch {
        // A folder of that name, or one that may not be read.
      }
    }
  }
  return Object.fromEntries(hashes.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function foldersToTop(cwd: string): string[] {
  const folders: string[] = [];
  for (let folder = cwd; ; folder = dirname(folder)) {
    folders.push(folder);
    if (existsSync(join(folder, '.git'))) return folders;
    if (folder === dirname(folder)) return [cwd];
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
