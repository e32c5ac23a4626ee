/** Bringing an artifact's bytes back to disk: verified, never half a file, never outside the place that was named. */
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream, linkSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { ManifestEntry } from '../blobs/folder-manifest.ts';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { inert } from './inert.ts';

/**
 * Checks a folder's manifest, which may come from anybody.
 * @throws WaddleError where it is no list of files, or names a place outside its folder
 */
export function checkManifest(entries: readonly unknown[]): ManifestEntry[] {
  const files = new Set<string>();
  const folders = new Set<string>();
  const checked = entries.map((item): ManifestEntry => {
    if (typeof item !== 'object' || item === null) throw badManifest('an entry is not an object');
    const { path, size, sha256, mode } = item as Record<string, unknown>;
    if (typeof path !== 'string' || !isInside(path)) {
      throw badManifest(`it names a file outside its folder: ${inert(String(path)).slice(0, 200)}`);
    }
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256) || typeof size !== 'number') {
      throw badManifest(`the entry of ${inert(path)} lacks its hash or size`);
    }
    if (files.has(path)) throw badManifest(`it names ${inert(path)} twice`);
    files.add(path);
    for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) folders.add(folder);
    return { path, size, sha256, mode: typeof mode === 'number' ? mode : 0o644 };
  });
  for (const path of files) {
    if (folders.has(path)) throw badManifest(`it names ${inert(path)} as a file and as a folder`);
  }
  return checked;
}

export function badManifest(what: string): WaddleError {
  return new WaddleError(
    'manifest-invalid',
    `the artifact's list of files cannot be trusted: ${what}`,
    'Nothing was written. Log the artifact again, or pull it again.',
  );
}

/**
 * Whether a manifest's path is relative and stays in its folder. A backslash parts folders on Windows alone; elsewhere it
 * is a character of names, and a byte that is not UTF-8 is written with one (`\xNN`).
 */
function isInside(path: string): boolean {
  if (path === '' || path.startsWith('/') || path.includes('\0')) return false;
  if (sep === '\\' && (path.includes('\\') || /^[A-Za-z]:/.test(path))) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}

/** The last part of an artifact's name, as the name of a file of the user's; undefined where there is no safe one. */
export function safeFileName(name: string): string | undefined {
  const last = name.split(/[/\\]/).findLast((part) => part !== '');
  if (last === undefined || last === '.' || last === '..' || /\p{Cc}/u.test(last)) return undefined;
  return last;
}

/** What stands at a path, links not followed. */
export function whatIsAt(path: string): 'nothing' | 'file' | 'folder' | 'other' {
  try {
    const stat = lstatSync(path);
    return stat.isDirectory() ? 'folder' : stat.isFile() ? 'file' : 'other';
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return 'nothing';
    throw error;
  }
}

/**
 * Looks where the files of a folder are to go, before anything is written.
 * @throws WaddleError where a link or a file stands where a folder is needed (a link could lead out of the place that was
 * named), or where a file is in the way and `force` is not set
 */
export function checkPlaces(top: string, entries: readonly ManifestEntry[], force: boolean): void {
  const seen = new Set<string>();
  for (const { path } of entries) {
    const parts = path.split('/');
    for (let depth = 0; depth < parts.length; depth += 1) {
      const place = join(top, ...parts.slice(0, depth));
      if (seen.has(place)) continue;
      seen.add(place);
      const found = whatIsAt(place);
      if (found !== 'folder' && found !== 'nothing') throw inTheWay(place);
    }
    const found = whatIsAt(join(top, path));
    if (found === 'folder') throw inTheWay(join(top, path));
    if (found !== 'nothing' && !force) throw occupied(join(top, path));
  }
}

/** Makes the folders above a file, one by one, following no link. */
export function makeFolders(top: string, path: string): void {
  let folder = top;
  for (const part of path.split('/').slice(0, -1)) {
    folder = join(folder, part);
    const found = whatIsAt(folder);
    if (found === 'nothing') mkdirSync(folder);
    else if (found !== 'folder') throw inTheWay(folder);
  }
}

function inTheWay(path: string): WaddleError {
  return new WaddleError(
    'in-the-way',
    `${inert(path)} is in the way`,
    'Move it away, or name another destination.',
  );
}

/**
 * Writes one file from a stream of its bytes: to a temporary name beside it first, moved in once its hash is right.
 * @throws WaddleError where the bytes are not the ones that were recorded, or a file is in the way and `force` is not set
 */
export async function writeVerified(
  file: { path: string; sha256: string; executable: boolean },
  bytes: AsyncIterable<Uint8Array>,
  options: { force: boolean },
): Promise<void> {
  const temporary = join(dirname(file.path), `.waddle-get-${randomBytes(6).toString('hex')}.tmp`);
  const hash = createHash('sha256');
  try {
    await pipeline(
      async function* () {
        for await (const chunk of bytes) {
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(temporary, { flags: 'wx', mode: file.executable ? 0o777 : 0o666 }),
    );
    if (hash.digest('hex') !== file.sha256) throw damaged(file.path);
    if (options.force) renameSync(temporary, file.path);
    else publish(temporary, file.path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Gives the finished file its name, without ever replacing another: a hard link fails where the name is taken. */
function publish(temporary: string, path: string): void {
  try {
    linkSync(temporary, path);
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) throw occupied(path);
    // A file system without hard links.
    if (whatIsAt(path) !== 'nothing') throw occupied(path);
    renameSync(temporary, path);
  }
}

export function occupied(path: string): WaddleError {
  return new WaddleError('file-exists', `${inert(path)} is there already`, 'To replace it: --force');
}

export function damaged(what: string): WaddleError {
  return new WaddleError(
    'artifact-damaged',
    `the stored bytes of ${inert(what)} are not the ones that were logged`,
    'waddle doctor says which files of the artifact store are damaged.',
  );
}
