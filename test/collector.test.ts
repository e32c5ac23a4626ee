/** The collector as a team uses it: over its port, in its folder. What hostile clients try is in collector-hostile.test.ts. */
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { encodeFrames, FRAMES_TYPE } from '../src/protocol/frames.ts';
import { makeTeam } from '../src/sync/sync-fixture.ts';
import { transfer } from '../src/sync/transfer.ts';
import { rootOfBytes, sha256, TestCollector, TestJournal, testRun } from './collector-fixture.ts';
import { until } from './support/sandbox.ts';

const collector = new TestCollector();
let write: string;

beforeAll(async () => {
  await collector.start({ recheckMs: 100 });
  write = await collector.token({ space: 'team' });
});
beforeEach(() => expect(collector.bugs).toEqual([]));
afterAll(() => collector.remove());

describe('what is pushed', () => {
  test('is there for everybody of the space, and for nobody else', async () => {
    const space = await collector.space(write);
    const { id, journal } = testRun(
      'demo',
      { k: 'm', s: 0, v: { loss: 1 } },
      { k: 'm', s: 1, v: { loss: 0.5 } },
    );
    const bytes = Buffer.from('the weights');
    journal.add({ k: 'artifact', name: 'w.bin', type: 'file', sha256: sha256(bytes), size: bytes.length });
    expect(await space.compare(new Map([[id, 'a'.repeat(64)]]), new Map())).toMatchObject({ unknown: [id] });

    const [first] = await space.writeJournals([journal.piece()]);
    expect(first).toMatchObject({ ok: true, length: journal.bytes.length, root: rootOfBytes(journal.bytes) });
    // Once more, as after an answer that was lost.
    const [again] = await space.writeJournals([journal.piece()]);
    expect(again).toMatchObject({ ok: true, length: journal.bytes.length });

    expect(await space.missingBlobs(id, [{ sha256: sha256(bytes), size: bytes.length }])).toEqual([
      { sha256: sha256(bytes), received: 0 },
    ]);
    const part = { run: id, sha256: sha256(bytes), size: bytes.length };
    expect(await space.writeBlobs([{ ...part, offset: 0, bytes: bytes.subarray(0, 4) }])).toMatchObject([
      { ok: true, received: 4, stored: false },
    ]);
    expect(await space.writeBlobs([{ ...part, offset: 4, bytes: bytes.subarray(4) }])).toMatchObject([
      { ok: true, stored: true },
    ]);
    const read = await collector.token({ space: 'team', scope: 'read' });
    const reader = await collector.space(read);
    expect(Buffer.from((await reader.readBlob(id, sha256(bytes), 4)) ?? [])).toEqual(bytes.subarray(4));
    const [piece] = await reader.readJournals([{ run: id, writer: journal.writer, offset: 0 }]);
    expect(Buffer.from(piece?.bytes ?? [])).toEqual(journal.bytes);

    const listed = await reader.list({});
    expect(listed.runs).toMatchObject([
      { id, project: 'demo', name: `run ${id}`, user: 'ada', removed: false },
    ]);
    const digest = listed.runs[0]?.digest ?? '';
    expect(await space.compare(new Map([[id, digest]]), new Map())).toMatchObject({
      differ: [],
      unknown: [],
    });
    expect((await reader.list({ filter: "metrics.loss < 1 and name ~ 'run'" })).runs).toHaveLength(1);
    expect((await reader.list({ filter: 'metrics.loss > 1' })).runs).toEqual([]);
    expect((await reader.list({ project: 'other' })).runs).toEqual([]);

    const detail = await collector.json(`/api/runs/${id}`, read);
    expect(detail.body).toMatchObject({ run: { id, project: 'demo', status: 'running', user: 'ada' } });
    expect((await collector.json(`/api/runs/${id}/metrics?key=loss`, read)).body).toHaveLength(2);
    const artifact = detail.body.artifacts[0].uri;
    expect(await (await collector.ask(artifact, read)).text()).toBe('the weights');

    const other = await collector.token({ space: 'rivals', scope: 'admin' });
    expect((await collector.json('/api/runs', other)).body).toEqual([]);
    expect((await collector.json(`/api/runs/${id}`, other)).status).toBe(404);
    expect((await (await collector.space(other)).list({})).runs).toEqual([]);
  });

  test('arrives byte for byte where it travels in columns', async () => {
    const space = await collector.space(write);
    expect(space.hello.encodings).toContain('columns');
    const { id, journal } = testRun('columns');
    for (let step = 0; step < 3000; step += 1) {
      journal.add(
        `{"k":"m","t":1764000000.${String(step % 1000).padStart(3, '0')},"s":${step},"v":{"loss":${Math.sin(step)}}}`,
      );
    }
    const before = space.traffic.sent;
    expect(await space.writeJournals([journal.piece()])).toMatchObject([
      { ok: true, length: journal.bytes.length, root: rootOfBytes(journal.bytes) },
    ]);
    expect((space.traffic.sent - before) / 3000).toBeLessThan(11);
    const [piece] = await space.readJournals([{ run: id, writer: journal.writer, offset: 0 }]);
    expect(Buffer.from(piece?.bytes ?? []).equals(journal.bytes)).toBe(true);
  });

  test('shows live, and a run that is silent is never called crashed', async () => {
    const space = await collector.space(write);
    const { id, journal } = testRun('live');
    await space.writeJournals([journal.piece()]);
    const socket = new WebSocket(`${collector.url.replace('http', 'ws')}/ws?token=${write}`);
    const steps: number[] = [];
    socket.onmessage = ({ data }) => {
      const frame = JSON.parse(String(data));
      if (frame.type === 'metric' && frame.run_id === id) steps.push(frame.step);
    };
    await new Promise((open) => {
      socket.onopen = open;
    });
    socket.send(JSON.stringify({ type: 'subscribe', runs: [id], since: 0 }));
    for (let step = 0; step < 3; step += 1) {
      const offset = journal.bytes.length;
      journal.add({ k: 'm', s: step, v: { loss: 1 } });
      await space.writeJournals([journal.piece(offset)]);
    }
    await until(() => steps.length === 3, 'three samples');
    socket.close();
    // Its events are a year old, and it says that it is on this machine's side of nowhere.
    expect((await collector.json(`/api/runs/${id}`, write)).body.run.status).toBe('running');
  });

  test('a stop is an event that a pull brings, and starts nothing here', async () => {
    const space = await collector.space(write);
    const { id, journal } = testRun('stops');
    await space.writeJournals([journal.piece()]);
    await until(async () => (await collector.json(`/api/runs/${id}`, write)).status === 200, 'the run');
    expect((await collector.post(`/api/runs/${id}/stop`, write, { grace: 5 })).status).toBe(200);
    const state = (await space.states([id])).get(id);
    const edits = [...(state?.journals.keys() ?? [])].filter((writer) => writer.startsWith('edits-'));
    expect(edits).toHaveLength(1);
    const [piece] = await space.readJournals([{ run: id, writer: edits[0] ?? '', offset: 0 }]);
    expect(Buffer.from(piece?.bytes ?? []).toString()).toContain('"k":"stop"');
  });

  test('what is changed on the page says whose token did it, wherever it is pulled to', async () => {
    const space = await collector.space(write);
    const { id, journal } = testRun('who');
    await space.writeJournals([journal.piece()]);
    await until(async () => (await collector.json(`/api/runs/${id}`, write)).status === 200, 'the run');
    const ada = await collector.token({ space: 'team', name: 'ada' });
    const nameless = await collector.token({ space: 'team', name: null });
    const renamed = await collector.post(`/api/runs/${id}`, ada, { name: 'better' }, 'PATCH');
    const tagged = { runs: [id], act: 'patch', patch: { tags: { good: 'yes' } } };
    const stopped = await collector.post(`/api/runs/${id}/stop`, ada, { grace: 5 });
    expect([renamed.status, stopped.status]).toEqual([200, 200]);
    expect((await collector.post('/api/runs/bulk', nameless, tagged)).status).toBe(200);
    const users = async () => {
      const writers = [...((await space.states([id])).get(id)?.journals.keys() ?? [])];
      const wants = writers.map((writer) => ({ run: id, writer, offset: 0 }));
      const opens = (await space.readJournals(wants)).filter(({ writer }) => writer.startsWith('edits-'));
      return opens.map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString().split('\n')[0] ?? '').user);
    };
    const [, tokenId] = nameless.split('_');
    expect((await users()).sort()).toEqual(['ada', 'ada', `token ${tokenId}`]);
    await collector.json(`/api/runs/${id}`, ada, { method: 'DELETE' });
    const told = (await space.list({})).removals.filter(({ run }) => run === id);
    expect(told).toMatchObject([{ by: expect.stringMatching(/^ada@/), applied: true }]);
  });

  test('pages and edits of the dashboard work, and a reader may not edit', async () => {
    const space = await collector.space(write);
    const { id, journal } = testRun('edits');
    await space.writeJournals([journal.piece()]);
    await until(async () => (await collector.json(`/api/runs/${id}`, write)).status === 200, 'the run');
    const read = await collector.token({ space: 'team', scope: 'read' });
    const change = { tags: { good: 'yes' }, name: 'better' };
    const refused = await collector.post(`/api/runs/${id}`, read, change, 'PATCH');
    expect([refused.status, refused.body.error.code]).toEqual([403, 'scope-denied']);
    expect((await collector.post('/api/runs/bulk', read, { runs: [id], act: 'remove' })).status).toBe(403);
    expect((await collector.post(`/api/runs/${id}`, write, change, 'PATCH')).status).toBe(200);
    expect((await collector.json(`/api/runs/${id}`, read)).body).toMatchObject({
      run: { name: 'better' },
      tags: { good: 'yes' },
    });
    const readers = await collector.space(read);
    const refusal = await readers.writeJournals([journal.piece()]).catch((error) => error.code);
    expect(refusal).toBe('scope-denied');
  });
});

describe('tokens', () => {
  test('are asked for everywhere but at the three open doors', async () => {
    for (const path of [
      '/',
      '/api/runs',
      '/api/sync/v1',
      '/api/tokens',
      '/api/health',
      '/api/openapi.json',
      '/assets/x.js',
      '/ws',
    ]) {
      expect([path, (await collector.ask(path, null)).status]).toEqual([path, 401]);
      expect([path, (await collector.ask(path, 'waddle_aaaaaaaaaa_wrong')).status]).toEqual([path, 401]);
    }
    for (const path of ['/healthz', '/readyz', '/login'])
      expect((await collector.ask(path, null)).status).toBe(200);
    const figures = await (await collector.ask('/metrics', null)).text();
    expect(figures).toMatch(/^waddle_http_requests_total\{kind="[\w/]+",method="GET",status="401"\} \d+$/m);
    const forwarded = await collector.ask('/metrics', null, { headers: { 'x-forwarded-for': '1.2.3.4' } });
    expect(forwarded.status).toBe(401);
    expect((await collector.ask('/metrics', write)).status).toBe(403);
  });

  test('open a browser by a link or a field, and the address does not keep them', async () => {
    const page = { headers: { accept: 'text/html' } };
    const welcome = await collector.ask('/runs/x', null, page);
    expect([welcome.status, await welcome.text()]).toEqual([401, expect.stringContaining('value="/runs/x"')]);
    const link = await collector.ask(`/?token=${write}`, null, page);
    expect([link.status, link.headers.get('location')]).toEqual([303, '/']);
    const cookie = link.headers.get('set-cookie')?.split(';')[0] ?? '';
    expect(cookie).not.toContain(write);
    expect((await collector.ask('/api/runs', null, { headers: { cookie } })).status).toBe(200);
    expect((await collector.ask('/api/runs', null, { headers: { cookie: `${cookie}x` } })).status).toBe(401);

    const form = (fields: Record<string, string>, headers = {}) =>
      collector.ask('/login', null, { method: 'POST', body: new URLSearchParams(fields), headers });
    const entered = await form({ token: ` ${write} `, next: '/runs/x?y=1' });
    expect([entered.status, entered.headers.get('location')]).toEqual([303, '/runs/x?y=1']);
    for (const next of ['//evil.example', '/\\evil.example', 'https://evil.example', 'javascript:alert(1)']) {
      expect((await form({ token: write, next })).headers.get('location')).toBe('/');
    }
    expect((await form({ token: 'no', next: '/' })).status).toBe(401);
    expect((await form({ token: write }, { origin: 'https://evil.example' })).status).toBe(403);
    const out = await collector.ask('/logout', null, { headers: { cookie } });
    expect(out.headers.get('set-cookie')).toContain('Max-Age=0');
  });

  test('end when they are revoked or have expired, in a live stream too', async () => {
    const soon = await collector.token({ space: 'team', expiresIn: 0.05 });
    await until(async () => (await collector.ask('/api/runs', soon)).status === 401, 'the token to expire');
    const admin = await collector.token({ space: 'team', scope: 'admin' });
    const made = await collector.post('/api/tokens', admin, {
      scope: 'read',
      name: 'guest',
      project: 'demo',
    });
    const { token, record } = made.body;
    expect(record).toMatchObject({
      scope: 'read',
      name: 'guest',
      project: 'demo',
      space: 'team',
      revoked_at: null,
    });
    expect((await collector.ask('/api/runs', token)).status).toBe(200);
    const ls = await collector.json('/api/tokens', admin);
    expect(ls.body.map((each: { id: string }) => each.id)).toContain(record.id);
    expect(JSON.stringify(ls.body)).not.toContain(token.slice(-20));
    expect(
      (await collector.json(`/api/tokens/${record.id}`, admin, { method: 'DELETE' })).body.revoked_at,
    ).not.toBeNull();
    const refused = await collector.json('/api/runs', token);
    expect([refused.status, refused.body.error.code]).toEqual([401, 'token-revoked']);
  });

  test('that are revoked lose their live streams, and uploads that are on their way', async () => {
    const admin = await collector.token({ space: 'team', scope: 'admin' });
    const made = await collector.post('/api/tokens', admin, { scope: 'write' });
    const { token, record } = made.body;
    const live = new WebSocket(`${collector.url.replace('http', 'ws')}/ws?token=${token}`);
    const gone = new Promise((closed) => {
      live.onclose = closed;
    });
    await new Promise((opened) => {
      live.onopen = opened;
    });
    const { id, journal } = testRun('late');
    const { bytes, ...header } = journal.piece();
    const body = Buffer.concat(encodeFrames([{ header, payload: bytes }]));
    const upload = connect(collector.port, '127.0.0.1');
    const cut = new Promise((closed) => upload.once('close', closed));
    upload.on('error', () => undefined);
    upload.write(
      `POST /api/sync/v1/journals HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: ${FRAMES_TYPE}\r\ncontent-length: ${body.length}\r\n\r\n`,
    );
    upload.write(body.subarray(0, -1));
    // Somebody else's go on.
    const other = new WebSocket(`${collector.url.replace('http', 'ws')}/ws?token=${write}`);
    await new Promise((opened) => {
      other.onopen = opened;
    });
    expect((await collector.ask('/api/runs', token)).status).toBe(200);
    expect((await collector.json(`/api/tokens/${record.id}`, admin, { method: 'DELETE' })).status).toBe(200);
    await Promise.all([gone, cut]);
    expect(other.readyState).toBe(WebSocket.OPEN);
    other.close();
    expect((await (await collector.space(write)).states([id])).size).toBe(0);
  });

  test('make no token that may more than they may', async () => {
    const admin = await collector.token({ space: 'team', scope: 'admin', project: 'demo', expiresIn: 1000 });
    const other = await collector.post('/api/tokens', admin, { scope: 'read', project: 'live' });
    expect([other.status, other.body.error.code]).toEqual([403, 'project-denied']);
    expect((await collector.post('/api/tokens', admin, { scope: 'read', project: null })).status).toBe(403);
    const made = await collector.post('/api/tokens', admin, { scope: 'admin' });
    expect(made.body.record).toMatchObject({ project: 'demo', space: 'team' });
    expect(made.body.record.expires_at).toBeLessThan(Date.now() / 1000 + 1001);
    expect((await collector.post('/api/tokens', write, { scope: 'read' })).status).toBe(403);
    const strange = await collector.token({ space: 'rivals', scope: 'admin' });
    const foreign = await collector.json(`/api/tokens/${made.body.record.id}`, strange, { method: 'DELETE' });
    expect(foreign.status).toBe(404);
  });
});

test('the code of a run is compared with the commit that it began from, and with another run', async () => {
  const team = makeTeam();
  try {
    const member = team.folder('member', { git: true });
    member.write('train.py', 'print(1)\n');
    member.git('add', '.');
    member.git('commit', '--quiet', '-m', 'second');
    member.write('train.py', 'print(2)\n');
    const first = await member.run({ code: true, project: 'code' });
    member.write('train.py', 'print(3)\n');
    member.write('new.py', 'print(4)\n');
    const second = await member.run({ code: true, project: 'code' });
    member.git('add', '.');
    member.git('commit', '--quiet', '-m', 'third');
    const clean = await member.run({ code: true, project: 'other' });
    const space = await collector.space(write);
    const runs = [first, second, clean];
    const sent = await transfer({ from: member.space(), to: space, runs });
    expect(sent.problems).toEqual([]);
    await until(async () => (await collector.json(`/api/runs/${clean}`, write)).status === 200, 'the runs');
    const diff = async (run: string, against: string) => {
      const { status, body } = await collector.json(`/api/runs/${run}/diff?against=${against}`, write);
      expect([status, body.error]).toEqual([200, undefined]);
      return (body.patch as string).split('\n').filter((line) => /^[-+]\w/.test(line));
    };
    expect(await diff(first, 'head')).toEqual(['-print(1)', '+print(2)']);
    expect(await diff(second, 'head')).toEqual(['+print(4)', '-print(1)', '+print(3)']);
    expect(await diff(second, first)).toEqual(['+print(4)', '-print(2)', '+print(3)']);
    expect(await diff(clean, 'head')).toEqual([]);
    // Of another project, and so of another repository.
    expect(await diff(clean, first)).toEqual(['+print(4)', '-print(2)', '+print(3)']);
    // The first of a project goes whole, what the others differ by as deltas.
    expect(sent.trees.bytes).toBeLessThan(3000);
  } finally {
    await team.remove();
  }
});

test('every request has an id and a line, and no line has a token', async () => {
  const given = await collector.ask(`/api/runs?token=${write}`, null, {
    headers: { 'x-request-id': 'mine-1' },
  });
  expect(given.headers.get('x-request-id')).toBe('mine-1');
  const forged = await collector.ask('/api/runs', write, { headers: { 'x-request-id': 'x y"{}' } });
  expect(forged.headers.get('x-request-id')).toMatch(/^[\w-]{12}$/);
  await until(() => collector.logged.some((entry) => entry.request === 'mine-1'), 'the line');
  expect(collector.logged.find((entry) => entry.request === 'mine-1')).toMatchObject({
    message: 'GET /api/runs 200',
    space: 'team',
  });
  expect(JSON.stringify(collector.logged)).not.toContain(write);
});

test('the document of the API has the sync routes', async () => {
  const { body } = await collector.json('/api/openapi.json', write);
  for (const path of [
    '',
    '/compare',
    '/list',
    '/states',
    '/journals',
    '/journals/read',
    '/blobs',
    '/trees',
  ]) {
    expect(Object.keys(body.paths)).toContain(`/api/sync/v1${path}`);
  }
});

test('removals of others are told, and take effect only where they are meant to', async () => {
  const space = await collector.space(write);
  const { id, journal } = testRun('gone');
  await space.writeJournals([journal.piece()]);
  const removal = new TestJournal(null, 'project').add({ k: 'remove', run: id, clock: 1 }, { k: 'close' });
  expect(await space.writeJournals([removal.piece()])).toMatchObject([{ ok: true }]);
  const told = async () => (await space.list({})).removals.filter(({ run }) => run === id);
  expect(await told()).toMatchObject([{ applied: false }]);
  await until(async () => (await collector.json(`/api/runs/${id}`, write)).status === 200, 'the run');
  expect(await space.writeJournals([{ ...removal.piece(), apply: true }])).toMatchObject([{ ok: true }]);
  await until(async () => (await collector.json(`/api/runs/${id}`, write)).status === 404, 'the removal');
  expect(await told()).toMatchObject([{ applied: true }]);
});
