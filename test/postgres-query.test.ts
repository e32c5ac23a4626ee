/** The query room's own tests, over PostgreSQL. */
import { afterAll, describe } from 'vitest';
import { testAnswerer } from '../src/query/fixture.ts';
import { startPostgres } from './support/postgres.ts';
import { mirrorAnswerer } from './support/postgres-mirror.ts';

const postgres = await startPostgres();
const missing = 'missing' in postgres ? postgres.missing : null;
const answerer = 'missing' in postgres ? null : mirrorAnswerer(await postgres.database('mirror'));
if (answerer !== null) testAnswerer(answerer);

describe.skipIf(missing !== null)(`PostgreSQL${missing === null ? '' : ` (${missing})`}`, () => {
  afterAll(async () => {
    await answerer?.close();
    if (!('missing' in postgres)) await postgres.remove();
  });

  describe('filters', () => import('../src/query/filter.test.ts').then(() => undefined));
  describe('the runs table', () => import('../src/query/runs-table.test.ts').then(() => undefined));
});
