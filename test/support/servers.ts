/**
 * One PostgreSQL and one S3 for all test files of a run, each started when the first file asks for it and ended after the
 * last. A test that restarts or breaks a server starts one of its own.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Cluster, startPostgres, type TestPostgres } from './postgres.ts';
import { type Moto, startMoto, TestS3 } from './s3.ts';

/** Where the process that holds the servers is asked for them. */
const DOOR = 'WADDLE_TEST_SERVERS';

type Missing = { missing: string };
type Found = Pick<Cluster, 'port'> | Pick<Moto, 'port' | 'credentials'> | Missing;

/** Set where all test files run: some will ask, so both begin at once, and a machine that lacks them installs them meanwhile. */
const ALL = 'WADDLE_TEST_ALL';

/** Before all tests; ends the servers after them. */
export default async function setup(): Promise<() => Promise<void>> {
  const postgres = once(startPostgres);
  const s3 = once(startMoto);
  if (process.env[ALL] === '1') {
    for (const each of [postgres, s3]) each.get().catch(() => undefined);
  }
  const door = createServer((request, response) => {
    const held: Promise<Found> = request.url === '/s3' ? s3.get() : postgres.get();
    held.then(
      (found) => {
        const { missing } = found as Partial<Missing>;
        const { port, credentials } = found as Partial<Moto>;
        response.end(JSON.stringify({ missing, port, credentials }));
      },
      (error) => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>((ready) => door.listen(0, '127.0.0.1', ready));
  process.env[DOOR] = `http://127.0.0.1:${(door.address() as AddressInfo).port}`;
  return async () => {
    door.closeAllConnections();
    await new Promise((closed) => door.close(closed));
    const [cluster, moto] = [await postgres.begun(), await s3.begun()];
    if (cluster !== null && !('missing' in cluster)) await cluster.remove();
    if (moto !== null && !('missing' in moto)) await moto.stop();
  };
}

interface Once<T> {
  get(): Promise<T>;
  /** Null where nobody has asked for it, or it did not start. */
  begun(): Promise<T | null>;
}

function once<T>(start: () => Promise<T>): Once<T> {
  let begun: Promise<T> | undefined;
  return {
    get: () => {
      begun ??= start();
      return begun;
    },
    begun: async () => (await begun?.catch(() => null)) ?? null,
  };
}

async function ask<T>(path: string): Promise<T> {
  const response = await fetch(`${process.env[DOOR]}${path}`);
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()) as T;
}

export async function sharedPostgres(): Promise<Cluster | Missing> {
  const found = await ask<{ port: number; missing?: string }>('/postgres');
  return found.missing === undefined ? new Cluster(found.port) : { missing: found.missing };
}

/** A cluster of one's own; must be removed. The shared one comes first, so that two processes never install PostgreSQL. */
export async function ownPostgres(): Promise<TestPostgres | Missing> {
  const shared = await sharedPostgres();
  return 'missing' in shared ? shared : startPostgres();
}

/** A prefix of its own in the shared bucket, behind a door of its own; must be stopped. */
export async function sharedS3(): Promise<TestS3 | Missing> {
  const found = await ask<Pick<Moto, 'port' | 'credentials'> & { missing?: string }>('/s3');
  return found.missing === undefined ? TestS3.over(found) : { missing: found.missing };
}
