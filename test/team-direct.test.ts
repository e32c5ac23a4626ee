/** Artifacts past the collector: straight to S3 and back, whatever S3, the network and hostile clients make of it. */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { afterAll, afterEach, beforeEach, expect, it, vi } from 'vitest';
import { openS3Objects, type S3Options } from '../src/blobs/s3-objects.ts';
import { teamParts } from '../src/cli/collector-team.ts';
import type { Backend } from '../src/collector/backend.ts';
import { type RunningCollector, startCollector } from '../src/collector/collector.ts';
import { openTeamBackend } from '../src/collector/team-backend.ts';
import { createToken, type NewToken } from '../src/collector/tokens.ts';
import { collectGarbage, USUAL_AGES } from '../src/postgres/collect-garbage.ts';
import { type Database, openDatabase } from '../src/postgres/database.ts';
import { type HttpSpace, openHttpSpace } from '../src/sync/http-space.ts';
import { makeTeam, type Team } from '../src/sync/sync-fixture.ts';
import { transfer } from '../src/sync/transfer.ts';
import { testRun } from './collector-fixture.ts';
import { BUILT_INTAKE } from './support/collector-home.ts';
import { describeTeam } from './support/describe-postgres.ts';
import type { TestS3 } from './support/s3.ts';
import { freePort } from './support/sandbox.ts';
import { sharedS3 } from './support/servers.ts';

// Artifacts that are worth it are large.
vi.setConfig({ testTimeout: 180_000 });

const PART = 8 * 1024 * 1024;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const isDirect = ({ url = '' }: IncomingMessage) => url.includes('X-Amz-Signature');

await describeTeam('artifacts directly', async (postgres) => {
  const s3 = (await sharedS3()) as TestS3;
  let backend: Backend;
  let server: RunningCollector;
  let database: Database;
  let team: Team;
  let settings: S3Options;
  let count = 0;
  let puts = 0;
  let gets = 0;
  const bugs: unknown[] = [];
  const told: string[] = [];
  const spaces: HttpSpace[] = [];

  const start = async (options: Partial<S3Options> = {}) => {
    const url = await postgres.database('direct');
    database = await openDatabase(url, { connections: 2 });
    const bug = (error: unknown) => void bugs.push(error);
    settings = {
      ...s3.options,
      prefix: `${s3.options.prefix}-${count++}`,
      direct: true,
      tries: 3,
      ...options,
    };
    const parts = { ...teamParts({ env: process.env, bug }), intake: BUILT_INTAKE };
    backend = await openTeamBackend(url, { s3: settings }, parts);
    server = await startCollector({
      backend,
      version: '0.0.0-test',
      host: '127.0.0.1',
      port: 0,
      allowedHosts: [],
      maxConnections: 100,
      behindProxy: false,
      tls: null,
      log: () => {},
      bug,
    });
  };
  const counting = (request: IncomingMessage) => {
    if (isDirect(request) && request.method === 'PUT') puts += 1;
    if (isDirect(request) && request.method === 'GET') gets += 1;
    return undefined;
  };
  beforeEach(() => {
    team = makeTeam();
    [puts, gets] = [0, 0];
    s3.meddle = counting;
  });
  afterEach(async () => {
    for (const space of spaces.splice(0)) await space.close();
    await team.remove();
    await database.close();
    await server.end();
    expect(bugs.splice(0)).toEqual([]);
    told.length = 0;
  });
  afterAll(() => s3.stop());

  const token = async (asked: Partial<NewToken> = {}) =>
    (await createToken(backend.registry, { space: 'default', scope: 'write', ...asked }, Date.now() / 1000))
      .text;
  const at = () => `http://127.0.0.1:${server.port}`;
  const open = async (text: string) => {
    const space = await openHttpSpace({
      url: at(),
      token: text,
      userAgent: 'test',
      retry: { attempts: 4, baseMs: 20, capMs: 200 },
      onFallback: (reason) => told.push(reason),
    });
    spaces.push(space);
    return space;
  };
  const post = async (path: string, text: string, value: unknown) => {
    const answer = await fetch(`${at()}/api/sync/v1/blobs/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${text}`, 'content-type': 'application/json' },
      body: JSON.stringify(value),
    });
    // biome-ignore lint/suspicious/noExplicitAny: whatever the answer holds; the test says what it must.
    return { status: answer.status, body: (await answer.json()) as any };
  };
  const rowsOf = (sql: string) => database.transaction('default', (session) => session.rows(sql));
  /** A run that names one artifact of these bytes, there already. */
  const named = async (space: HttpSpace, bytes: Uint8Array, project = 'demo') => {
    const { id, journal } = testRun(project);
    const mark = { sha256: sha256(bytes), size: bytes.length };
    journal.add({ k: 'artifact', name: 'model', type: 'file', ...mark });
    expect(await space.writeJournals([journal.piece()])).toMatchObject([{ ok: true }]);
    return { run: id, ...mark };
  };
  const partOf = (
    blob: { run: string; sha256: string; size: number },
    bytes: Uint8Array,
    offset: number,
  ) => ({
    ...blob,
    offset,
    bytes: bytes.subarray(offset, offset + PART),
  });
  const put = async (address: { url: string; headers: Record<string, string> }, body: Uint8Array) => {
    const { 'content-length': _, ...headers } = address.headers;
    return (await fetch(address.url, { method: 'PUT', headers, body: Buffer.from(body) })).status;
  };
  const readAll = async (space: HttpSpace, run: string, hash: string, size: number) => {
    const all: Uint8Array[] = [];
    for (let offset = 0; offset < size; offset += all.at(-1)?.length ?? size) {
      const piece = await space.readBlob(run, hash, offset);
      if (piece === null) throw new Error('it is not there');
      all.push(piece);
    }
    return Buffer.concat(all);
  };

  it('go to S3 and come from there, the small ones with the rest', async () => {
    await start();
    const [a, b] = [team.folder('a'), team.folder('b')];
    const large = randomBytes(2 * PART + 1000);
    const run = await a.run({ artifacts: { large, small: 'weights' } });
    const writer = await token();
    const to = await open(writer);
    expect(to.hello.direct).toBe(true);
    const sent = await transfer({ from: a.space(), to, runs: [run] });
    expect(sent.problems).toEqual([]);
    expect(sent.blobs).toEqual({ count: 2, bytes: large.length + 7 });
    expect(puts).toBe(3);
    expect(await rowsOf('SELECT object FROM blobs WHERE object IS NOT NULL')).toHaveLength(1);
    expect(await rowsOf('SELECT 1 FROM uploads UNION ALL SELECT 1 FROM parts')).toEqual([]);
    const got = await transfer({
      from: await open(await token({ scope: 'read' })),
      to: b.space(),
      runs: [run],
    });
    expect(got.problems).toEqual([]);
    expect(gets).toBe(2);
    expect(await b.space().digests([run])).toEqual(await a.space().digests([run]));
    // The page gets it from the collector, with ranges.
    const page = await fetch(`${at()}/api/runs/${run}/artifacts`, {
      headers: { authorization: `Bearer ${writer}` },
    });
    expect(page.status).toBe(200);
    expect(told).toEqual([]);
  });

  it('go on where they were cut off, by whoever has them next', async () => {
    await start();
    const bytes = randomBytes(3 * PART + 5);
    const text = await token();
    const first = await open(text);
    const blob = await named(first, bytes);
    expect(await first.writeBlobs([partOf(blob, bytes, 0)])).toMatchObject([{ ok: true, received: PART }]);
    expect(await first.writeBlobs([partOf(blob, bytes, PART)])).toMatchObject([{ received: 2 * PART }]);
    await first.close();
    const second = await open(text);
    expect(await second.writeBlobs([partOf(blob, bytes, 0)])).toMatchObject([
      { ok: false, code: 'part-offset', received: 2 * PART },
    ]);
    await second.writeBlobs([partOf(blob, bytes, 2 * PART)]);
    expect(puts).toBe(3);
    // All parts are there, and nobody said so.
    const { body } = await post('uploads/begin', text, blob);
    expect(body).toMatchObject({ ok: true, received: 3 * PART });
    const last = await post('uploads/part', text, {
      run: blob.run,
      upload: body.upload,
      number: 4,
      sha256: sha256(bytes.subarray(3 * PART)),
    });
    expect(await put(last.body, bytes.subarray(3 * PART))).toBe(200);
    const third = await open(text);
    expect(await third.writeBlobs([partOf(blob, bytes, 0)])).toMatchObject([{ ok: true, stored: true }]);
    expect((await readAll(third, blob.run, blob.sha256, blob.size)).equals(bytes)).toBe(true);
    expect(await third.writeBlobs([partOf(blob, bytes, 0)])).toMatchObject([{ ok: true, stored: true }]);
  });

  it('are nothing until the collector has seen their hash; and S3 takes no other bytes than were told', async () => {
    await start();
    const text = await token();
    const space = await open(text);
    const bytes = randomBytes(PART + 100);
    const blob = await named(space, bytes);
    const lies = randomBytes(PART + 100);
    const { body: begun } = await post('uploads/begin', text, blob);
    const part = async (number: number, of: Uint8Array) => {
      const asked = { run: blob.run, upload: begun.upload, number, sha256: sha256(of) };
      return (await post('uploads/part', text, asked)).body;
    };
    const address = await part(1, bytes.subarray(0, PART));
    expect(await put(address, lies.subarray(0, PART))).toBe(403);
    expect(await put(address, bytes.subarray(0, 1000))).toBe(403);
    expect(await put({ ...address, url: address.url.replace('partNumber=1', 'partNumber=2') }, lies)).toBe(
      403,
    );
    expect(await put({ ...address, url: address.url.replace('Expires=300', 'Expires=301') }, lies)).toBe(403);
    expect(await put({ ...address, headers: {} }, bytes.subarray(0, PART))).toBe(403);
    expect((await post('uploads/part', text, { ...blob, upload: begun.upload, number: 3 })).status).toBe(404);
    expect((await post('uploads/finish', text, { run: blob.run, upload: begun.upload })).body).toMatchObject({
      ok: false,
      code: 'part-offset',
      received: 0,
    });
    // True of each part, and not of the whole.
    expect(await put(await part(1, lies.subarray(0, PART)), lies.subarray(0, PART))).toBe(200);
    expect(await put(await part(2, lies.subarray(PART)), lies.subarray(PART))).toBe(200);
    const finish = () => post('uploads/finish', text, { run: blob.run, upload: begun.upload });
    expect((await finish()).body).toMatchObject({ ok: false, code: 'hash-mismatch', stored: false });
    expect((await finish()).body).toMatchObject({ ok: false, received: 0 });
    expect(await rowsOf('SELECT 1 FROM blobs UNION ALL SELECT 1 FROM uploads')).toEqual([]);
    expect(await space.readBlob(blob.run, blob.sha256, 0)).toBeNull();
    const objects = await openS3Objects(settings);
    expect(await Array.fromAsync(objects.list('direct/'))).toEqual([]);
    await objects.close();
    expect(await space.writeBlobs([partOf(blob, bytes, 0)])).toMatchObject([{ ok: true, received: PART }]);
    expect(await space.writeBlobs([partOf(blob, bytes, PART)])).toMatchObject([{ ok: true, stored: true }]);
  });

  it('are for the runs that a token opens: a hash, a run or an upload of others opens nothing', async () => {
    await start();
    const text = await token();
    const space = await open(text);
    const bytes = randomBytes(PART + 100);
    const blob = await named(space, bytes);
    const { body: begun } = await post('uploads/begin', text, blob);
    const strangers = [await token({ space: 'other' }), await token({ project: 'theirs' })];
    const { run } = blob;
    const asked: [string, object][] = [
      ['address', { run, sha256: blob.sha256 }],
      ['uploads/part', { run, upload: begun.upload, number: 1, sha256: blob.sha256 }],
    ];
    for (const stranger of strangers) {
      const own = await named(await open(stranger), randomBytes(10), 'theirs');
      for (const [path, value] of asked) {
        expect([path, (await post(path, stranger, value)).status]).toEqual([path, 404]);
        expect([path, (await post(path, stranger, { ...value, run: own.run })).status]).toEqual([path, 404]);
      }
      // Its own run, and another's upload.
      const other = { run: own.run, upload: begun.upload };
      expect((await post('uploads/finish', stranger, other)).body).toMatchObject({
        ok: false,
        stored: false,
      });
      await post('uploads/drop', stranger, other);
      const { body } = await post('uploads/begin', stranger, { ...blob, run: own.run });
      expect(body).toMatchObject({ ok: false, code: 'blob-not-named' });
    }
    expect((await post('uploads/begin', await token({ scope: 'read' }), blob)).status).toBe(403);
    for (const offset of [0, PART]) await space.writeBlobs([partOf(blob, bytes, offset)]);
    // A run of another project that names the hash has not shown the bytes.
    const thief = await token({ project: 'theirs' });
    const { journal, id } = testRun('theirs');
    journal.add({ k: 'artifact', name: 'w', type: 'file', sha256: blob.sha256, size: blob.size });
    await (await open(thief)).writeJournals([journal.piece()]);
    expect((await post('address', thief, { run: id, sha256: blob.sha256 })).status).toBe(404);
    const address = await post('address', text, { run, sha256: blob.sha256 });
    const answer = await fetch(address.body.url, { headers: { range: 'bytes=5-9' } });
    expect(Buffer.from(await answer.arrayBuffer()).equals(bytes.subarray(5, 10))).toBe(true);
    expect((await fetch(address.body.url.replace(/direct%2F|direct\//, 'runs/'))).status).toBe(403);
  });

  it('count against a quota before an address is told', async () => {
    await start();
    const text = await token();
    const space = await open(text);
    const blobs = [await named(space, randomBytes(2 * PART)), await named(space, randomBytes(2 * PART))];
    await backend.registry.setQuota('default', { bytes: 3 * PART, samples: null });
    const begun = await Promise.all(blobs.map((blob) => post('uploads/begin', text, blob)));
    expect(begun.filter(({ body }) => body.ok).length).toBeLessThan(2);
    for (const { body } of begun)
      if (!body.ok) expect(body).toMatchObject({ code: 'quota-exceeded', upload: null });
    const [first, second] = blobs;
    const again = await post('uploads/begin', text, first);
    expect((await post('uploads/begin', text, second)).body.ok).toBe(!again.body.ok);
    expect(await rowsOf('SELECT 1 FROM uploads')).toHaveLength(1);
  });

  it('survive an S3 that is broken, busy and slow', async () => {
    await start();
    const [a, b] = [team.folder('a'), team.folder('b')];
    const run = await a.run({ artifacts: { large: randomBytes(3 * PART) } });
    let turn = 0;
    s3.meddle = (request, response) => {
      counting(request);
      // Every other one, once it was reached.
      if (!isDirect(request) || turn++ % 2 === 0) return undefined;
      if (turn % 8 === 0) return new Promise((wake) => setTimeout(wake, 200));
      if (turn % 4 === 0) response.destroy();
      else response.writeHead(turn % 6 === 0 ? 500 : 503).end('<Error><Code>SlowDown</Code></Error>');
      return 'answered';
    };
    const to = await open(await token());
    expect((await transfer({ from: a.space(), to, runs: [run] })).problems).toEqual([]);
    expect((await transfer({ from: to, to: b.space(), runs: [run] })).problems).toEqual([]);
    expect(puts).toBeGreaterThan(3);
    expect(told).toEqual([]);
    expect(await b.space().digests([run])).toEqual(await a.space().digests([run]));
    expect(await rowsOf('SELECT object FROM blobs')).toMatchObject([
      { object: expect.stringMatching(/^direct/) },
    ]);
  });

  it('go through the collector where clients cannot reach S3, or are refused there', async () => {
    await start({ direct: { endpoint: `http://127.0.0.1:${await freePort()}` } });
    const [a, b, c] = [team.folder('a'), team.folder('b'), team.folder('c')];
    const run = await a.run({ artifacts: { large: randomBytes(2 * PART), other: randomBytes(PART + 1) } });
    const text = await token();
    const to = await open(text);
    expect((await transfer({ from: a.space(), to, runs: [run] })).problems).toEqual([]);
    expect((await transfer({ from: await open(text), to: b.space(), runs: [run] })).problems).toEqual([]);
    expect(told).toEqual([
      expect.stringContaining('cannot be reached'),
      expect.stringContaining('cannot be reached'),
    ]);
    expect(await rowsOf('SELECT object FROM blobs')).toEqual([{ object: null }, { object: null }]);
    expect(await rowsOf('SELECT 1 FROM uploads UNION ALL SELECT 1 FROM parts')).toEqual([]);
    await server.end();
    await database.close();
    await start();
    s3.meddle = (request, response) => {
      if (!isDirect(request)) return undefined;
      response.writeHead(403).end('<Error><Code>AccessDenied</Code></Error>');
      return 'answered';
    };
    const refused = await open(await token());
    expect((await transfer({ from: a.space(), to: refused, runs: [run] })).problems).toEqual([]);
    expect((await transfer({ from: refused, to: c.space(), runs: [run] })).problems).toEqual([]);
    expect(told.at(-1)).toContain('answered 403');
    for (const each of [b, c])
      expect(await each.space().digests([run])).toEqual(await a.space().digests([run]));
  });

  it('are given up a week after the last part of them', async () => {
    await start();
    const bytes = randomBytes(2 * PART);
    const space = await open(await token());
    const blob = await named(space, bytes);
    expect(await space.writeBlobs([partOf(blob, bytes, 0)])).toMatchObject([{ ok: true, received: PART }]);
    const [upload] = await rowsOf('SELECT object, session FROM uploads');
    const objects = await openS3Objects(settings);
    const parts = () => objects.direct?.parts(String(upload?.object), String(upload?.session));
    expect(await collectGarbage(database, objects, USUAL_AGES, false)).toMatchObject({ uploads: 0 });
    expect(await parts()).toHaveLength(1);
    await rowsOf("UPDATE uploads SET touched_at = touched_at - interval '8 days'");
    expect(await collectGarbage(database, objects, USUAL_AGES, false)).toMatchObject({ uploads: 1 });
    expect(await parts()).toBeNull();
    await objects.close();
    // Who goes on with it all the same begins anew.
    const last = partOf(blob, bytes, PART);
    expect(await space.writeBlobs([last])).toMatchObject([{ ok: false, code: 'part-offset', received: 0 }]);
    for (const offset of [0, PART]) await space.writeBlobs([partOf(blob, bytes, offset)]);
    expect((await readAll(space, blob.run, blob.sha256, blob.size)).equals(bytes)).toBe(true);
  });

  it('stay with the collector where it is told so', async () => {
    await start({ direct: false });
    const text = await token();
    const space = await open(text);
    expect(space.hello.direct).toBe(false);
    const bytes = randomBytes(PART + 1);
    const blob = await named(space, bytes);
    for (const offset of [0, PART]) await space.writeBlobs([partOf(blob, bytes, offset)]);
    expect((await readAll(space, blob.run, blob.sha256, blob.size)).equals(bytes)).toBe(true);
    const { status, body } = await post('uploads/begin', text, blob);
    expect([status, body.error.code]).toEqual([404, 'direct-off']);
    expect([puts, gets]).toEqual([0, 0]);
  });
});
