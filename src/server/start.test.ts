import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { layoutOf } from '../journal/layout.ts';
import { ensureProjectFolder } from '../journal/project-folder.ts';
import { openStore } from '../store/open.ts';
import { localParts } from './local-parts.ts';
import type { ServerOptions } from './options.ts';
import { type RunningServer, startServer } from './start.ts';

let folder: string;
let server: RunningServer;
let released = 0;
let followed = '';

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'waddle-start-'));
  released = 0;
  followed = 'not yet';
  const layout = layoutOf(folder);
  ensureProjectFolder(layout);
  const options: Omit<ServerOptions, 'ports'> = {
    ...localParts({
      layout,
      version: '0.0.0-test',
      openStore: () => openStore(join(layout.root, 'waddle.sqlite')),
      catchUp: () => undefined,
      stop: async () => undefined,
      bug: (error) => {
        throw error;
      },
    }),
    follow: async (signal) => {
      followed = 'following';
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      followed = 'to the end';
    },
    diff: async () => '',
    dashboard: join(folder, 'page'),
    access: { host: '127.0.0.1', allowedHosts: [], token: null, cookie: 'c' },
    held: true,
    released: () => released++,
  };
  server = await startServer(options, { host: '127.0.0.1', port: 0, wsPort: 0, maxConnections: 5 });
});

afterEach(async () => {
  await server.end();
  expect(followed).toBe('to the end');
  rmSync(folder, { recursive: true, force: true });
});

/** A socket that says this; `text` gathers the answer. */
async function say(
  text: string,
  port = server.port,
): Promise<{ socket: Socket; text: () => string; closed: () => boolean }> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  let closed = false;
  socket.on('data', (chunk) => (answer += String(chunk)));
  socket.on('error', () => undefined);
  socket.on('close', () => {
    closed = true;
  });
  await new Promise((ready) => socket.once('connect', ready));
  socket.write(text);
  await setTimeout(60);
  return { socket, text: () => answer, closed: () => closed };
}

describe('a server on its ports', () => {
  it('refuses more connections than it may have', async () => {
    const many = await Promise.all(Array.from({ length: 8 }, () => say('')));
    await setTimeout(100);
    expect(many.filter((each) => each.closed())).toHaveLength(3);
    for (const { socket } of many) socket.destroy();
    await setTimeout(50);
    expect((await fetch(`http://127.0.0.1:${server.port}/api/health`)).status).toBe(200);
  });

  it('answers what is not HTTP in the one shape of errors', async () => {
    for (const [request, status, code] of [
      ['NONSENSE\r\n\r\n', 400, 'request-invalid'],
      [`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers-too-large'],
      ['GET /api/runs HTTP/1.1\r\n\r\n', 400, ''],
      ['GET /api/%ZZ HTTP/1.1\r\nHost: localhost\r\n\r\n', 400, 'url-invalid'],
    ] as const) {
      const { text, socket } = await say(request);
      expect(text()).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
      if (code !== '') expect(text()).toContain(`"error":{"code":"${code}"`);
      socket.destroy();
    }
  });

  it('is let go when the last of those that hold it is gone, however it went', async () => {
    const hold = 'GET /api/hold HTTP/1.1\r\nHost: localhost\r\n\r\n';
    const [one, two] = [await say(hold), await say(hold)];
    expect(one.text()).toContain('held');
    one.socket.destroy();
    await setTimeout(60);
    expect(released).toBe(0);
    two.socket.resetAndDestroy();
    await setTimeout(60);
    expect(released).toBe(1);
  });

  it('serves nothing but WebSockets on their own port', async () => {
    const answer = await fetch(`http://127.0.0.1:${server.wsPort}/api/runs`);
    expect(answer.status).toBe(404);
  });
});
