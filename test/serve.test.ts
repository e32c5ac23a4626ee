import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Frame, Health } from '../src/protocol/api.ts';
import { ended, freePort, Sandbox, until, WADDLE } from './support/sandbox.ts';

let box: Sandbox;
let port: number;

beforeEach(async () => {
  box = new Sandbox();
  port = await freePort();
});

afterEach(() => box.remove());

async function health(at = port): Promise<Health | null> {
  try {
    return (await (await fetch(`http://127.0.0.1:${at}/api/health`)).json()) as Health;
  } catch {
    return null;
  }
}

async function serve(...args: string[]) {
  const child = box.start(WADDLE, ['serve', '--port', String(port), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  child.stdout?.on('data', (chunk) => (text += String(chunk)));
  child.stderr?.on('data', (chunk) => (text += String(chunk)));
  await until(async () => (await health()) !== null || child.exitCode !== null, 'it serves');
  return { child, text: () => text };
}

/** A plain client, as anybody would write one. */
function watch(url: string): { frames: Frame[]; socket: WebSocket; open: Promise<unknown> } {
  const socket = new WebSocket(url);
  const frames: Frame[] = [];
  socket.onmessage = ({ data }) => void frames.push(JSON.parse(String(data)));
  const open = new Promise((settle, fail) => {
    socket.onopen = settle;
    socket.onerror = () => fail(new Error(`${url} refused`));
  });
  return { frames, socket, open };
}

const JOB = `
import time, waddle
run = waddle.init()
for step in range(20):
    run.log_metric("sent", step, time.time())
    time.sleep(0.05)
`;

/** Logs the next sample once somebody says that the last one was seen. */
const SEEN_JOB = `
import os, time, waddle
run = waddle.init()
for step in range(20):
    run.log_metric("sent", step, step)
    while not os.path.exists("seen%d" % step):
        time.sleep(0.005)
`;

/** A shell's words that wait for a file of the project folder. */
const waitsFor = (name: string) => ['sh', '-c', `while [ ! -e ${name} ]; do sleep 0.02; done`];

describe('waddle serve', () => {
  it('shows a run of another process as it goes, each call before the next', async () => {
    const { child } = await serve();
    const { frames, open, socket } = watch(`ws://127.0.0.1:${port}/ws`);
    await open;
    const steps: number[] = [];
    socket.addEventListener('message', ({ data }) => {
      const frame = JSON.parse(String(data)) as Frame;
      if (frame.type !== 'metric' || frame.key !== 'sent') return;
      steps.push(Number(frame.step));
      box.write(`seen${frame.step}`, '');
    });
    const job = box.start(WADDLE, ['run', '--no-auto-commit', '--', 'python3', '-c', SEEN_JOB]);
    expect((await ended(job)).status).toBe(0);
    await until(
      () => frames.some((frame) => frame.type === 'status' && frame.status === 'completed'),
      'it ends',
    );
    expect(steps).toEqual(Array.from({ length: 20 }, (_, step) => step));
    expect(frames[0]).toMatchObject({ type: 'status', status: 'running' });

    const [run] = (await (await fetch(`http://127.0.0.1:${port}/api/runs`)).json()) as { id: string }[];
    expect(run).toMatchObject({ status: 'completed' });
    // The server goes on when the job has ended, and ends when it is asked to.
    socket.close();
    child.kill('SIGINT');
    expect(await ended(child)).toEqual({ status: 0, signal: null });
  });

  it('says clearly who holds the port', async () => {
    await serve();
    const again = box.waddle('serve', '--port', String(port));
    expect(again.status).toBe(1);
    expect(again.stderr).toContain('a Waddle server of this project folder is already there');
    const other = new Sandbox();
    try {
      expect(other.waddle('serve', '--port', String(port)).stderr).toContain(
        'the Waddle server of another project folder',
      );
    } finally {
      await other.remove();
    }
    const stranger = createServer((_request, response) => response.end('hello'));
    await new Promise<void>((ready) => stranger.listen(0, '127.0.0.1', ready));
    const taken = (stranger.address() as AddressInfo).port;
    const refused = await new Promise<string>((settle) => {
      const child = box.start(WADDLE, ['serve', '--port', String(taken)], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let text = '';
      child.stderr?.on('data', (chunk) => (text += String(chunk)));
      child.on('exit', () => settle(text));
    });
    stranger.close();
    expect(refused).toContain(`port ${taken} is held by another program`);
  });

  it('asks for a token on another address, keeps it to its owner, and prints a link that works', async () => {
    const { text } = await serve('--host', '0.0.0.0');
    await until(() => text().includes('token='), 'the link is printed');
    expect((await fetch(`http://127.0.0.1:${port}/api/runs`)).status).toBe(401);
    const link = /http:\/\/127\.0\.0\.1:\d+\/\?token=[\w-]+/.exec(text())?.[0] ?? '';
    const entered = await fetch(link, { redirect: 'manual', headers: { accept: 'text/html' } });
    expect(entered.status).toBe(303);
    const cookie = String(entered.headers.get('set-cookie')).split(';')[0] ?? '';
    expect((await fetch(`http://127.0.0.1:${port}/api/runs`, { headers: { cookie } })).status).toBe(200);
    const file = join(box.folder, '.waddle/serve-token');
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(link).toContain(readFileSync(file, 'utf8').trim());
  });

  it('goes on with a new database where the old one is deleted', async () => {
    await serve();
    box.waddle('run', '--no-auto-commit', '--', 'true');
    const runs = async () => (await (await fetch(`http://127.0.0.1:${port}/api/runs`)).json()) as unknown[];
    await until(async () => (await runs()).length === 1, 'the run shows');
    const database = join(box.folder, '.waddle/waddle.sqlite');
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${database}${suffix}`, { force: true });
    await until(() => existsSync(database), 'there is a new one');
    await until(async () => (await runs()).length === 1, 'the run shows again');
  });

  it('stops a job that the page asks to stop, and gives the code’s diff', async () => {
    await serve();
    box.write('train.py', 'print("one")\n');
    const job = box.start(WADDLE, ['run', '--', 'sleep', '60']);
    let id = '';
    await until(async () => {
      const [run] = (await (await fetch(`http://127.0.0.1:${port}/api/runs`)).json()) as {
        id: string;
        status: string;
      }[];
      id = run?.id ?? '';
      return run?.status === 'running';
    }, 'it runs');
    await until(async () => {
      const diff = await fetch(`http://127.0.0.1:${port}/api/runs/${id}/diff`);
      return diff.ok && ((await diff.json()) as { patch: string }).patch.includes('+print("one")');
    }, 'the diff is there');
    const answer = await fetch(`http://127.0.0.1:${port}/api/runs/${id}/stop`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"grace": 5}',
    });
    expect(answer.status).toBe(200);
    await ended(job);
    await until(async () => {
      const { run } = (await (await fetch(`http://127.0.0.1:${port}/api/runs/${id}`)).json()) as {
        run: { status: string };
      };
      return run.status === 'aborted';
    }, 'it is aborted');
  });
});

describe('waddle run --http --ws', () => {
  it('serves for the life of the run, on both ports, and sends the last status before it ends', async () => {
    const ws = await freePort();
    const job = box.start(WADDLE, [
      'run',
      '--no-auto-commit',
      '--http',
      String(port),
      '--ws',
      String(ws),
      '--',
      'python3',
      '-c',
      `import os, time\nwhile not os.path.exists("go"): time.sleep(0.02)\n${JOB}`,
    ]);
    await until(async () => (await health()) !== null, 'it serves');
    expect(await health()).toMatchObject({ ws_port: ws, held: true });
    const { frames, open, socket } = watch(`ws://127.0.0.1:${ws}/`);
    await open;
    box.write('go', '');
    const closed = new Promise((settle) => socket.addEventListener('close', settle));
    expect((await ended(job)).status).toBe(0);
    await closed;
    expect(frames.at(-1)).toMatchObject({ type: 'status', status: 'completed' });
    expect(frames.filter((frame) => frame.type === 'metric' && frame.key === 'sent')).toHaveLength(20);
    await until(async () => (await health()) === null, 'the server ends');
  });

  it('uses the server that is there, and leaves it there', async () => {
    await serve();
    const { pid } = (await health()) ?? {};
    const run = box.waddle('run', '--no-auto-commit', '--http', String(port), '--', 'true');
    expect(run.status).toBe(0);
    expect(run.stderr).toContain(`http://127.0.0.1:${port}/runs/`);
    expect((await health())?.pid).toBe(pid);
  });

  it('refuses a port that something else holds before the job starts', async () => {
    const stranger = createServer((_request, response) => response.end('hello'));
    await new Promise<void>((ready) => stranger.listen(0, '127.0.0.1', ready));
    const taken = String((stranger.address() as AddressInfo).port);
    for (const flags of [
      ['--http', taken],
      ['--http', String(port), '--ws', taken],
    ]) {
      const child = box.start(WADDLE, ['run', ...flags, '--', 'touch', 'started'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let text = '';
      child.stderr?.on('data', (chunk) => (text += String(chunk)));
      expect((await ended(child)).status).toBe(1);
      expect(text).toContain(`port ${taken} is held by another program`);
      expect(text).toContain(flags.includes('--ws') ? '--ws ' : '--http ');
    }
    stranger.close();
    expect(statSync(join(box.folder, 'started'), { throwIfNoEntry: false })).toBeUndefined();
    expect(await health()).toBeNull();
  });

  it('shares one server among runs; it lives until the last ends, and is taken over where it dies', async () => {
    const start = (name: string) => {
      const job = ['run', '--no-auto-commit', '--http', String(port), '--', ...waitsFor(name)];
      const child = box.start(WADDLE, job, { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr?.on('data', (bytes) => (said += String(bytes)));
      return { child, joined: () => until(() => said.includes('waddle: live at'), `${name} is shown`) };
    };
    const first = start('first');
    await first.joined();
    const second = start('second');
    await second.joined();
    box.write('first', '');
    await ended(first.child);
    await setTimeout(500);
    const before = await health();
    expect(before).not.toBeNull();
    process.kill(before?.pid ?? 0, 'SIGKILL');
    await until(async () => (await health()) !== null, 'another server took over');
    expect((await health())?.pid).not.toBe(before?.pid);
    box.write('second', '');
    expect((await ended(second.child)).status).toBe(0);
    await until(async () => (await health()) === null, 'the server ends with the last run');
  });
});
