/** Whether every run's code is still there, pinned and whole; and mending what can be mended. */
import { existsSync } from 'node:fs';
import type { SnapshotRecord } from '../events/schema.ts';
import { bringBackCommit } from '../git/commit.ts';
import { privateGitDir } from '../git/private-repository.ts';
import { listPinned, pinTree } from '../git/refs.ts';
import { findRepository } from '../git/repository.ts';
import { runGit } from '../git/run-git.ts';
import type { Store } from '../store/open.ts';
import type { Context, Project } from './context.ts';
import type { Finding } from './doctor-machine.ts';
import { count } from './format-number.ts';
import { listLinks } from './opened-store.ts';

/** Runs of one kind that are named, and trees whose every object is looked for, with the time for it in ms. */
const NAMED = 5;
const WALKED = 50;
const WALK_MS = 10_000;

const check = 'code';

/** A tree of a run (nested ones are found from their outer repository by `checkout`, so only the outermost is judged). */
interface Wanted {
  run: string;
  gitDir: string;
  tree: string;
  base: string | null;
  commit: string | null;
  commitObject: string | null;
}

/** What one store has of the wanted objects. */
interface Holding {
  objects: Set<string>;
  pinned: Set<string>;
}

/** With `fix`, pins what lost its pin, also where it was found in another store, and brings back commits. */
export async function checkCode(
  context: Context,
  store: Store,
  project: Project,
  fix: boolean,
): Promise<Finding[]> {
  const wanted = wantedOf(store);
  if (wanted.length === 0) return [];
  const stores = await storesOf(context, store, project, wanted);
  const lost: string[] = [];
  const unpinned: { where: string; tree: string; run: string }[] = [];
  const baseless: string[] = [];
  const commits: { where: string; wanted: Wanted }[] = [];
  const walk = new Map<string, string[]>();
  for (const each of wanted) {
    const places = [each.gitDir, ...stores.keys()].filter((gitDir) =>
      stores.get(gitDir)?.objects.has(each.tree),
    );
    // Where it is pinned, if it is anywhere: what is not pinned is there only until the next `git gc`.
    const where = places.find((gitDir) => stores.get(gitDir)?.pinned.has(each.tree)) ?? places[0];
    if (where === undefined) {
      lost.push(each.run);
      continue;
    }
    const holding = stores.get(where);
    if (!holding?.pinned.has(each.tree)) unpinned.push({ where, tree: each.tree, run: each.run });
    if (each.base !== null && !holding?.objects.has(each.base)) baseless.push(each.run);
    if (each.commit !== null && each.commitObject !== null && !holding?.objects.has(each.commit)) {
      commits.push({ where, wanted: each });
    }
    const trees = walk.get(where) ?? [];
    if (trees.length < WALKED && !trees.includes(each.tree)) trees.push(each.tree);
    walk.set(where, trees);
  }
  const findings: Finding[] = [];
  if (lost.length > 0) {
    findings.push({
      check,
      state: 'problem',
      message: `the code of ${listed(lost)} is in no repository here`,
      hint: 'Where the repository was moved: waddle repo-link --name NAME --path DIR, then waddle doctor --fix. waddle pull brings what was pushed.',
    });
  }
  findings.push(...(await checkWhole(context, walk)));
  if (unpinned.length > 0) {
    const { env } = context;
    const { privateGit: privateDir } = project.layout;
    if (fix) for (const { where, tree } of unpinned) await pinTree({ gitDir: where, tree, env, privateDir });
    const runs = listed(unpinned.map((each) => each.run));
    findings.push(
      fix
        ? { check, state: 'ok', message: `pinned the code of ${runs} again` }
        : {
            check,
            state: 'warning',
            message: `the code of ${runs} is not pinned any more: the next git gc may take it`,
            hint: 'waddle doctor --fix pins it again.',
          },
    );
  }
  if (fix && commits.length > 0) {
    for (const { where, wanted: each } of commits) {
      await bringBackCommit({ gitDir: where, commit_object: each.commitObject ?? '', env: context.env });
    }
    findings.push({ check, state: 'ok', message: `brought back ${count(commits.length, 'commit')}` });
  }
  if (baseless.length > 0) {
    findings.push({
      check,
      state: 'warning',
      message: `the commit that ${listed(baseless)} began from is gone: the code is there, its history is not`,
      hint: 'git fetch brings it where a remote has it; waddle checkout works without.',
    });
  }
  if (findings.some((finding) => finding.state !== 'ok')) return findings;
  const trees = new Set(wanted.map((each) => each.tree)).size;
  return [
    {
      check,
      state: 'ok',
      message: `${count(wanted.length, 'run')}, ${count(trees, 'tree')}, all there and pinned`,
    },
    ...findings,
  ];
}

function wantedOf(store: Store): Wanted[] {
  return store
    .prepare(
      `SELECT r.id AS id, s.body AS body FROM snapshots s JOIN runs r ON r.num = s.run
       WHERE r.removed = 0 ORDER BY r.started_at DESC`,
    )
    .all()
    .flatMap((row): Wanted[] => {
      const snapshot = JSON.parse(String(row.body)) as SnapshotRecord;
      const { git_dir: gitDir, tree } = snapshot;
      // Runs without a snapshot of their own (--no-auto-commit) were promised nothing.
      if (snapshot.store === 'none' || !gitDir || !tree) return [];
      return [
        {
          run: String(row.id),
          gitDir,
          tree,
          base: snapshot.base ?? null,
          commit: snapshot.commit ?? null,
          commitObject: snapshot.commit_object ?? null,
        },
      ];
    });
}

/** Every store that may have them, each asked once for everything. */
async function storesOf(
  context: Context,
  store: Store,
  project: Project,
  wanted: readonly Wanted[],
): Promise<Map<string, Holding>> {
  const { env } = context;
  const { layout } = project;
  const places = new Set(wanted.map((each) => each.gitDir));
  const folders = [layout.project, ...listLinks({ context, ...project, store }).map((link) => link.path)];
  for (const folder of folders) {
    const found = existsSync(folder) ? await findRepository({ cwd: folder, env }) : null;
    if (found?.kind === 'repository') places.add(found.commonDir);
  }
  for (const format of ['sha1', 'sha256'] as const) places.add(privateGitDir(layout.privateGit, format));
  const ids = [
    ...new Set(wanted.flatMap((each) => [each.tree, each.base, each.commit].filter((id) => id !== null))),
  ];
  const result = new Map<string, Holding>();
  for (const gitDir of places) {
    if (!existsSync(gitDir)) continue;
    const listing = await runGit(
      { env, cwd: gitDir, gitDir },
      ['cat-file', '--batch-check=%(objectname) %(objecttype)'],
      ids.map((id) => `${id}\n`).join(''),
    );
    if (!listing.ok) continue;
    const lines = listing.out.toString().split('\n');
    const objects = lines
      .filter((line) => / (?:tree|commit)$/.test(line))
      .map((line) => line.split(' ')[0] ?? '');
    const pinned = await listPinned({ gitDir, env }).catch(() => []);
    result.set(gitDir, { objects: new Set(objects), pinned: new Set(pinned) });
  }
  return result;
}

/** Of the newest trees, every object. What a partial clone has elsewhere is not missed. */
async function checkWhole(context: Context, walk: ReadonlyMap<string, string[]>): Promise<Finding[]> {
  const findings: Finding[] = [];
  const deadline = performance.now() + WALK_MS;
  for (const [gitDir, trees] of walk) {
    const walked = await runGit(
      { env: context.env, cwd: gitDir, gitDir, deadline },
      ['rev-list', '--objects', '--quiet', '--exclude-promisor-objects', '--stdin'],
      trees.map((tree) => `${tree}\n`).join(''),
    );
    if (walked.ok || walked.why !== 'exited') continue;
    findings.push({
      check,
      state: 'problem',
      message: `${gitDir} lacks parts of recorded code: ${walked.err.split('\n')[0] ?? ''}`,
      hint: 'git fsck names them; git fetch, a backup or another clone may bring them back.',
    });
  }
  return findings;
}

function listed(runs: readonly string[]): string {
  const named = [...new Set(runs)];
  const more = named.length - NAMED;
  return more > 0 ? `${named.slice(0, NAMED).join(', ')} and ${more} more` : named.join(', ');
}
