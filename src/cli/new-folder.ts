/**
 * Filling a new folder as one step: the work is done in a folder beside it (or in it, where it is there and empty), which
 * then takes its place. Who is killed in between leaves a folder with its name on it, that the next one removes.
 */
import { randomBytes } from 'node:crypto';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { ensureFolder } from '../journal/folder.ts';
import { identityOf, judgeLife, type ProcessIdentity } from '../journal/process-identity.ts';
import { inert } from './inert.ts';

const PREFIX = '.waddle-new-';
const OWNER = 'owner.json';

/**
 * Has `work` fill an empty folder, then makes that `target`. Gives what the work gave.
 * Errors: `folder-not-empty`, `folder-unwritable`, and those of the work; then nothing is left behind.
 */
export async function fillNewFolder<T>(target: string, work: (folder: string) => Promise<T>): Promise<T> {
  const exists = lstatSync(target, { throwIfNoEntry: false }) !== undefined;
  const place = exists ? target : dirname(target);
  try {
    if (!exists) ensureFolder(place);
    removeAbandoned(place);
    if (exists && readdirSync(target).length > 0) throw notEmpty(target);
  } catch (error) {
    if (isSystemError(error, 'ENOTDIR', 'EEXIST')) throw notEmpty(target);
    throw unwritable(place, error);
  }
  const own = join(realpathSync(place), PREFIX + randomBytes(6).toString('hex'));
  const filled = join(own, basename(target));
  try {
    mkdirSync(own, { mode: 0o700 });
    writeFileSync(join(own, OWNER), JSON.stringify(identityOf(process.pid)));
    mkdirSync(filled);
  } catch (error) {
    rmSync(own, { recursive: true, force: true });
    throw unwritable(place, error);
  }
  try {
    const result = await work(filled);
    if (exists) {
      if (readdirSync(target).some((name) => join(target, name) !== join(target, basename(own)))) {
        throw notEmpty(target);
      }
      // `.git` last: until then git does not take the folder for a repository.
      const names = readdirSync(filled).sort((a, b) => Number(a === '.git') - Number(b === '.git'));
      for (const name of names) renameSync(join(filled, name), join(target, name));
    } else renameSync(filled, target);
    return result;
  } catch (error) {
    if (isSystemError(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) throw notEmpty(target);
    throw error;
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}

function removeAbandoned(place: string): void {
  for (const name of readdirSync(place)) {
    if (!name.startsWith(PREFIX)) continue;
    const folder = join(place, name);
    try {
      const owner = JSON.parse(readFileSync(join(folder, OWNER), 'utf8')) as ProcessIdentity;
      if (judgeLife(owner) === 'dead') rmSync(folder, { recursive: true, force: true });
    } catch {
      // Killed before it had written its name (then it is empty, or nearly), or another's that cannot be read.
      const age = Date.now() - (lstatSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (age > 60_000) rmSync(folder, { recursive: true, force: true });
    }
  }
}

function notEmpty(target: string): WaddleError {
  return new WaddleError(
    'folder-not-empty',
    `${inert(target)} is there already and not an empty folder`,
    'Name a new folder.',
  );
}

function unwritable(place: string, error: unknown): unknown {
  if (!isSystemError(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC')) return error;
  return new WaddleError(
    'folder-unwritable',
    `nothing can be written in ${inert(place)}: ${error.message}`,
    'Name a folder elsewhere.',
    { cause: error },
  );
}
