/** Patches between recorded trees, for the server: it knows runs, not git. */
import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import type { SnapshotRecord } from '../events/schema.ts';
import { diffTrees } from '../git/diff.ts';
import { privateGitDir } from '../git/private-repository.ts';
import type { Layout } from '../journal/layout.ts';
import type { CodeSide } from '../server/options.ts';
import { isolatedGitDir } from '../sync/folder-space.ts';

/** What a side is compared by where commits are not at hand. */
export function treeOfSide({ snapshot, at }: CodeSide): string | null {
  return (at === 'base' ? (snapshot.base_tree ?? snapshot.base) : snapshot.tree) ?? null;
}

/** Why two sides cannot be compared on a collector. */
export function noCodeHere(sides: readonly CodeSide[], cause: unknown): WaddleError {
  const old = sides.some(({ snapshot, at }) => at === 'base' && snapshot.base && !snapshot.base_tree);
  return new WaddleError(
    'code-missing',
    'the code of both sides is not here',
    old
      ? 'The run was recorded by a Waddle that did not note what its commit held; comparing it with another run works.'
      : 'waddle push brings it from where the run was made.',
    { cause },
  );
}

/** A unified patch; '' where both sides are the same tree. @throws WaddleError `code-missing` */
export async function codeDiff(
  from: CodeSide,
  to: CodeSide,
  layout: Layout,
  env: Record<string, string | undefined>,
): Promise<string> {
  const [a, b] = [treeOfSide(from), treeOfSide(to)];
  if (a === b) return '';
  let failed: unknown;
  for (const gitDir of placesOf([to.snapshot, from.snapshot], layout)) {
    try {
      return await diffTrees({ gitDir, a, b, env });
    } catch (error) {
      failed = error;
    }
  }
  throw new WaddleError(
    'code-missing',
    'the code of both sides is not in one repository here',
    'waddle checkout brings a run’s code back, where it is still kept; waddle pull brings others’ code.',
    { cause: failed },
  );
}

/**
 * The same for a space of a collector, where what a run says of git dirs is nobody's word: only the store of its own project is
 * looked at.
 * @param projectOf the project of a side
 */
export async function collectedDiff(
  from: CodeSide,
  to: CodeSide,
  layout: Layout,
  projects: readonly [from: string, to: string],
  env: Record<string, string | undefined>,
): Promise<string> {
  const [a, b] = [treeOfSide(from), treeOfSide(to)];
  if (a === b) return '';
  const format = (a ?? b ?? '').length === 64 ? 'sha256' : 'sha1';
  const [one, other] = projects.map((project) => privateGitDir(isolatedGitDir(layout, project), format));
  try {
    const objects = one === other || other === undefined ? undefined : join(other, 'objects');
    return await diffTrees({ gitDir: one ?? '', a, b, env, objects });
  } catch (error) {
    throw noCodeHere([from, to], error);
  }
}

/** The git dirs that may hold them, the likeliest first. */
function placesOf(snapshots: readonly SnapshotRecord[], layout: Layout): string[] {
  const places = snapshots.flatMap((snapshot) => {
    const own = typeof snapshot.git_dir === 'string' ? [snapshot.git_dir] : [];
    const kept = privateGitDir(layout.privateGit, snapshot.object_format === 'sha256' ? 'sha256' : 'sha1');
    return snapshot.store === 'private' ? [kept, ...own] : [...own, kept];
  });
  return [...new Set(places)];
}
