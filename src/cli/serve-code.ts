/** Patches between recorded trees, for the server: it knows runs, not git. */
import { WaddleError } from '../errors/waddle-error.ts';
import type { SnapshotRecord } from '../events/schema.ts';
import { diffTrees } from '../git/diff.ts';
import { privateGitDir } from '../git/private-repository.ts';
import type { Layout } from '../journal/layout.ts';
import type { CodeSide } from '../server/options.ts';

/** A unified patch; '' where both sides are the same tree. @throws WaddleError `code-missing` */
export async function codeDiff(
  from: CodeSide,
  to: CodeSide,
  layout: Layout,
  env: Record<string, string | undefined>,
): Promise<string> {
  const [a, b] = [from.snapshot[from.at] ?? null, to.snapshot[to.at] ?? null];
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

/** The git dirs that may hold them, the likeliest first. */
function placesOf(snapshots: readonly SnapshotRecord[], layout: Layout): string[] {
  const places = snapshots.flatMap((snapshot) => {
    const own = typeof snapshot.git_dir === 'string' ? [snapshot.git_dir] : [];
    const kept = privateGitDir(layout.privateGit, snapshot.object_format === 'sha256' ? 'sha256' : 'sha1');
    return snapshot.store === 'private' ? [kept, ...own] : [...own, kept];
  });
  return [...new Set(places)];
}
