import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import Value from 'typebox/value';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { putBytes } from '../blobs/blob-store.ts';
import * as schemas from '../protocol/run-schemas.ts';
import { decodeSeriesBody } from '../protocol/series-body.ts';
import { type Fixture, isLocal, startFixture } from './fixture.ts';
import { streamState } from './live/stream-state.ts';

const A = 'aaaaaaaaaaaa';
const B = 'bbbbbbbbbbbb';
const HOST = { host: '127.0.0.1:8080' };

let server: Fixture;

beforeEach(async () => {
  server = await startFixture();
});

afterEach(async () => {
  expect(server.bugs).toEqual([]);
  await server.remove();
});

async function get(url: string, headers: Record<string, string> = {}) {
  return server.http.inject({ method: 'GET', url, headers: { ...HOST, ...headers } });
}

async function seed(): Promise<void> {
  const a = server.job(A, { entry: 'train', project: 'demo', tags: { model: 'linear' } });
  a.append(
    { k: 'param', t: 1_764_000_001, key: 'lr', value: 0.03 },
    { k: 'param', t: 1_764_000_001, key: 'opt', value: { name: 'adam', betas: [0.9, 0.99] } },
    { k: 'm', t: 1_764_000_002, s: 0, v: { loss: 2, acc: 0.1 } },
    { k: 'm', t: 1_764_000_003, s: 1, v: { loss: 'NaN', acc: 0.2 } },
    { k: 'm', t: 1_764_000_004, s: 2, v: { loss: 0.5 } },
    { k: 'end', t: 1_764_000_010, attempt: a.name, status: 'completed', exit_code: 0, by: 'job' },
  );
  a.close();
  const b = server.job(B, { t: 1_764_000_100, name: 'second' });
  b.append({ k: 'm', t: 1_764_000_101, s: 0, v: { loss: 9 } });
  b.append({ k: 'param', t: 1_764_000_101, key: 'seed', value: 7 });
  await server.ingest();
}

describe('runs', () => {
  it('are an array, newest first, in the shape that tools rely on', async () => {
    await seed();
    const answer = await get('/api/runs');
    expect(answer.statusCode).toBe(200);
    const rows = answer.json();
    expect(rows.map((row: { id: string }) => row.id)).toEqual([B, A]);
    for (const row of rows) expect([...Value.Errors(schemas.RunRow, row)]).toEqual([]);
    expect(rows[1]).toMatchObject({
      id: A,
      name: `run ${A}`,
      status: 'completed',
      started_at: 1_764_000_000,
      ended_at: 1_764_000_010,
      commit_sha: null,
      entry: 'train',
      project: 'demo',
    });
  });

  it('are filtered, sorted, paged by a Link header, searched, and given columns', async () => {
    await seed();
    expect((await get('/api/runs?filter=metrics.loss.min%20%3C%201')).json()).toHaveLength(1);
    expect((await get('/api/runs?q=ADAM')).json()).toMatchObject([{ id: A }]);
    expect((await get('/api/runs?q=adam%20second')).json()).toEqual([]);
    const first = await get('/api/runs?limit=1&columns=params.lr,metrics.loss.min');
    expect(first.json()).toMatchObject([{ id: B, params: {}, metrics: { loss: { min: 9 } } }]);
    const link = /^<([^>]+)>; rel="next"$/.exec(String(first.headers.link))?.[1] ?? '';
    const second = await get(link);
    expect(second.json()).toMatchObject([{ id: A, params: { lr: 0.03 }, metrics: { loss: { min: 0.5 } } }]);
    expect(second.headers.link).toBeUndefined();
  });

  it('refuse a filter that is not understood with a mark under the bad token, and a bad limit', async () => {
    for (const url of [
      '/api/runs?filter=params.lr%20%3E',
      '/api/runs?limit=0',
      '/api/runs?limit=x',
      '/api/runs?cursor=x',
    ]) {
      const answer = await get(url);
      expect(answer.statusCode).toBe(400);
      expect(answer.json()).toEqual({
        error: { code: expect.any(String), message: expect.any(String), hint: expect.any(String) },
      });
    }
  });

  it('tell all of one run, and 404 of one that is not there', async () => {
    await seed();
    const detail = (await get(`/api/runs/${A}`)).json();
    expect([...Value.Errors(schemas.RunDetail, detail)]).toEqual([]);
    expect(detail).toMatchObject({
      run: { id: A },
      params: { lr: 0.03, opt: { name: 'adam', betas: [0.9, 0.99] } },
      tags: { model: 'linear' },
      metrics: { loss: { last: 0.5, min: 0.5, max: 2, count: 3, nan: 1 } },
      artifacts: [],
    });
    expect((await get('/api/runs/zzzzzzzzzzzz')).statusCode).toBe(404);
  });

  it('keep all digits of a long integer', async () => {
    const a = server.job(A);
    a.appendLines('{"k":"param","t":1764000001,"key":"big","value":123456789012345678901234567890}\n', 1);
    await server.ingest();
    expect((await get(`/api/runs/${A}`)).payload).toContain('"big":123456789012345678901234567890');
  });
});

describe('metrics', () => {
  it('are rows by step; an unknown key has none; a bad limit is refused', async () => {
    await seed();
    const rows = (await get(`/api/runs/${A}/metrics?key=loss&limit=2000`)).json();
    expect(rows).toEqual([
      { rowid: expect.any(Number), key: 'loss', step: 0, ts: 1_764_000_002, value: 2 },
      { rowid: expect.any(Number), key: 'loss', step: 1, ts: 1_764_000_003, value: 'NaN' },
      { rowid: expect.any(Number), key: 'loss', step: 2, ts: 1_764_000_004, value: 0.5 },
    ]);
    expect((await get(`/api/runs/${A}/metrics?key=nope`)).json()).toEqual([]);
    for (const limit of ['0', '-1', 'many', '1.5', '']) {
      expect((await get(`/api/runs/${A}/metrics?key=loss&limit=${limit}`)).statusCode).toBe(400);
    }
    expect((await get('/api/runs/zzzzzzzzzzzz/metrics?key=loss')).statusCode).toBe(404);
  });

  it('page by Link, with a key and without', async () => {
    await seed();
    for (const url of [`/api/runs/${A}/metrics?key=loss&limit=1`, `/api/runs/${A}/metrics?limit=2`]) {
      const seen: unknown[] = [];
      for (let next: string | undefined = url; next !== undefined; ) {
        const answer = await get(next);
        seen.push(...answer.json());
        next = /^<([^>]+)>; rel="next"$/.exec(String(answer.headers.link))?.[1];
      }
      expect(seen).toHaveLength(url.includes('key') ? 3 : 5);
    }
  });

  it('come as columns for charts: every asked series in one body', async () => {
    await seed();
    const answer = await server.http.inject({
      method: 'POST',
      url: '/api/series',
      headers: HOST,
      payload: { runs: [A, B, 'zzzzzzzzzzzz'], keys: ['loss', 'nope'], points: 100, axis: 'relative' },
    });
    expect(answer.statusCode).toBe(200);
    expect(answer.headers['content-type']).toBe('application/octet-stream');
    const bytes = answer.rawPayload;
    const body = decodeSeriesBody(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
    );
    expect(body.axis).toBe('relative');
    const a = body.series.find((series) => series.run === A);
    expect(a).toMatchObject({ key: 'loss', raw: true, n: 3, end: 3, segment: 0 });
    expect([...(a?.x0 ?? [])]).toEqual([2, 3, 4]);
    expect([...(a?.last ?? [])]).toEqual([2, Number.NaN, 0.5]);
    expect([...(a?.min ?? [])]).toEqual([2, Number.NaN, 0.5]);
    expect(body.series).toHaveLength(2);
  });

  it('are the same when they are asked for again, until there is more', async () => {
    const a = server.job(A);
    const other = await startFixture();
    const same = other.job(A);
    const ask = async (of: Fixture, more: object = {}) => {
      const answer = await of.http.inject({
        method: 'POST',
        url: '/api/series',
        headers: HOST,
        payload: { runs: [A], keys: ['loss'], points: 100, ...more },
      });
      const bytes = answer.rawPayload;
      const body = decodeSeriesBody(
        bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
      );
      return body.series.map(({ x0, first }) => [[...x0], [...first]]);
    };
    try {
      a.append({ k: 'm', t: 1_764_000_002, s: 0, v: { loss: 2 } });
      a.append({ k: 'm', t: 1_764_000_003, s: 1, v: { loss: 1 } });
      same.append({ k: 'm', t: 1_764_000_002, s: 0, v: { loss: 7 } });
      same.append({ k: 'm', t: 1_764_000_003, s: 1, v: { loss: 8 } });
      await server.ingest();
      await other.ingest();
      for (const _ of ['first', 'again']) {
        const first = [
          [0, 1],
          [2, 1],
        ];
        expect(await ask(server)).toEqual([first]);
        expect(await ask(other), 'of another project').toEqual([
          [
            [0, 1],
            [7, 8],
          ],
        ]);
        expect(await ask(server, { axis: 'relative' })).toEqual([
          [
            [2, 3],
            [2, 1],
          ],
        ]);
        expect(await ask(server, { axis: 'time' })).toEqual([
          [
            [1_764_000_002, 1_764_000_003],
            [2, 1],
          ],
        ]);
      }
      a.append({ k: 'm', t: 1_764_000_004, s: 2, v: { loss: 0.5 } });
      await server.ingest();
      expect(await ask(server)).toEqual([
        [
          [0, 1, 2],
          [2, 1, 0.5],
        ],
      ]);
    } finally {
      await other.remove();
    }
  });

  it('keep a spike of a single sample in few points', async () => {
    const a = server.job(A);
    const lines: string[] = [];
    for (let step = 0; step < 20_000; step++) {
      lines.push(
        JSON.stringify({
          k: 'm',
          t: 1_764_000_000 + step / 1000,
          s: step,
          v: { loss: step === 12_345 ? 1000 : 1 },
        }),
      );
    }
    a.appendLines(`${lines.join('\n')}\n`, lines.length);
    await server.ingest();
    const answer = await server.http.inject({
      method: 'POST',
      url: '/api/series',
      headers: HOST,
      payload: { series: [{ run: A, key: 'loss' }], points: 300 },
    });
    const bytes = answer.rawPayload;
    const [series] = decodeSeriesBody(
      bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer,
    ).series;
    expect(series?.raw).toBe(false);
    expect(series?.n).toBeLessThanOrEqual(302);
    expect(Math.max(...(series?.max ?? []))).toBe(1000);
    expect([...(series?.count ?? [])].reduce((sum, count) => sum + count, 0)).toBe(20_000);
  });
});

describe('console', () => {
  it('is paged in the order of time, forwards and backwards, and searched', async () => {
    const a = server.job(A);
    for (let n = 0; n < 50; n++) {
      a.append({ k: 'c', t: 1_764_000_000 + n, o: 1, n, x: `out ${n}`, a: a.name });
      if (n % 5 === 0)
        a.append({ k: 'c', t: 1_764_000_000 + n + 0.5, o: 2, n: n / 5, x: `ERR ${n}`, a: a.name });
    }
    await server.ingest();
    const all = (await get(`/api/runs/${A}/console`)).json();
    expect(all.lines).toHaveLength(60);
    expect(all).toMatchObject({ total: 60, more_before: false, more_after: false });
    const texts = all.lines.map((line: { text: string }) => line.text);
    expect(texts.slice(0, 4)).toEqual(['out 0', 'ERR 0', 'out 1', 'out 2']);

    const forwards: string[] = [];
    for (let after = '', more = true; more; ) {
      const page = (
        await get(`/api/runs/${A}/console?limit=7${after === '' ? '' : `&after=${after}`}`)
      ).json();
      forwards.push(...page.lines.map((line: { text: string }) => line.text));
      after = page.lines.at(-1).at;
      more = page.more_after;
    }
    expect(forwards).toEqual(texts);

    const backwards: string[] = [];
    for (let before = '', more = true; more; ) {
      const page = (
        await get(`/api/runs/${A}/console?limit=7&${before === '' ? 'tail=true' : `before=${before}`}`)
      ).json();
      backwards.unshift(...page.lines.map((line: { text: string }) => line.text));
      before = page.lines[0].at;
      more = page.more_before;
    }
    expect(backwards).toEqual(texts);

    const found = (await get(`/api/runs/${A}/console?q=err&limit=4`)).json();
    expect(found.lines.map((line: { text: string }) => line.text)).toEqual([
      'ERR 0',
      'ERR 5',
      'ERR 10',
      'ERR 15',
    ]);
    const err = (await get(`/api/runs/${A}/console?stream=stderr`)).json();
    expect(err).toMatchObject({ total: 10 });
    expect(err.lines).toHaveLength(10);
    expect((await get(`/api/runs/${A}/console?after=nonsense`)).statusCode).toBe(400);
  });
});

describe('artifacts', () => {
  it('give their bytes, whole and in ranges, and 304', async () => {
    const a = server.job(A);
    const { sha256, size } = putBytes(server.layout.blobs, Buffer.from('0123456789'));
    a.append({ k: 'artifact', t: 1_764_000_001, name: 'a/b.txt', kind: 'log', type: 'file', sha256, size });
    const inline = Buffer.from('{"w": 1}');
    a.append({
      k: 'artifact',
      t: 1_764_000_002,
      name: 'weights.json',
      type: 'file',
      sha256: putBytes(server.layout.blobs, inline).sha256,
      size: inline.length,
      inline: inline.toString('base64'),
    });
    await server.ingest();
    const { artifacts } = (await get(`/api/runs/${A}`)).json();
    expect(artifacts).toMatchObject([
      { name: 'a/b.txt', kind: 'log', created_at: 1_764_000_001, sha256, size: 10, uri: expect.any(String) },
      { name: 'weights.json' },
    ]);
    const [file, json] = artifacts;
    const whole = await get(file.uri);
    expect(whole.payload).toBe('0123456789');
    expect(whole.headers).toMatchObject({
      'content-type': 'text/plain; charset=utf-8',
      'content-length': '10',
      etag: `"${sha256}"`,
    });
    expect((await get(json.uri)).payload).toBe('{"w": 1}');
    expect((await get(`/api/runs/${A}/artifacts/${encodeURIComponent('a/b.txt')}`)).payload).toBe(
      '0123456789',
    );

    for (const [range, status, text] of [
      ['bytes=2-4', 206, '234'],
      ['bytes=-3', 206, '789'],
      ['bytes=8-', 206, '89'],
      ['bytes=5-99', 206, '56789'],
      ['bytes=0-1,4-5', 200, '0123456789'],
      ['bytes=10-', 416, ''],
      ['lines=1-2', 200, '0123456789'],
    ] as const) {
      const part = await get(file.uri, { range });
      expect([range, part.statusCode, part.payload]).toEqual([range, status, text]);
    }
    expect((await get(file.uri, { 'if-none-match': `"${sha256}"` })).statusCode).toBe(304);
    expect((await get(`${file.uri}&download=1`)).headers['content-disposition']).toMatch(/^attachment/);
    expect((await get(`/api/runs/${A}/artifacts/nope`)).statusCode).toBe(404);
    expect((await get(`/api/runs/${A}/artifacts`)).json()).toHaveLength(2);
  });

  it('of a folder are a listing, and files by their path in it', async () => {
    const a = server.job(A);
    const { blobs } = server.layout;
    const one = putBytes(blobs, Buffer.from('one'));
    const manifest = putBytes(
      blobs,
      Buffer.from(
        JSON.stringify([
          { path: 'sub/one.txt', ...one, mode: 0o644 },
          { path: '../../../etc/passwd', size: 1, sha256: '../../x' },
        ]),
      ),
    );
    a.append({
      k: 'artifact',
      t: 1,
      name: 'dir',
      type: 'folder',
      sha256: manifest.sha256,
      size: 3,
      files: 1,
    });
    await server.ingest();
    const listing = (await get(`/api/runs/${A}/artifacts/dir`)).json();
    expect(listing.files).toEqual([
      { path: 'sub/one.txt', size: 3, sha256: one.sha256, uri: expect.any(String) },
    ]);
    expect((await get(listing.files[0].uri)).payload).toBe('one');
    for (const path of ['../../waddle.sqlite', '/etc/passwd', 'sub', 'sub/../sub/one.txt']) {
      expect((await get(`/api/runs/${A}/artifacts/dir?path=${encodeURIComponent(path)}`)).statusCode).toBe(
        404,
      );
    }
  });

  it('that are gone from the store are a 404 that says so', async () => {
    const a = server.job(A);
    a.append({ k: 'artifact', t: 1, name: 'x.bin', type: 'file', sha256: 'e'.repeat(64), size: 3 });
    await server.ingest();
    const answer = await get(`/api/runs/${A}/artifacts/x.bin`);
    expect(answer.statusCode).toBe(404);
    expect(answer.json().error.code).toBe('blob-missing');
    expect(answer.headers['content-length']).toBe(String(Buffer.byteLength(answer.payload)));
  });
});

describe('edits', () => {
  it('change a run at once, and survive in its journals', async () => {
    await seed();
    const patched = await server.http.inject({
      method: 'PATCH',
      url: `/api/runs/${A}`,
      headers: HOST,
      payload: { name: 'better', notes: '# hi', tags: { model: null, best: 'yes' }, archived: true },
    });
    expect(patched.json()).toEqual({ runs: [A], cursor: expect.any(String) });
    expect((await get(`/api/runs/${A}`)).json()).toMatchObject({
      run: { name: 'better', notes: '# hi', archived: true },
      tags: { best: 'yes' },
    });
    expect((await get('/api/runs')).json()).toHaveLength(1);
    expect((await get('/api/runs?archived=true')).json()).toHaveLength(2);
  });

  it('remove and restore, one or many', async () => {
    await seed();
    expect(
      (await server.http.inject({ method: 'DELETE', url: `/api/runs/${A}`, headers: HOST })).statusCode,
    ).toBe(200);
    expect((await get(`/api/runs/${A}`)).statusCode).toBe(404);
    await server.http.inject({ method: 'POST', url: `/api/runs/${A}/restore`, headers: HOST });
    expect((await get(`/api/runs/${A}`)).statusCode).toBe(200);
    const bulk = await server.http.inject({
      method: 'POST',
      url: '/api/runs/bulk',
      headers: HOST,
      payload: { runs: [A, B], act: 'patch', patch: { tags: { sweep: '1' } } },
    });
    expect(bulk.json().runs).toEqual([A, B]);
    expect((await get("/api/runs?filter=tags.sweep%20%3D%20'1'")).json()).toHaveLength(2);
  });

  it('ask only what runs to stop', async () => {
    await seed();
    const stop = (id: string) =>
      server.http.inject({
        method: 'POST',
        url: `/api/runs/${id}/stop`,
        headers: HOST,
        payload: { grace: 5 },
      });
    expect((await stop(B)).json().runs).toEqual([B]);
    expect((await stop(A)).json().runs).toEqual([]);
    expect(server.stopped).toEqual([{ run: B, grace: 5 }]);
  });

  it('refuse what they do not know', async () => {
    await seed();
    const send = (payload: object) =>
      server.http.inject({ method: 'PATCH', url: `/api/runs/${A}`, headers: HOST, payload });
    expect((await send({ nmae: 'x' })).statusCode).toBe(400);
    expect((await send({ name: '' })).statusCode).toBe(400);
    expect((await send({ tags: { '': 'x' } })).statusCode).toBe(400);
  });
});

describe('the rest', () => {
  it('lists projects and keys, compares, and says who it is', async () => {
    await seed();
    expect((await get('/api/projects')).json()).toMatchObject([
      { name: 'default', runs: 1, running: 1 },
      { name: 'demo' },
    ]);
    expect((await get('/api/keys')).json()).toEqual({
      params: [
        { key: 'lr', runs: 1, numeric: true },
        { key: 'opt.betas', runs: 1, numeric: false },
        { key: 'opt.name', runs: 1, numeric: false },
        { key: 'seed', runs: 1, numeric: true },
      ],
      tags: [{ key: 'model', runs: 1, values: ['linear'] }],
      metrics: [
        { key: 'acc', runs: 1 },
        { key: 'loss', runs: 2 },
      ],
    });
    const comparison = (await get(`/api/compare?runs=${A},${B}`)).json();
    expect([...Value.Errors(schemas.Comparison, comparison)]).toEqual([]);
    expect(comparison.params[0]).toEqual({ key: 'lr', values: [0.03, null], differs: true });
    expect((await get('/api/health')).json()).toMatchObject({ app: 'waddle', held: false, ws_port: null });
  });

  it('answers 304 where nothing has changed', async () => {
    await seed();
    const { etag } = (await get(`/api/runs/${A}/metrics?key=loss`)).headers;
    const again = await get(`/api/runs/${A}/metrics?key=loss`, { 'if-none-match': String(etag) });
    expect(again.statusCode).toBe(304);
    expect(again.payload).toBe('');
  });

  it('compresses what is long', async () => {
    await seed();
    const answer = await get(`/api/runs/${A}`, { 'accept-encoding': 'gzip' });
    expect(answer.headers['content-encoding']).toBe('gzip');
  });

  it('shows a page that says so where the dashboard is not built, and the page where it is', async () => {
    expect((await get('/', { accept: 'text/html' })).payload).toContain('not built');
    writeFileSync(join(server.options.dashboard, 'index.html'), '<title>Waddle</title>');
    for (const url of ['/', '/runs/abc', '/compare?runs=a']) {
      const page = await get(url, { accept: 'text/html' });
      expect(page.payload).toBe('<title>Waddle</title>');
      expect(page.headers['content-security-policy']).toContain("default-src 'none'");
      expect(page.headers['cache-control']).toBe('no-cache');
    }
    const missing = await get('/api/nothing', { accept: 'text/html' });
    expect(missing.statusCode).toBe(404);
    expect(missing.json().error.code).toBe('route-not-found');
  });

  it.runIf(isLocal())('finds the new database where the old one was deleted', async () => {
    await seed();
    expect((await get('/api/runs')).json()).toHaveLength(2);
    const epoch = async () => (await server.options.engine.answer(streamState())).epoch;
    const old = await epoch();
    const path = join(server.layout.root, 'waddle.sqlite');
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
    await setTimeout(1100);
    await server.ingest();
    expect(await epoch()).not.toBe(old);
    expect((await get('/api/runs')).json()).toHaveLength(2);
  });
});
