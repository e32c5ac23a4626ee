/** The collector as a process: killed, ended, backed up and restored, behind TLS, and its tokens from the command line. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeFrames, FRAMES_TYPE } from '../src/protocol/frames.ts';
import { type HttpSpace, openHttpSpace } from '../src/sync/http-space.ts';
import { rootOfBytes, sha256, testRun } from './collector-fixture.ts';
import { makeCertificate } from './support/certificate.ts';
import { type CollectorHome, isFolderHome, makeHome } from './support/collector-home.ts';
import { ended, freePort, Sandbox, until, WADDLE } from './support/sandbox.ts';

let sandbox: Sandbox;
let home: CollectorHome;
const spaces: HttpSpace[] = [];

beforeEach(async () => {
  sandbox = new Sandbox({ git: false });
  home = await makeHome();
  Object.assign(sandbox.env, home.env, { TMPDIR: sandbox.folder });
});
afterEach(async () => {
  for (const space of spaces.splice(0)) await space.close();
  await sandbox.remove();
  await home.remove();
});

/** Starts a collector and waits until it is ready. */
async function start(port: number, more: string[] = [], place = home.flags) {
  const scheme = more.includes('--tls-cert') ? 'https' : 'http';
  const words = ['serve', '--collector', ...place, '--port', String(port), ...more];
  const child = sandbox.start(WADDLE, words, { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr?.on('data', (data) => {
    said += String(data);
  });
  await until(() => said.includes('Ctrl-C ends it.') || child.exitCode !== null, 'the collector is up');
  return { child, url: `${scheme}://127.0.0.1:${port}`, said: () => said };
}

async function open(url: string, token: string): Promise<HttpSpace> {
  const retry = { attempts: 100, baseMs: 20, capMs: 500 };
  const space = await openHttpSpace({ url, token, userAgent: 'test', retry });
  spaces.push(space);
  return space;
}

const tokenIn = (text: string) => /waddle_[a-z2-7]{10}_[\w-]{43}/.exec(text)?.[0] ?? '';

test('kill -9 in the middle of uploads loses nothing that was acknowledged, and clients go on by themselves', async () => {
  const port = await freePort();
  let { child, url, said } = await start(port);
  const token = tokenIn(said());
  expect(token).not.toBe('');
  const space = await open(url, token);
  const { id, journal } = testRun('demo');
  const bytes = Buffer.alloc(6_000_000, 'weights ');
  journal.add({ k: 'artifact', name: 'w', type: 'file', sha256: sha256(bytes), size: bytes.length });
  for (let step = 0; step < 2000; step += 1) journal.add({ k: 'm', s: step, v: { loss: step / 7 } });

  // Pieces end where lines do.
  const cuts = [0];
  while ((cuts.at(-1) ?? 0) < journal.bytes.length) {
    const from = Math.min((cuts.at(-1) ?? 0) + 4000, journal.bytes.length - 1);
    cuts.push(journal.bytes.indexOf(10, from) + 1);
  }
  let acknowledged = 0;
  let received = 0;
  let kills = 0;
  const blob = { run: id, sha256: sha256(bytes), size: bytes.length };
  const upload = async () => {
    for (let index = 1; index < cuts.length; index += 1) {
      const [result] = await space.writeJournals([journal.piece(cuts[index - 1], cuts[index])]);
      expect(result).toMatchObject({ ok: true });
      acknowledged = cuts[index] ?? 0;
    }
    while (received < bytes.length) {
      const part = { ...blob, offset: received, bytes: bytes.subarray(received, received + 500_000) };
      const [result] = await space.writeBlobs([part]);
      expect(result).toMatchObject({ ok: true });
      received = result?.received ?? 0;
    }
  };
  const killer = async () => {
    for (const share of [0.3, 0.7]) {
      await until(() => acknowledged > share * journal.bytes.length, 'some of it is there');
      child.kill('SIGKILL');
      await ended(child);
      kills += 1;
      const there = await home.journal('default', id, journal.writer);
      expect(there.length).toBeGreaterThanOrEqual(acknowledged);
      expect(journal.bytes.subarray(0, there.length).equals(there)).toBe(true);
      ({ child, url } = await start(port));
    }
    await until(() => received > bytes.length / 3, 'some of the artifact is there');
    child.kill('SIGKILL');
    await ended(child);
    kills += 1;
    ({ child, url } = await start(port));
  };
  await Promise.all([upload(), killer()]);
  expect(kills).toBe(3);
  const state = (await space.states([id])).get(id);
  expect(state?.journals.get(journal.writer)).toEqual({
    length: journal.bytes.length,
    root: rootOfBytes(journal.bytes),
  });
  expect(state?.blobs).toEqual([{ sha256: sha256(bytes), size: bytes.length }]);
  await until(async () => {
    const response = await fetch(`${url}/api/runs/${id}`, { headers: { authorization: `Bearer ${token}` } });
    const { run } = (await response.json()) as { run?: { metrics?: unknown } };
    return run !== undefined;
  }, 'the run is shown');
  const metrics = await fetch(`${url}/api/runs/${id}/metrics?key=loss&limit=10000`, {
    headers: { authorization: `Bearer ${token}` },
  });
  // Nothing is doubled.
  await until(async () => ((await metrics.clone().json()) as unknown[]).length === 2000, 'all samples');
}, 180_000);

test.runIf(isFolderHome())(
  'a backup taken while it is written to is whole; restored, it serves what it had',
  async () => {
    const port = await freePort();
    const first = await start(port);
    const token = tokenIn(first.said());
    const space = await open(first.url, token);
    const run = testRun('demo', { k: 'm', s: 0, v: { loss: 1 } });
    const bytes = Buffer.from('some weights');
    run.journal.add({ k: 'artifact', name: 'w', type: 'file', sha256: sha256(bytes), size: bytes.length });
    await space.writeJournals([run.journal.piece()]);
    await space.writeBlobs([{ run: run.id, sha256: sha256(bytes), size: bytes.length, offset: 0, bytes }]);
    let stop = false;
    const writing = (async () => {
      for (let step = 1; !stop; step += 1) {
        const offset = run.journal.bytes.length;
        run.journal.add({ k: 'm', s: step, v: { loss: step } });
        await space.writeJournals([run.journal.piece(offset)]);
      }
    })();
    const backup = join(sandbox.folder, 'backup');
    const collect = (...args: string[]) => sandbox.waddle('collector', ...args);
    expect(collect('backup', backup, ...home.flags).status).toBe(0);
    const again = sandbox.json<{ files: number; kept: number }>('collector', 'backup', backup, ...home.flags);
    expect(again.kept).toBeGreaterThan(0);
    stop = true;
    await writing;
    first.child.kill('SIGTERM');
    expect(await ended(first.child)).toMatchObject({ status: 0 });

    expect(collect('restore', backup, ...home.flags)).toMatchObject({ status: 1 });
    const place = ['--dir', join(sandbox.folder, 'restored')];
    expect(collect('restore', backup, ...place).status).toBe(0);
    const second = await start(port, [], place);
    // Its tokens were in the backup: none is made anew.
    expect(tokenIn(second.said())).toBe('');
    const restored = await open(second.url, token);
    const state = (await restored.states([run.id])).get(run.id);
    const mark = state?.journals.get(run.journal.writer);
    const had = run.journal.bytes.subarray(0, mark?.length ?? 0);
    expect(mark?.root).toBe(rootOfBytes(had));
    expect(had.length).toBeGreaterThan(0);
    expect(Buffer.from((await restored.readBlob(run.id, sha256(bytes), 0)) ?? [])).toEqual(bytes);
    second.child.kill('SIGTERM');
    await ended(second.child);

    const stored = join(
      backup,
      'spaces/default/.waddle/blobs/sha256',
      sha256(bytes).slice(0, 2),
      sha256(bytes),
    );
    rmSync(stored);
    writeFileSync(stored, 'other weights');
    const folder = join(sandbox.folder, 'damaged');
    const damaged = collect('restore', backup, '--dir', folder);
    expect([damaged.status, damaged.stderr]).toEqual([
      1,
      expect.stringContaining('not what their names say'),
    ]);
    // As one is that was cut off before its end.
    const told = join(backup, 'waddle-backup.json');
    writeFileSync(told, JSON.stringify({ ...JSON.parse(readFileSync(told, 'utf8')), whole: false }));
    const unfinished = collect('restore', backup, '--dir', folder);
    expect([unfinished.status, unfinished.stderr]).toEqual([
      1,
      expect.stringContaining('was never finished'),
    ]);
    expect(existsSync(folder)).toBe(false);
  },
);

test('SIGTERM finishes what is in flight, and lets nobody new in', async () => {
  const port = await freePort();
  const { child, url, said } = await start(port);
  const token = tokenIn(said());
  const { id, journal } = testRun('demo');
  const { bytes, ...header } = journal.piece();
  const body = Buffer.concat(encodeFrames([{ header, payload: bytes }]));
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.on('data', (data) => {
    answer += String(data);
  });
  socket.write(
    `POST /api/sync/v1/journals HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${token}\r\ncontent-type: ${FRAMES_TYPE}\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body.subarray(0, 10));
  const live = new WebSocket(`${url.replace('http', 'ws')}/ws?token=${token}`);
  await new Promise((opened) => {
    live.onopen = opened;
  });
  const goodbye = new Promise<number>((closed) => {
    live.onclose = ({ code }) => closed(code);
  });
  child.kill('SIGTERM');
  await until(() => said().includes('ending'), 'it has heard');
  await until(async () => (await fetch(`${url}/readyz`).catch(() => null)) === null, 'nobody new gets in');
  socket.write(body.subarray(10));
  await until(() => answer.includes('"ok":true'), 'the answer');
  expect(await ended(child)).toMatchObject({ status: 0 });
  expect([1001, 1006]).toContain(await goodbye);
  expect((await home.journal('default', id, journal.writer)).equals(journal.bytes)).toBe(true);
});

test('one process owns a folder; tokens are made beside it and through it; TLS by its flags', async () => {
  const keys = mkdtempSync(join(tmpdir(), 'waddle-tls-'));
  try {
    const { cert, key } = makeCertificate(keys);
    const port = await freePort();
    const { child, url, said } = await start(port, ['--tls-cert', cert, '--tls-key', key, '--log', 'json']);
    const admin = tokenIn(said());
    if (home.kind === 'folder') {
      const other = sandbox.waddle('serve', '--collector', ...home.flags, '--port', '0');
      expect([other.status, other.stderr]).toEqual([1, expect.stringContaining('is running already')]);
    }

    const made = sandbox.json<{ token: string; record: { id: string } }>(
      'token',
      'create',
      ...home.flags,
      '--space',
      'vision',
      '--project',
      'cats',
      '--scope',
      'read',
      '--expires',
      '30d',
    );
    const ask = (token: string) =>
      new Promise<number>((resolve, reject) => {
        request(
          `${url}/api/runs`,
          { ca: readFileSync(cert), headers: { authorization: `Bearer ${token}` } },
          (response) => {
            response.resume();
            resolve(response.statusCode ?? 0);
          },
        )
          .on('error', reject)
          .end();
      });
    expect(await ask(made.token)).toBe(200);
    expect(sandbox.waddle('token', 'revoke', made.record.id, ...home.flags).status).toBe(0);
    expect(await ask(made.token)).toBe(401);

    Object.assign(sandbox.env, { WADDLE_TOKEN: admin, NODE_EXTRA_CA_CERTS: cert });
    const remote = sandbox.json<{ token: string; record: object }>(
      'token',
      'create',
      '--url',
      url,
      '--scope',
      'write',
      '--name',
      'ci',
    );
    expect(remote.record).toMatchObject({ space: 'default', scope: 'write', name: 'ci' });
    expect(await ask(remote.token)).toBe(200);
    const listed = sandbox.waddle('token', 'ls', '--url', url);
    expect(listed.stdout).toMatch(/ci .*default .*write .*good/);
    expect(listed.stdout).not.toContain('vision');
    delete sandbox.env.NODE_EXTRA_CA_CERTS;
    const untrusted = sandbox.waddle('token', 'ls', '--url', url);
    expect([untrusted.status, untrusted.stderr]).toEqual([1, expect.stringContaining('cannot be trusted')]);
    const messages = () =>
      said()
        .split(/(?<=\n)/)
        .filter((line) => line.startsWith('{') && line.endsWith('\n'))
        .map((line) => (JSON.parse(line) as { message: string }).message);
    await until(() => messages().includes('POST /api/tokens 200'), 'the request is logged');
    child.kill('SIGINT');
    expect(await ended(child)).toMatchObject({ status: 0 });
  } finally {
    rmSync(keys, { recursive: true, force: true });
  }
});

test.runIf(isFolderHome())('says what is wrong before it does anything', () => {
  const folder = join(sandbox.folder, 'team');
  for (const [args, what] of [
    [['serve', '--collector', '--tls-cert', 'x', '--dir', folder], 'go together'],
    [
      ['serve', '--collector', '--dir', '/dev/null/team'],
      '/dev/null/team cannot be written: a file is in its place',
    ],
    [['remote', 'add', 'team'], 'needs a name and an address'],
    [['token', 'ls', '--url', 'http://127.0.0.1:1'], 'wants an admin token'],
    [['token', 'create', '--expires', 'soon', '--dir', folder], 'span of time'],
    [['collector', 'restore', 'x', '--dir', folder], 'there is no backup'],
  ] as [string[], string][]) {
    const { status, stderr } = sandbox.waddle(...args);
    expect([args, status, stderr]).toEqual([
      args,
      expect.toSatisfy((code) => code === 1 || code === 2),
      expect.stringContaining(what),
    ]);
  }
  expect(existsSync(folder)).toBe(false);
});
