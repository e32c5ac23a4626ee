/** The long files first, so that no worker is left with one of them when the others have ended. */
import { BaseSequencer, type TestSpecification } from 'vitest/node';

/** In order of the seconds that they took in CI. The others follow as Vitest has them. */
const LONGEST = [
  'test/run.test.ts',
  'test/dashboard.test.ts',
  'test/proxies.test.ts',
  'test/dashboard-run.test.ts',
  'test/survival.test.ts',
  'test/sync.test.ts',
  'test/space.test.ts',
  'test/cli-purge.test.ts',
  'test/sync-survival.test.ts',
  'test/team-direct.test.ts',
  'test/dashboard-access.test.ts',
  'test/team-gc.test.ts',
  'test/client.test.ts',
  'test/team-backup.test.ts',
  'test/postgres-query.test.ts',
  'src/query/chart.test.ts',
];

export default class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const found = LONGEST.findIndex((path) => moduleId.endsWith(path));
      return found === -1 ? LONGEST.length : found;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}
