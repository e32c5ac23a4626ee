/**
 * The pool of copies of recorded code, `.waddle/pool/`, in which isolated jobs work. A copy is pointed from tree to tree,
 * not made anew; what a job wrote into it is moved out before the next one comes.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { appendFile, cp, mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { repointCode } from '../git/checkout.ts';
import { below } from '../git/path-text.ts';
import type { RecordedCode } from '../git/recorded-code.ts';
import type { Environment } from '../git/run-git.ts';
import type { SnapshotWarning } from '../git/snapshot-record.ts';
import { findWrittenFiles, isMadeAgain, type WrittenPath } from '../git/written-files.ts';
import type { Written } from './job-place.ts';
import { takeIdleSlots, takeSlot } from './pool-lock.ts';

/** What a copy lacks and gets as a link: ignored data, environments. */
export interface CopyLink {
  /** Absolute. */
  from: string;
  /** Relative to the copy's top. */
  to: string;
}

export interface Copy {
  /** The recorded code; stays at this path while the pool lives. */
  folder: string;
  warnings: SnapshotWarning[];
  /** Names the job that works here, so that nobody takes the copy from under it. */
  noteJob(pid: number): void;
  /** Moves what the job wrote out of the copy. */
  collect(): Promise<Written>;
  /** Gives the copy back; what was not collected is when the next one takes it. */
  release(): void;
}

/** What is known of a copy; written before anything is changed in it, so that it holds whoever is killed. */
interface CopyState {
  /** The store that it reads, by whose name a copy of the same repository is found. */
  gitDir: string;
  tree: string;
  head: string;
  nested: { path: string; gitDir: string }[];
  /** The links in it, relative to its top. */
  links: string[];
  /** Where to move what was written; null while nobody works there. */
  keep: string | null;
}

/**
 * Takes a copy of the code for a run, alone.
 * @param keep the folder that what the job writes is moved to: it and its parent may be missing
 * Errors: those of `repointCode`; `pool-unwritable`.
 */
export async function takeCopy(options: {
  /** Symbolic links resolved, as far as it is there. */
  pool: string;
  runId: string;
  code: RecordedCode;
  links: readonly CopyLink[];
  keep: string;
  env: Environment;
  signal?: AbortSignal | undefined;
}): Promise<Copy> {
  const { pool, code, env, keep } = options;
  try {
    mkdirSync(pool, { recursive: true });
  } catch (error) {
    throw unwritable(pool, error);
  }
  const held = takeSlot(pool, options.runId, (slots) => byLikeness(pool, slots, code));
  const place = join(pool, held.slot);
  const folder = join(place, 'code');
  try {
    mkdirSync(place, { recursive: true });
    const left = readState(place);
    if (left !== null && left.keep !== null) await collect(place, left, env);
    const { warnings, head } = await repoint(place, left, options);
    const state: CopyState = {
      gitDir: code.gitDir,
      tree: code.tree,
      head: head.commit,
      nested: code.nested.map(({ path, gitDir }) => ({ path, gitDir })),
      links: [],
      keep,
    };
    state.links = planLinks(folder, options.links, warnings).map(({ to }) => to);
    writeState(place, state);
    await makeLinks(folder, options.links, state.links);
    return {
      folder,
      warnings,
      noteJob: held.noteJob,
      collect: () => collect(place, state, env),
      release: held.release,
    };
  } catch (error) {
    held.release();
    throw error;
  }
}

/**
 * For `gc`: removes the copies that nobody uses and that no run has used for `minAgeMs`; what jobs of killed supervisors
 * left in them is kept first. With `dry` they are only named. Gives the folders.
 */
export async function dropIdleCopies(
  pool: string,
  options: { minAgeMs: number; dry: boolean; env: Environment; onDrop(folder: string): void },
): Promise<string[]> {
  if (!existsSync(pool)) return [];
  const dropped: string[] = [];
  for (const { slot, forget, release } of takeIdleSlots(pool)) {
    const place = join(pool, slot);
    const used = lstatSync(join(place, 'state.json'), { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (Date.now() - used < options.minAgeMs) {
      release();
      continue;
    }
    options.onDrop(place);
    dropped.push(place);
    if (options.dry) {
      release();
      continue;
    }
    const state = readState(place);
    if (state !== null && state.keep !== null) await collect(place, state, options.env);
    await rm(place, { recursive: true, force: true });
    forget();
  }
  return dropped;
}

/** Copies of the same tree first, then those of the same repository; others are not pointed at it. */
function byLikeness(pool: string, slots: readonly string[], code: RecordedCode): string[] {
  const known = slots.map((slot) => ({ slot, state: readState(join(pool, slot)) }));
  return known
    .filter(({ state }) => state === null || state.gitDir === code.gitDir)
    .sort((a, b) => Number(b.state?.tree === code.tree) - Number(a.state?.tree === code.tree))
    .map(({ slot }) => slot);
}

async function repoint(
  place: string,
  left: CopyState | null,
  { code, env, signal }: Pick<Parameters<typeof takeCopy>[0], 'code' | 'env' | 'signal'>,
) {
  const folder = join(place, 'code');
  const indexes = join(place, 'indexes');
  if (left !== null && left.gitDir !== code.gitDir) await removeCopy(place);
  const before = (left?.nested ?? []).map((each) => each.path);
  // Until it is done, either code may be there.
  const nested = [...(left?.nested ?? []), ...code.nested].map(({ path, gitDir }) => ({ path, gitDir }));
  writeState(place, { gitDir: code.gitDir, tree: '', head: '', nested, links: [], keep: null });
  try {
    return await repointCode({ code, folder, indexes, before, env, signal });
  } catch (error) {
    if (signal?.aborted || !(error instanceof WaddleError) || error.code !== 'git-failed') throw error;
    // Whatever is wrong with this copy, a new one does not have it.
    await removeCopy(place);
    return repointCode({ code, folder, indexes, before: [], env, signal });
  }
}

async function removeCopy(place: string): Promise<void> {
  for (const name of ['code', 'indexes']) await rm(join(place, name), { recursive: true, force: true });
}

/** The links that can be made. Of a folder that the code has too, each entry that it lacks is linked. */
function planLinks(folder: string, links: readonly CopyLink[], warnings: SnapshotWarning[]): CopyLink[] {
  return links.flatMap((link) => {
    const source = lstatSync(link.from, { throwIfNoEntry: false });
    if (source === undefined) {
      warnings.push({
        code: 'link-missing',
        message: `${link.to} is not there, and not linked into the copy`,
        hint: 'run.link in waddle.json names it',
      });
      return [];
    }
    const target = lstatSync(join(folder, link.to), { throwIfNoEntry: false });
    if (target === undefined) return [link];
    if (!target.isDirectory() || !source.isDirectory()) return [];
    return readdirSync(link.from)
      .filter((name) => lstatSync(join(folder, link.to, name), { throwIfNoEntry: false }) === undefined)
      .map((name) => ({ from: join(link.from, name), to: join(link.to, name) }));
  });
}

async function makeLinks(
  folder: string,
  links: readonly CopyLink[],
  planned: readonly string[],
): Promise<void> {
  if (planned.length === 0) return;
  for (const to of planned) {
    const link = links.findLast((each) => to === each.to || to.startsWith(`${each.to}/`));
    if (link === undefined) continue;
    mkdirSync(dirname(join(folder, to)), { recursive: true });
    symlinkSync(join(link.from, to.slice(link.to.length)), join(folder, to));
  }
  // A pattern such as `data/` means folders alone, and would show the link as a new file.
  const lines = planned.map((to) => `/${to.replaceAll(/[\\*?[ ]/g, '\\$&')}\n`);
  await appendFile(join(folder, '.git/info/exclude'), `\n${lines.join('')}`);
}

async function collect(place: string, state: CopyState, env: Environment): Promise<Written> {
  const folder = join(place, 'code');
  if (state.keep === null || !existsSync(folder)) return { folder: null, files: [], artifacts: [] };
  for (const link of state.links) {
    const path = join(folder, link);
    if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()) rmSync(path);
  }
  const target = unusedFolder(state.keep);
  const files: Written['files'] = [];
  const trees = [{ path: '', gitDir: state.gitDir }, ...state.nested];
  // Inner ones first: a folder that an outer one does not know takes what is in it along.
  for (const { path: inside, gitDir } of trees.sort((a, b) => b.path.length - a.path.length)) {
    const top = inside === '' ? folder : join(folder, inside);
    const name = inside === '' ? 'top' : `nested-${Buffer.from(inside).toString('base64url')}`;
    const index = join(place, 'indexes', name);
    if (!existsSync(index) || !existsSync(top)) continue;
    for (const written of await findWrittenFiles({ gitDir, folder: top, index, env })) {
      if (isMadeAgain(written.text)) continue;
      const prefix = inside === '' ? '' : `${inside}/`;
      files.push({ path: prefix + written.text, change: written.change });
      if (written.change !== 'removed') await moveOut(top, written, join(target, inside));
    }
  }
  if (hasOwnHistory(folder, state.head)) {
    // Commits that the job made: its repository is kept as it is.
    await mkdir(target, { recursive: true });
    await rename(join(folder, '.git'), join(target, 'repository.git'));
    files.push({ path: 'repository.git/', change: 'new' });
  }
  writeState(place, { ...state, links: [], keep: null });
  return { folder: files.some((each) => each.change !== 'removed') ? target : null, files, artifacts: [] };
}

/** Names are bytes, and may end in `/`. */
async function moveOut(top: string, written: WrittenPath, target: string): Promise<void> {
  const path = written.text.endsWith('/') ? written.path.subarray(0, -1) : written.path;
  const to = below(target, path);
  await mkdir(to.subarray(0, to.lastIndexOf(47)), { recursive: true });
  const from = below(top, path);
  try {
    await rename(from, to);
  } catch (error) {
    if (!isSystemError(error, 'EXDEV')) throw error;
    await cp(from.toString(), to.toString(), { recursive: true, verbatimSymlinks: true });
    await rm(from, { recursive: true, force: true });
  }
}

function hasOwnHistory(folder: string, head: string): boolean {
  const gitDir = join(folder, '.git');
  try {
    if (readFileSync(join(gitDir, 'HEAD'), 'utf8').trim() !== head) return true;
    return existsSync(join(gitDir, 'packed-refs')) || readdirSync(join(gitDir, 'refs/heads')).length > 0;
  } catch {
    return false;
  }
}

/** An earlier attempt of the run may have filled the first. */
function unusedFolder(wanted: string): string {
  for (let n = 1; ; n += 1) {
    const folder = n === 1 ? wanted : `${wanted}-${n}`;
    if (!existsSync(folder)) return folder;
  }
}

function readState(place: string): CopyState | null {
  try {
    return JSON.parse(readFileSync(join(place, 'state.json'), 'utf8')) as CopyState;
  } catch {
    return null;
  }
}

function writeState(place: string, state: CopyState): void {
  const path = join(place, 'state.json');
  writeFileSync(`${path}.tmp`, JSON.stringify(state));
  renameSync(`${path}.tmp`, path);
}

function unwritable(pool: string, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  return new WaddleError(
    'pool-unwritable',
    `${pool} cannot be made: ${error.message}`,
    'Check its permissions and the disk.',
    { cause: error },
  );
}
