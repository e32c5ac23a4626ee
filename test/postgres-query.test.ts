/** The query room's own tests, over PostgreSQL. */
import { afterAll, describe } from 'vitest';
import { testAnswerer } from '../src/query/fixture.ts';
import { describePostgres } from './support/describe-postgres.ts';
import { mirrorAnswerer } from './support/postgres-mirror.ts';

await describePostgres('PostgreSQL', async (postgres) => {
  const answerer = mirrorAnswerer(await postgres.database('mirror'));
  testAnswerer(answerer);
  afterAll(() => answerer.close());

  describe('filters', () => import('../src/query/filter.test.ts').then(() => undefined));
  describe('the runs table', () => import('../src/query/runs-table.test.ts').then(() => undefined));
  describe('pages', () => import('../src/query/fast-paths.test.ts').then(() => undefined));
});
