/** What a collector over folders is given: ingest, queries, git and the page. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FolderParts } from '../collector/folder-home.ts';
import { catchUp } from '../ingest/catch-up.ts';
import { projectName } from '../sync/folder-blobs.ts';
import { FolderSpace } from '../sync/folder-space.ts';
import { storeCatalogue } from './collector-catalogue.ts';
import { DASHBOARD_FOLDER } from './program-files.ts';
import { collectedDiff } from './serve-code.ts';
import { followForServer } from './serve-follow.ts';
import { sealForCollector } from './serve-seal.ts';
import { VERSION } from './version.ts';

export function folderParts({
  env,
  bug,
  warn,
}: {
  env: Record<string, string | undefined>;
  bug(error: unknown): void;
  warn(text: string): void;
}): FolderParts {
  return {
    version: VERSION,
    dashboard: DASHBOARD_FOLDER,
    openSpace: (layout, store) =>
      new FolderSpace({ layout, env, isolated: true, catalogue: storeCatalogue(store) }),
    follow: (options) => followForServer({ ...options, warn }),
    seal: (options) => sealForCollector({ ...options, warn }),
    catchUp: (layout, store, runs) => void catchUp({ layout, store, runs }),
    diff: (layout, projects, from, to) => collectedDiff(from, to, layout, projects, env),
    isShown: (layout, project, sha256) =>
      existsSync(join(layout.root, 'owned', projectName(project), sha256)),
    bug,
  };
}
