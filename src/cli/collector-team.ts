/** What a collector over PostgreSQL is given: git and the page. */
import { join } from 'node:path';
import type { TeamParts } from '../collector/team-backend.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { diffTrees } from '../git/diff.ts';
import { DASHBOARD_FOLDER, INTAKE_FILE } from './program-files.ts';
import { noCodeHere, treeOfSide } from './serve-code.ts';
import { VERSION } from './version.ts';

export function teamParts({
  env,
  bug,
}: {
  env: Record<string, string | undefined>;
  bug(error: unknown): void;
}): TeamParts {
  return {
    version: VERSION,
    dashboard: DASHBOARD_FOLDER,
    intake: INTAKE_FILE,
    env,
    diff: async (space, projects, from, to) => {
      const [a, b] = [treeOfSide(from), treeOfSide(to)];
      if (a === b) return '';
      try {
        const gitDir = await space.codeDir(projects[0], a === null ? [] : [a]);
        const other = await space.codeDir(projects[1], b === null ? [] : [b]);
        const objects = other === gitDir ? undefined : join(other, 'objects');
        return await diffTrees({ gitDir, a, b, env, objects });
      } catch (error) {
        if (error instanceof WaddleError && error.code.endsWith('-unreachable')) throw error;
        throw noCodeHere([from, to], error);
      }
    },
    bug,
  };
}
