/** The collector's own tests, over PostgreSQL and S3. */
import { describe } from 'vitest';
import { testTeamHomes } from './support/collector-home.ts';
import { describeTeam } from './support/describe-postgres.ts';

await describeTeam('over PostgreSQL and S3', (postgres) => {
  testTeamHomes(postgres);

  describe('a collector', () => import('./collector.test.ts').then(() => undefined));
  describe('its process', () => import('./collector-process.test.ts').then(() => undefined));
  describe('a hostile client', () => import('./collector-hostile.test.ts').then(() => undefined));
});
