/** Clients with a valid token that mean harm: what they send, and what they ask for. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { newRunId, newWriterName } from '../src/events/ids.ts';
import { encodeFrames, FRAMES_TYPE, type Frame } from '../src/protocol/frames.ts';
import { rootOfBytes, sha256, TestCollector, TestJournal, testRun } from './collector-fixture.ts';
import { until } from './support/sandbox.ts';

const collector = new TestCollector();
/** Of the project `mine` of the space `team`. */
let mine: string;
/** Of the project `theirs`, which is not to be seen. */
let theirs: string;

beforeAll(async () => {
  await collector.start({ rates: { perSecond: 15, burst: 150 }, allowedHosts: ['team.example'] });
  mine = await collector.token({ space: 'team', project: 'mine' });
  theirs = await collector.token({ space: 'team', project: 'theirs' });
});
// Whatever was sent, nothing of it was a surprise.
afterEach(() => expect(collector.bugs).toEqual([]));
afterAll(() => collector.remove());

const SYNC = '/api/sync/v1';
const EMPTY = rootOfBytes(Buffer.alloc(0));

function send(path: string, token: string, body: Uint8Array, headers: Record<string, string> = {}) {
  return collector.json(SYNC + path, token, {
    method: 'POST',
    body: Buffer.from(body),
    headers: { 'content-type': FRAMES_TYPE, ...headers },
  });
}

const framed = (...frames: Frame<object>[]) => Buffer.concat(encodeFrames(frames));

/** A run of theirs, with an artifact. */
async function foreignRun() {
  const space = await collector.space(theirs);
  const bytes = Buffer.from(`secret ${newRunId()}`);
  const { id, journal } = testRun('theirs', { k: 'm', s: 0, v: { secret_metric: 1 } });
  journal.add(
    { k: 'param', key: 'secret_param', value: 7 },
    { k: 'artifact', name: 'secret.bin', type: 'file', sha256: sha256(bytes), size: bytes.length },
    { k: 'c', o: 1, n: 0, x: 'secret line', a: journal.writer },
  );
  await space.writeJournals([journal.piece()]);
  const part = { run: id, sha256: sha256(bytes), size: bytes.length, offset: 0, bytes };
  expect(await space.writeBlobs([part])).toMatchObject([{ stored: true }]);
  await until(async () => (await collector.ask(`/api/runs/${id}`, theirs)).status === 200, 'their run');
  return { id, journal, bytes, sha: sha256(bytes) };
}

test('a name that the collector was not given opens nothing, whatever the token (DNS rebinding)', async () => {
  const asked = (path: string, host: string, more = 'connection: close\r\n') =>
    rawRequest(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${mine}\r\n${more}\r\n`);
  const upgrade =
    'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
  for (const path of ['/', '/login', '/metrics', '/api/runs', `${SYNC}/hello`]) {
    expect([path, await asked(path, 'evil.example')]).toEqual([path, expect.stringContaining(' 403 ')]);
  }
  expect(await asked('/ws', 'evil.example', upgrade)).toContain(' 403 ');
  expect(await asked('/api/runs', 'team.example')).toContain(' 200 ');
});

describe('what is of another project', () => {
  test('is nowhere to be seen, by any route', async () => {
    const { id, sha } = await foreignRun();
    const own = testRun('mine');
    await (await collector.space(mine)).writeJournals([own.journal.piece()]);
    await until(async () => (await collector.ask(`/api/runs/${own.id}`, mine)).status === 200, 'my run');
    const { body } = await collector.json('/api/openapi.json', mine);
    const asked: string[] = [];
    for (const [route, methods] of Object.entries(body.paths as Record<string, Record<string, unknown>>)) {
      if (!route.includes('{id}') || route === '/api/tokens/{id}') continue;
      const path = route.replace('{id}', id).replace('{name}', sha).replace('{sha256}', sha);
      for (const method of Object.keys(methods)) {
        const value = method === 'patch' ? { name: 'stolen' } : {};
        const text =
          method === 'get'
            ? {}
            : { body: JSON.stringify(value), headers: { 'content-type': 'application/json' } };
        const response = await collector.ask(path, mine, { method: method.toUpperCase(), ...text });
        asked.push(`${method} ${route} ${response.status}`);
        expect([path, method, response.status]).toEqual([path, method, 404]);
        expect(await response.text()).not.toContain('secret');
      }
    }
    expect(asked.length).toBeGreaterThanOrEqual(12);
    const series = { runs: [id], keys: ['secret_metric'], width: 100 };
    for (const path of [
      '/api/runs?archived=true',
      `/api/runs?filter=${encodeURIComponent(`id = '${id}'`)}`,
      `/api/runs?filter=${encodeURIComponent('params.secret_param = 7')}`,
      '/api/runs?q=secret&columns=params.secret_param,metrics.secret_metric',
      '/api/runs?project=theirs',
      '/api/keys',
      `/api/keys?runs=${id}`,
      '/api/keys?project=theirs',
      '/api/projects',
      `/api/compare?runs=${id},${own.id}`,
      `/api/compare?runs=${id}`,
    ]) {
      const text = await (await collector.ask(path, mine)).text();
      expect([path, text.includes('secret_'), text.includes('theirs')]).toEqual([path, false, false]);
    }
    expect((await collector.ask(`/api/runs/${own.id}/diff?against=${id}`, mine)).status).toBe(404);
    const answer = await collector.ask('/api/series', mine, {
      method: 'POST',
      body: JSON.stringify(series),
      headers: { 'content-type': 'application/json' },
    });
    expect(await answer.text()).not.toContain('"n":1');
    const bulk = await collector.post('/api/runs/bulk', mine, { runs: [own.id, id], act: 'remove' });
    expect(bulk.status).toBe(404);
    expect((await collector.ask(`/api/runs/${own.id}`, mine)).status).toBe(200);
  });

  test('does not come by the live stream', async () => {
    const { id, journal } = await foreignRun();
    const socket = new WebSocket(`${collector.url.replace('http', 'ws')}/ws?token=${mine}`);
    const got: string[] = [];
    socket.onmessage = ({ data }) => got.push(String(data));
    await new Promise((open) => {
      socket.onopen = open;
    });
    socket.send(JSON.stringify({ type: 'subscribe', since: 0 }));
    socket.send(JSON.stringify({ type: 'subscribe', runs: [id], since: 0 }));
    socket.send(
      JSON.stringify({
        type: 'watch',
        dialect: 'dashboard',
        runs: [id],
        keys: ['secret_metric'],
        console: id,
        table: true,
        since: 0,
      }),
    );
    const offset = journal.bytes.length;
    journal.add({ k: 'm', s: 1, v: { secret_metric: 2 } });
    await (await collector.space(theirs)).writeJournals([journal.piece(offset)]);
    const own = testRun('mine', { k: 'm', s: 0, v: { mine: 1 } });
    await (await collector.space(mine)).writeJournals([own.journal.piece()]);
    await until(() => got.some((text) => text.includes(own.id)), 'news of my own run');
    expect(got.filter((text) => text.includes(id) || text.includes('secret'))).toEqual([]);
    socket.close();
  });

  test('is as unknown to sync as what is not there: by id, by hash, by writer', async () => {
    const { id, journal, bytes, sha } = await foreignRun();
    const space = await collector.space(mine);
    const nothing = newRunId();
    const compared = await space.compare(
      new Map([id, nothing].map((run) => [run, 'a'.repeat(64)])),
      new Map(),
    );
    expect([compared.unknown.sort(), compared.differ]).toEqual([[id, nothing].sort(), []]);
    expect((await space.list({ project: 'theirs' })).runs).toEqual([]);
    expect((await space.list({ filter: "project = 'theirs'" })).runs).toEqual([]);
    expect((await space.list({})).runs.map((run) => run.project)).not.toContain('theirs');
    expect(await space.states([id])).toEqual(new Map());
    expect(await space.readJournals([{ run: id, writer: journal.writer, offset: 0 }])).toEqual([]);
    expect(await space.readBlob(id, sha, 0)).toBeNull();
    const code = (work: Promise<unknown>) =>
      work.then(
        () => 'none',
        (error) => error.code,
      );
    expect(await code(space.missingBlobs(id, [{ sha256: sha, size: bytes.length }]))).toBe('run-not-found');
    expect(await code(space.missingTrees(id, ['a'.repeat(40)]))).toBe('run-not-found');
    expect(await code(space.readTrees(id, ['a'.repeat(40)], [], new Map()))).toBe('run-not-found');
  });

  test('is not given for its hash: a run of mine that names it gets what it can show', async () => {
    const { bytes, sha } = await foreignRun();
    const space = await collector.space(mine);
    const { id, journal } = testRun('mine');
    journal.add({ k: 'artifact', name: 'w', type: 'file', sha256: sha, size: bytes.length });
    const manifest = Buffer.from(JSON.stringify([{ path: 'x', size: bytes.length, sha256: sha, mode: 420 }]));
    journal.add({
      k: 'artifact',
      name: 'd',
      type: 'folder',
      sha256: sha256(manifest),
      size: bytes.length,
      files: 1,
    });
    await space.writeJournals([journal.piece()]);
    // Nor is it told that somebody has it.
    expect(await space.missingBlobs(id, [{ sha256: sha, size: bytes.length }])).toEqual([
      { sha256: sha, received: 0 },
    ]);
    const whole = { run: id, sha256: sha256(manifest), size: manifest.length, offset: 0, bytes: manifest };
    expect(await space.writeBlobs([whole])).toMatchObject([{ stored: true }]);
    expect(await space.readBlob(id, sha, 0)).toBeNull();
    expect((await space.states([id])).get(id)?.blobs.map((blob) => blob.sha256)).toEqual([sha256(manifest)]);
    await until(async () => (await collector.ask(`/api/runs/${id}`, mine)).status === 200, 'the run');
    for (const path of [`artifacts/${sha}`, 'artifacts/w', 'artifacts/d?path=x']) {
      const response = await collector.ask(`/api/runs/${id}/${path}`, mine);
      expect([path, response.status]).toEqual([path, 404]);
    }
    // Who shows the bytes has them.
    const part = { run: id, sha256: sha, size: bytes.length, offset: 0, bytes };
    expect(await space.writeBlobs([part])).toMatchObject([{ stored: true }]);
    expect(Buffer.from((await space.readBlob(id, sha, 0)) ?? [])).toEqual(bytes);
    expect(await (await collector.ask(`/api/runs/${id}/artifacts/w`, mine)).text()).toBe(bytes.toString());
  });

  test('cannot be written: journals, edits, blobs, code, removals', async () => {
    const { id, journal, bytes, sha } = await foreignRun();
    const space = await collector.space(mine);
    const before = await collector.home.journal('team', id, journal.writer);
    expect(before.equals(journal.bytes)).toBe(true);
    const offset = journal.bytes.length;
    const more = new TestJournal(id, 'edits').add({ k: 'edit', clock: 99, field: 'name', value: 'stolen' });
    const removal = new TestJournal(null, 'project').add({ k: 'remove', run: id, clock: 9 });
    const grown = Buffer.concat([journal.bytes, Buffer.from('{"k":"m","t":1,"s":9,"v":{"x":1}}\n')]);
    const appended = { ...journal.piece(offset), bytes: grown.subarray(offset), root: rootOfBytes(grown) };
    const results = await space.writeJournals([
      appended,
      more.piece(),
      { ...removal.piece(), apply: true },
      testRun('theirs').journal.piece(),
      testRun(undefined).journal.piece(),
      testRun('mine', { k: 'update', fields: { project: 'theirs' } }).journal.piece(),
      new TestJournal(newRunId(), 'job').piece(),
    ]);
    expect(results.map((result) => (result.ok ? 'ok' : result.code))).toEqual(
      Array(7).fill('project-denied'),
    );
    const part = { run: id, sha256: sha, size: bytes.length, offset: 0, bytes };
    expect(await space.writeBlobs([part])).toMatchObject([{ ok: false, code: 'project-denied' }]);
    const pack = { run: id, tree: 'a'.repeat(40), base: null, format: 'sha1' as const, size: 4, offset: 0 };
    expect(await space.writeTrees([{ ...pack, bytes: Buffer.from('PACK') }])).toMatchObject([
      { code: 'project-denied' },
    ]);
    const after = await collector.home.journal('team', id, journal.writer);
    expect(after.equals(before)).toBe(true);
  });

  test('cannot be taken over by moving a run of mine into it, or out of it', async () => {
    const space = await collector.space(mine);
    const { journal } = testRun('mine');
    expect(await space.writeJournals([journal.piece()])).toMatchObject([{ ok: true }]);
    const offset = journal.bytes.length;
    // Spelled so that no search for the word finds it.
    journal.add('{"t":1,"k":"\\u0075pdate","fields":{"project":"theirs"}}');
    expect(await space.writeJournals([journal.piece(offset)])).toMatchObject([{ code: 'project-denied' }]);
    // Nor where it says that there is nothing to look at.
    const { bytes: payload, ...piece } = journal.piece(offset);
    const body = framed({ header: { ...piece, others: [] }, payload });
    const said = await send('/journals', mine, body);
    expect(said.body.results).toMatchObject([{ code: 'project-denied' }]);
    const second = testRun('mine', '{"k":"m","t":1,"s":1,"v":{},"k":"update","fields":{"project":"theirs"}}');
    expect(await space.writeJournals([second.journal.piece()])).toMatchObject([{ code: 'project-denied' }]);
  });
});

describe('what is sent', () => {
  test('bombs are not unpacked, in any encoding, on any route', async () => {
    const zeros = Buffer.alloc(160 * 1024 * 1024);
    const packed: [string, Buffer][] = [
      ['zstd', zstdCompressSync(zeros)],
      ['gzip', gzipSync(zeros, { level: 1 })],
    ];
    for (const [encoding, bomb] of packed) {
      const before = process.memoryUsage().rss;
      for (const path of ['/journals', '/blobs', '/trees']) {
        const { status, body } = await send(path, mine, bomb, { 'content-encoding': encoding });
        expect([path, encoding, status, body.error.code]).toEqual([path, encoding, 413, 'body-too-large']);
      }
      const json = await collector.json(`${SYNC}/compare`, mine, {
        method: 'POST',
        body: Buffer.from(bomb),
        headers: { 'content-type': 'application/json', 'content-encoding': encoding },
      });
      expect([json.status, json.body.error.code]).toEqual([413, 'body-too-large']);
      expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
    }
    const broken = await send('/journals', mine, Buffer.from('no zstd at all'), {
      'content-encoding': 'zstd',
    });
    expect(broken.status).toBe(400);
    expect((await send('/journals', mine, Buffer.from('x'), { 'content-encoding': 'rot13' })).status).toBe(
      415,
    );
  });

  test('lies about lengths, and frames without number, are refused whole', async () => {
    const piece = testRun('mine').journal.piece();
    const { bytes, ...header } = piece;
    const whole = framed({ header, payload: bytes });
    expect((await send('/journals', mine, whole.subarray(0, -1))).body.error.code).toBe('frames-invalid');
    expect((await send('/journals', mine, Buffer.concat([whole, Buffer.from([0, 0])]))).status).toBe(400);
    const huge = Buffer.from([0xff, 0xff, 0xff, 0xff]);
    expect((await send('/journals', mine, huge)).body.error.code).toBe('frames-invalid');
    const many = Buffer.concat(Array(5000).fill(framed({ header: {}, payload: new Uint8Array() })));
    expect((await send('/journals', mine, many)).body.error.code).toBe('frames-invalid');
    const much = framed({ header, payload: Buffer.alloc(9 * 1024 * 1024, 'x') });
    expect((await send('/journals', mine, much)).status).toBe(413);
    for (const lie of [
      { root: 'b'.repeat(64) },
      { before: 'b'.repeat(64), offset: 0 },
      { offset: 5 },
      { offset: Number.MAX_SAFE_INTEGER },
    ]) {
      const { status, body } = await send(
        '/journals',
        mine,
        framed({ header: { ...header, ...lie }, payload: bytes }),
      );
      expect([lie, status, body.results?.[0]?.ok]).toEqual([lie, 200, false]);
    }
    expect(
      (await send('/journals', mine, framed({ header: { ...header, offset: -1 }, payload: bytes }))).status,
    ).toBe(400);
    const length = await rawRequest(
      `POST ${SYNC}/journals HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${mine}\r\ncontent-type: ${FRAMES_TYPE}\r\ncontent-length: 99999999999\r\n\r\n`,
    );
    expect(length).toContain('413');
  });

  test('names are never paths', async () => {
    const { id, journal } = testRun('mine');
    const { bytes, ...header } = journal.piece();
    for (const trick of [
      { run: '../../../../x' },
      { run: `${id}/..` },
      { run: '' },
      { run: 7 },
      { writer: '../job-aaaaaaaa' },
      { writer: 'job-aaaaaaaa/../../x' },
      { writer: 'job-aaaaaaaa.jsonl' },
      { writer: 'head' },
      { writer: 'job-aaaaaaaa\0' },
    ]) {
      const { status } = await send(
        '/journals',
        mine,
        framed({ header: { ...header, ...trick }, payload: bytes }),
      );
      expect([trick, status]).toEqual([trick, 400]);
    }
    for (const trick of [{ sha256: '../x' }, { sha256: 'A'.repeat(64) }, { run: '..' }]) {
      const part = { run: id, sha256: 'a'.repeat(64), size: 1, offset: 0, ...trick };
      expect((await send('/blobs', mine, framed({ header: part, payload: Buffer.from('x') }))).status).toBe(
        400,
      );
    }
    for (const trick of [{ tree: 'HEAD' }, { tree: '--output=/tmp/x' }, { base: 'refs/heads/main' }]) {
      const part = {
        run: id,
        tree: 'a'.repeat(40),
        base: null,
        format: 'sha1',
        size: 1,
        offset: 0,
        ...trick,
      };
      expect((await send('/trees', mine, framed({ header: part, payload: Buffer.from('x') }))).status).toBe(
        400,
      );
    }
    for (const path of ['/runs/../../../etc/blobs/passwd', `/runs/${id}/blobs/..%2f..%2fx`]) {
      expect([400, 404]).toContain((await collector.ask(SYNC + path, mine)).status);
    }
  });

  test('a line of ten million brackets costs no more than its bytes', async () => {
    const { id, journal } = testRun('mine', { k: 'm', s: 0, v: { before: 1 } });
    const deep = `{"k":"param","t":1,"key":"deep","value":${'['.repeat(3_500_000)}${']'.repeat(3_500_000)}}`;
    journal.add(deep, { k: 'm', s: 1, v: { after: 1 } });
    const space = await collector.space(mine);
    const before = process.memoryUsage().rss;
    expect(await space.writeJournals([journal.piece()])).toMatchObject([{ ok: true }]);
    await until(async () => {
      const { body } = await collector.json(`/api/runs/${id}/metrics?key=after`, mine);
      return Array.isArray(body) && body.length === 1;
    }, 'what comes after the line');
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * 1024 * 1024);
    for (const path of ['/compare', '/list', '/states', '/blobs/compare']) {
      const { status } = await collector.json(SYNC + path, mine, {
        method: 'POST',
        body: '['.repeat(1_000_000),
        headers: { 'content-type': 'application/json' },
      });
      expect([path, status]).toEqual([path, 400]);
    }
  });

  test('a journal speaks for itself only', async () => {
    const space = await collector.space(mine);
    const run = testRun('mine');
    await space.writeJournals([run.journal.piece()]);
    const other = newRunId();
    const lies = [
      new TestJournal(run.id, 'edits', { writer: newWriterName('edits') }),
      new TestJournal(run.id, 'edits', { run: other }),
      new TestJournal(run.id, 'edits', { role: 'supervisor' }),
      new TestJournal(run.id, 'edits').add({
        k: 'open',
        format: 1,
        writer: 'job-aaaaaaaa',
        role: 'job',
        run: other,
        host: 'h',
        pid: 1,
        client: 'c',
      }),
      new TestJournal(run.id, 'job').add({ k: 'start', id: other, attempt: 'x', project: 'mine' }),
      new TestJournal(run.id, 'job').add({ k: 'remove', run: other, clock: 1 }),
      new TestJournal(run.id, 'job').add({ k: 'link', name: 'main', path: '/etc', clock: 1 }),
    ];
    for (const journal of lies) {
      const [result] = await space.writeJournals([journal.piece()]);
      expect(result).toMatchObject({ ok: false, code: 'journal-invalid' });
    }
    const link = new TestJournal(null, 'project').add({ k: 'link', name: 'main', path: '/etc', clock: 1 });
    const whole = await collector.space(await collector.token({ space: 'team' }));
    expect(await whole.writeJournals([link.piece()])).toMatchObject([{ ok: false, code: 'journal-invalid' }]);
  });

  test('a blob that nobody names, or that is not what it says, is not kept', async () => {
    const space = await collector.space(mine);
    const { id, journal } = testRun('mine');
    const bytes = Buffer.from('right');
    journal.add({ k: 'artifact', name: 'w', type: 'file', sha256: sha256(bytes), size: bytes.length });
    await space.writeJournals([journal.piece()]);
    const part = { run: id, sha256: sha256(bytes), size: bytes.length, offset: 0 };
    const results = await space.writeBlobs([
      { ...part, sha256: 'c'.repeat(64), bytes },
      { ...part, bytes: Buffer.from('wrong') },
      { ...part, size: 2 ** 50, bytes },
      { ...part, offset: 3, bytes: Buffer.from('ht') },
      { ...part, bytes: Buffer.from('right and more') },
    ]);
    expect(results.map(({ ok, stored }) => [ok, stored])).toEqual(Array(5).fill([false, false]));
    expect(results[0]).toMatchObject({ code: 'blob-not-named' });
    expect(results[1]).toMatchObject({ code: 'hash-mismatch' });
    expect(await space.writeBlobs([{ ...part, bytes }])).toMatchObject([{ stored: true }]);
  });
});

describe('code', () => {
  const place = mkdtempSync(join(tmpdir(), 'waddle-packs-'));
  afterAll(() => rmSync(place, { recursive: true, force: true }));

  function git(args: string[], input?: Buffer | string): Buffer {
    return execFileSync('git', ['-C', place, ...args], {
      ...(input === undefined ? {} : { input }),
      maxBuffer: 1 << 28,
      env: {
        PATH: process.env.PATH,
        GIT_AUTHOR_NAME: 'a',
        GIT_AUTHOR_EMAIL: 'a',
        GIT_COMMITTER_NAME: 'a',
        GIT_COMMITTER_EMAIL: 'a',
        HOME: place,
      },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
  }

  /** A tree of one raw entry, without git's own care; and its pack. */
  function treeOf(mode: string, name: string, blob: string): { tree: string; pack: Buffer } {
    const raw = Buffer.concat([Buffer.from(`${mode} ${name}\0`), Buffer.from(blob, 'hex')]);
    const tree = git(['hash-object', '-t', 'tree', '-w', '--literally', '--stdin'], raw).toString().trim();
    return {
      tree,
      pack: git(['pack-objects', '--stdout', '-q'], `${tree}\n${mode === '160000' ? '' : `${blob}\n`}`),
    };
  }

  test('packs with entries that would harm who checks them out are refused, and run nothing', async () => {
    git(['init', '-q']);
    const blob = git(['hash-object', '-w', '--stdin'], 'evil').toString().trim();
    const tricks = [
      ['100644', '.git'],
      ['100644', '.GIT'],
      ['100644', '..'],
      ['100644', '.'],
      ['100644', 'a/../../x'],
      ['100644', 'git~1'],
      ['040000', '.git'],
      ['120000', '.gitmodules'],
    ] as const;
    const space = await collector.space(mine);
    for (const [mode, name] of tricks) {
      const { tree, pack } = treeOf(mode, name, blob);
      const { id, journal } = testRun('mine');
      journal.add({ k: 'snapshot', snapshot: snapshotOf(tree) });
      expect(await space.writeJournals([journal.piece()])).toMatchObject([{ ok: true }]);
      const part = { run: id, tree, base: null, format: 'sha1' as const, size: pack.length, offset: 0 };
      const [result] = await space.writeTrees([{ ...part, bytes: pack }]);
      expect([mode, name, result]).toMatchObject([
        mode,
        name,
        { ok: false, code: 'pack-invalid', stored: false },
      ]);
      expect((await space.states([id])).get(id)?.trees).toEqual([]);
    }
    const { id, journal } = testRun('mine');
    const good = treeOf('100644', 'train.py', blob);
    journal.add({ k: 'snapshot', snapshot: snapshotOf(good.tree) });
    await space.writeJournals([journal.piece()]);
    const part = { run: id, tree: good.tree, base: null, format: 'sha1' as const, offset: 0 };
    for (const bad of [
      Buffer.from('PACK'),
      good.pack.subarray(0, -5),
      Buffer.alloc(100),
      treeOf('100644', 'other', blob).pack,
    ]) {
      const [result] = await space.writeTrees([{ ...part, size: bad.length, bytes: bad }]);
      expect(result).toMatchObject({ ok: false, stored: false });
    }
    const [other] = await space.writeTrees([
      { ...part, tree: 'd'.repeat(40), size: 4, bytes: Buffer.from('PACK') },
    ]);
    expect(other).toMatchObject({ ok: false, code: 'tree-not-named' });
  });
});

function snapshotOf(tree: string) {
  return {
    store: 'repository',
    // What a client says of folders is nobody's word.
    git_dir: join(process.cwd(), '.git'),
    prefix: '',
    tree,
    state: 'normal',
    dirty: false,
    incomplete: false,
    left_out: [],
    nested: [],
    changed: [],
    changed_count: 0,
    warnings: [],
    duration_ms: 1,
  };
}

describe('how much', () => {
  test('a quota of a space, and of a token with a project, holds for bytes and samples', async () => {
    const whole = await collector.token({ space: 'small' });
    await collector.registry.setQuota('small', { bytes: 20_000, samples: 100 });
    const space = await collector.space(whole);
    expect(space.hello.limits.quota_bytes).toBe(20_000);
    const samples = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, at) => ({ k: 'm', s: from + at, v: { a: 1, b: 2 } }));
    const { id, journal } = testRun('p', ...samples(0, 45));
    expect(await space.writeJournals([journal.piece()])).toMatchObject([{ ok: true }]);
    await until(
      async () =>
        (await space.states([id])).size === 1 &&
        (await collector.ask(`/api/runs/${id}`, whole)).status === 200,
      'the run',
    );
    const offset = journal.bytes.length;
    journal.add(...samples(45, 55));
    expect(await space.writeJournals([journal.piece(offset)])).toMatchObject([
      { code: 'quota-exceeded', length: offset },
    ]);
    const blob = { k: 'artifact', name: 'w', type: 'file', sha256: 'a'.repeat(64), size: 30_000 };
    const second = testRun('p', blob);
    expect(await space.writeJournals([second.journal.piece()])).toMatchObject([{ ok: true }]);
    const part = { run: second.id, sha256: 'a'.repeat(64), size: 30_000, offset: 0, bytes: Buffer.alloc(10) };
    expect(await space.writeBlobs([part])).toMatchObject([{ code: 'quota-exceeded' }]);
    expect(EMPTY).toHaveLength(64);

    const limited = await collector.token({
      space: 'roomy',
      project: 'p',
      quota: { bytes: 2000, samples: null },
    });
    const narrow = await collector.space(limited);
    const third = testRun('p', ...samples(0, 10));
    expect(await narrow.writeJournals([third.journal.piece()])).toMatchObject([{ ok: true }]);
    await until(
      async () => (await collector.ask(`/api/runs/${third.id}`, limited)).status === 200,
      'the run',
    );
    expect(await narrow.writeJournals([testRun('p', ...samples(0, 40)).journal.piece()])).toMatchObject([
      { code: 'quota-exceeded' },
    ]);
  });

  test('who asks too often, or guesses, is told to wait', async () => {
    const busy = await collector.token({ space: 'team' });
    const answers = await Promise.all(
      Array.from({ length: 600 }, () => collector.ask('/api/projects', busy)),
    );
    const late = answers.filter((answer) => answer.status === 429);
    expect(late.length).toBeGreaterThan(0);
    expect(Number(late[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
    // Others are not held up by that.
    expect((await collector.ask('/api/projects', mine)).status).toBe(200);
    const guesses = await Promise.all(
      Array.from({ length: 60 }, () => collector.ask('/api/projects', 'waddle_guess')),
    );
    expect(guesses.filter((answer) => answer.status === 429).length).toBeGreaterThan(10);
    expect((await collector.ask('/api/projects', mine)).status).toBe(200);
  });

  test('bodies that never end hold up nobody else', async () => {
    const head = `POST ${SYNC}/journals HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${theirs}\r\ncontent-type: ${FRAMES_TYPE}\r\ntransfer-encoding: chunked\r\n\r\n`;
    const slow = Array.from({ length: 30 }, () => {
      const socket = connect(collector.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(head);
      socket.write('1\r\n\0\r\n');
      return socket;
    });
    const { journal } = testRun('mine');
    const space = await collector.space(mine);
    expect(await space.writeJournals([journal.piece()])).toMatchObject([{ ok: true }]);
    for (const socket of slow) socket.destroy();
    const endless = connect(collector.port, '127.0.0.1');
    let said = '';
    endless.on('data', (data) => {
      said += data.toString();
    });
    endless.on('error', () => undefined);
    endless.write(head);
    const chunk = Buffer.alloc(1 << 20);
    for (let sent = 0; sent < 64 && !endless.destroyed && said === ''; sent += 1) {
      endless.write(`${chunk.length.toString(16)}\r\n`);
      endless.write(chunk);
      if (!endless.write('\r\n')) await new Promise((wake) => setTimeout(wake, 5));
    }
    await until(() => said !== '' || endless.destroyed, 'an answer');
    // It may be cut off before it has read why.
    if (said !== '') expect(said).toContain('413');
    endless.destroy();
  });
});

/** Sends bytes as they are; resolves to what came back until the other end closed, or a whole head. */
function rawRequest(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(collector.port, '127.0.0.1');
    let said = '';
    socket.on('data', (data) => {
      said += data.toString();
      if (said.includes('\r\n\r\n')) socket.destroy();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(said));
    socket.write(text);
  });
}

test('nothing of all that lies anywhere', async () => {
  const parts = (await collector.home.names()).flatMap((name) => name.split('/'));
  expect(parts.length).toBeGreaterThan(0);
  for (const trick of ['x', '..', 'passwd', 'HEAD.none.pack', 'job-aaaaaaaa'])
    expect(parts).not.toContain(trick);
  const spaces = await collector.registry.listSpaces();
  expect(spaces.map(({ name }) => name).sort()).toEqual(['roomy', 'small', 'team']);
});
