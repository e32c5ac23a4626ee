/** What `lstat` says of a file, to decide on it before it is hashed and to tell afterwards whether it moved. */
import { accessSync, constants, lstatSync } from 'node:fs';
import { isSystemError } from '../errors/waddle-error.ts';
import { below } from './path-text.ts';

export interface FileStamp {
  readonly kind: 'file' | 'link' | 'folder' | 'special';
  /** Bytes. */
  readonly size: number;
  /** Epoch seconds. */
  readonly mtime: number;
  readonly executable: boolean;
  readonly readable: boolean;
  /** Changes with every write, rename or change of mode. */
  readonly mark: string;
}

/** Null where there is no such file. */
export function fileStamp(top: string, path: Buffer): FileStamp | null {
  const whole = below(top, path);
  try {
    const stat = lstatSync(whole, { throwIfNoEntry: false });
    if (!stat) return null;
    const kind = stat.isFile()
      ? 'file'
      : stat.isSymbolicLink()
        ? 'link'
        : stat.isDirectory()
          ? 'folder'
          : 'special';
    return {
      kind,
      size: kind === 'folder' ? 0 : stat.size,
      mtime: stat.mtimeMs / 1000,
      executable: (stat.mode & 0o100) !== 0,
      readable: kind !== 'file' || canRead(whole),
      mark: `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs} ${stat.mode}`,
    };
  } catch (error) {
    // ENOTDIR: a parent has become a file. Anything else: the file is there, but not for us.
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return null;
    return { kind: 'file', size: 0, mtime: 0, executable: false, readable: false, mark: 'unreadable' };
  }
}

function canRead(path: Buffer): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** `stamp` for many files: synchronous calls are ten times cheaper each; a pause now and then lets others run. */
export async function fileStamps(top: string, paths: readonly Buffer[]): Promise<(FileStamp | null)[]> {
  const stamps: (FileStamp | null)[] = [];
  for (const path of paths) {
    stamps.push(fileStamp(top, path));
    if (stamps.length % 2000 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return stamps;
}
