import { expect, it } from 'vitest';
import { readDatabaseUrl, shareConnections } from './database-url.ts';

it('takes out of an address what is not PostgreSQL’s', () => {
  const plain = 'postgres://me:a%20b@db.example.com/waddle?sslmode=require';
  expect(readDatabaseUrl(plain)).toEqual({ url: plain, session: plain, connections: 10 });
  expect(readDatabaseUrl(`${plain}&connections=25&listen=10.0.0.7`)).toEqual({
    url: plain,
    session: 'postgres://me:a%20b@10.0.0.7:5432/waddle?sslmode=require',
    connections: 25,
  });
  expect(readDatabaseUrl('postgresql://db:6432/w?listen=[::1]:5433').session).toBe(
    'postgresql://[::1]:5433/w',
  );
  for (const wrong of [
    'mysql://x/y',
    'nothing',
    'postgres://x/y?connections=3',
    'postgres://x/y?listen=a/b',
  ]) {
    expect(() => readDatabaseUrl(wrong)).toThrow(expect.objectContaining({ code: 'database-invalid' }));
  }
});

it('leaves each thread something', () => {
  expect(shareConnections(10)).toEqual({ answering: 6, takingIn: 3 });
  expect(shareConnections(4)).toEqual({ answering: 2, takingIn: 1 });
});
