/** The query room's own tests, over PostgreSQL. */
import { afterAll, describe, expect, it } from 'vitest';
import { openDatabase, openSpaceSchema } from '../src/postgres/database.ts';
import { parseSort } from '../src/query/columns.ts';
import { testAnswerer } from '../src/query/fixture.ts';
import { stagesOf } from '../src/query/sort-stages.ts';
import { postgresSql } from '../src/store/postgres-sql.ts';
import { describePostgres } from './support/describe-postgres.ts';
import { mirrorAnswerer } from './support/postgres-mirror.ts';

await describePostgres('PostgreSQL', async (postgres) => {
  const answerer = mirrorAnswerer(await postgres.database('mirror'));
  testAnswerer(answerer);
  afterAll(() => answerer.close());

  describe('filters', () => import('../src/query/filter.test.ts').then(() => undefined));
  describe('the runs table', () => import('../src/query/runs-table.test.ts').then(() => undefined));
  describe('pages', () => import('../src/query/fast-paths.test.ts').then(() => undefined));

  it('expects texts where there are texts, so that a page of them is read off the index', async () => {
    const database = await openDatabase(await postgres.database('texts'), { connections: 2 });
    await openSpaceSchema(database, 'texts');
    const plan = await database.transaction('texts', async (session) => {
      const texts = "'comment', 'string', 'text ' || n, NULL, 'comment' FROM generate_series(1, 20000) n";
      await session.change(
        `INSERT INTO param_leaves (run, key, type, text, number, param) SELECT n, ${texts}`,
      );
      await session.change('ANALYZE param_leaves');
      const stages = stagesOf(parseSort('params.comment'), null) ?? [];
      const leading = stages.map(({ ties }) => ties?.leading).find((each) => each?.text.includes('substr'));
      if (leading === undefined) throw new Error('there is no stage of texts');
      const sql = postgresSql(`${leading.text} LIMIT 1000`);
      return session.rows(`EXPLAIN ${sql}`, [...leading.values]);
    });
    await database.close();
    const text = plan.map((row) => String(row['QUERY PLAN'])).join('\n');
    expect(text).toContain('Index Scan using param_leaves_text');
    expect(text).not.toContain('Sort');
  });
});
