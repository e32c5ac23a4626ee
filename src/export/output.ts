import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Writable } from 'node:stream';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { ensureFolder } from '../journal/folder.ts';
import type { Sink } from './table.ts';

/** A sink over a stream that waits where the reader is slower. The stream is not ended. Throws the stream's own error. */
export async function writeToStream<T>(stream: Writable, write: (sink: Sink) => Promise<T>): Promise<T> {
  let failure: Error | undefined;
  const onError = (error: Error) => {
    failure = error;
  };
  stream.on('error', onError);
  try {
    return await write({
      write: async (bytes) => {
        if (failure !== undefined) throw failure;
        // `once` throws on an error; a stream that was closed would never drain.
        if (!stream.write(bytes) && !stream.destroyed)
          await Promise.race([once(stream, 'drain'), once(stream, 'close')]);
        if (failure !== undefined) throw failure;
        if (stream.destroyed) throw Object.assign(new Error('the reader has gone'), { code: 'EPIPE' });
      },
    });
  } finally {
    stream.off('error', onError);
  }
}

/**
 * Writes a file in one step: under another name beside it, then renamed, so that nobody sees half of one and a failure
 * leaves an older file as it was. A link's target is replaced, not the link; a device or a pipe is written to.
 */
export async function writeToFile<T>(path: string, write: (sink: Sink) => Promise<T>): Promise<T> {
  const { target, special } = await targetOf(path);
  if (special) {
    const handle = await open(target, 'w').catch((error: unknown) => fail(path, error));
    try {
      return await write(handleSink(handle));
    } finally {
      await handle.close();
    }
  }
  const temporary = join(
    dirname(target),
    `.${basename(target).slice(0, 100)}.${randomBytes(4).toString('hex')}.tmp`,
  );
  const handle = await open(temporary, 'wx').catch((error: unknown) => fail(path, error));
  try {
    let result: T;
    try {
      result = await write(handleSink(handle));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, target);
    return result;
  } catch (error) {
    await rm(temporary, { force: true });
    return fail(path, error);
  }
}

async function targetOf(path: string): Promise<{ target: string; special: boolean }> {
  try {
    const target = await realpath(path);
    const found = await stat(target);
    return { target, special: !found.isFile() };
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return { target: path, special: false };
    return fail(path, error);
  }
}

function handleSink(handle: FileHandle): Sink {
  return {
    write: async (bytes) => {
      await handle.writeFile(bytes);
    },
  };
}

/** Makes a folder and those above it. */
export async function makeFolder(path: string): Promise<void> {
  try {
    ensureFolder(path);
  } catch (error) {
    fail(path, error);
  }
}

export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return false;
    return fail(path, error);
  }
}

/** What a person can act on, where the system failed for a known reason; else the error as it was. */
function fail(path: string, error: unknown): never {
  if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EEXIST')) {
    throw new WaddleError(
      'export-no-folder',
      `${path} cannot be made: there is no folder ${dirname(path)}`,
      'make the folder first, or name another place with --out',
      { cause: error },
    );
  }
  if (isSystemError(error, 'EACCES', 'EPERM', 'EROFS')) {
    throw new WaddleError(
      'export-not-allowed',
      `${path} cannot be written`,
      'name another place with --out',
      {
        cause: error,
      },
    );
  }
  if (isSystemError(error, 'ENOSPC', 'EDQUOT', 'EFBIG')) {
    throw new WaddleError(
      'export-no-room',
      `there is no room for ${path}`,
      'free some space, or name another place with --out',
      {
        cause: error,
      },
    );
  }
  throw error;
}
