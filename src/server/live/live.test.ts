import { connect as openConnection } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JournalWriter } from '../../journal/writer.ts';
import type { Batch, Frame, ServerMessage } from '../../protocol/api.ts';
import { type Fixture, startFixture } from '../fixture.ts';
import { streamState } from './stream-state.ts';

const A = 'aaaaaaaaaaaa';
const B = 'bbbbbbbbbbbb';

let server: Fixture;
let port: number;
let wsPort: number;
const sockets: WebSocket[] = [];

beforeEach(async () => {
  server = await startFixture();
  await server.http.listen({ port: 0, host: '127.0.0.1' });
  const own = await server.ws();
  await own.listen({ port: 0, host: '127.0.0.1' });
  port = portOf(server.http);
  wsPort = portOf(own);
  server.options.ports.http = port;
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.close();
  expect(server.bugs).toEqual([]);
  await server.remove();
});

function portOf(instance: Fixture['http']): number {
  const address = instance.server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/** A client that keeps all it is sent. */
interface Client<T extends ServerMessage = Frame> {
  frames: T[];
  socket: WebSocket;
  say(message: object): void;
  until(condition: (frames: T[]) => boolean): Promise<void>;
}

async function connect<T extends ServerMessage = Frame>(
  url = `ws://127.0.0.1:${port}/ws`,
): Promise<Client<T>> {
  const socket = new WebSocket(url);
  sockets.push(socket);
  const frames: T[] = [];
  socket.onmessage = ({ data }) => void frames.push(JSON.parse(String(data)));
  await new Promise((settle, fail) => {
    socket.onopen = settle;
    socket.onerror = () => fail(new Error('refused'));
  });
  // The server has it when it answers.
  await setTimeout(20);
  return {
    frames,
    socket,
    say: (message) => socket.send(JSON.stringify(message)),
    until: async (condition) => {
      const deadline = Date.now() + 60_000;
      while (!condition(frames)) {
        if (Date.now() > deadline) throw new Error(`in vain: ${JSON.stringify(frames.slice(-5))}`);
        await setTimeout(5);
      }
    },
  };
}

function log(journal: JournalWriter, from: number, to: number, key = 'loss'): void {
  for (let s = from; s < to; s++) journal.append({ k: 'm', t: 1_764_000_000 + s, s, v: { [key]: s / 10 } });
}

function stepsOf(frames: readonly Frame[], key = 'loss'): number[] {
  return frames.flatMap((frame) => (frame.type === 'metric' && frame.key === key ? [frame.step] : []));
}

const count = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index);

describe('the plain dialect', () => {
  it('sends a silent client what is new of every run, on either port', async () => {
    const old = server.job(B);
    log(old, 0, 3);
    await server.ingest();
    const clients = [
      await connect(),
      await connect(`ws://127.0.0.1:${wsPort}/`),
      await connect(`ws://127.0.0.1:${wsPort}`),
    ];
    const a = server.job(A, { tags: { model: 'linear' } });
    a.append({ k: 'param', t: 1_764_000_001, key: 'lr', value: 0.1 });
    log(a, 0, 2);
    a.append({ k: 'm', t: 1_764_000_009, s: 2, v: { loss: 'Infinity' } });
    await server.ingest();
    a.append({ k: 'end', t: 1_764_000_010, attempt: a.name, status: 'completed', by: 'job' });
    await server.ingest();
    for (const client of clients) {
      await client.until((frames) =>
        frames.some((frame) => frame.type === 'status' && frame.status === 'completed'),
      );
      const cursor = expect.any(String);
      expect(client.frames).toEqual([
        { type: 'status', run_id: A, status: 'running', cursor },
        { type: 'param', run_id: A, key: 'lr', value: 0.1, cursor },
        { type: 'tag', run_id: A, key: 'model', value: 'linear', cursor },
        { type: 'metric', run_id: A, key: 'loss', step: 0, value: 0, ts: 1_764_000_000, cursor },
        { type: 'metric', run_id: A, key: 'loss', step: 1, value: 0.1, ts: 1_764_000_001, cursor },
        { type: 'metric', run_id: A, key: 'loss', step: 2, value: 'Infinity', ts: 1_764_000_009, cursor },
        { type: 'status', run_id: A, status: 'completed', cursor },
      ]);
    }
  });

  it('gives a subscriber what it missed, then what is new', async () => {
    const a = server.job(A);
    const b = server.job(B);
    log(a, 0, 5);
    log(a, 0, 5, 'acc');
    log(b, 0, 5);
    await server.ingest();
    const client = await connect();
    client.say({ type: 'subscribe', runs: [A], keys: ['loss'], since: 0 });
    await client.until((frames) => stepsOf(frames).length === 5);
    log(a, 5, 8);
    log(b, 5, 8);
    await server.ingest();
    await client.until((frames) => stepsOf(frames).length >= 8);
    expect(stepsOf(client.frames)).toEqual(count(0, 8));
    expect(new Set(client.frames.map((frame) => ('run_id' in frame ? frame.run_id : '')))).toEqual(
      new Set([A]),
    );
    expect(stepsOf(client.frames, 'acc')).toEqual([]);
  });

  it('goes on from any cursor without a gap or a double, however the connection was cut', async () => {
    const a = server.job(A);
    a.append({ k: 'param', t: 1, key: 'one', value: 1 }, { k: 'param', t: 1, key: 'två', value: 2 });
    log(a, 0, 700);
    await server.ingest();
    log(a, 700, 1500);
    log(a, 0, 900, 'acc');
    await server.ingest();
    log(a, 1500, 2500);
    await server.ingest();
    a.append({ k: 'end', t: 1_764_009_999, attempt: a.name, status: 'completed', by: 'job' });
    await server.ingest();
    const whole = await connect();
    whole.say({ type: 'subscribe', since: 0 });
    await whole.until((frames) => frames.at(-1)?.type === 'status' && frames.length > 3000);
    const all = whole.frames.map(withoutCursor);
    expect(all).toHaveLength(2500 + 900 + 2 + 1);

    // Cut after every so many frames, and taken up from the cursor of the last frame that arrived.
    const pieces: string[] = [];
    let since: string | 0 = 0;
    for (let cut = 1; pieces.length < all.length; cut = (cut * 7) % 1009) {
      const client = await connect();
      client.say({ type: 'subscribe', since });
      const wanted = Math.min(cut, all.length - pieces.length);
      await client.until((frames) => frames.length >= wanted);
      client.socket.close();
      const got: Frame[] = client.frames.slice(0, wanted);
      pieces.push(...got.map(withoutCursor));
      since = got.at(-1)?.cursor ?? since;
    }
    expect(pieces).toEqual(all);
  });

  it('goes on from a cursor in the middle of what came live', async () => {
    const a = server.job(A);
    await server.ingest();
    const client = await connect();
    for (let from = 0; from < 3000; from += 300) {
      log(a, from, from + 300);
      a.append({ k: 'param', t: from, key: `p${from}`, value: from });
      await server.ingest();
    }
    await client.until((frames) => stepsOf(frames).length === 3000);
    const { frames } = client;
    for (const at of [0, 1, 299, 300, 301, 1700, frames.length - 2]) {
      const again = await connect();
      again.say({ type: 'subscribe', since: frames[at]?.cursor });
      await again.until((got) => got.length >= frames.length - at - 1);
      expect(again.frames).toEqual(frames.slice(at + 1));
    }
  });

  it('tells of a gap where the cursor is too old, or of another database', async () => {
    const a = server.job(A);
    log(a, 0, 5);
    await server.ingest();
    const { epoch } = await server.options.engine.answer(streamState());
    const old = `${epoch}-0`;
    await server.forgetChanges(1);
    const client = await connect();
    client.say({ type: 'subscribe', since: old });
    await client.until((frames) => frames.length > 0);
    expect(client.frames).toEqual([
      { type: 'gap', reason: 'too-old', since: old, cursor: expect.any(String) },
    ]);
    client.say({ type: 'subscribe', since: 'abc-77' });
    await client.until((frames) => frames.length > 1);
    expect(client.frames[1]).toMatchObject({ type: 'gap', reason: 'other-store' });
    log(a, 5, 6);
    await server.ingest();
    await client.until((frames) => frames.length > 2);
    expect(stepsOf(client.frames)).toEqual([5]);
  });

  it('answers nonsense with an error and goes on', async () => {
    const client = await connect();
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"type":"nope"}',
      '{"type":"subscribe","runs":7}',
      '{"type":"watch"}',
    ]) {
      client.socket.send(text);
    }
    await client.until((frames) => frames.length === 7);
    expect(client.frames.every((frame) => frame.type === 'error')).toBe(true);
    log(server.job(A), 0, 1);
    await server.ingest();
    await client.until((frames) => stepsOf(frames).length === 1);
  });

  it('does not grow with a client that does not read, and serves it when it does', async () => {
    const { default: WebSocketOfNode } = (await import('ws')) as unknown as {
      default: new (
        url: string,
      ) => {
        pause(): void;
        resume(): void;
        on(event: string, listener: (data: unknown) => void): void;
        close(): void;
      };
    };
    const slow = new WebSocketOfNode(`ws://127.0.0.1:${port}/ws`);
    const got: number[] = [];
    slow.on('message', (data) => {
      const frame = JSON.parse(String(data)) as Frame;
      if (frame.type === 'metric') got.push(frame.step);
    });
    await new Promise((open) => slow.on('open', open));
    await setTimeout(20);
    slow.pause();
    const quick = await connect();
    const a = server.job(A);
    const waiting = () =>
      Math.max(...[...server.http.websocketServer.clients].map((client) => client.bufferedAmount));
    let most = 0;
    for (let from = 0; from < 100_000; from += 5000) {
      const lines: string[] = [];
      for (let s = from; s < from + 5000; s++)
        lines.push(`{"k":"m","t":1764000000,"s":${s},"v":{"loss":1}}\n`);
      a.appendLines(lines.join(''), lines.length);
      await server.ingest();
      await setTimeout(5);
      most = Math.max(most, waiting());
    }
    await quick.until((frames) => frames.length > 100_000);
    expect(most).toBeLessThan(2_000_000);
    slow.resume();
    const deadline = Date.now() + 60_000;
    while (got.length < 100_000 && Date.now() < deadline) await setTimeout(20);
    expect(got).toEqual(count(0, 100_000));
    slow.close();
  });

  it('refuses a page of another site', async () => {
    const { default: WebSocketOfNode } = (await import('ws')) as unknown as {
      default: new (
        url: string,
        options: object,
      ) => { on(event: string, listener: (data: unknown) => void): void; terminate(): void };
    };
    const tries: [url: string, headers: Record<string, string>, opens: boolean][] = [
      [`ws://127.0.0.1:${port}/ws`, { origin: 'http://evil.example' }, false],
      [`ws://127.0.0.1:${port}/ws`, { origin: 'null' }, false],
      [`ws://127.0.0.1:${port}/ws`, { host: 'evil.example' }, false],
      [`ws://127.0.0.1:${port}/ws`, { origin: `http://127.0.0.1:${port}` }, true],
      [`ws://127.0.0.1:${wsPort}/`, { origin: `http://127.0.0.1:${port}` }, true],
      [`ws://127.0.0.1:${wsPort}/`, { origin: `http://127.0.0.1:${wsPort}` }, true],
      [`ws://127.0.0.1:${wsPort}/`, { origin: 'http://127.0.0.1:3000' }, false],
      [`ws://127.0.0.1:${port}/api/runs`, {}, false],
    ];
    for (const [url, headers, opens] of tries) {
      const socket = new WebSocketOfNode(url, { headers });
      const opened = await new Promise((settle) => {
        socket.on('open', () => settle(true));
        socket.on('error', () => settle(false));
        socket.on('close', () => settle(false));
      });
      // A route that takes no WebSocket may open and close at once: what counts is that nothing is served.
      if (!url.endsWith('/api/runs')) expect([url, headers, opened]).toEqual([url, headers, opens]);
      socket.terminate();
    }
  });

  it('ends the connection with its refusal: a proxy would send the next request into it', async () => {
    for (const [path, status] of [
      ['/ws', 403],
      ['/api/runs', 403],
      ['/nowhere', 403],
    ] as const) {
      const socket = openConnection(port, '127.0.0.1');
      let answer = '';
      socket.on('data', (data) => {
        answer += String(data);
      });
      const ended = new Promise((settle) => socket.once('end', settle));
      socket.write(
        `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: http://evil.example\r\nConnection: Upgrade\r\n` +
          'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: SGVsbG8sIHdvcmxkISEhIQ==\r\n\r\n',
      );
      await ended;
      expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} [^]*\r\nconnection: close\r\n`, 'i'));
      socket.destroy();
    }
  });
});

describe('the dashboard’s dialect', () => {
  const watch = { type: 'watch', dialect: 'dashboard' };

  it('gets points, rows and console lines in batches, at most ten a second, and nothing while nothing changes', async () => {
    const a = server.job(A);
    const b = server.job(B);
    await server.ingest();
    const client = await connect<Batch>();
    client.say({ ...watch, runs: [A], keys: ['loss'], console: A, table: true, columns: 'metrics.loss.min' });
    await setTimeout(30);
    const begun = performance.now();
    for (let step = 0; step < 200; step++) {
      log(a, step, step + 1);
      log(b, step, step + 1);
      a.append({ k: 'c', t: 1_764_000_000 + step, o: 1, n: step, x: `line ${step}`, a: a.name });
      await server.ingest();
      await setTimeout(2);
    }
    const points = (batches: Batch[]) =>
      batches.flatMap((batch) => batch.points.flatMap((point) => point.step));
    await client.until((batches) => points(batches).length >= 200);
    const seconds = (performance.now() - begun) / 1000;
    const batches = client.frames;
    expect(points(batches)).toEqual(count(0, 200));
    expect(batches.length).toBeLessThanOrEqual(seconds * 10 + 2);
    let seq = 0;
    for (const point of batches.flatMap((batch) => batch.points)) {
      expect(point).toMatchObject({ run: A, key: 'loss', seq });
      seq += point.step.length;
    }
    expect(batches.flatMap((batch) => batch.console.map((line) => line.text))).toEqual(
      count(0, 200).map((n) => `line ${n}`),
    );
    const rows = batches.flatMap((batch) => batch.runs);
    expect(rows.some((run) => run.id === A && run.metrics?.loss?.min === 0 && !run.removed)).toBe(true);

    const quiet = batches.length;
    a.append({ k: 'beat', t: 1_764_001_000 });
    await server.ingest();
    await setTimeout(300);
    expect(client.frames).toHaveLength(quiet);
  });

  it('tells of a metric that a watched run has for the first time, and once', async () => {
    const a = server.job(A);
    const b = server.job(B);
    log(a, 0, 1);
    await server.ingest();
    const client = await connect<Batch>();
    client.say({ ...watch, runs: [A], keys: ['loss'] });
    await setTimeout(30);
    for (let step = 1; step < 6; step++) {
      a.append({ k: 'm', t: 1_764_000_000 + step, s: step, v: { accuracy: step } });
      b.append({ k: 'm', t: 1_764_000_000 + step, s: step, v: { other: step } });
      log(a, step, step + 1);
      await server.ingest();
      await setTimeout(40);
    }
    const steps = (batches: Batch[]) => batches.flatMap((batch) => batch.points.flatMap(({ step }) => step));
    await client.until((batches) => steps(batches).length >= 5);
    expect(client.frames.flatMap((batch) => batch.metrics ?? [])).toEqual([{ run: A, key: 'accuracy' }]);
  });

  it('continues what was loaded from its cursor, and tells of removed runs', async () => {
    const a = server.job(A);
    log(a, 0, 10);
    await server.ingest();
    const loaded = await server.http.inject({ url: '/api/runs', headers: { host: 'localhost' } });
    const since = String(loaded.headers['waddle-cursor']);
    log(a, 10, 15);
    await server.ingest();
    const client = await connect<Batch>();
    client.say({ ...watch, runs: [A], keys: ['loss'], since });
    await client.until((batches) => batches.length > 0);
    expect(client.frames[0]?.points).toMatchObject([{ run: A, seq: 10, step: count(10, 15) }]);
    await server.http.inject({ method: 'DELETE', url: `/api/runs/${A}`, headers: { host: 'localhost' } });
    await client.until((batches) => batches.some((batch) => batch.runs.some((run) => run.removed)));
  });

  it('tells of a gap rather than sending more than a page can draw', async () => {
    const a = server.job(A);
    await server.ingest();
    const client = await connect<Batch>();
    client.say({ ...watch, runs: [A], keys: ['loss'] });
    await setTimeout(30);
    const lines = count(0, 30_000).map((s) => `{"k":"m","t":1764000000,"s":${s},"v":{"loss":1}}\n`);
    a.appendLines(lines.join(''), lines.length);
    await server.ingest();
    await client.until((batches) => batches.some((batch) => batch.gap === 'points'));
    expect(client.frames.flatMap((batch) => batch.points)).toEqual([]);
  });
});

function withoutCursor(frame: Frame): string {
  return JSON.stringify({ ...frame, cursor: undefined });
}
