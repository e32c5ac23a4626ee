/** Bringing an artifact's bytes back to disk: verified, never half a file, never outside the place that was named. */
import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream, linkSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { inert } from './inert.ts';

/** One file to be written. */
export interface FilePlan {
  /** Absolute path. */
  path: string;
  sha256: string;
  size: number;
  /** Permission bits; only the executable ones are taken over. */
  mode?: number | undefined;
}

/** An entry of a folder's manifest, as far as it can be trusted: not at all. */
interface ManifestEntry {
  path: string;
  size: number;
  sha256: string;
  mode?: number | undefined;
}

/**
 * Reads a folder's manifest.
 * @throws WaddleError where it is no list of files, or names a place outside its folder
 */
export function parseManifest(text: string): ManifestEntry[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw badManifest('it is not JSON', error);
  }
  if (!Array.isArray(value)) throw badManifest('it is not a list');
  const files = new Set<string>();
  const folders = new Set<string>();
  const entries = value.map((item: unknown): ManifestEntry => {
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
    return { path, size, sha256, mode: typeof mode === 'number' ? mode : undefined };
  });
  for (const path of files) {
    if (folders.has(path)) throw badManifest(`it names ${inert(path)} as a file and as a folder`);
  }
  return entries;
}

function badManifest(what: string, cause?: unknown): WaddleError {
  return new WaddleError(
    'manifest-invalid',
    `the artifact's list of files cannot be trusted: ${what}`,
    'Nothing was written. Log the artifact again, or pull it again.',
    { cause },
  );
}

/** Whether a manifest's path is relative and stays in its folder, on every system. */
function isInside(path: string): boolean {
  if (path === '' || path.startsWith('/') || path.includes('\0') || path.includes('\\')) return false;
  if (/^[A-Za-z]:/.test(path)) return false;
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
 * Makes the folders of a file below `top`, one by one, and refuses one that is a link or a file: a link could lead out of
 * the place that was named.
 */
export function makeFoldersBelow(top: string, parts: readonly string[]): void {
  let folder = top;
  for (const part of parts) {
    folder = join(folder, part);
    const found = whatIsAt(folder);
    if (found === 'nothing') mkdirSync(folder);
    else if (found !== 'folder') {
      throw new WaddleError(
        'in-the-way',
        `${inert(folder)} is in the way: a folder has to be there`,
        'Move it away, or name another destination.',
      );
    }
  }
}

/**
 * Writes one file from a stream of its bytes: to a temporary name first, moved in once its hash is right.
 * @throws WaddleError where the bytes are not the ones that were recorded, or a file is in the way and `force` is not set
 */
export async function writeFile(
  plan: FilePlan,
  bytes: AsyncIterable<Uint8Array>,
  options: { force: boolean },
): Promise<void> {
  const temporary = join(dirname(plan.path), `.waddle-get-${randomBytes(6).toString('hex')}.tmp`);
  const hash = createHash('sha256');
  try {
    await pipeline(
      async function* () {
        for await (const chunk of bytes) {
          hash.update(chunk);
          yield chunk;
        }
      },
      createWriteStream(temporary, { flags: 'wx', mode: ((plan.mode ?? 0) & 0o111) === 0 ? 0o666 : 0o777 }),
    );
    if (hash.digest('hex') !== plan.sha256) throw damaged(plan.path);
    if (options.force) renameSync(temporary, plan.path);
    else publish(temporary, plan.path);
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
    'waddle doctor checks the artifact store; waddle pull brings sound bytes where a collector has them.',
  );
}
