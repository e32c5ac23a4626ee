import { beforeAll, expect, it } from 'vitest';
import { describePostgres } from '../../test/support/describe-postgres.ts';
import { readNumberText } from '../store/number-text.ts';
import { openDatabase, openSpaceSchema } from './database.ts';

await describePostgres('a database', (postgres) => {
  let url = '';
  beforeAll(async () => {
    url = await postgres.database('collector');
  });

  it('is made by several at once, once', async () => {
    const open = async () => {
      const database = await openDatabase(url, { connections: 2 });
      await Promise.all([openSpaceSchema(database, 'one'), openSpaceSchema(database, 'two')]);
      const epoch = await database.transaction('one', (session) =>
        session.rows("SELECT value FROM meta WHERE key = 'epoch'"),
      );
      await database.close();
      return epoch[0]?.value;
    };
    const epochs = await Promise.all([open(), open(), open(), open(), open()]);
    expect(new Set(epochs).size).toBe(1);
    expect(epochs[0]).toMatch(/^[0-9a-f]{16}$/);
  });

  it('refuses what a newer Waddle made, a name that is none, and says what it cannot reach', async () => {
    const database = await openDatabase(url);
    await openSpaceSchema(database, 'newer');
    await database.transaction('newer', (session) => session.change('UPDATE version SET version = 99'));
    await expect(openSpaceSchema(database, 'newer')).rejects.toMatchObject({ code: 'store-newer' });
    await expect(openSpaceSchema(database, 'a"b')).rejects.toMatchObject({ code: 'space-invalid' });
    await database.close();
    await expect(openDatabase('postgres://nobody@127.0.0.1:1/none')).rejects.toMatchObject({
      code: 'database-unreachable',
    });
    await expect(openDatabase(postgres.url('no-such'))).rejects.toMatchObject({ code: 'database-denied' });
  });

  it('keeps nothing of a transaction that throws, and shows a snapshot one state', async () => {
    const database = await openDatabase(url);
    await openSpaceSchema(database, 'one');
    const link = (session: { change: (text: string) => Promise<number> }, name: string) =>
      session.change(`INSERT INTO links VALUES ('${name}', '/', 1, 'w', 0)`);
    await expect(
      database.transaction('one', async (session) => {
        await link(session, 'lost');
        throw new Error('halfway');
      }),
    ).rejects.toThrow('halfway');
    const counts = await database.transaction(
      'one',
      async (session) => {
        const before = await session.rows('SELECT count(*) AS n FROM links');
        await database.transaction('one', (other) => link(other, 'kept'));
        return [before[0]?.n, (await session.rows('SELECT count(*) AS n FROM links'))[0]?.n];
      },
      'snapshot',
    );
    expect(counts).toEqual([0, 0]);
    const after = await database.transaction('one', (session) => session.rows('SELECT name FROM links'));
    expect(after).toEqual([{ name: 'kept' }]);
    await database.close();
  });

  it('reads numbers in texts as the filter language does', async () => {
    const database = await openDatabase(url);
    await openSpaceSchema(database, 'one');
    const texts = [
      '1',
      ' 1.5\t',
      '+.5',
      '5.',
      '-1e-3',
      '1E5',
      '',
      '.',
      'e5',
      '1e',
      '0x10',
      'NaN',
      'nan',
      '1_000',
    ];
    texts.push('Infinity', '-Infinity', ' Infinity', 'infinity', '1e999', '-1e999', '1e-999', '-1e99999999');
    texts.push(
      '1e-99999999',
      `0.${'0'.repeat(400)}1`,
      '9'.repeat(400),
      '0.1',
      '9007199254740993',
      '\u00a07\ufeff',
    );
    texts.push(
      '1 2',
      '٣',
      'true',
      '1\n',
      '5e-324',
      '1.7976931348623157e308',
      '2.2250738585072011e-308',
      '0e999',
    );
    const rows = await database.transaction('one', (session) =>
      session.rows('SELECT t, waddle_number(t) AS n FROM unnest($1::text[]) t', [texts]),
    );
    for (const { t, n } of rows) {
      const expected = readNumberText(String(t));
      const wanted = expected === undefined || Number.isNaN(expected) ? null : expected + 0;
      expect([t, n === null ? null : Number(n) + 0]).toEqual([t, wanted]);
    }
    await database.close();
  });

  it('prepares nothing any more where what was prepared is another connection’s', async () => {
    const database = await openDatabase(url, { connections: 1 });
    const ask = () => database.ask('SELECT $1::text AS said', ['it']);
    expect(await ask()).toEqual([{ said: 'it' }]);
    const prepared = async () =>
      (await database.transaction(null, (session) => session.rows('SELECT name FROM pg_prepared_statements')))
        .length;
    expect(await prepared()).toBe(1);
    // As a pooler does that gives the next statement to another one.
    await database.transaction(null, (session) => session.rows('DEALLOCATE ALL'));
    expect(await ask()).toEqual([{ said: 'it' }]);
    expect(await database.transaction('one', (session) => session.prepared('SELECT 1 AS n'))).toEqual([
      { n: 1 },
    ]);
    expect(await prepared()).toBe(0);
    await database.close();
  });
});
