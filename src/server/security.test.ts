import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putBytes } from '../blobs/blob-store.ts';
import { type Caller, checkHost, checkOrigin, checkToken, cookieValue, isLoopback } from './access.ts';
import { type Fixture, startFixture } from './fixture.ts';

const A = 'aaaaaaaaaaaa';

let server: Fixture;

afterEach(async () => {
  expect(server.bugs).toEqual([]);
  await server.remove();
});

describe('on loopback', () => {
  beforeEach(async () => {
    server = await startFixture({
      access: {
        host: '127.0.0.1',
        allowedHosts: ['box.lan', '*.proxy.example'],
        token: null,
        cookie: 'waddle_test',
      },
    });
  });

  it('answers to its own names at any port, and to those that are allowed', async () => {
    for (const host of [
      'localhost',
      'localhost:9999',
      '127.0.0.1:8080',
      '[::1]:8080',
      'LOCALHOST:1',
      'box.lan:80',
      'a.proxy.example',
    ]) {
      const { statusCode } = await server.http.inject({ url: '/api/runs', headers: { host } });
      expect([host, statusCode]).toEqual([host, 200]);
    }
  });

  it('refuses every other name: DNS rebinding', async () => {
    for (const host of [
      'evil.example',
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      'proxy.example',
      'localhost@evil.example',
      '169.254.1.1',
      '0.0.0.0',
    ]) {
      const answer = await server.http.inject({ url: '/api/runs', headers: { host } });
      expect([host, answer.statusCode]).toEqual([host, 403]);
      expect(answer.json().error.code).toBe('host-not-allowed');
    }
  });

  it('refuses what a page of another site sends', async () => {
    const host = 'localhost:8080';
    for (const origin of [
      'http://evil.example',
      'null',
      'http://localhost:3000',
      'https://localhost',
      'file://',
      'http://localhost:8080.evil.example',
    ]) {
      for (const method of ['GET', 'POST', 'PATCH', 'DELETE'] as const) {
        const { statusCode } = await server.http.inject({
          method,
          url: '/api/runs',
          headers: { host, origin },
        });
        expect([origin, method, statusCode]).toEqual([origin, method, 403]);
      }
    }
    const own = await server.http.inject({
      url: '/api/runs',
      headers: { host, origin: 'http://localhost:8080' },
    });
    expect(own.statusCode).toBe(200);
    expect(own.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('refuses writes that a browser says come from elsewhere, and writes that are not JSON', async () => {
    server.job(A);
    await server.ingest();
    const host = 'localhost:8080';
    const cross = await server.http.inject({
      method: 'POST',
      url: `/api/runs/${A}/stop`,
      headers: { host, 'sec-fetch-site': 'cross-site' },
    });
    expect(cross.statusCode).toBe(403);
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      const answer = await server.http.inject({
        method: 'POST',
        url: `/api/runs/${A}/stop`,
        headers: { host, 'content-type': type },
        payload: '{"grace": 1}',
      });
      expect([type, answer.statusCode]).toEqual([type, 415]);
    }
    expect(server.stopped).toEqual([]);
  });

  it('is no picture or script of another site’s page, and may be linked to', async () => {
    const host = 'localhost:8080';
    const ask = (headers: Record<string, string>) =>
      server.http.inject({ url: '/api/runs', headers: { host, ...headers } });
    const image = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' };
    expect((await ask(image)).statusCode).toBe(403);
    expect(
      (await ask({ ...image, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' })).statusCode,
    ).toBe(403);
    expect(
      (await ask({ ...image, 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' })).statusCode,
    ).toBe(200);
    expect((await ask({ ...image, 'sec-fetch-site': 'same-origin' })).statusCode).toBe(200);
  });

  it('serves nothing outside of the page’s folder', async () => {
    writeFileSync(join(server.options.dashboard, 'index.html'), 'page');
    writeFileSync(join(server.options.dashboard, '.hidden'), 'secret');
    for (const url of [
      '/../.waddle/waddle.sqlite',
      '/..%2f.waddle%2fwaddle.sqlite',
      '/%2e%2e/.waddle/waddle.sqlite',
      '/assets/..%5c..%5c.waddle',
      '/.hidden',
      '//etc/passwd',
      '/%00',
      '/index.html%00.js',
    ]) {
      const answer = await server.http.inject({ url, headers: { host: 'localhost' } });
      expect([url, answer.statusCode]).toEqual([url, answer.statusCode === 400 ? 400 : 404]);
    }
  });

  it('gives a hostile artifact no way to run as the dashboard', async () => {
    const a = server.job(A);
    const html = '<script>fetch("/api/runs")</script>';
    const { sha256, size } = putBytes(server.layout.blobs, Buffer.from(html));
    const names: [name: string, mime: string | null][] = [
      ['page.html', 'text/html'],
      ['x.svg', 'image/svg+xml'],
      ['evil', 'text/html'],
      ['evil.xhtml', 'application/xhtml+xml'],
      ['x.js', 'text/javascript'],
      ['..', null],
      ['a"\r\nset-cookie: x=y', null],
      ['☃/../💥.bin', null],
    ];
    for (const [index, [name, mime]] of names.entries()) {
      a.append({ k: 'artifact', t: 1_764_000_000 + index, name, mime, type: 'file', sha256, size });
    }
    await server.ingest();
    const { artifacts } = (
      await server.http.inject({ url: `/api/runs/${A}`, headers: { host: 'localhost' } })
    ).json();
    expect(artifacts).toHaveLength(names.length);
    for (const { uri, name } of artifacts) {
      const answer = await server.http.inject({ url: uri, headers: { host: 'localhost' } });
      expect([name, answer.statusCode, answer.payload]).toEqual([name, 200, html]);
      const { headers } = answer;
      expect(headers['content-security-policy']).toMatch(/^sandbox; default-src 'none'/);
      expect(headers['content-security-policy']).not.toContain('allow-scripts');
      expect(headers['x-content-type-options']).toBe('nosniff');
      expect(headers['cross-origin-resource-policy']).toBe('same-origin');
      expect(headers['set-cookie']).toBeUndefined();
      const type = String(headers['content-type']);
      if (!/^(text\/html|image\/svg\+xml|text\/plain)/.test(type)) {
        expect(type).toBe('application/octet-stream');
        expect(headers['content-disposition']).toMatch(/^attachment; filename="[\x20-\x7e]+"/);
      }
    }
  });

  it('refuses a body over 32 MB', async () => {
    const answer = await server.http.inject({
      method: 'POST',
      url: '/api/series',
      headers: { host: 'localhost', 'content-type': 'application/json' },
      payload: `{"points": 1, "runs": ["${'x'.repeat(33 * 1024 * 1024)}"]}`,
    });
    expect(answer.statusCode).toBe(413);
    expect(answer.json().error.code).toBe('body-too-large');
  });
});

describe('on another address', () => {
  const token = 'correct-horse-battery';

  beforeEach(async () => {
    server = await startFixture({
      access: { host: '0.0.0.0', allowedHosts: [], token, cookie: 'waddle_test' },
    });
  });

  it('asks for the token, in any of its three forms', async () => {
    const ask = (headers: Record<string, string>, url = '/api/runs') =>
      server.http.inject({ url, headers: { host: 'gpu-box:8080', ...headers } });
    expect((await ask({})).statusCode).toBe(401);
    expect((await ask({})).json().error.code).toBe('token-missing');
    expect((await ask({ authorization: 'Bearer wrong' })).json().error.code).toBe('token-wrong');
    expect((await ask({ authorization: `Bearer ${token}` })).statusCode).toBe(200);
    expect((await ask({}, `/api/runs?token=${token}`)).statusCode).toBe(200);
    expect((await ask({ cookie: `waddle_test=${cookieValue(token)}` })).statusCode).toBe(200);
    expect((await ask({ cookie: `waddle_test=${token}` })).statusCode).toBe(401);
    expect((await ask({}, '/')).statusCode).toBe(401);
    expect((await ask({ accept: 'text/html' }, '/')).payload).toContain(
      '<h1>This server asks for a token</h1>',
    );
    expect((await ask({}, '/nothing')).statusCode).toBe(401);
  });

  it('makes a cookie of the link, and takes the token out of the address', async () => {
    const answer = await server.http.inject({
      url: `/runs?project=a&token=${token}`,
      headers: { host: 'gpu-box:8080', accept: 'text/html' },
    });
    expect(answer.statusCode).toBe(303);
    expect(answer.headers.location).toBe('/runs?project=a');
    const cookie = String(answer.headers['set-cookie']);
    expect(cookie).toMatch(/^waddle_test=[\w-]+; .*HttpOnly; SameSite=Lax/);
    expect(cookie).not.toContain(token);
    const away = await server.http.inject({
      url: `/.//evil.example/?token=${token}`,
      headers: { host: 'gpu-box:8080', accept: 'text/html' },
    });
    expect(away.headers.location).toMatch(/^\/(?!\/)/);
  });

  it('says who it is without a token, and no more', async () => {
    const { payload, statusCode } = await server.http.inject({ url: '/api/health', headers: { host: 'x' } });
    expect(statusCode).toBe(200);
    expect(JSON.parse(payload)).not.toHaveProperty('folder');
    expect(payload).not.toContain(server.folder);
  });
});

describe('the rules', () => {
  beforeEach(async () => {
    server = await startFixture();
  });
  const caller = (changes: Partial<Caller>): Caller => ({
    method: 'GET',
    host: 'localhost:8081',
    origin: undefined,
    site: undefined,
    authorization: undefined,
    cookie: undefined,
    token: undefined,
    ...changes,
  });

  it('know loopback', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', 'localhost', '[::1]'].every(isLoopback)).toBe(true);
    expect(['0.0.0.0', '::', '192.168.1.1', 'localhost.evil', '128.0.0.1', ''].some(isLoopback)).toBe(false);
  });

  it('let the page’s own origin reach a WebSocket port of its own, and no other', () => {
    expect(() => checkOrigin(caller({ origin: 'http://localhost:8080' }), 8080)).not.toThrow();
    expect(() => checkOrigin(caller({ origin: 'http://localhost:8081' }), 8080)).not.toThrow();
    expect(() => checkOrigin(caller({ origin: 'http://localhost:8080' }))).toThrow();
    expect(() => checkOrigin(caller({ origin: 'http://localhost:3000' }), 8080)).toThrow();
    expect(() => checkOrigin(caller({ origin: 'http://evil.example:8080' }), 8080)).toThrow();
    expect(() => checkOrigin(caller({ host: 'a.example', origin: 'https://a.example' }))).not.toThrow();
  });

  it('narrow the hosts of an open address where some are named', () => {
    const rules = { host: '0.0.0.0', allowedHosts: ['box.lan'], token: 't', cookie: 'c' };
    expect(() => checkHost(rules, 'box.lan:80')).not.toThrow();
    expect(() => checkHost(rules, 'localhost')).not.toThrow();
    expect(() => checkHost(rules, 'other.lan')).toThrow();
    expect(() => checkHost({ ...rules, allowedHosts: [] }, 'other.lan')).not.toThrow();
    expect(() => checkToken(rules, caller({ token: 'x' }))).toThrow('not the right one');
  });
});
