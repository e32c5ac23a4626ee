/** A collector behind Caddy and behind nginx, set up as docs/collector.md says, over TLS. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import type { BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import WebSocket from 'ws';
import { sha256 } from './collector-fixture.ts';
import { findChromium, openBrowser } from './support/chromium.ts';
import { PROXIES, type RunningProxy } from './support/proxies.ts';
import { ended, freePort, Sandbox, until, WADDLE } from './support/sandbox.ts';

const browser = findChromium();
if ('missing' in browser) console.warn(`The page is not tested: ${browser.missing}`);

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

const JOB = `
import waddle
run = waddle.init(project="demo", name="first")
run.log_metric("loss", 0, 1.0)
run.log_artifact("weights", "weights.bin")
`;
const ARTIFACT_BYTES = 20_000_000;

for (const proxy of PROXIES) {
  const why = proxy.missing === null ? '' : ` (${proxy.missing})`;
  describe.skipIf(proxy.missing !== null)(`behind ${proxy.name}${why}`, () => {
    const [ada, bob] = [new Sandbox(), new Sandbox()];
    let collectorPort = 0;
    let collector: ChildProcess;
    let running: RunningProxy;
    let url = '';
    let token = '';
    let admin = '';
    let said = '';

    const tokenOf = (...args: string[]) =>
      ada.json<{ token: string }>('token', 'create', '--dir', 'team', ...args).token;

    function startCollector() {
      const flags = ['--port', String(collectorPort), '--behind-proxy', '--log', 'json'];
      const child = ada.start(
        WADDLE,
        ['serve', '--collector', '--dir', 'team', '--allow-host', 'team.example', ...flags],
        { stdio: ['ignore', 'ignore', 'pipe'] },
      );
      child.stderr?.on('data', (data) => {
        said += String(data);
      });
      return child;
    }

    /** A request to the proxy; resolves with the answer, however much of the body has been sent. */
    function ask(path: string, options: RequestOptions = {}, body?: string): Promise<Answer> {
      return new Promise((answered, failed) => {
        const asked = request(
          `${url}${path}`,
          { ca: readFileSync(running.authority), servername: 'localhost', agent: false, ...options },
          (response) => {
            let text = '';
            response.setEncoding('utf8').on('data', (piece) => {
              text += piece;
            });
            response.on('end', () => {
              asked.destroy();
              answered({ status: response.statusCode ?? 0, headers: response.headers, text });
            });
          },
        );
        asked.on('error', failed);
        if (options.headers !== undefined && 'content-length' in options.headers) asked.write(body ?? '');
        else asked.end(body);
      });
    }
    const bearer = (text: string) => ({ authorization: `Bearer ${text}` });

    beforeAll(async () => {
      collectorPort = await freePort();
      collector = startCollector();
      await until(() => said.includes('Ctrl-C ends it.'), 'the collector is up');
      token = tokenOf();
      admin = tokenOf('--scope', 'admin');
      running = await proxy.start(ada, collectorPort);
      url = `https://localhost:${running.port}`;
      for (const sandbox of [ada, bob]) {
        Object.assign(sandbox.env, { WADDLE_TOKEN: token, NODE_EXTRA_CA_CERTS: running.authority });
        expect(sandbox.waddle('remote', 'add', 'team', url)).toMatchObject({ status: 0 });
      }
    });
    afterAll(async () => {
      await ada.remove();
      await bob.remove();
    });

    it('a push with a large artifact arrives, and a pull brings it', () => {
      const bytes = randomBytes(ARTIFACT_BYTES);
      writeFileSync(join(ada.folder, 'weights.bin'), bytes);
      ada.write('train.py', JOB);
      expect(ada.waddle('run', '--', 'python3', 'train.py')).toMatchObject({ status: 0 });
      const pushed = ada.waddle('push');
      expect([pushed.status, pushed.stderr]).toEqual([0, expect.stringContaining('1 run')]);
      expect(bob.waddle('pull')).toMatchObject({ status: 0 });
      expect(bob.waddle('get', '@last', 'weights', 'weights.bin')).toMatchObject({ status: 0 });
      expect(sha256(readFileSync(join(bob.folder, 'weights.bin')))).toBe(sha256(bytes));
    });

    it('an upload goes through as it comes, not first into a file of the proxy', async () => {
      // Refused before its body is there: a proxy that waits for all of it would not have asked yet.
      const headers = { ...bearer('waddle_wrong'), 'content-length': 5_000_000 };
      const refused = await ask('/api/sync/v1/blobs', { method: 'POST', headers }, 'a'.repeat(1000));
      expect([refused.status, JSON.parse(refused.text).error.code]).toEqual([401, 'token-wrong']);
      // The limit is the collector's own.
      const large = { ...bearer(token), 'content-type': 'application/json', 'content-length': 12_000_000 };
      const tooLarge = await ask('/api/series', { method: 'POST', headers: large }, '{');
      expect([tooLarge.status, JSON.parse(tooLarge.text).error.code]).toEqual([413, 'body-too-large']);
    });

    it('the caller’s address is the caller’s, whatever it says: guesses are counted by it', async () => {
      const from = (localAddress: string) =>
        ask('/api/runs', {
          localAddress,
          headers: { ...bearer('waddle_wrong'), 'x-forwarded-for': '203.0.113.9', 'x-request-id': 'guess' },
        });
      let answer = await from('127.0.0.7');
      expect(answer.status).toBe(401);
      for (let tries = 0; answer.status === 401 && tries < 100; tries += 1) answer = await from('127.0.0.7');
      expect([answer.status, answer.headers['retry-after']]).toEqual([429, expect.stringMatching(/^\d+$/)]);
      expect((await from('127.0.0.8')).status).toBe(401);
      await until(() => /"from":"127\.0\.0\.8"/.test(said), 'the address is logged');
      expect(said).toMatch(/"request":"guess","from":"127\.0\.0\.7"/);
      expect(said).not.toContain('203.0.113.9');
    });

    it('other sites and names are kept out, cookies are secure, figures are not for everybody', async () => {
      const entered = await ask(`/?token=${token}`, { headers: { accept: 'text/html' } });
      expect([entered.status, entered.headers.location]).toEqual([303, '/']);
      const cookie = String(entered.headers['set-cookie']);
      expect(cookie).toMatch(/; HttpOnly; SameSite=Lax; .*Secure$/);
      const kept = { cookie: cookie.split(';')[0] ?? '', 'content-type': 'application/json' };
      const edit = (origin: string) =>
        ask('/api/runs/bulk', { method: 'POST', headers: { ...kept, origin } }, '{}');
      expect((await edit(url)).status).toBe(400);
      expect((await edit('https://evil.example')).status).toBe(403);
      expect((await ask('/metrics')).status).toBe(401);
      expect((await ask('/metrics', { headers: bearer(token) })).status).toBe(403);
      const figures = await ask('/metrics', { headers: bearer(admin) });
      expect(figures.text).toContain('waddle_http_requests_total');
      const named = (host: string) => ask('/api/runs', { headers: { ...bearer(token), host } });
      expect((await named(`localhost:${running.port}`)).text).toContain('"first"');
      const other = await named('evil.example');
      expect(other.text).not.toContain('"first"');
    });

    it('HTTP/2', async () => {
      const session = connectHttp2(url, { ca: readFileSync(running.authority) });
      try {
        const stream = session.request({ ':path': '/api/runs', ...bearer(token) });
        const status = await new Promise((answered, failed) => {
          stream.on('response', (headers) => answered(headers[':status']));
          session.on('error', failed);
          stream.on('error', failed);
        });
        expect(status).toBe(200);
      } finally {
        session.destroy();
      }
    });

    it('the live stream; a collector that is down, and comes back', async () => {
      const open = (headers: Record<string, string>) =>
        new Promise<WebSocket | number>((settle, failed) => {
          const socket = new WebSocket(`${url.replace('https', 'wss')}/ws`, {
            ca: readFileSync(running.authority),
            headers: { ...bearer(token), ...headers },
          });
          socket.on('open', () => settle(socket));
          socket.on('unexpected-response', (_request, response) => settle(response.statusCode ?? 0));
          socket.on('error', failed);
        });
      expect(await open({ origin: 'https://evil.example' })).toBe(403);
      const socket = await open({ origin: url });
      if (typeof socket === 'number') throw new Error(`the live stream was refused: ${socket}`);
      const steps: number[] = [];
      socket.on('message', (data) => {
        const frame = JSON.parse(String(data)) as { type: string; key?: string; step?: number };
        if (frame.type === 'metric' && frame.key === 'loss') steps.push(frame.step ?? -1);
      });
      socket.send(JSON.stringify({ type: 'subscribe' }));
      ada.write('second.py', 'import waddle\nwaddle.init(project="demo").log_metric("loss", 7, 0.5)\n');
      expect(ada.waddle('run', '--push', '--', 'python3', 'second.py')).toMatchObject({ status: 0 });
      await until(() => steps.includes(7), 'the sample is there');
      const closed = new Promise((settle) => socket.on('close', settle));
      collector.kill('SIGTERM');
      expect(await ended(collector)).toMatchObject({ status: 0 });
      await closed;
      expect((await ask('/readyz')).status).toBe(502);
      expect(ada.waddle('run', '--', 'python3', 'second.py')).toMatchObject({ status: 0 });
      const down = ada.waddle('push');
      expect([down.status, down.stderr]).toEqual([1, expect.stringMatching(/answered 502\n.*try again/)]);
      collector = startCollector();
      await until(async () => (await ask('/readyz')).status === 200, 'the collector is back');
      expect(ada.waddle('push')).toMatchObject({
        status: 0,
        stderr: expect.stringMatching(/Sent to team: \d runs?:/),
      });
    });

    it.skipIf('missing' in browser)('the page, live', async () => {
      const context: BrowserContext = await openBrowser('path' in browser ? browser.path : '', {
        anyCertificate: true,
      });
      try {
        const page = await context.newPage();
        await page.goto(`${url}/?token=${token}`);
        await page.locator('.run-line').first().waitFor();
        const before = await page.locator('.run-line').count();
        ada.write('third.py', 'import waddle\nwaddle.init(project="demo").log_metric("loss", 0, 0.25)\n');
        expect(ada.waddle('run', '--push', '--', 'python3', 'third.py')).toMatchObject({ status: 0 });
        await until(async () => (await page.locator('.run-line').count()) > before, 'the new run shows');
      } finally {
        await context.close();
      }
    });
  });
}
