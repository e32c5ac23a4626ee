/** Which pinned trees no run needs any more, and how they are let go. */
import { lstatSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { parseLine } from '../events/line.ts';
import type { SnapshotRecord } from '../events/schema.ts';
import { findNestedTrees } from '../git/nested-trees.ts';
import { listPinned, readNotedPins, settleNotedPins, unpinTree, unpinTrees } from '../git/refs.ts';
import { findRepository } from '../git/repository.ts';
import { runGit } from '../git/run-git.ts';
import { listJournals, listRuns } from '../journal/discover.ts';
import { layoutOf } from '../journal/layout.ts';
import { openPlainBytes, readLines } from '../journal/reader.ts';
import type { Context, Project } from './context.ts';
import { listLinks, type Opened, withStore } from './opened-store.ts';
import type { RemovedRun } from './reclaim.ts';

/** A tree that only removed runs recorded, and the repository that holds its pin. */
export interface LoosePin {
  gitDir: string;
  tree: string;
}

/** What is needed to look for pins: no store. */
type Place = Pick<Opened, 'context' | 'layout'>;

/** A pin that no run recorded within this time (ms) was left by a snapshot that was killed. */
const FORGOTTEN = 86_400_000;

/**
 * Pins that no run needs: of removed runs' trees, and those that a killed snapshot of this project folder left. Before one
 * is given, every other project folder in the repository and its linked worktrees was read for runs that need it; where
 * one cannot be read, or a run of it is just starting, the repository is left alone (`shared`, with the reason).
 */
export async function findLoosePins(
  opened: Opened,
  removed: readonly RemovedRun[],
): Promise<{ pins: LoosePin[]; shared: { gitDir: string; reason: string }[] }> {
  const { context, layout } = opened;
  const going = new Set(removed.map((run) => run.num));
  const needed = new Set<string>();
  const loose = new Map<string, LoosePin>();
  for (const row of opened.store.prepare('SELECT run, body FROM snapshots').all()) {
    const snapshot = JSON.parse(String(row.body)) as SnapshotRecord;
    if (!going.has(Number(row.run))) for (const tree of treesOf(snapshot)) needed.add(tree);
    else for (const pin of await pinsOf(opened, snapshot)) loose.set(`${pin.gitDir}\0${pin.tree}`, pin);
  }
  for (const { gitDir, tree, at } of readNotedPins(layout.privateGit)) {
    if (Date.now() - at > FORGOTTEN) loose.set(`${gitDir}\0${tree}`, { gitDir, tree });
  }
  const pins: LoosePin[] = [];
  const shared = new Map<string, string>();
  const pinned = new Map<string, Set<string>>();
  for (const pin of loose.values()) {
    if (needed.has(pin.tree)) continue;
    let here = pinned.get(pin.gitDir);
    if (here === undefined) {
      here = new Set(await listPinned({ gitDir: pin.gitDir, env: context.env }).catch(() => []));
      pinned.set(pin.gitDir, here);
      const own = pin.gitDir.startsWith(`${layout.root}/`);
      if (here.size > 0 && !own) {
        const others = await treesOfOthers(opened, pin.gitDir);
        if (typeof others === 'string') shared.set(pin.gitDir, others);
        else for (const tree of others) here.delete(tree);
      }
    }
    if (here.has(pin.tree) && !shared.has(pin.gitDir)) pins.push(pin);
  }
  return { pins, shared: [...shared].map(([gitDir, reason]) => ({ gitDir, reason })) };
}

/** After pins were let go: notes of what runs have recorded, or of what is gone, are of no more use. */
export function settlePinNotes(opened: Opened): void {
  settleNotedPins(opened.layout.privateGit, ({ at }) => Date.now() - at > FORGOTTEN);
}

function treesOf(snapshot: SnapshotRecord): string[] {
  return [snapshot.tree, snapshot.base_tree, ...snapshot.nested.map((each) => each.tree)].filter(
    (tree) => typeof tree === 'string',
  );
}

/** The trees that other project folders in the repository and its worktrees need; or why that cannot be told. */
async function treesOfOthers(place: Place, gitDir: string): Promise<Set<string> | string> {
  const folders = await otherProjects(place, gitDir);
  if (typeof folders === 'string') return folders;
  const trees = new Set<string>();
  for (const folder of folders) {
    const runs = layoutOf(folder).runs;
    for (const id of listRuns(runs)) {
      const found = snapshotsIn(join(runs, id));
      if (found === null) return `the runs of ${folder} cannot be read`;
      for (const snapshot of found) for (const tree of treesOf(snapshot)) trees.add(tree);
      const began = lstatSync(join(runs, id), { throwIfNoEntry: false })?.mtimeMs ?? 0;
      if (found.length === 0 && Date.now() - began < 60_000) return `a run of ${folder} is starting`;
    }
  }
  return trees;
}

/** What a run's journals tell of its code; null where one cannot be read. */
function snapshotsIn(folder: string): SnapshotRecord[] | null {
  const found: SnapshotRecord[] = [];
  try {
    for (const { path } of listJournals(folder)) {
      const bytes = openPlainBytes(path);
      if (bytes === null) continue;
      try {
        for (const { lines } of readLines(bytes, 0)) {
          for (const { text } of lines) {
            if (text === null || !text.startsWith('{"k":"snapshot"')) continue;
            const parsed = parseLine(text);
            if (parsed.type === 'event' && parsed.event.k === 'snapshot') found.push(parsed.event.snapshot);
          }
        }
      } finally {
        bytes.close();
      }
    }
  } catch {
    return null;
  }
  return found;
}

async function pinsOf({ context, layout }: Place, snapshot: SnapshotRecord): Promise<LoosePin[]> {
  const pins: LoosePin[] = [];
  for (const tree of [snapshot.tree, snapshot.base_tree]) {
    if (tree && snapshot.git_dir) pins.push({ gitDir: snapshot.git_dir, tree });
  }
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

/** The other project folders in the repository and its linked worktrees; or why they cannot be told. */
async function otherProjects({ context, layout }: Place, gitDir: string): Promise<string[] | string> {
  const list = await runGit({ env: context.env, cwd: gitDir, gitDir }, [
    'worktree',
    'list',
    '--porcelain',
    '-z',
  ]);
  if (!list.ok) return 'its worktrees cannot be listed';
  const tops = list.out
    .toString()
    .split('\0')
    .filter((line) => line.startsWith('worktree '))
    .map((line) => line.slice('worktree '.length));
  const folders: string[] = [];
  for (const top of tops) {
    const found = await findRepository({ cwd: top, env: context.env });
    // A worktree whose folder is gone has no project folder either; one that git does not trust may.
    if (found.kind === 'dubious-ownership') return `git does not trust the worktree ${top}`;
    if (found.kind !== 'repository') continue;
    for (const folder of await projectFolders(context, found.top)) {
      if (folder !== layout.project) folders.push(folder);
    }
  }
  return [...new Set(folders)];
}

/** Folders of a worktree with a `.waddle/`: each has a `.gitignore` of its own, so git names it as ignored. */
async function projectFolders(context: Context, top: string): Promise<string[]> {
  const listed = await runGit({ env: context.env, cwd: top }, [
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

/** A repository outside of `.waddle/` that holds pins of this project folder. */
export interface PinnedRepository {
  gitDir: string;
  /** The trees to let go. */
  pins: string[];
  /** Why some of the pins are not among them. */
  kept: string | null;
}

/**
 * For `purge`. In the repository of the project folder every pin goes that no other project folder in it needs; in others
 * (linked, nested) those that runs of this one recorded or that it noted.
 */
export async function findPinnedRepositories(
  context: Context,
  { layout }: Pick<Project, 'layout'>,
): Promise<PinnedRepository[]> {
  const place = { context, layout };
  const recorded = new Map<string, Set<string>>();
  const add = (gitDir: string, trees: readonly string[]): void => {
    const known = recorded.get(gitDir) ?? new Set();
    for (const tree of trees) known.add(tree);
    recorded.set(gitDir, known);
  };
  await withStore(context, async (opened) => {
    for (const row of opened.store.prepare('SELECT body FROM snapshots').all()) {
      const snapshot = JSON.parse(String(row.body)) as SnapshotRecord;
      for (const { gitDir, tree } of await pinsOf(place, snapshot)) add(gitDir, [tree]);
    }
    for (const { path } of listLinks(opened)) {
      const found = await findRepository({ cwd: path, env: context.env });
      if (found.kind === 'repository') add(found.commonDir, []);
    }
  });
  for (const { gitDir, tree } of readNotedPins(layout.privateGit)) add(gitDir, [tree]);
  const own = await findRepository({ cwd: layout.project, env: context.env });
  if (own.kind === 'repository') add(own.commonDir, []);
  const result: PinnedRepository[] = [];
  for (const [gitDir, trees] of recorded) {
    if (gitDir.startsWith(`${layout.root}/`) || gitDir === layout.privateGit) continue;
    const pinned = await listPinned({ gitDir, env: context.env }).catch(() => []);
    if (pinned.length === 0) continue;
    const whole = own.kind === 'repository' && own.commonDir === gitDir;
    const ours = pinned.filter((tree) => whole || trees.has(tree));
    const others = await treesOfOthers(place, gitDir);
    if (typeof others === 'string') {
      result.push({ gitDir, pins: [], kept: `all pins of ${gitDir}: ${others}` });
      continue;
    }
    const pins = ours.filter((tree) => !others.has(tree));
    const left = pinned.length - pins.length;
    const kept =
      left === 0 ? null : `${left} of the pins in ${gitDir}: runs of other project folders need them`;
    result.push({ gitDir, pins, kept });
  }
  return result;
}

export async function dropRepositoryPins(
  context: Context,
  { gitDir, pins }: PinnedRepository,
): Promise<void> {
  if (pins.length === 0) return;
  await unpinTrees({ gitDir, env: context.env, trees: new Set(pins) });
}
