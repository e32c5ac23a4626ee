/**
 * What no run needs any more, and how it is let go. Nothing here touches what a living process may be writing: folders of
 * runs with a living writer stay, and so do artifacts while any run is going (a job may be about to name bytes that it
 * found in the store already).
 */
import { lstatSync, readdirSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { hasBlob, listAbandoned, listBlobs, removeBlob } from '../blobs/blob-store.ts';
import { readManifest } from '../blobs/folder-manifest.ts';
import type { SnapshotRecord } from '../events/schema.ts';
import { findNestedTrees } from '../git/nested-trees.ts';
import { listPinned, unpinTree } from '../git/refs.ts';
import { findRepository } from '../git/repository.ts';
import { runGit } from '../git/run-git.ts';
import { identityOfRow } from '../ingest/life.ts';
import { runFolder } from '../journal/layout.ts';
import { judgeLife } from '../journal/process-identity.ts';
import type { Opened } from './opened-store.ts';

/** Younger than this (milliseconds), a file may still be in somebody's hands. */
const YOUNG = 3_600_000;

/**
 * A run that began within the last minute and has not told of its snapshot yet: it may have found its tree pinned
 * already, for a run that was removed.
 */
export function findStarting(opened: Opened): string | undefined {
  const row = opened.store
    .prepare(
      `SELECT id FROM runs WHERE status = 'running' AND started_at > ?
       AND NOT EXISTS (SELECT 1 FROM snapshots WHERE run = num) LIMIT 1`,
    )
    .get(Date.now() / 1000 - 60);
  return row === undefined ? undefined : String(row.id);
}

export interface RemovedRun {
  id: string;
  num: number;
  bytes: number;
}

/** Runs that were removed and whose folders can go; and those that a process still writes to. */
export function findRemovedFolders(opened: Opened): { runs: RemovedRun[]; busy: string[] } {
  const runs: RemovedRun[] = [];
  const busy: string[] = [];
  for (const row of opened.store.prepare('SELECT id, num, status FROM runs WHERE removed = 1').all()) {
    const run = { id: String(row.id), num: Number(row.num) };
    const folder = runFolder(opened.layout, run.id);
    if (row.status === 'running' || hasLivingWriter(opened, run.num, folder)) busy.push(run.id);
    else runs.push({ ...run, bytes: folderSize(folder) });
  }
  return { runs, busy };
}

function hasLivingWriter(opened: Opened, run: number, folder: string): boolean {
  return opened.store
    .prepare('SELECT * FROM journals WHERE run = ? AND closed = 0')
    .all(run)
    .some((row) => {
      const identity = identityOfRow(row);
      const life = identity === null ? 'unknown' : judgeLife(identity);
      return life === 'alive' || (life === 'unknown' && newestChange(folder) > Date.now() - YOUNG);
    });
}

function newestChange(folder: string): number {
  let newest = 0;
  for (const path of filesBelow(folder)) {
    newest = Math.max(newest, lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  }
  return newest;
}

function folderSize(folder: string): number {
  let bytes = 0;
  for (const path of filesBelow(folder)) bytes += lstatSync(path, { throwIfNoEntry: false })?.size ?? 0;
  return bytes;
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name));
  } catch {
    return [];
  }
}

export function removeFolder(opened: Opened, run: RemovedRun): void {
  rmSync(runFolder(opened.layout, run.id), { recursive: true, force: true });
}

/** A tree that only removed runs recorded, and the repository that holds its pin. */
export interface LoosePin {
  gitDir: string;
  tree: string;
}

/**
 * Pins of the removed runs' trees that no other run needs. A repository that another project folder pins trees in too is
 * left alone (`shared`): nobody can tell from here which of them that one needs.
 */
export async function findLoosePins(
  opened: Opened,
  removed: readonly RemovedRun[],
): Promise<{ pins: LoosePin[]; shared: string[] }> {
  const { context, layout } = opened;
  const going = new Set(removed.map((run) => run.num));
  const needed = new Set<string>();
  const loose = new Map<string, LoosePin>();
  for (const row of opened.store.prepare('SELECT run, body FROM snapshots').all()) {
    const snapshot = JSON.parse(String(row.body)) as SnapshotRecord;
    const trees = [snapshot.tree, ...snapshot.nested.map((each) => each.tree)];
    if (!going.has(Number(row.run))) {
      for (const tree of trees) if (tree) needed.add(tree);
      continue;
    }
    for (const pin of await pinsOf(opened, snapshot)) loose.set(`${pin.gitDir}\0${pin.tree}`, pin);
  }
  const pins: LoosePin[] = [];
  const shared = new Set<string>();
  const pinned = new Map<string, Set<string>>();
  for (const pin of loose.values()) {
    if (needed.has(pin.tree)) continue;
    let here = pinned.get(pin.gitDir);
    if (here === undefined) {
      here = new Set(await listPinned({ gitDir: pin.gitDir, env: context.env }).catch(() => []));
      pinned.set(pin.gitDir, here);
      const own = pin.gitDir.startsWith(`${layout.root}/`);
      if (here.size > 0 && !own && (await hasOtherProjects(opened, pin.gitDir))) shared.add(pin.gitDir);
    }
    if (here.has(pin.tree) && !shared.has(pin.gitDir)) pins.push(pin);
  }
  return { pins, shared: [...shared] };
}

async function pinsOf(opened: Opened, snapshot: SnapshotRecord): Promise<LoosePin[]> {
  const { context, layout } = opened;
  const pins: LoosePin[] = [];
  if (snapshot.tree && snapshot.git_dir) pins.push({ gitDir: snapshot.git_dir, tree: snapshot.tree });
  if (snapshot.nested.length === 0) return pins;
  const { nested } = await findNestedTrees({
    snapshot: {
      repository: snapshot.repository ?? null,
      git_dir: snapshot.git_dir ?? null,
      nested: snapshot.nested.map((each) => ({ ...each, commit: each.commit ?? null })),
      object_format: snapshot.object_format === 'sha256' ? 'sha256' : 'sha1',
    },
    env: context.env,
    privateDir: layout.privateGit,
  });
  return [...pins, ...nested.map(({ gitDir, tree }) => ({ gitDir, tree }))];
}

/** Whether another project folder lies in the repository or in one of its linked worktrees. */
async function hasOtherProjects(opened: Opened, gitDir: string): Promise<boolean> {
  const { context, layout } = opened;
  const list = await runGit({ env: context.env, cwd: gitDir, gitDir }, [
    'worktree',
    'list',
    '--porcelain',
    '-z',
  ]);
  if (!list.ok) return true;
  const tops = list.out
    .toString()
    .split('\0')
    .filter((line) => line.startsWith('worktree '))
    .map((line) => line.slice('worktree '.length));
  for (const top of tops) {
    const found = await findRepository({ cwd: top, env: context.env });
    // A worktree whose folder is gone has no project folder either; one that git does not trust may.
    if (found.kind !== 'repository') {
      if (found.kind === 'dubious-ownership') return true;
      continue;
    }
    for (const folder of await projectFolders(opened, found.top)) {
      if (folder !== layout.project) return true;
    }
  }
  return false;
}

/** Folders of a worktree with a `.waddle/`: each has a `.gitignore` of its own, so git names it as ignored. */
async function projectFolders(opened: Opened, top: string): Promise<string[]> {
  const listed = await runGit({ env: opened.context.env, cwd: top }, [
    'ls-files',
    '-z',
    '--others',
    '--ignored',
    '--exclude-standard',
    '--directory',
  ]);
  return listed.out
    .toString()
    .split('\0')
    .filter((path) => basename(path) === '.waddle' || basename(dirname(path)) === '.waddle')
    .map((path) => join(top, basename(path) === '.waddle' ? dirname(path) : dirname(dirname(path))));
}

export async function dropPin(opened: Opened, pin: LoosePin): Promise<void> {
  await unpinTree({ ...pin, env: opened.context.env });
}

/** Has git drop what the private repository holds unpinned. The user's own repository is left to its own git. */
export async function pruneObjects(opened: Opened, gitDir: string): Promise<void> {
  if (gitDir !== opened.layout.privateGit && !gitDir.startsWith(`${opened.layout.privateGit}/`)) return;
  await runGit({ env: opened.context.env, cwd: gitDir, gitDir }, ['gc', '--quiet', '--prune=1.hour.ago']);
}

export interface LooseBlob {
  sha256: string;
  bytes: number;
}

/**
 * Artifact bytes that no run names, the removed ones aside. `blocked` says why none may be judged now.
 */
export function findLooseBlobs(
  opened: Opened,
  removed: readonly RemovedRun[],
): { blobs: LooseBlob[]; blocked: string | undefined } {
  const { layout, store } = opened;
  const running = Number(
    store.prepare("SELECT count(*) AS n FROM runs WHERE status = 'running'").get()?.n ?? 0,
  );
  if (running > 0) return { blobs: [], blocked: 'artifacts are left alone while a run is going' };
  const going = new Set(removed.map((run) => run.num));
  const needed = new Set<string>();
  for (const row of store.prepare('SELECT DISTINCT run, sha256, type FROM artifacts').all()) {
    if (going.has(Number(row.run))) continue;
    const sha256 = String(row.sha256);
    needed.add(sha256);
    if (row.type !== 'folder' || !hasBlob(layout.blobs, sha256)) continue;
    try {
      for (const entry of readManifest(layout.blobs, sha256)) needed.add(entry.sha256);
    } catch {
      return { blobs: [], blocked: `artifacts are left alone: the list of files ${sha256} is damaged` };
    }
  }
  const blobs: LooseBlob[] = [];
  for (const blob of listBlobs(layout.blobs)) {
    if (needed.has(blob.sha256) || Date.now() - blob.mtimeMs < YOUNG) continue;
    blobs.push({ sha256: blob.sha256, bytes: blob.size });
  }
  return { blobs, blocked: undefined };
}

export function dropBlob(opened: Opened, blob: LooseBlob): void {
  removeBlob(opened.layout.blobs, blob.sha256);
}

export interface LooseFile {
  path: string;
  bytes: number;
}

/** Temporary files of processes that were killed, an hour old and more. */
export function findAbandonedFiles(opened: Opened): LooseFile[] {
  const { layout, store } = opened;
  const paths = listAbandoned(layout.blobs, YOUNG);
  const folders = [
    layout.runs,
    dirname(store.path),
    ...store
      .prepare('SELECT id FROM runs')
      .all()
      .map((row) => runFolder(layout, String(row.id))),
  ];
  for (const folder of folders) {
    for (const path of filesIn(folder)) {
      if (/\.tmp$|\.sqlite\.rebuild-\d+(-wal|-shm|-journal)?$/.test(path)) paths.push(path);
    }
  }
  return [...new Set(paths)].flatMap((path) => {
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined || Date.now() - stat.mtimeMs < YOUNG) return [];
    return [{ path, bytes: stat.size }];
  });
}

function filesIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(folder, entry.name));
  } catch {
    return [];
  }
}

export function dropFile(file: LooseFile): void {
  rmSync(file.path, { force: true });
}
