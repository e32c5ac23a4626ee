/**
 * The grammar of `refs/waddle/*`, all of it:
 *
 * - `refs/waddle/tree/<tree>` pins one tree. A tree, not a commit: it does not show in `git log --all`, and keeps
 *   everything it holds from `git gc`.
 * - `refs/waddle/trees` is a tree whose entries are pinned trees, each under its own id: the single refs are folded into
 *   it, since hundreds of refs slow down the user's own `fetch` and `log`.
 */
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { type Environment, type Git, needGit, runGit } from './run-git.ts';

const single = 'refs/waddle/tree/';
const folded = 'refs/waddle/trees';

/** From this many single refs on they are folded. */
const foldFrom = 16;

/** Where a project folder notes the pins it sets, each before it is set: `gc` finds those of a killed snapshot by it. */
function pinLog(privateDir: string): string {
  return join(privateDir, 'pins.log');
}

/** A pin that this project folder set. */
export interface NotedPin {
  gitDir: string;
  tree: string;
  /** Milliseconds since the epoch. */
  at: number;
}

function notePins(privateDir: string, pins: readonly NotedPin[]): void {
  try {
    const lines = pins.map((pin) => `${JSON.stringify([pin.at, pin.tree, pin.gitDir])}\n`);
    appendFileSync(pinLog(privateDir), lines.join(''));
  } catch {
    // A folder that cannot be written: then a killed snapshot leaves a pin for good.
  }
}

/** The pins that this project folder has set, as far as they are noted. */
export function readNotedPins(privateDir: string): NotedPin[] {
  return parseNotes(pinLog(privateDir));
}

function parseNotes(path: string): NotedPin[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  return text.split('\n').flatMap((line) => {
    try {
      const [at, tree, gitDir] = JSON.parse(line) as unknown[];
      if (typeof at !== 'number' || typeof tree !== 'string' || typeof gitDir !== 'string') return [];
      return [{ at, tree, gitDir }];
    } catch {
      // A line that a killed process or a full disk cut off.
      return [];
    }
  });
}

/** Forgets the notes that `settled` says are done with. Notes that are taken meanwhile stay. */
export function settleNotedPins(privateDir: string, settled: (pin: NotedPin) => boolean): void {
  const aside = `${pinLog(privateDir)}.${process.pid}`;
  try {
    renameSync(pinLog(privateDir), aside);
  } catch {
    return;
  }
  const kept = parseNotes(aside).filter((pin) => !settled(pin));
  if (kept.length > 0) notePins(privateDir, kept);
  rmSync(aside, { force: true });
}

export interface PinOptions {
  /** The shared git dir; a linked worktree's own has no objects. */
  gitDir: string;
  env: Environment;
}

function place(options: PinOptions): Git {
  return { env: options.env, cwd: options.gitDir, gitDir: options.gitDir };
}

/** Keeps a tree from being collected. Pinning it again changes nothing. With `privateDir` the pin is noted there. */
export async function pinTree(
  options: PinOptions & { tree: string; privateDir?: string | undefined },
): Promise<void> {
  const { gitDir, tree, privateDir } = options;
  if (existsSync(join(gitDir, single, tree))) return;
  if (privateDir !== undefined) notePins(privateDir, [{ gitDir, tree, at: Date.now() }]);
  const git = place(options);
  for (let attempt = 0; ; attempt += 1) {
    const result = await runGit(git, ['update-ref', single + tree, tree]);
    if (result.ok) break;
    // Another process pins the same tree, or folds: its lock is gone in a moment. Or in no moment, where it was killed.
    if (removeStaleLock(gitDir, single + tree)) continue;
    if (attempt >= 5 || !/File exists|cannot lock ref|unable to lock/.test(result.err)) {
      throw new WaddleError(
        'pin-failed',
        `the tree could not be pinned: ${result.err.trim()}`,
        'run `waddle doctor`',
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 20 * 2 ** attempt));
  }
  if ((await countSingle(options)) >= foldFrom) await foldPins(options);
}

/** Loose and packed single refs, counted without a process where refs are files. */
async function countSingle(options: PinOptions): Promise<number> {
  if (existsSync(join(options.gitDir, 'reftable'))) return (await listSingle(place(options))).length;
  let count = 0;
  try {
    count += readdirSync(join(options.gitDir, single)).length;
  } catch {
    // all of them are packed
  }
  try {
    const packed = readFileSync(join(options.gitDir, 'packed-refs'));
    for (let at = packed.indexOf(single); at >= 0; at = packed.indexOf(single, at + 1)) count += 1;
  } catch {
    // none is packed
  }
  return count;
}

async function listSingle(git: Git): Promise<string[]> {
  const out = await needGit(git, ['for-each-ref', '--format=%(objectname)', single]);
  return out.toString().split('\n').filter(Boolean);
}

/** The folded pins and the object that holds them. */
async function listFolded(git: Git): Promise<{ holder: string | null; trees: string[] }> {
  const holder = await runGit(git, ['rev-parse', '--quiet', '--verify', folded]);
  if (!holder.ok) return { holder: null, trees: [] };
  const id = holder.out.toString().trim();
  const out = await needGit(git, ['ls-tree', '--name-only', id]);
  return { holder: id, trees: out.toString().split('\n').filter(Boolean) };
}

/** All pinned trees, each once. */
export async function listPinned(options: PinOptions): Promise<string[]> {
  const git = place(options);
  const [one, many] = await Promise.all([listSingle(git), listFolded(git)]);
  return [...new Set([...one, ...many.trees])].sort();
}

/** git holds a lock for milliseconds; one of ours that is older (ms) than this was left by a killed process. */
const staleLock = 10_000;

/** Removes the lock of a ref of Waddle's that a killed git left behind; true where there was one. */
function removeStaleLock(gitDir: string, ref: string): boolean {
  const path = join(gitDir, `${ref}.lock`);
  try {
    if (Date.now() - statSync(path).mtimeMs < staleLock) return false;
    rmSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Moves the single refs into the tree of trees, in one transaction. Where another process is at it, it is left to that. */
export async function foldPins(options: PinOptions): Promise<void> {
  const git = place(options);
  const [one, many] = await Promise.all([listSingle(git), listFolded(git)]);
  await replacePins(git, [...many.trees, ...one], one, many.holder);
}

/** Writes `trees` as the tree of trees and drops these single refs; false where refs moved meanwhile. */
async function replacePins(
  git: Git,
  trees: readonly string[],
  drop: readonly string[],
  holder: string | null,
): Promise<boolean> {
  const entries = [...new Set(trees)].sort().map((tree) => `040000 tree ${tree}\t${tree}\n`);
  let update: string;
  if (entries.length > 0) {
    const id = (await needGit(git, ['mktree', '--missing'], entries.join(''))).toString().trim();
    update = `update ${folded} ${id} ${holder ?? '0'.repeat(id.length)}\n`;
  } else update = holder === null ? '' : `delete ${folded} ${holder}\n`;
  const deletions = drop.map((tree) => `delete ${single}${tree} ${tree}\n`);
  if (update === '' && deletions.length === 0) return true;
  for (const ref of [folded, ...drop.map((tree) => single + tree)]) removeStaleLock(git.cwd, ref);
  const result = await runGit(git, ['update-ref', '--stdin'], update + deletions.join(''));
  return result.ok;
}

/** Lets one tree go; what else needs it still keeps it. */
export async function unpinTree(options: PinOptions & { tree: string }): Promise<void> {
  await dropPins(options, (tree) => tree === options.tree);
}

/** For `gc`: drops every pin of a tree that is not needed, and gives the trees that were let go. */
export async function keepPins(options: PinOptions & { needed: ReadonlySet<string> }): Promise<string[]> {
  return dropPins(options, (tree) => !options.needed.has(tree));
}

async function dropPins(options: PinOptions, unneeded: (tree: string) => boolean): Promise<string[]> {
  const git = place(options);
  for (let attempt = 0; attempt < 6; attempt += 1) {
    const [one, many] = await Promise.all([listSingle(git), listFolded(git)]);
    const dropped = one.filter(unneeded);
    const kept = many.trees.filter((tree) => !unneeded(tree));
    const gone = [...new Set([...dropped, ...many.trees.filter(unneeded)])].sort();
    if (gone.length === 0) return [];
    const same = kept.length === many.trees.length;
    const done = same ? await deleteSingle(git, dropped) : await replacePins(git, kept, dropped, many.holder);
    if (done) return gone;
    await new Promise((resolve) => setTimeout(resolve, 20 * 2 ** attempt));
  }
  throw new WaddleError('pin-failed', 'the pinned trees are being changed by another process', 'try again');
}

async function deleteSingle(git: Git, trees: readonly string[]): Promise<boolean> {
  for (const tree of trees) removeStaleLock(git.cwd, single + tree);
  const lines = trees.map((tree) => `delete ${single}${tree} ${tree}\n`);
  return (await runGit(git, ['update-ref', '--stdin'], lines.join(''))).ok;
}

/** For `purge`: lets many trees go at once, and leaves no empty folder of refs behind. */
export async function unpinTrees(options: PinOptions & { trees: ReadonlySet<string> }): Promise<void> {
  await dropPins(options, (tree) => options.trees.has(tree));
  for (const name of [single, 'refs/waddle']) {
    try {
      rmdirSync(join(options.gitDir, name));
    } catch {
      // It is gone, or holds pins.
    }
  }
}

/** Every ref of Waddle's out of a repository. */
export async function dropAllPins(options: PinOptions): Promise<string[]> {
  return keepPins({ ...options, needed: new Set() });
}
