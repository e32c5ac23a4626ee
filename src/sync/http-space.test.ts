/** The client's end of the wire against servers that misbehave. Against a collector it is tested in src/collector/. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WaddleError } from '../errors/waddle-error.ts';
import { type HttpSpace, openHttpSpace } from './http-space.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const HELLO = {
  protocol: 1,
  version: '0',
  space: 'default',
  token: { id: 'x', scope: 'write', project: null },
  limits: { body_bytes: 1, part_bytes: 1, frames: 1, quota_bytes: null, used_bytes: 0 },
  encodings: ['zstd', 'gzip'],
  direct: false,
};

/** Answers in turn; the last one stays. */
let script: Handler[] = [];
let seen: string[] = [];
const server = createServer((request, response) => {
  seen.push(`${request.method} ${request.url}`);
  request.resume();
  request.on('end', () => (script.length > 1 ? script.shift() : script[0])?.(request, response));
});
let space: HttpSpace | undefined;

beforeEach(async () => {
  seen = [];
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
});

afterEach(async () => {
  await space?.close();
  space = undefined;
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
});

const address = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const retry = { attempts: 4, baseMs: 1, capMs: 5 };

async function open(...handlers: Handler[]): Promise<HttpSpace> {
  script = handlers;
  space = await openHttpSpace({ url: address(), token: 't', userAgent: 'test', idleMs: 2000, retry });
  return space;
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof WaddleError) return error.code;
    throw error;
  }
  return 'none';
}

const json =
  (value: unknown, status = 200, headers: Record<string, string> = {}): Handler =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
const text =
  (body: string, status = 200): Handler =>
  (_request, response) =>
    response.writeHead(status, { 'content-type': 'text/html' }).end(body);
const cut: Handler = (request) => request.socket.destroy();
const refusal = (code: string) => ({ error: { code, message: 'm', hint: 'h' } });

test('says what is wrong with a remote, in a word of its own for each', async () => {
  expect(await codeOf(open(json(refusal('token-wrong'), 401)))).toBe('remote-token-wrong');
  expect(await codeOf(open(json(refusal('token-missing'), 401)))).toBe('remote-token-missing');
  expect(await codeOf(open(text('<h1>It works!</h1>')))).toBe('remote-not-collector');
  expect(await codeOf(open(text('nope', 404)))).toBe('remote-not-collector');
  expect(await codeOf(open(json(refusal('route-not-found'), 404)))).toBe('remote-not-collector');
  expect(await codeOf(open(json([1])))).toBe('remote-not-collector');
  expect(await codeOf(open(json({ ...HELLO, protocol: 2 })))).toBe('remote-version');
  expect(await codeOf(open(json(refusal('scope-denied'), 403)))).toBe('scope-denied');
  expect(await codeOf(open(text('', 502)))).toBe('remote-failed');
  for (const url of ['ftp://x', 'nonsense', 'http://user:pass@host/'])
    expect(await codeOf(openHttpSpace({ url, token: 't', userAgent: 'test' }))).toBe('remote-url-invalid');
  const gone = openHttpSpace({ url: 'http://127.0.0.1:1', token: 't', userAgent: 'test' });
  expect(await codeOf(gone)).toBe('remote-unreachable');
  const plain = openHttpSpace({ url: address().replace('http', 'https'), token: 't', userAgent: 'test' });
  expect(await codeOf(plain)).toBe('remote-no-tls');
});

test('tries again what may get well, with a pause as long as it was asked for, and not for ever', async () => {
  const listed = { runs: [], next: null, project: {}, removals: [] };
  const opened = await open(
    cut,
    json(refusal('too-many-requests'), 429),
    json(HELLO),
    text('', 503),
    cut,
    (_request, response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('{"runs"', () => response.destroy());
    },
    json(listed),
  );
  expect((await opened.list({})).runs).toEqual([]);
  expect(seen).toHaveLength(7);

  script = [json(refusal('too-many-requests'), 429, { 'retry-after': '1' }), json(listed)];
  const begun = performance.now();
  await opened.list({});
  expect(performance.now() - begun).toBeGreaterThan(900);

  script = [json(refusal('too-many-requests'), 429, { 'retry-after': '3600' })];
  expect(await codeOf(opened.list({}))).toBe('too-many-requests');
  seen = [];
  script = [text('', 503)];
  expect(await codeOf(opened.list({}))).toBe('remote-failed');
  expect(seen).toHaveLength(retry.attempts);
  seen = [];
  script = [json(refusal('quota-exceeded'), 507)];
  expect(await codeOf(opened.list({}))).toBe('quota-exceeded');
  expect(seen).toHaveLength(1);
});

test('holds no more of an answer than it asked for, packed or not, and takes no nonsense', async () => {
  const opened = await open(json(HELLO));
  const bomb = zstdCompressSync(Buffer.alloc(200 * 1024 * 1024));
  script = [(_request, response) => response.writeHead(200, { 'content-encoding': 'zstd' }).end(bomb)];
  const before = process.memoryUsage().rss;
  expect(await codeOf(opened.list({}))).toBe('remote-answer-invalid');
  expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
  script = [
    (_request, response) => {
      response.writeHead(206);
      const more = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      };
      response.on('drain', more);
      more();
    },
  ];
  expect(await codeOf(opened.readBlob('aaaaaaaaaaaa', 'a'.repeat(64), 0))).toBe('remote-answer-invalid');
  script = [text('{}x')];
  expect(await codeOf(opened.list({}))).toBe('remote-answer-invalid');
  script = [json({ results: [] })];
  const part = { run: 'aaaaaaaaaaaa', sha256: 'a'.repeat(64), size: 1, offset: 0, bytes: Buffer.from('x') };
  expect(await codeOf(opened.writeBlobs([part]))).toBe('remote-answer-invalid');
});

test('a signal ends a request and a pause at once', async () => {
  script = [json(HELLO)];
  const stop = new AbortController();
  space = await openHttpSpace({ url: address(), token: 't', userAgent: 'test', signal: stop.signal });
  script = [() => setTimeout(() => stop.abort(), 20)];
  expect(await codeOf(space.list({}))).toBe('interrupted');
});
