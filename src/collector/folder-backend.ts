/** Spaces in a folder: `<folder>/spaces/<name>/` is a project folder of its own, `<folder>/collector.sqlite` the registry. */
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isSystemError, WaddleError, whyUnwritable } from '../errors/waddle-error.ts';
import { ensureFolder } from '../journal/folder.ts';
import { layoutOf } from '../journal/layout.ts';
import type { Backend, Doors } from './backend.ts';
import { openFileRegistry } from './file-registry.ts';
import { FolderHome, type FolderParts } from './folder-home.ts';
import { checkSpaceName } from './tokens.ts';

export const REGISTRY_FILE = 'collector.sqlite';
const LOCK_FILE = 'collector.lock';

export function spaceFolder(folder: string, name: string): string {
  checkSpaceName(name);
  return join(folder, 'spaces', name);
}

/** Whether a collector has been here. */
export function isCollectorFolder(folder: string): boolean {
  return existsSync(join(folder, REGISTRY_FILE));
}

/**
 * Makes the folder where it is missing, with a `.gitignore` that ignores all of it.
 * @throws WaddleError `collector-is-project` where it is a project folder, `collector-unwritable`
 */
export function makeCollectorFolder(folder: string): void {
  if (existsSync(layoutOf(folder).root)) {
    throw new WaddleError(
      'collector-is-project',
      `${folder} is a project folder, and a collector needs one of its own`,
      'Name another one: waddle serve --collector --dir PATH',
      { exitCode: 2 },
    );
  }
  try {
    ensureFolder(join(folder, 'spaces'));
    writeFileSync(join(folder, '.gitignore'), '# A collector of Waddle: nothing in here is for git.\n*\n', {
      flag: 'wx',
    });
  } catch (error) {
    // The file is there.
    if (isSystemError(error, 'EEXIST') && error.syscall === 'open') return;
    throw new WaddleError(
      'collector-unwritable',
      `${folder} cannot be written: ${isSystemError(error, 'EEXIST', 'ENOTDIR') ? 'a file is in its place' : whyUnwritable(error)}`,
      'Name a folder that this account may write: --dir PATH',
      { cause: error },
    );
  }
}

/**
 * Takes the folder for this process: two that followed the same journals would be in each other's way. The system lets go of
 * it however the process ends.
 * @throws WaddleError `collector-runs`
 */
export function lockFolder(folder: string): () => void {
  const db = new DatabaseSync(join(folder, LOCK_FILE), { timeout: 0 });
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;');
  } catch {
    db.close();
    throw new WaddleError(
      'collector-runs',
      `a collector of ${folder} is running already`,
      'Use that one, or end it first.',
    );
  }
  return () => {
    if (db.isOpen) db.close();
  };
}

export function openFolderBackend(folder: string, parts: FolderParts): Backend {
  const unlock = lockFolder(folder);
  try {
    const registry = openFileRegistry(join(folder, REGISTRY_FILE));
    return {
      registry,
      open: (name: string, doors: Doors) => FolderHome.open(name, spaceFolder(folder, name), parts, doors),
      async check() {
        await registry.listSpaces();
        statSync(join(folder, 'spaces'));
      },
      async close() {
        await registry.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

/** Bytes of all files below a folder, as far as they can be seen. */
export function bytesBelow(folder: string): number {
  let bytes = 0;
  let entries: ReturnType<typeof list>;
  try {
    entries = list(folder);
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return 0;
    throw error;
  }
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) bytes += bytesBelow(path);
    else bytes += statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  }
  return bytes;
}

function list(folder: string) {
  return readdirSync(folder, { withFileTypes: true });
}
