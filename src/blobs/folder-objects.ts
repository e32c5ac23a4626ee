/** Objects as files of a folder: a shared disk, the target of an rsync, a mounted bucket. */
import { randomBytes } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { link, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { isKey, type ListedObject, type ObjectStore } from './object-store.ts';

/** Left by a writer that was killed; passed over by every list. */
const TEMPORARY = '.tmp-';

export class FolderObjects implements ObjectStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  #path(key: string): string {
    if (!isKey(key)) throw new WaddleError('key-invalid', `"${key}" is no key`, 'It is a bug in Waddle.');
    return join(this.#folder, key);
  }

  async putIfAbsent(key: string, content: Uint8Array | { file: string }): Promise<boolean> {
    const path = this.#path(key);
    if ((await this.head(key)) !== null) return false;
    await mkdir(dirname(path), { recursive: true });
    const temporary = join(dirname(path), `${TEMPORARY}${process.pid}-${randomBytes(6).toString('hex')}`);
    try {
      const handle = await open(temporary, 'wx', 0o644);
      try {
        if (content instanceof Uint8Array) await handle.writeFile(content);
        else await handle.writeFile(createReadStream(content.file));
        await handle.sync();
      } finally {
        await handle.close();
      }
      return await this.#moveIn(temporary, path);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** By a link, which fails where another was quicker; a mounted bucket has no links, and there the last one wins: both are whole. */
  async #moveIn(temporary: string, path: string): Promise<boolean> {
    try {
      await link(temporary, path);
    } catch (error) {
      if (isSystemError(error, 'EEXIST')) return false;
      await rename(temporary, path);
    }
    try {
      const handle = await open(dirname(path), 'r');
      await handle.sync().finally(() => handle.close());
    } catch {
      // Some file systems refuse to sync a folder.
    }
    return true;
  }

  async get(key: string, start = 0, length = Number.MAX_SAFE_INTEGER): Promise<Uint8Array | null> {
    let handle: Awaited<ReturnType<typeof open>>;
    try {
      handle = await open(this.#path(key), 'r');
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return null;
      throw error;
    }
    try {
      const { size } = await handle.stat();
      const bytes = Buffer.allocUnsafe(Math.max(0, Math.min(length, size - start)));
      let filled = 0;
      while (filled < bytes.length) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, start + filled);
        if (bytesRead === 0) break;
        filled += bytesRead;
      }
      return bytes.subarray(0, filled);
    } finally {
      await handle.close();
    }
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    yield* this.#walk(folder, prefix);
  }

  async *#walk(folder: string, prefix: string): AsyncGenerator<ListedObject> {
    let entries: Awaited<ReturnType<typeof namesIn>>;
    try {
      entries = await namesIn(join(this.#folder, folder));
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return;
      throw error;
    }
    for (const { name, isFolder } of entries) {
      const key = folder + name;
      if (!isKey(key) || !(key.startsWith(prefix) || prefix.startsWith(`${key}/`))) continue;
      if (isFolder) yield* this.#walk(`${key}/`, prefix);
      else {
        const stats = await this.#stat(key);
        if (stats !== null) yield { key, size: stats.size, modified: stats.mtimeMs };
      }
    }
  }

  async head(key: string): Promise<number | null> {
    return (await this.#stat(key))?.size ?? null;
  }

  async #stat(key: string): Promise<Stats | null> {
    try {
      return await stat(this.#path(key));
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return null;
      throw error;
    }
  }

  async delete(key: string): Promise<void> {
    await rm(this.#path(key), { force: true });
  }
}

async function namesIn(folder: string): Promise<{ name: string; isFolder: boolean }[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() || entry.isFile())
    .map((entry) => ({ name: entry.name, isFolder: entry.isDirectory() }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
