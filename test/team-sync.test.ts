/** What push and pull live through, with a collector over PostgreSQL and S3. */
import { testTeamHomes } from './support/collector-home.ts';
import { describeTeam } from './support/describe-postgres.ts';

await describeTeam('over PostgreSQL and S3', (postgres) => {
  testTeamHomes(postgres);
  return import('./sync-survival.test.ts').then(() => undefined);
});
