import { expect, it } from 'vitest';
import { postgresSql } from './postgres-sql.ts';

it('numbers what is bound, in order, and leaves quoted text alone', () => {
  expect(
    postgresSql(
      `SELECT r."group?", 'why?', 'it''s LIKE' FROM runs r CROSS JOIN tags t ON t.run = r.num
       WHERE r.num IN (SELECT value FROM json_each(?)) AND t.value LIKE ? ESCAPE '\\' AND r.id = ?`,
    ),
  ).toBe(
    `SELECT r."group?", 'why?', 'it''s LIKE' FROM runs r JOIN tags t ON t.run = r.num
       WHERE r.num = ANY($1) AND t.value ILIKE $2 ESCAPE '\\' AND r.id = $3`,
  );
});
