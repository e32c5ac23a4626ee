/** Repositories inside a repository: submodules and clones. Each is recorded in its own store, by its own commit. */

import { isUtf8 } from 'node:buffer';
import { existsSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { fileStamp } from './file-stamp.ts';
import { pathText } from './path-text.ts';
import type { LeftOut, Snapshot, SnapshotWarning } from './snapshot-record.ts';
import type { SnapshotSession, TakeNested } from './snapshot-session.ts';
import type { IndexEntry } from './staging.ts';

/** Deeper ones, and more of them, are named and left out: each costs as much as a small repository. */
const depthLimit = 5;
const countLimit = 50;

export interface NestedFound {
  /** Without the `/` at the end. */
  readonly path: Buffer;
  /** The commit that the index holds for it; null where it is not a submodule. */
  readonly id: string | null;
}

export interface NestedTaken {
  readonly entries: IndexEntry[];
  readonly nested: Snapshot['nested'];
  readonly leftOut: LeftOut[];
  readonly warnings: SnapshotWarning[];
  /** One of them holds something that its own HEAD does not. */
  dirty: boolean;
}

export async function takeNestedSnapshots(options: {
  found: readonly NestedFound[];
  top: string;
  /** The shared git dir of the outer repository; null where it has none. */
  commonDir: string | null;
  session: SnapshotSession;
  take: TakeNested;
}): Promise<NestedTaken> {
  const { top, commonDir, session, take } = options;
  const result: NestedTaken = { entries: [], nested: [], leftOut: [], warnings: [], dirty: false };
  const present = options.found.filter(({ path }) =>
    fileStamp(top, Buffer.concat([path, Buffer.from('/.git')])),
  );
  const leave = (path: Buffer, reason: 'nested' | 'excluded'): void => {
    result.leftOut.push({ path: `${pathText(path)}/`, size: null, mtime: null, reason });
  };
  for (const { path, id } of present) {
    const folder = join(top, path.toString());
    if (!isUtf8(path) || session.depth >= depthLimit || result.nested.length >= countLimit) {
      leave(path, 'nested');
      continue;
    }
    const name = `${path.toString()}/`;
    const inner = await take(folder, {
      ...session,
      depth: session.depth + 1,
      message: undefined,
      policy: { ...session.policy, pathPrefix: session.policy.pathPrefix + name },
    });
    if (id === null && commonDir !== null && inner.git_dir === commonDir) {
      // Another checkout of the same repository (`git worktree add` below it): someone else's work, not this code.
      leave(path, 'excluded');
      continue;
    }
    if (inner.commit === null || inner.tree === null || !isTop(folder, inner.repository)) {
      leave(path, 'nested');
      result.warnings.push(...inner.warnings);
      continue;
    }
    if (inner.dirty) result.dirty = true;
    result.entries.push({ path, mode: '160000', id: inner.commit });
    result.nested.push({ path: path.toString(), tree: inner.tree, commit: inner.commit });
    for (const each of inner.nested) result.nested.push({ ...each, path: name + each.path });
    for (const each of inner.left_out) result.leftOut.push({ ...each, path: name + each.path });
    for (const each of inner.warnings) {
      // Left-out files are warned of once, by the outermost.
      if (!each.code.startsWith('left-out-')) {
        result.warnings.push({ ...each, message: `${path.toString()}: ${each.message}` });
      }
    }
  }
  return result;
}

/** A broken `.git` would make git find the outer repository instead. */
function isTop(folder: string, repository: string | null): boolean {
  return repository !== null && existsSync(folder) && realpathSync(folder) === realpathSync(repository);
}
