import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Environment, needGit } from './run-git.ts';

/** The tree with other content in the files that these blobs are; it is not pinned. Gives its id. */
export async function replaceBlobs(options: {
  gitDir: string;
  env: Environment;
  tree: string;
  blobs: ReadonlySet<string>;
  replace: (content: Buffer) => Buffer;
}): Promise<string> {
  const { gitDir, tree, blobs, replace } = options;
  const folder = mkdtempSync(join(tmpdir(), 'waddle-index-'));
  try {
    const env = { ...options.env, GIT_INDEX_FILE: join(folder, 'index') };
    const git = { env, cwd: gitDir, gitDir };
    // `mode type id<tab>path`, ended by a zero; a path is bytes, and need not be text.
    const listed = (await needGit(git, ['ls-tree', '-r', '-z', tree])).toString('latin1').split('\0');
    const entries = listed.flatMap((entry) => {
      const [, mode = '', id = '', path = ''] = /^(\S+) blob (\S+)\t(.*)$/s.exec(entry) ?? [];
      return blobs.has(id) ? [{ mode, id, path }] : [];
    });
    if (entries.length === 0) return tree;
    const fresh = new Map<string, string>();
    for (const blob of new Set(entries.map(({ id }) => id))) {
      const content = replace(await needGit(git, ['cat-file', 'blob', blob]));
      const id = await needGit(git, ['hash-object', '-w', '--stdin'], content);
      fresh.set(blob, id.toString().trim());
    }
    await needGit(git, ['read-tree', tree]);
    const changed = entries.map(({ mode, id, path }) => `${mode} ${fresh.get(id)}\t${path}\0`);
    await needGit(git, ['update-index', '-z', '--index-info'], Buffer.from(changed.join(''), 'latin1'));
    return (await needGit(git, ['write-tree'])).toString().trim();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
