/** A collector for tests, over either engine: a real port, and runs as jobs write them. */
import { createHash } from 'node:crypto';
import { type RunningCollector, startCollector } from '../src/collector/collector.ts';
import type { Rates } from '../src/collector/front-door.ts';
import type { LogEntry } from '../src/collector/log.ts';
import type { Registry } from '../src/collector/registry.ts';
import { createToken, type NewToken } from '../src/collector/tokens.ts';
import { newRunId, newWriterName, type WriterRole } from '../src/events/ids.ts';
import { BLOCK_BYTES, hashBlock, rootOf } from '../src/journal/root.ts';
import { type HttpSpace, openHttpSpace } from '../src/sync/http-space.ts';
import type { JournalPiece } from '../src/sync/space.ts';
import { type CollectorHome, makeHome } from './support/collector-home.ts';

export class TestCollector {
  home!: CollectorHome;
  readonly logged: LogEntry[] = [];
  readonly bugs: unknown[] = [];
  registry!: Registry;
  #server: RunningCollector | undefined;
  readonly #spaces: HttpSpace[] = [];

  async start(
    changes: {
      behindProxy?: boolean;
      allowedHosts?: string[];
      rates?: Rates;
      recheckMs?: number;
      dashboard?: string;
    } = {},
  ): Promise<void> {
    const bug = (error: unknown) => void this.bugs.push(error);
    this.home = await makeHome();
    const backend = await this.home.open({ bug, dashboard: changes.dashboard });
    this.registry = backend.registry;
    this.#server = await startCollector({
      backend,
      version: '0.0.0-test',
      host: '127.0.0.1',
      port: 0,
      allowedHosts: changes.allowedHosts ?? [],
      maxConnections: 10_000,
      behindProxy: changes.behindProxy ?? false,
      rates: changes.rates,
      recheckMs: changes.recheckMs,
      tls: null,
      log: (entry) => void this.logged.push(entry),
      bug,
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server?.port}`;
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  async token(asked: Partial<NewToken> = {}): Promise<string> {
    const { text } = await createToken(
      this.registry,
      { space: 'default', scope: 'write', ...asked },
      Date.now() / 1000,
    );
    return text;
  }

  async space(token: string): Promise<HttpSpace> {
    const retry = { attempts: 2, baseMs: 1, capMs: 5 };
    const space = await openHttpSpace({ url: this.url, token, userAgent: 'test', retry });
    this.#spaces.push(space);
    return space;
  }

  /** A request as another program sends it. */
  ask(path: string, token: string | null, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (token !== null) headers.set('authorization', `Bearer ${token}`);
    return fetch(this.url + path, { redirect: 'manual', ...init, headers });
  }

  async json(
    path: string,
    token: string | null,
    init: RequestInit = {},
    // biome-ignore lint/suspicious/noExplicitAny: whatever the answer holds; the test says what it must.
  ): Promise<{ status: number; body: any }> {
    const response = await this.ask(path, token, init);
    return { status: response.status, body: await response.json() };
  }

  post(path: string, token: string | null, value: unknown, method = 'POST') {
    return this.json(path, token, {
      method,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(value),
    });
  }

  async end(): Promise<void> {
    for (const space of this.#spaces) await space.close();
    await this.#server?.end();
    this.#server = undefined;
  }

  async remove(): Promise<void> {
    await this.end();
    await this.home.remove();
  }
}

export const sha256 = (bytes: Uint8Array | string) => createHash('sha256').update(bytes).digest('hex');

export function rootOfBytes(bytes: Uint8Array): string {
  const blocks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES)
    blocks.push(hashBlock(bytes.subarray(at, at + BLOCK_BYTES)));
  return rootOf(blocks);
}

/** A journal as it would lie on somebody's disk. */
export class TestJournal {
  readonly run: string | null;
  readonly writer: string;
  bytes: Buffer;

  constructor(run: string | null, role: WriterRole, open: object = {}) {
    this.run = run;
    this.writer = newWriterName(role);
    this.bytes = Buffer.alloc(0);
    this.add({
      k: 'open',
      format: 1,
      writer: this.writer,
      role,
      run,
      host: 'elsewhere',
      user: 'ada',
      pid: 1,
      client: 'test',
      attempt: role === 'project' ? null : this.writer,
      ...open,
    });
  }

  add(...events: (object | string)[]): this {
    const lines = events.map((event) =>
      typeof event === 'string' ? event : JSON.stringify({ t: 1_764_000_000, ...event }),
    );
    this.bytes = Buffer.concat([this.bytes, Buffer.from(lines.map((line) => `${line}\n`).join(''))]);
    return this;
  }

  /** What is there from an offset on. */
  piece(offset = 0, end = this.bytes.length): JournalPiece {
    return {
      run: this.run,
      writer: this.writer,
      offset,
      before: rootOfBytes(this.bytes.subarray(0, offset)),
      root: rootOfBytes(this.bytes.subarray(0, end)),
      bytes: this.bytes.subarray(offset, end),
    };
  }
}

/** A run with a started job. */
export function testRun(
  project: string | undefined,
  ...events: (object | string)[]
): { id: string; journal: TestJournal } {
  const id = newRunId();
  const journal = new TestJournal(id, 'job');
  journal.add(
    {
      k: 'start',
      id,
      attempt: journal.writer,
      name: `run ${id}`,
      ...(project === undefined ? {} : { project }),
    },
    ...events,
  );
  return { id, journal };
}
