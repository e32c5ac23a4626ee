/** Comparing two recorded trees (or commits), in whichever git dir holds both. */
import { join } from 'node:path';
import { pathText, splitNul } from './path-text.ts';
import { type Environment, type Git, needGit } from './run-git.ts';
import { type ChangedFile, emptyTree } from './snapshot-record.ts';

interface Trees {
  gitDir: string;
  /** Ids of trees or commits; null is the tree without files. */
  a: string | null;
  b: string | null;
  env: Environment;
  /** A further folder of objects. */
  objects?: string | undefined;
}

/** Without an index: git would read the user's for its attributes, and that may be broken. */
function placeOf(gitDir: string, env: Environment, objects?: string): Git {
  return { env, cwd: gitDir, gitDir, indexFile: join(gitDir, 'no-such-index'), alternate: objects };
}

function ids({ a, b }: Trees): [string, string] {
  const empty = emptyTree((a ?? b ?? '').length === 64 ? 'sha256' : 'sha1');
  return [a ?? empty, b ?? empty];
}

/**
 * A unified patch from `a` to `b`; with `nameOnly` the changed paths, one a line; with `stat` a summary. The user's
 * diff settings and external tools have no say. Errors: `git-failed` where an id is not in the git dir.
 */
export async function diffTrees(
  options: Trees & { nameOnly?: boolean; stat?: boolean; color?: boolean },
): Promise<string> {
  const { gitDir, env, objects } = options;
  const form = options.nameOnly ? ['--name-only'] : options.stat ? ['--stat=100'] : ['-p', '-M'];
  const color = options.color ? '--color=always' : '--color=never';
  const out = await needGit(placeOf(gitDir, env, objects), [
    '-c',
    'core.quotePath=false',
    'diff-tree',
    '-r',
    '--no-ext-diff',
    '--no-textconv',
    '--src-prefix=a/',
    '--dst-prefix=b/',
    color,
    ...form,
    ...ids(options),
    '--',
  ]);
  return out.toString();
}

/** Code to be compared: a tree in some git dir, and the trees of the repositories nested in it. */
export interface CodeSide {
  gitDir: string;
  /** Null is the tree without files. */
  tree: string | null;
  nested: readonly { path: string; tree: string; gitDir: string }[];
}

/** One file that differs. Lines are counted as git counts them. */
export interface FileDiff {
  path: string;
  /** What a renamed file was called in `a`; null for every other. */
  old_path: string | null;
  status: 'A' | 'M' | 'D' | 'T' | 'R';
  /** Null where the file is binary. */
  added: number | null;
  removed: number | null;
  /** A commit of a repository whose files the snapshot does not hold. */
  submodule: boolean;
}

interface TreePair {
  /** Where the nested repository lies, ending in `/`; '' for the outermost. */
  prefix: string;
  git: Git;
  a: string;
  b: string;
}

/** The files that differ between two sides, whichever stores they are in; renames found. Errors: `git-failed`. */
export async function diffFiles(a: CodeSide, b: CodeSide, env: Environment): Promise<FileDiff[]> {
  const lists = await Promise.all(
    pairsOf(a, b, env).map(async (pair) => {
      const out = await needGit(pair.git, [...plain, '-z', '--raw', '--numstat', '-M', pair.a, pair.b, '--']);
      return parseNumstat(out).map((file) => ({
        ...file,
        path: pair.prefix + file.path,
        old_path: file.old_path === null ? null : pair.prefix + file.old_path,
      }));
    }),
  );
  const inner = new Set([...a.nested, ...b.nested].map((each) => each.path));
  // A nested repository is told by its files.
  const files = lists.flat().filter((file) => !inner.has(file.path));
  return files.sort((x, y) => (x.path < y.path ? -1 : 1));
}

/**
 * A unified patch as bytes, since files are: names from the outermost top, renames found, binary files named. It is what
 * `git apply` takes. `files` is what `diffFiles` gave for the same sides.
 */
export async function diffPatch(
  a: CodeSide,
  b: CodeSide,
  options: { env: Environment; files: readonly FileDiff[]; color?: boolean },
): Promise<Buffer> {
  const color = options.color ? '--color=always' : '--color=never';
  const patches = pairsOf(a, b, options.env).map(async (pair) => {
    const sides = [`--src-prefix=a/${pair.prefix}`, `--dst-prefix=b/${pair.prefix}`];
    const shown = [...plain, '-p', '-M', color, ...sides];
    // A nested repository is told by its files; a submodule that was not there, by its commit.
    const links = options.files
      .filter((file) => file.submodule && file.path.startsWith(pair.prefix))
      .map((file) => file.path.slice(pair.prefix.length));
    return Buffer.concat([
      await needGit(pair.git, [...shown, '--ignore-submodules=all', pair.a, pair.b, '--']),
      links.length === 0
        ? Buffer.alloc(0)
        : await needGit(pair.git, [...shown, '--no-renames', pair.a, pair.b, '--', ...links]),
    ]);
  });
  return Buffer.concat(await Promise.all(patches));
}

/** The user's diff settings and external tools have no say. */
const plain = ['-c', 'core.quotePath=false', 'diff-tree', '-r', '--no-ext-diff', '--no-textconv'];

/** The outermost trees and those of nested repositories that differ; each pair in a place that reads both stores. */
function pairsOf(a: CodeSide, b: CodeSide, env: Environment): TreePair[] {
  const pairs: TreePair[] = [];
  const add = (prefix: string, x: Tree | undefined, y: Tree | undefined): void => {
    const [left, right] = ids({ gitDir: '', a: x?.tree ?? null, b: y?.tree ?? null, env });
    const gitDir = x?.gitDir ?? y?.gitDir;
    if (left === right || gitDir === undefined) return;
    const other = y !== undefined && y.gitDir !== gitDir ? join(y.gitDir, 'objects') : undefined;
    pairs.push({
      prefix,
      git: { ...placeOf(gitDir, env), alternate: other },
      a: left,
      b: right,
    });
  };
  add('', a, b);
  for (const path of new Set([...a.nested, ...b.nested].map((each) => each.path).sort())) {
    const find = (side: CodeSide) => side.nested.find((each) => each.path === path);
    add(`${path}/`, find(a), find(b));
  }
  return pairs;
}

type Tree = Pick<CodeSide, 'gitDir' | 'tree'>;

/** `--raw --numstat -z`: raw records (`:…`), then `<added>\t<removed>\t<path>`, or with two paths after it for a rename. */
function parseNumstat(out: Buffer): FileDiff[] {
  const parts = splitNul(out);
  const files = new Map<string, FileDiff>();
  for (let at = 0; at < parts.length; ) {
    const head = parts[at]?.toString('latin1') ?? '';
    if (head.startsWith(':')) {
      const letter = head.split(' ')[4]?.[0] ?? 'M';
      const renamed = letter === 'R' || letter === 'C';
      const first = pathText(parts[at + 1] ?? Buffer.alloc(0));
      const path = renamed ? pathText(parts[at + 2] ?? Buffer.alloc(0)) : first;
      const status = renamed ? 'R' : letter === 'A' || letter === 'D' || letter === 'T' ? letter : 'M';
      const submodule = head.startsWith(':160000 ') || head.startsWith('160000 ', 8);
      files.set(path, { path, old_path: renamed ? first : null, status, added: 0, removed: 0, submodule });
      at += renamed ? 3 : 2;
      continue;
    }
    const [, added = '', removed = ''] = /^(\d+|-)\t(\d+|-)\t/.exec(head) ?? [];
    const tail = parts[at]?.subarray(added.length + removed.length + 2) ?? Buffer.alloc(0);
    const renamed = tail.length === 0;
    const file = files.get(pathText(renamed ? (parts[at + 2] ?? tail) : tail));
    if (file !== undefined) {
      file.added = added === '-' ? null : Number(added);
      file.removed = removed === '-' ? null : Number(removed);
    }
    at += renamed ? 3 : 1;
  }
  return [...files.values()];
}

/** The files that differ, renames as a removal and an addition. */
export async function changedFiles(options: Trees): Promise<ChangedFile[]> {
  const { gitDir, env } = options;
  return changedIn(placeOf(gitDir, env), ...ids(options));
}

/** The same within a place of one's own (objects in two folders, say). */
export async function changedIn(git: Git, a: string, b: string): Promise<ChangedFile[]> {
  return parseRaw(await needGit(git, ['diff-tree', '-r', '-z', '--raw', '--no-renames', a, b, '--']));
}

/** `--raw -z`: `:<mode> <mode> <id> <id> <letter>` NUL path NUL. */
export function parseRaw(out: Buffer): ChangedFile[] {
  const parts = splitNul(out);
  const files: ChangedFile[] = [];
  for (let at = 0; at + 1 < parts.length; at += 2) {
    const head = parts[at];
    const path = parts[at + 1];
    if (!head || !path) continue;
    const letter = String.fromCharCode(head[head.length - 1] ?? 0);
    files.push({ path: pathText(path), status: statuses[letter] ?? 'M' });
  }
  return files;
}

const statuses: Readonly<Record<string, ChangedFile['status']>> = { A: 'A', D: 'D', M: 'M', T: 'T', U: 'U' };
