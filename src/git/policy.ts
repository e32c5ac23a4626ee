/** Which untracked files a snapshot keeps, decided by name, kind and size before anything is hashed. */

import { readFileSync } from 'node:fs';
import { isAbsolute, join, relative, sep } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';
import type { FileStamp } from './file-stamp.ts';
import { type IgnorePatterns, ignorePatterns, rebasePatterns } from './ignore-patterns.ts';
import type { LeftOutReason } from './snapshot-record.ts';

export interface SnapshotPolicy {
  /** Bytes; default 10 MB. */
  maxFileBytes?: number | undefined;
  /** Bytes of all untracked files of one snapshot; default 100 MB. */
  maxTotalBytes?: number | undefined;
  /** Default 5,000. */
  maxFiles?: number | undefined;
  /** Patterns as in a `.gitignore`, relative to the top folder; they come after those of `.waddleignore`. */
  exclude?: readonly string[] | undefined;
}

export interface Policy {
  readonly maxFileBytes: number;
  readonly maxTotalBytes: number;
  readonly maxFiles: number;
  readonly exclude: IgnorePatterns;
  /** What `exclude` was made of: the lines of `.waddleignore` files, outer ones first, and those of the configuration. */
  readonly ignoreLines: readonly string[];
  readonly configuredLines: readonly string[];
  /** What the top of this repository is called in `exclude`: '' or, for a nested one, its path and `/`. */
  readonly pathPrefix: string;
}

export function policyOf(policy: SnapshotPolicy | undefined): Policy {
  return {
    maxFileBytes: policy?.maxFileBytes ?? 10 * 2 ** 20,
    maxTotalBytes: policy?.maxTotalBytes ?? 100 * 2 ** 20,
    maxFiles: policy?.maxFiles ?? 5000,
    exclude: ignorePatterns(policy?.exclude ?? []),
    ignoreLines: [],
    configuredLines: policy?.exclude ?? [],
    pathPrefix: '',
  };
}

export const IGNORE_FILE = '.waddleignore';

/** A policy with the `.waddleignore` of `top` too, and of the folders from there down to `cwd`. */
export function withIgnoreFiles(policy: Policy, top: string, cwd: string): Policy {
  const steps = relative(top, cwd).split(sep).filter(Boolean);
  const inside = steps[0] === '..' || isAbsolute(steps[0] ?? '') ? [] : steps;
  const lines: string[] = [];
  for (let depth = 0; depth <= inside.length; depth += 1) {
    const below = inside.slice(0, depth);
    const path = join(top, ...below, IGNORE_FILE);
    const base = policy.pathPrefix + below.map((step) => `${step}/`).join('');
    try {
      lines.push(...rebasePatterns(readFileSync(path, 'utf8').split('\n'), base));
    } catch (error) {
      // One that may not be read is none: the snapshot then holds more, never less.
      if (!isSystemError(error, 'ENOENT', 'ENOTDIR', 'EISDIR', 'EACCES', 'EPERM', 'ELOOP')) throw error;
    }
  }
  if (lines.length === 0) return policy;
  const ignoreLines = [...policy.ignoreLines, ...lines];
  return { ...policy, ignoreLines, exclude: ignorePatterns([...ignoreLines, ...policy.configuredLines]) };
}

/** What a program made and can make again: never code, in a repository that forgot to ignore it. */
const madeAgain = ['__pycache__/', '*.pyc', 'node_modules/', '.ipynb_checkpoints/', '.DS_Store'];

/** Where there is no repository there may be no `.gitignore` either, so more is taken for granted. */
export const folderIgnores = [
  ...madeAgain,
  '.git',
  '.hg/',
  '.svn/',
  '.waddle/',
  '.venv/',
  'venv/',
  '.tox/',
  '.nox/',
  '.conda/',
  '.mypy_cache/',
  '.pytest_cache/',
  '.ruff_cache/',
  '.cache/',
  '.idea/',
  'wandb/',
  'mlruns/',
];

const made = ignorePatterns(madeAgain);

/** True for anything of Waddle's own: `.waddle` at any depth. */
export function isWaddles(path: string): boolean {
  return path.includes('.waddle') && /(?:^|\/)\.waddle(?:\/|$)/.test(path);
}

/** What the path is excluded by name as, the user's patterns first; null where it is not. */
export function excludedAs(path: string, policy: Policy): string | null {
  const whole = policy.exclude.match(policy.pathPrefix + path);
  if (whole !== null) return whole.slice(policy.pathPrefix.length) || './';
  return made.match(path);
}

/** Python environments by what every one of them holds, whatever its folder is called. */
export function environmentFolders(paths: readonly string[]): string[] {
  return paths
    .filter((path) => path.endsWith('/pyvenv.cfg'))
    .map((path) => path.slice(0, -'pyvenv.cfg'.length));
}

/** The folder of `folders` (each ending in `/`) that `path` is in, or null. */
export function folderIn(path: string, folders: ReadonlySet<string>): string | null {
  if (folders.size === 0) return null;
  for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
    if (folders.has(path.slice(0, at + 1))) return path.slice(0, at + 1);
  }
  return null;
}

const secretName =
  /^(?:\.env(?:rc|[.\-_].*)?|.*\.env|.*\.(?:pem|key|p12|pfx|jks|keystore|kdbx|ppk)|\.?_?netrc|\.pgpass|\.pypirc|\.git-credentials|\.htpasswd|kaggle\.json|credentials(?:\.json)?|secrets?\.(?:ya?ml|json|toml)|service[-_]account.*\.json|\.vault[-_](?:token|pass(?:word)?)|id_(?:rsa|dsa|ecdsa|ed25519|xmss)(?:_sk)?(?:[.\-_].*)?)$/i;
const harmlessName = /(?:\.pub|[.\-_](?:example|sample|template|dist|defaults?)|\.py)$/i;
const secretFolder = /(?:^|\/)\.(?:ssh|gnupg|aws|azure|kube|docker)\//;

/** True for names under which people keep keys and passwords. `.env.example`, `id_mapping.py` and `*.pub` are not. */
export function looksSecret(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return secretFolder.test(path) || (secretName.test(name) && !harmlessName.test(name));
}

export interface Candidate {
  readonly path: Buffer;
  readonly text: string;
  readonly stamp: FileStamp;
}

export interface Refused {
  readonly candidate: Candidate;
  readonly reason: LeftOutReason;
}

/**
 * Splits untracked files into what is kept and what is not. Where there are too many or they are too large together,
 * code goes first; then the other files by folder, small folders before large ones and each as a whole or not at all:
 * half a data folder helps nobody, and a folder left out is named in one line.
 */
export function applyPolicy(
  candidates: readonly Candidate[],
  policy: Policy,
): { kept: Candidate[]; refused: Refused[] } {
  const allowed: Candidate[] = [];
  const refused: Refused[] = [];
  for (const candidate of candidates) {
    const { stamp, text } = candidate;
    if (stamp.kind === 'special') refused.push({ candidate, reason: 'special' });
    else if (looksSecret(text)) refused.push({ candidate, reason: 'secret' });
    else if (stamp.size > policy.maxFileBytes) refused.push({ candidate, reason: 'size' });
    else if (!stamp.readable) refused.push({ candidate, reason: 'unreadable' });
    else allowed.push(candidate);
  }
  if (allowed.length <= policy.maxFiles && bytesOf(allowed) <= policy.maxTotalBytes) {
    return { kept: allowed, refused };
  }
  const kept: Candidate[] = [];
  let bytes = 0;
  for (const group of groupsByWorth(allowed)) {
    const size = bytesOf(group);
    const reason =
      kept.length + group.length > policy.maxFiles
        ? 'count'
        : bytes + size > policy.maxTotalBytes
          ? 'total'
          : null;
    if (reason !== null) refused.push(...group.map((candidate) => ({ candidate, reason }) as const));
    else {
      kept.push(...group);
      bytes += size;
    }
  }
  return { kept, refused };
}

function bytesOf(candidates: readonly Candidate[]): number {
  return candidates.reduce((sum, each) => sum + each.stamp.size, 0);
}

/** Code and files at the top one by one, the rest folder by folder; the most useful first, ties by path. */
function groupsByWorth(candidates: readonly Candidate[]): Candidate[][] {
  const sorted = candidates.toSorted((a, b) => a.stamp.size - b.stamp.size || Buffer.compare(a.path, b.path));
  const code = sorted.filter((each) => codeName.test(each.text));
  const rest = sorted.filter((each) => !codeName.test(each.text));
  const folders = Map.groupBy(rest, (each) => each.text.slice(0, each.text.lastIndexOf('/') + 1));
  const loose = folders.get('') ?? [];
  folders.delete('');
  const whole = [...folders.values()].sort((a, b) => bytesOf(a) - bytesOf(b) || a.length - b.length);
  return [...code.map((each) => [each]), ...loose.map((each) => [each]), ...whole];
}

const codeName =
  /\.(?:py|pyi|pyx|ipynb|ts|tsx|js|mjs|cjs|jsx|sh|bash|toml|ya?ml|cfg|ini|md|r|rmd|jl|c|cc|cpp|cu|cuh|h|hpp|rs|go|java|scala|lua|m|sql|proto|nix|lock|gin|jsonnet)$|(?:^|\/)(?:Makefile|Dockerfile|requirements[^/]*\.txt)$/i;
