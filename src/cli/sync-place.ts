/** The project folder's own side of push and pull. */
import { join } from 'node:path';
import { FolderSpace } from '../sync/folder-space.ts';
import { type Context, type Project, storeFile } from './context.ts';

/** Must be closed. Its memory of what it found out lies where the database may lie: on a local disk. */
export function openOwnSpace(context: Context, project: Project): FolderSpace {
  const { layout } = project;
  const store = storeFile({ layout, config: {} }, context.env);
  const cacheFile = store.startsWith(`${layout.root}/`)
    ? join(layout.root, 'cache', 'sync.sqlite')
    : `${store}.sync`;
  return new FolderSpace({ layout, env: context.env, cacheFile });
}
