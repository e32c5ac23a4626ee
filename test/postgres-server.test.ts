/** The server's own tests, over PostgreSQL. */
import { afterAll, describe } from 'vitest';
import { testEngine } from '../src/server/fixture.ts';
import { startPostgres } from './support/postgres.ts';
import { postgresTestEngine } from './support/postgres-engine.ts';

const postgres = await startPostgres();
const missing = 'missing' in postgres ? postgres.missing : null;
const tested = 'missing' in postgres ? null : await postgresTestEngine(postgres);
if (tested !== null) testEngine(tested.engine);

describe.skipIf(missing !== null)(`PostgreSQL${missing === null ? '' : ` (${missing})`}`, () => {
  afterAll(async () => {
    await tested?.close();
    if (!('missing' in postgres)) await postgres.remove();
  });

  describe('the API', () => import('../src/server/api.test.ts').then(() => undefined));
  describe('its document', () => import('../src/server/openapi.test.ts').then(() => undefined));
  describe('the live stream', () => import('../src/server/live/live.test.ts').then(() => undefined));
});
