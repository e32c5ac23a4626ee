import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';

/**
 * Makes a folder that a person named, with those above it; leaves one that is there. Node's own `recursive` never ends where a
 * file system takes no folders and says so with ENOENT (`/proc`): here that is the error.
 * @param mode of the folder itself; those above it get the usual one
 */
export function ensureFolder(path: string, mode?: number): void {
  try {
    makeOne(path, mode);
  } catch (error) {
    const above = dirname(path);
    if (!isSystemError(error, 'ENOENT') || above === path) throw error;
    ensureFolder(above);
    makeOne(path, mode);
  }
}

function makeOne(path: string, mode?: number): void {
  try {
    mkdirSync(path, mode);
  } catch (error) {
    // Not every system says EEXIST of a folder that it would not let be made either.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}
