import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { identityOf, judgeLife, type ProcessIdentity } from '../journal/process-identity.ts';

/** A holder that cannot be judged (on another host) and has not renewed its lock for so long is gone. Milliseconds. */
const STALE_MS = 60_000;
const PATIENCE_MS = 120_000;

let own: string | undefined;

/**
 * Does the work while this process alone, of all that ask for the same lock file, is at it. A lock whose holder was killed
 * is taken over. The work must be short: other processes wait.
 * @throws WaddleError `folder-busy` where another process holds it for two minutes
 */
export async function withFolderLock<T>(path: string, work: () => T | Promise<T>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (let pause = 2; !take(path); pause = Math.min(50, pause * 2)) {
    if (Date.now() > deadline) {
      throw new WaddleError(
        'folder-busy',
        `another process holds ${path}`,
        'Wait for the other push, pull or collector; where none is running, remove the file.',
      );
    }
    await new Promise((wake) => setTimeout(wake, pause));
  }
  const renew = setInterval(() => touch(path), STALE_MS / 6);
  renew.unref();
  try {
    return await work();
  } finally {
    clearInterval(renew);
    rmSync(path, { force: true });
  }
}

function take(path: string): boolean {
  try {
    write(path);
    return true;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) {
      mkdirSync(dirname(path), { recursive: true });
      return false;
    }
    if (!isSystemError(error, 'EEXIST')) throw error;
  }
  // Who takes a dead holder's lock away holds a lock for that, so that no two do and the second takes a living one's.
  if (!isStale(path)) return false;
  const breaking = `${path}.breaking`;
  try {
    write(breaking);
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error;
    if (isStale(breaking)) rmSync(breaking, { force: true });
    return false;
  }
  try {
    if (isStale(path)) rmSync(path, { force: true });
  } finally {
    rmSync(breaking, { force: true });
  }
  return false;
}

function write(path: string): void {
  const fd = openSync(path, 'wx', 0o644);
  try {
    own ??= JSON.stringify(identityOf(process.pid));
    writeSync(fd, own);
  } finally {
    closeSync(fd);
  }
}

function isStale(path: string): boolean {
  try {
    const age = Date.now() - statSync(path).mtimeMs;
    let holder: ProcessIdentity;
    try {
      holder = JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity;
    } catch {
      // Made a moment ago, or by a process that was killed before it had said who it is.
      return age > 5000;
    }
    const life = judgeLife(holder);
    return life === 'dead' || (life === 'unknown' && age > STALE_MS);
  } catch {
    return false;
  }
}

function touch(path: string): void {
  try {
    const now = new Date();
    utimesSync(path, now, now);
  } catch {
    // It was taken away: the work is checked by hash all the same.
  }
}
