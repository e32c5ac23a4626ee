/** Collectors over PostgreSQL and S3, as processes: started at once, killed, and with what they stand on taken away. */

import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PostgresRegistry } from '../src/collector/postgres-registry.ts';
import { createFirstToken } from '../src/collector/tokens.ts';
import { openDatabase } from '../src/postgres/database.ts';
import { type HttpSpace, openHttpSpace } from '../src/sync/http-space.ts';
import { JournalHasher } from '../src/sync/journal-hash.ts';
import { type TestJournal, testRun } from './collector-fixture.ts';
import type { TestPostgres } from './support/postgres.ts';
import type { TestS3 } from './support/s3.ts';
import { ended, freePort, Sandbox, until, WADDLE } from './support/sandbox.ts';
import { ownPostgres, sharedS3 } from './support/servers.ts';

const startedPostgres = await ownPostgres();
const startedS3 = 'missing' in startedPostgres ? startedPostgres : await sharedS3();
const missing =
  'missing' in startedPostgres ? startedPostgres.missing : 'missing' in startedS3 ? startedS3.missing : null;
const postgres = startedPostgres as TestPostgres;
const s3 = startedS3 as TestS3;

/** What stands before the collectors: whichever answers gets the connection. */
class Balancer {
  readonly ports: number[];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #turn = 0;

  constructor(ports: number[]) {
    this.ports = ports;
    this.#server = createServer((client) => this.#pass(client, ports.length));
  }

  async listen(): Promise<string> {
    await new Promise<void>((ready) => this.#server.listen(0, '127.0.0.1', ready));
    const address = this.#server.address();
    return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  }

  #pass(client: Socket, tries: number): void {
    const port = this.ports[this.#turn++ % this.ports.length] ?? 0;
    const server = connect(port, '127.0.0.1');
    for (const socket of [client, server]) this.#sockets.add(socket);
    let through = false;
    server.once('connect', () => {
      through = true;
      client.pipe(server).pipe(client);
    });
    server.on('error', () => {
      if (!through && tries > 1) this.#pass(client, tries - 1);
      else client.destroy();
    });
    client.on('error', () => server.destroy());
    server.on('close', () => through && client.destroy());
    client.on('close', () => server.destroy());
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

describe.skipIf(missing !== null)(`a team's collectors${missing === null ? '' : ` (${missing})`}`, () => {
  const sandbox = new Sandbox();
  const collectors: { port: number; child: ChildProcess }[] = [];
  let balancer: Balancer;
  let url = '';
  let token = '';

  let said = '';
  const start = (port: number): ChildProcess => {
    const child = sandbox.start(WADDLE, ['serve', '--collector', '--port', String(port), '--log', 'json'], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        ...sandbox.env,
        TMPDIR: sandbox.folder,
        WADDLE_DATABASE: database,
        WADDLE_BLOBS: s3.url,
        ...s3.env,
      },
    });
    child.stderr?.on('data', (data) => {
      said += String(data);
    });
    return child;
  };
  const answers = async (port: number): Promise<boolean> => {
    try {
      return (await fetch(`http://127.0.0.1:${port}/readyz`)).ok;
    } catch {
      return false;
    }
  };
  let database = '';
  const space = (): Promise<HttpSpace> =>
    openHttpSpace({ url, token, userAgent: 'test', retry: { attempts: 60, baseMs: 20, capMs: 400 } });

  beforeAll(async () => {
    database = await postgres.database('team');
    // At once, on an empty database.
    for (const port of [await freePort(), await freePort()]) collectors.push({ port, child: start(port) });
    for (const { port } of collectors) await until(() => answers(port), 'a collector answers');
    await until(() => said.split('Ctrl-C ends it.').length === 3, 'both have said who they are');
    sandbox.env.WADDLE_DATABASE = database;
    token = sandbox.json<{ token: string }>('token', 'create').token;
    balancer = new Balancer(collectors.map(({ port }) => port));
    url = await balancer.listen();
  });
  afterAll(async () => {
    await balancer.close();
    await sandbox.remove();
    await s3.stop();
    await postgres.remove();
  });

  /** Pushes a run piece by piece; tells how many samples were acknowledged. */
  const push = async (journal: TestJournal, pieces: number, each: number, done: (piece: number) => void) => {
    const to = await space();
    let samples = 0;
    for (let piece = 0; piece < pieces; piece += 1) {
      const offset = piece === 0 ? 0 : journal.bytes.length;
      const lines = Array.from({ length: each }, (_, at) => ({
        k: 'm' as const,
        s: samples + at,
        v: { loss: Math.random(), note: Math.random() },
      }));
      journal.add(...lines);
      const [result] = await to.writeJournals([journal.piece(offset)]);
      expect(result).toMatchObject({ ok: true, length: journal.bytes.length });
      samples += each;
      done(piece);
    }
    await to.close();
    return samples;
  };

  const whatIsThere = async (journal: TestJournal, samples: number) => {
    const from = await space();
    const hasher = new JournalHasher();
    while (hasher.length < journal.bytes.length) {
      const want = { run: journal.run, writer: journal.writer, offset: hasher.length };
      const [piece] = await from.readJournals([want]);
      if (piece === undefined) throw new Error(`nothing at ${hasher.length}`);
      hasher.update(piece.bytes);
    }
    expect(hasher.root()).toBe(new JournalHasher().update(journal.bytes).root());
    await from.close();
    const headers = { authorization: `Bearer ${token}` };
    const count = async () => {
      const answer = await fetch(`${url}/api/runs/${journal.run}`, { headers });
      if (!answer.ok) return -1;
      const { metrics } = (await answer.json()) as { metrics: Record<string, { count: number }> };
      return Object.values(metrics).reduce((sum, metric) => sum + metric.count, 0);
    };
    await until(async () => (await count()) >= 2 * samples, 'all is taken in');
    expect(await count()).toBe(2 * samples);
  };

  it('tell one first token, however many start at once', async () => {
    const tokens = said.match(/^ {2}waddle_[a-z2-7]{10}_[\w-]{43}$/gm);
    expect(tokens).toHaveLength(1);
    expect(said.match(/Its first token was told on \S+ at \S+Z, and nobody has used it yet/g)).toHaveLength(
      1,
    );
    const empty = await openDatabase(await postgres.database('tokens'), { connections: 8 });
    const asked = { space: 'default', scope: 'admin' } as const;
    const registry = new PostgresRegistry(empty);
    const made = await Promise.all(Array.from({ length: 8 }, () => createFirstToken(registry, asked, 1)));
    expect(made.filter((each) => each !== null)).toHaveLength(1);
    expect(await registry.listTokens()).toHaveLength(1);
    await empty.close();
  });

  it('lose nothing and double nothing: killed, PostgreSQL restarted, S3 broken and slow', async () => {
    const journals = Array.from({ length: 3 }, () => testRun('demo').journal);
    let acknowledged = 0;
    const restarts: Promise<void>[] = [];
    const trouble = async (piece: number): Promise<void> => {
      if (piece === 4) {
        const [first] = collectors;
        first?.child.kill('SIGKILL');
        if (first === undefined) return;
        await ended(first.child);
        first.child = start(first.port);
      }
      if (piece === 8) await postgres.restart('immediate');
      if (piece === 12) {
        let left = 12;
        s3.meddle = (_, response) => {
          left -= 1;
          if (left < 0) return undefined;
          if (left % 3 === 2) return new Promise((wake) => setTimeout(wake, 150));
          response.writeHead(left % 3 === 1 ? 500 : 503).end('<Error><Code>SlowDown</Code></Error>');
          return 'answered';
        };
      }
    };
    const counts = await Promise.all(
      journals.map((journal, index) =>
        push(journal, 16, index === 0 ? 4000 : 300, (piece) => {
          acknowledged += 1;
          if (index === 1) restarts.push(trouble(piece));
        }),
      ),
    );
    await Promise.all(restarts);
    expect(acknowledged).toBe(48);
    for (const [index, journal] of journals.entries()) await whatIsThere(journal, counts[index] ?? 0);
  });

  it('take one artifact together, one of them killed in its midst', async () => {
    const bytes = randomBytes(20 * 1024 * 1024);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const journal = testRun('demo').journal;
    journal.add({ k: 'artifact', name: 'model', type: 'file', sha256, size: bytes.length });
    const to = await space();
    await to.writeJournals([journal.piece()]);
    const run = journal.run ?? '';
    for (let offset = 0; offset < bytes.length; ) {
      const part = bytes.subarray(offset, offset + 4 * 1024 * 1024);
      const sending = to.writeBlobs([{ run, sha256, size: bytes.length, offset, bytes: part }]);
      const [, second] = collectors;
      if (offset === 8 * 1024 * 1024 && second !== undefined) {
        second.child.kill('SIGKILL');
        await ended(second.child);
        second.child = start(second.port);
      }
      const [result] = await sending;
      expect(result).toMatchObject({ ok: true });
      offset = result?.received ?? 0;
    }
    const hash = createHash('sha256');
    for (let at = 0; at < bytes.length; ) {
      const read = await to.readBlob(run, sha256, at);
      if (read === null) throw new Error('the artifact is not there');
      hash.update(read);
      at += read.length;
    }
    expect(hash.digest('hex')).toBe(sha256);
    await to.close();
  });

  it('end when asked, and finish what they do', async () => {
    for (const { child, port } of collectors) {
      await until(() => answers(port), 'it answers');
      child.kill('SIGTERM');
      expect(await ended(child)).toEqual({ status: 0, signal: null });
    }
  });
});
