/**
 * Private copies of the index, under `<privateDir>/indexes/`. A snapshot works on a copy and keeps it when done: its
 * cache of file times makes the drift check after the run cheap. One kept copy belongs to one later check; any copy
 * of the same tree and folder will do, so runs of a sweep take whichever is there.
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';
import type { Environment } from './run-git.ts';

/** A copy that no check came for is removed after this many days, or when there are more than `keptLimit`. */
const keptDays = 14;
const keptLimit = 64;

/** A path for a new private index: in the private folder, or where that cannot be written in the temporary folder. */
export async function newIndexPath(privateDir: string, env: Environment): Promise<string> {
  const name = `work-${randomBytes(6).toString('hex')}`;
  const folder = join(privateDir, 'indexes');
  try {
    await mkdir(folder, { recursive: true });
    // A folder that exists need not be writable.
    const probe = await open(join(folder, name), 'wx');
    await probe.close();
    await rm(join(folder, name));
    return join(folder, name);
  } catch (error) {
    if (!isSystemError(error, 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'EEXIST')) throw error;
    const spare = join(env.TMPDIR || '/tmp', `waddle-${name}`);
    await mkdir(spare, { mode: 0o700 });
    return join(spare, 'index');
  }
}

/**
 * Copies an index with its modification time in whole seconds. git takes an entry as unchanged only if it is older
 * than the index; with a fresh time on the copy, edits of the same second and size go unseen. False: no such index.
 */
export async function copyIndex(from: string, to: string): Promise<boolean> {
  let source: Awaited<ReturnType<typeof open>>;
  try {
    source = await open(from, 'r');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false;
    throw error;
  }
  try {
    // Time and bytes of one open file: git replaces its index by renaming, so a path may name two of them.
    const { mtimeMs } = await source.stat();
    await writeFile(to, await source.readFile());
    const seconds = Math.floor(mtimeMs / 1000);
    await utimes(to, seconds, seconds);
    return true;
  } finally {
    await source.close();
  }
}

export async function removeIndex(path: string): Promise<void> {
  await rm(path, { force: true });
  await rm(`${path}.lock`, { force: true });
  // One in the temporary folder has a folder of its own.
  if (path.endsWith('/index')) await rm(path.slice(0, -'/index'.length), { recursive: true, force: true });
}

function keptName(top: string, tree: string): string {
  return `kept-${tree}-${createHash('sha256').update(top).digest('hex').slice(0, 12)}-`;
}

/** Leaves the index of a finished snapshot for the drift check; one in the temporary folder is removed. */
export async function keepIndex(path: string, privateDir: string, top: string, tree: string): Promise<void> {
  const folder = join(privateDir, 'indexes');
  await rm(`${path}.lock`, { force: true });
  try {
    if (!path.startsWith(folder)) return await removeIndex(path);
    await rename(path, join(folder, keptName(top, tree) + randomBytes(4).toString('hex')));
    await sweepIndexes(folder);
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error;
  }
}

/** Takes a kept index for oneself: its new path, or null where there is none (any more). */
export async function claimIndex(privateDir: string, top: string, tree: string): Promise<string | null> {
  const folder = join(privateDir, 'indexes');
  const start = keptName(top, tree);
  for (const name of await names(folder)) {
    if (!name.startsWith(start)) continue;
    const own = join(folder, `work-${randomBytes(6).toString('hex')}`);
    try {
      await rename(join(folder, name), own);
      return own;
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
    }
  }
  return null;
}

async function names(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** Age is by `ctime`: a copy's modification time is that of the user's index. */
async function sweepIndexes(folder: string): Promise<void> {
  const all = (await names(folder)).filter((name) => !name.startsWith('cache-'));
  if (all.length <= keptLimit / 4) return;
  const aged = await Promise.all(
    all.map(async (name) => {
      const path = join(folder, name);
      return { path, changed: (await stat(path).catch(() => null))?.ctimeMs ?? Date.now() };
    }),
  );
  aged.sort((a, b) => b.changed - a.changed);
  const oldest = Date.now() - keptDays * 86_400_000;
  for (const [index, { path, changed }] of aged.entries()) {
    if (index >= keptLimit || changed < oldest) await rm(path, { force: true });
  }
}

/** Where the index of a folder without repository is kept from one snapshot to the next. */
export function cachedIndexPath(privateDir: string, top: string): string {
  return join(privateDir, 'indexes', `cache-${createHash('sha256').update(top).digest('hex').slice(0, 24)}`);
}
