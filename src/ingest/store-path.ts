import { createHash } from 'node:crypto';
import { existsSync, realpathSync, statfsSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';
import type { Layout } from '../journal/layout.ts';

/** File system types (Linux, `statfs` f_type) on which SQLite's locks and shared memory do not reach other hosts. */
const NETWORK_TYPES = new Map<number, string>([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x65735546, 'FUSE'],
  [0x01021997, '9p'],
  [0x5346414f, 'AFS'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x73757245, 'Coda'],
  [0xaad7aaea, 'PanFS'],
  [0x786f4256, 'vboxsf'],
  [0x7c7c6673, 'prl_fs'],
]);

export interface StoreEnvironment {
  /** The user's cache folder (`$XDG_CACHE_HOME`, `~/.cache`, …). */
  cacheHome: string;
  /** The file system's type at a path; another only in tests. */
  fileSystemType?: (path: string) => number;
}

/**
 * Where a project's database lies: what `waddle.json` names (from the project folder on), else `.waddle/waddle.sqlite`;
 * but where that is on a network file system, a folder of this host and project in the user's cache, and where that is on
 * one too, in the system's folder for temporary files (DESIGN.md, decision 12).
 */
export function storePath(layout: Layout, configuredDb: string | null, env: StoreEnvironment): string {
  const wanted =
    configuredDb === null
      ? join(layout.root, 'waddle.sqlite')
      : isAbsolute(configuredDb)
        ? configuredDb
        : resolve(layout.project, configuredDb);
  const typeAt = env.fileSystemType ?? ((path) => statfsSync(path).type);
  if (networkTypeOf(wanted, typeAt) === null) return wanted;
  const project = realPath(layout.project);
  const key = createHash('sha256')
    .update(`${project}\0${configuredDb ?? ''}`)
    .digest('hex')
    .slice(0, 16);
  const name = `${basename(project)}-${key}`;
  const cache = join(env.cacheHome, 'waddle', 'stores', name, 'waddle.sqlite');
  if (networkTypeOf(cache, typeAt) === null) return cache;
  const temporary = join(tmpdir(), `waddle-${userInfo().uid}`, 'stores', name, 'waddle.sqlite');
  return networkTypeOf(temporary, typeAt) === null ? temporary : cache;
}

/** The name of the network file system that a path lies on, or would; null on a local one, or where nobody tells. */
function networkTypeOf(path: string, typeAt: (path: string) => number): string | null {
  try {
    return NETWORK_TYPES.get(typeAt(existing(path)) >>> 0) ?? null;
  } catch {
    return null;
  }
}

/** The path with links followed as far as it is there. */
function realPath(path: string): string {
  const there = existing(path);
  for (let at = resolve(path), rest = ''; ; rest = join(basename(at), rest), at = dirname(at)) {
    if (existing(at) === there && existsSync(at)) return join(there, rest);
  }
}

/** The path, or the nearest folder above it that is there, with links followed. */
function existing(path: string): string {
  for (let at = resolve(path); ; at = dirname(at)) {
    try {
      return realpathSync(at);
    } catch (error) {
      if (!isSystemError(error, 'ENOENT', 'ENOTDIR') || at === dirname(at)) throw error;
    }
  }
}
