/**
 * Recorded code on its way from one store to another: a pack without history. It carries a carrier, a commit of the tree
 * that anybody can make again bit for bit; where the other side has another tree, that one's carrier is its parent, and the
 * pack holds what differs, as deltas. What is kept on arrival is the tree.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { deflateSync } from 'node:zlib';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { commitContent } from './commit.ts';
import { pinTree } from './refs.ts';
import { type Environment, firstLine, type Git, type GitResult, runGit, storeRefuses } from './run-git.ts';

export type ObjectFormat = 'sha1' | 'sha256';

export function formatOf(id: string): ObjectFormat {
  return id.length === 64 ? 'sha256' : 'sha1';
}

/** Ends up in every pack: never to be changed. */
const carrierMessage = 'Waddle carrier';

function carrierOf(tree: string, base: string | null): string {
  const parent = base === null ? null : objectId('commit', carrierOf(base, null), formatOf(base));
  return commitContent({ tree, parent, time: 0, message: carrierMessage });
}

function objectId(type: string, content: string, format: ObjectFormat): string {
  return createHash(format)
    .update(`${type} ${Buffer.byteLength(content)}\0`)
    .update(content)
    .digest('hex');
}

/** Writes a loose commit without asking git to; gives its id. */
function writeCarrier(objectDir: string, tree: string, base: string | null): string {
  const content = carrierOf(tree, base);
  const id = objectId('commit', content, formatOf(tree));
  const path = join(objectDir, id.slice(0, 2), id.slice(2));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, deflateSync(Buffer.from(`commit ${Buffer.byteLength(content)}\0${content}`)));
  return id;
}

/** One thread, so that the same store gives the same pack; bounds for a git that works on what a stranger sent. */
const settings = [
  'pack.threads=1',
  'core.bigFileThreshold=32m',
  'core.deltaBaseCacheLimit=64m',
  'pack.windowMemory=64m',
].flatMap((setting) => ['-c', setting]);

/** Old repositories hold trees with these, and they harm nobody. */
const tolerated = '--strict=zeroPaddedFilemode=ignore,nullSha1=ignore';

/** Longest that git may take over one pack (ms), and the memory it may take on arrival (bytes). */
const PACK_MS = 600_000;
const TAKE_MEMORY = 2 * 1024 ** 3;
/** How often a pack is made that others keep removing. */
const MAX_TRIES = 8;

/**
 * Writes a pack of `tree` to `file`: what it has beyond the tree `base`, which both sides have; all of it where that is
 * null. Nothing is written into the repository.
 * Errors: `pack-failed`.
 */
async function makeCodePack(options: {
  gitDir: string;
  tree: string;
  base: string | null;
  file: string;
  env: Environment;
}): Promise<void> {
  const { gitDir, tree, base, file, env } = options;
  await mkdir(dirname(file), { recursive: true });
  const own = `${file}.${process.pid}-${randomBytes(4).toString('hex')}`;
  const objectDir = `${own}.objects`;
  const output = openSync(own, 'w', 0o600);
  try {
    let wanted = `${writeCarrier(objectDir, tree, base)}\n`;
    if (base !== null) wanted += `^${writeCarrier(objectDir, base, null)}\n`;
    const git = placeOf(gitDir, objectDir, env);
    const args = ['pack-objects', '--quiet', '--stdout', '--thin', '--revs', '--delta-base-offset'];
    const packed = await runGit({ ...git, output }, [...settings, ...args], wanted);
    if (!packed.ok) throw failed('could not be made', packed);
    await rename(own, file);
  } finally {
    closeSync(output);
    await rm(own, { force: true });
    await rm(objectDir, { recursive: true, force: true });
  }
}

/** Opens a pack that is there, perhaps made for somebody else, or makes it first. The file must be closed. */
export async function openCodePack(options: Parameters<typeof makeCodePack>[0]): Promise<number> {
  for (let tries = 0; ; tries += 1) {
    try {
      return openSync(options.file, 'r');
    } catch (error) {
      if (!isSystemError(error, 'ENOENT') || tries === MAX_TRIES) throw error;
    }
    // Whoever has read it to its end removes it: of two that read it at once the other makes it again.
    await makeCodePack(options);
  }
}

/**
 * Takes a pack into a store. It is unpacked in a quarantine, each object checked (`fsck`), the whole tree looked for, and
 * only then moved in and pinned. No hook runs; nothing but objects and one ref of Waddle's is written.
 * Errors: `pack-base-missing`, `pack-failed` (the pack is at fault), `store-refuses` (the store cannot be written).
 */
export async function takeCodePack(options: {
  gitDir: string;
  tree: string;
  base: string | null;
  file: string;
  env: Environment;
  /** Where the pin is noted, so that `purge` finds it. */
  privateDir?: string | undefined;
}): Promise<void> {
  const { gitDir, tree, base, file, env } = options;
  const objects = join(gitDir, 'objects');
  if (base !== null && !(await hasTree({ gitDir, tree: base, env }))) {
    throw new WaddleError(
      'pack-base-missing',
      `the tree ${base} that the pack builds on is not here`,
      'Ask for a pack without base.',
    );
  }
  // git itself removes what is called tmp_ and is old, should this process be killed.
  const quarantine = join(objects, `tmp_objdir-waddle-${randomBytes(6).toString('hex')}`);
  try {
    mkdirSync(join(quarantine, 'pack'), { recursive: true });
  } catch (error) {
    throw new WaddleError('store-refuses', `${objects} cannot be written`, 'Check its permissions.', {
      cause: error,
    });
  }
  try {
    if (base !== null) writeCarrier(quarantine, base, null);
    const carrier = objectId('commit', carrierOf(tree, base), formatOf(tree));
    const git: Git = {
      ...placeOf(gitDir, quarantine, env),
      memoryBytes: TAKE_MEMORY,
      deadline: performance.now() + PACK_MS,
    };
    const input = openSync(file, 'r');
    let taken: GitResult;
    try {
      taken = await runGit(git, [...settings, 'index-pack', '--stdin', '--fix-thin', tolerated], input);
    } finally {
      closeSync(input);
    }
    if (!taken.ok) {
      if (!storeRefuses(taken.err)) throw failed('could not be taken', taken);
      throw new WaddleError('store-refuses', firstLine(taken.err.trim()), `Check ${gitDir} and its disk.`);
    }
    const known = base === null ? [] : ['--not', `${base}^{tree}`];
    const whole = await runGit(git, ['rev-list', '--objects', '--quiet', carrier, ...known]);
    if (!whole.ok) throw failed('is not whole, or is of another tree', whole);
    moveIn(join(quarantine, 'pack'), join(objects, 'pack'));
  } finally {
    rmSync(quarantine, { recursive: true, force: true });
  }
  await pinTree({ gitDir, env, tree, privateDir: options.privateDir });
}

export async function hasTree(options: { gitDir: string; tree: string; env: Environment }): Promise<boolean> {
  const { gitDir, tree, env } = options;
  return (await runGit({ env, cwd: gitDir, gitDir }, ['cat-file', '-e', `${tree}^{tree}`])).ok;
}

function placeOf(gitDir: string, objectDir: string, env: Environment): Git {
  return { env, cwd: gitDir, gitDir, objectDir, alternate: join(gitDir, 'objects') };
}

/** The index last: a pack counts once its index is there. */
function moveIn(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  const names = readdirSync(from).sort((a, b) => Number(a.endsWith('.idx')) - Number(b.endsWith('.idx')));
  for (const name of names) if (name.startsWith('pack-')) renameSync(join(from, name), join(to, name));
}

function failed(what: string, result: GitResult): WaddleError {
  const said = result.why === 'exited' ? firstLine(result.err.trim()) : `git was ${result.why}`;
  return new WaddleError(
    'pack-failed',
    `the pack of the code ${what}: ${said}`,
    'git fsck checks the store that it comes from.',
  );
}
