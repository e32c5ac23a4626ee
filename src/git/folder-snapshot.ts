/** The snapshot of a folder that git cannot help with: no repository, a bare one, or one that git does not trust. */
import { readdir, realpath, rename } from 'node:fs/promises';
import { resolve } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { commitContent, commitId, writeCommit } from './commit.ts';
import { changedIn } from './diff.ts';
import { fileStamps } from './file-stamp.ts';
import { cachedIndexPath, copyIndex, keepIndex, newIndexPath, removeIndex } from './index-file.ts';
import { foldLeftOut } from './left-out.ts';
import { type NestedFound, takeNestedSnapshots } from './nested.ts';
import { pathText, splitNul } from './path-text.ts';
import {
  applyPolicy,
  type Candidate,
  environmentFolders,
  excludedAs,
  folderIgnores,
  folderIn,
} from './policy.ts';
import { openPrivateRepository } from './private-repository.ts';
import { pinTree } from './refs.ts';
import { firstLine, type Git, needGit, runGit } from './run-git.ts';
import { changedLimit, emptyTree, type LeftOut, type Snapshot } from './snapshot-record.ts';
import {
  contentWarnings,
  emptySnapshot,
  isIncomplete,
  leftOutWarnings,
  type SnapshotSession,
  type TakeNested,
} from './snapshot-session.ts';
import { stageEntries, stageFiles } from './staging.ts';
import { leftOutItem } from './workspace-changes.ts';

/**
 * Every file of `folder` that its `.gitignore` files, the usual caches and the policy let through, in a commit without
 * parent in the private repository. Errors: `store-refused`, `git-failed`.
 */
export async function snapshotFolder(
  folder: string,
  session: SnapshotSession,
  take: TakeNested,
): Promise<Snapshot> {
  const { env, privateDir } = session;
  const top = await realpath(resolve(folder));
  const gitDir = await openPrivateRepository(privateDir);
  const indexFile = await newIndexPath(privateDir, env);
  const git: Git = {
    env,
    cwd: top,
    gitDir,
    workTree: top,
    indexFile,
    rawFilters: [],
    signal: session.signal,
    deadline: session.deadline,
  };
  const patient = { ...git, deadline: undefined };
  let kept = false;
  try {
    // The last snapshot's index: what has not changed since is not read again.
    const cache = cachedIndexPath(privateDir, top);
    const cached = await copyIndex(cache, indexFile);
    const [listing, before] = await Promise.all([
      listFolder(git, top),
      cached ? needGit(patient, ['ls-files', '-z']) : Buffer.alloc(0),
    ]);
    const leftOut = listing.leftOut;
    const { candidates, nested: found } = sortListing(listing.paths, session, leftOut);
    const stamps = await fileStamps(
      top,
      candidates.map((each) => each.path),
    );
    const existing: Candidate[] = candidates.flatMap((each, at) => {
      const stamp = stamps[at];
      return stamp && stamp.kind !== 'folder' ? [{ ...each, stamp }] : [];
    });
    const chosen = applyPolicy(existing, session.policy);
    for (const { candidate, reason } of chosen.refused) leftOut.push(leftOutItem(candidate, reason));
    const nested = await takeNestedSnapshots({ found, top, commonDir: null, session, take });
    leftOut.push(...nested.leftOut);

    const wanted = new Set(chosen.kept.map((each) => each.path.toString('latin1')));
    const removals = splitNul(before)
      .filter((path) => !wanted.has(path.toString('latin1')))
      .map((path) => ({ path, mode: '0', id: '0'.repeat(40) }));
    await stageEntries(git, [...removals, ...nested.entries]);
    const items = chosen.kept.map((each) => ({ ...each, tracked: false }));
    const staged = await stageFiles(git, items);
    for (const item of staged.failed) leftOut.push(leftOutItem(item, 'failed'));
    for (const item of staged.late) leftOut.push(leftOutItem(item, 'time'));
    const [tree, again] = await Promise.all([
      needGit(patient, ['write-tree']).then((out) => out.toString().trim()),
      fileStamps(
        top,
        items.map((item) => item.path),
      ),
    ]);
    const named = new Set(leftOut.map((each) => each.path));
    for (const [at, item] of items.entries()) {
      if (again[at]?.mark !== item.stamp.mark && !named.has(item.text)) {
        leftOut.push(leftOutItem(item, 'unstable'));
      }
    }

    const content = commitContent({ tree, parent: null, time: 0, message: session.message });
    const [changes] = await Promise.all([
      changedIn(patient, emptyTree('sha1'), tree),
      writeCommit(patient, content),
      pinTree({ gitDir, env, tree, privateDir }),
    ]);
    const left_out = foldLeftOut(leftOut, () => items.map((item) => item.text));
    const spare = await newIndexPath(privateDir, env);
    if (await copyIndex(indexFile, spare)) await rename(spare, cache);
    if (session.keepIndex) {
      await keepIndex(indexFile, privateDir, top, tree);
      kept = true;
    }
    return {
      ...emptySnapshot(),
      store: 'private',
      repository: top,
      git_dir: gitDir,
      tree,
      commit: commitId(content, 'sha1'),
      commit_object: content,
      dirty: changes.length > 0,
      incomplete: listing.partial || isIncomplete(left_out),
      left_out,
      nested: nested.nested,
      changed: changes.slice(0, changedLimit),
      changed_count: changes.length,
      object_format: 'sha1',
      warnings: [
        ...listing.warnings,
        ...nested.warnings,
        ...contentWarnings(git, staged),
        ...leftOutWarnings(left_out),
      ],
    };
  } finally {
    if (!kept) await removeIndex(indexFile);
  }
}

interface Listing {
  paths: Buffer[];
  leftOut: LeftOut[];
  warnings: Snapshot['warnings'];
  /** More was left out than the list says by its reasons. */
  partial: boolean;
}

/** By git, for its ignore rules; but a home folder is not a project, and nobody wants its hidden files in a store. */
async function listFolder(git: Git, top: string): Promise<Listing> {
  const home = git.env.HOME ? await realpath(git.env.HOME).catch(() => null) : null;
  if (top === home || top === '/') return listHome(top);
  const patterns = folderIgnores.map((pattern) => `--exclude=${pattern}`);
  // An index that does not exist: every file is then listed, and one that came to be ignored is not.
  // Time is kept for what is found: a listing that is cut off still names the files nearest the top.
  const now = performance.now();
  const deadline = now + ((git.deadline ?? now) - now) * 0.6;
  const listed = await runGit({ ...git, deadline, indexFile: `${git.indexFile ?? ''}.none` }, [
    'ls-files',
    '--others',
    '-z',
    '--exclude-standard',
    ...patterns,
  ]);
  const leftOut: LeftOut[] = [];
  if (listed.why === 'late') leftOut.push({ path: './', size: null, mtime: null, reason: 'time' });
  else if (!listed.ok) throw new WaddleError('git-failed', firstLine(listed.err), 'run `waddle doctor`');
  for (const match of listed.err.matchAll(/could not open directory '(.*)': /g)) {
    leftOut.push({ path: match[1] ?? '', size: null, mtime: null, reason: 'unreadable' });
  }
  const whole = listed.out.subarray(0, listed.out.lastIndexOf(0) + 1);
  return { paths: splitNul(whole), leftOut, warnings: [], partial: false };
}

async function listHome(top: string): Promise<Listing> {
  const entries = await readdir(top, { withFileTypes: true, encoding: 'buffer' });
  const visible = entries.filter((entry) => entry.name[0] !== 46);
  return {
    partial: true,
    paths: visible.filter((entry) => !entry.isDirectory()).map((entry) => entry.name),
    leftOut: visible
      .filter((entry) => entry.isDirectory())
      .map((entry) => ({ path: `${pathText(entry.name)}/`, size: null, mtime: null, reason: 'excluded' })),
    warnings: [
      {
        code: 'home-folder',
        message: `of ${top} only the files directly in it were kept, without its folders and hidden files`,
        hint: 'run in a folder of the project',
      },
    ],
  };
}

function sortListing(
  paths: readonly Buffer[],
  session: SnapshotSession,
  leftOut: LeftOut[],
): { candidates: { path: Buffer; text: string }[]; nested: NestedFound[] } {
  const candidates: { path: Buffer; text: string }[] = [];
  const nested: NestedFound[] = [];
  const texts = paths.map(pathText);
  const environments = new Set(environmentFolders(texts));
  const excluded = new Set<string>();
  for (const [at, path] of paths.entries()) {
    const text = texts[at] ?? '';
    const whole = excludedAs(text, session.policy) ?? folderIn(text, environments);
    if (whole !== null) excluded.add(whole);
    else if (text.endsWith('/')) nested.push({ path: path.subarray(0, -1), id: null });
    else candidates.push({ path, text });
  }
  for (const path of excluded) leftOut.push({ path, size: null, mtime: null, reason: 'excluded' });
  return { candidates, nested };
}
