/** The server's own tests, over PostgreSQL. */
import { afterAll, describe } from 'vitest';
import { testEngine } from '../src/server/fixture.ts';
import { describePostgres } from './support/describe-postgres.ts';
import { postgresTestEngine } from './support/postgres-engine.ts';

await describePostgres('PostgreSQL', async (postgres) => {
  const { engine, close } = await postgresTestEngine(postgres);
  testEngine(engine);
  afterAll(close);

  describe('the API', () => import('../src/server/api.test.ts').then(() => undefined));
  describe('its document', () => import('../src/server/openapi.test.ts').then(() => undefined));
  describe('the live stream', () => import('../src/server/live/live.test.ts').then(() => undefined));
});
