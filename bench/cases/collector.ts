/** A collector as a process, pushed to by the command line over loopback, and watched by a thousand dashboards. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { newRunId, newWriterName } from '../../src/events/ids.ts';
import { layoutOf } from '../../src/journal/layout.ts';
import { BLOCK_BYTES, hashBlock, rootOf } from '../../src/journal/root.ts';
import { type HttpSpace, openHttpSpace } from '../../src/sync/http-space.ts';
import { type Bench, type BenchOptions, type Figure, median, timed } from '../figure.ts';
import { writeRun } from '../journals.ts';
import { timeProcess } from '../process.ts';

const ROUNDS = 3;
/** A live run's pieces: how often, and for how long (milliseconds). */
const PIECE_MS = 100;
const WATCH_MS = 10_000;

interface Collector {
  child: ChildProcess;
  url: string;
  token: string;
}

async function start({ root, scratch }: BenchOptions): Promise<Collector> {
  const probe = createServer();
  await new Promise<void>((ready) => probe.listen(0, '127.0.0.1', ready));
  const { port } = probe.address() as { port: number };
  await new Promise((closed) => probe.close(closed));
  const args = ['serve', '--collector', '--dir', join(scratch, 'collector'), '--port', String(port)];
  const child = spawn(process.execPath, [join(root, 'dist/waddle.js'), ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (said.length < 10_000) said += text;
  });
  while (!said.includes('Ctrl-C ends it.')) {
    if (child.exitCode !== null) throw new Error(`the collector did not start: ${said}`);
    await sleep(20);
  }
  const token = /waddle_[a-z2-7]{10}_[\w-]{43}/.exec(said)?.[0] ?? '';
  return { child, url: `http://127.0.0.1:${port}`, token };
}

/** A counter of the collector, over all its labels. */
async function counted({ url }: Collector, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return [...text.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, 'gm'))]
    .filter(([line]) => !line.includes('kind="metrics"'))
    .reduce((sum, match) => sum + Number(match[1]), 0);
}

async function run(options: BenchOptions): Promise<Figure[]> {
  const { quick, scratch, root, say } = options;
  const collector = await start(options);
  const { url, token } = collector;
  try {
    const push = (project: string) =>
      timeProcess(process.execPath, [join(root, 'dist/waddle.js'), 'push', '--quiet', '--remote', url], {
        cwd: project,
        env: { ...process.env, WADDLE_TOKEN: token, HOME: scratch, WADDLE_DIR: project },
      });
    const figures: Figure[] = [];

    say('collector: a million samples\n');
    const steps = quick ? 2500 : 250_000;
    const kinds = [
      { name: 'logged one by one', together: false },
      { name: 'four a step, logged together', together: true },
    ];
    for (const [kind, { name, together }] of kinds.entries()) {
      const times: number[] = [];
      const floors: number[] = [];
      const wires: number[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const project = join(scratch, `million-${kind}-${round}`);
        const plan = { keys: ['loss', 'acc', 'lr', 'grad'], steps, together, seed: 10 * kind + round + 1 };
        const written = writeRun(layoutOf(project), plan);
        floors.push(timed(() => copyHashed(written.journal, join(scratch, 'copy'))));
        const before = await counted(collector, 'waddle_http_request_bytes_total');
        times.push(await push(project));
        const wire = (await counted(collector, 'waddle_http_request_bytes_total')) - before;
        wires.push(wire / written.samples);
        await rm(project, { recursive: true });
        await settled(collector, written.id);
      }
      figures.push(
        {
          name: `push of a million samples, ${name}`,
          value: median(times),
          unit: 'ms',
          floor: median(floors),
          against: 'its journal read, hashed, and written to the disk',
          goal: 'under 3 s',
          reached: median(times) < 3000,
        },
        {
          name: `on the wire, a sample, ${name}`,
          value: median(wires),
          unit: 'bytes',
          floor: null,
          against: null,
          goal: 'at most 12 bytes',
          reached: median(wires) <= 12,
        },
      );
    }

    say('collector: a thousand runs\n');
    const many = join(scratch, 'many');
    const runs = quick ? 20 : 1000;
    for (let seed = 1; seed <= runs; seed += 1) {
      writeRun(layoutOf(many), { keys: ['loss'], steps: 5, seed: 1000 + seed });
    }
    await push(many);
    // What was found out is written down by the second.
    await push(many);
    await sleep(2500);
    const nothing: number[] = [];
    let requests = 0;
    for (let round = 0; round < 5; round += 1) {
      const before = await counted(collector, 'waddle_http_requests_total');
      nothing.push(await push(many));
      requests = Math.max(requests, (await counted(collector, 'waddle_http_requests_total')) - before);
    }
    const bare = await timeProcess(process.execPath, [join(root, 'dist/waddle.js'), '--version'], {
      cwd: root,
    });
    figures.push({
      name: `push with nothing new over ${runs} runs (${requests} requests)`,
      value: median(nothing),
      unit: 'ms',
      floor: bare,
      against: 'waddle --version',
      goal: 'under 300 ms, 2 requests',
      reached: median(nothing) < 300 && requests === 2,
    });

    say('collector: a thousand dashboards\n');
    figures.push(...(await watched(collector, quick ? 20 : 1000, quick ? 1000 : WATCH_MS)));
    figures.push({
      name: 'peak memory of the collector, all of that',
      value: peakOf(collector) / 1024,
      unit: 'MiB',
      floor: null,
      against: null,
      goal: 'under 400 MB',
      reached: peakOf(collector) * 1024 < 400e6,
    });
    return figures;
  } finally {
    collector.child.kill('SIGTERM');
    await new Promise((gone) => collector.child.once('exit', gone));
  }
}

function copyHashed(from: string, to: string): void {
  const bytes = readFileSync(from);
  createHash('sha256').update(bytes).digest();
  const fd = openSync(to, 'w');
  writeSync(fd, bytes);
  fsyncSync(fd);
  closeSync(fd);
}

/** What was pushed has been read into the store, so that it is nobody else's load. */
async function settled({ url, token }: Collector, id: string): Promise<void> {
  for (;;) {
    const response = await fetch(`${url}/api/runs/${id}`, { headers: { authorization: `Bearer ${token}` } });
    const { run: found } = (await response.json()) as { run?: { status?: string } };
    if (found?.status === 'completed') return;
    await sleep(100);
  }
}

/** Milliseconds from sending a sample to its arrival at dashboards that watch one run. */
async function watched(collector: Collector, dashboards: number, forMs: number): Promise<Figure[]> {
  const { url, token } = collector;
  const space = await openHttpSpace({ url, token, userAgent: 'bench' });
  const live = new LiveRun(space);
  await live.send([{ k: 'start', id: live.id, attempt: live.writer, project: 'live', name: 'live' }]);
  const delays: number[] = [];
  const sockets: WebSocket[] = [];
  const { hostname, port } = new URL(url);
  await Promise.all(
    Array.from({ length: dashboards }, async () => {
      const socket = new WebSocket(`ws://${hostname}:${port}/ws`, {
        headers: { authorization: `Bearer ${token}` },
      });
      sockets.push(socket);
      socket.on('message', (data: Buffer) => {
        const now = Date.now();
        const batch = JSON.parse(String(data)) as { points?: { v: number[] }[] };
        for (const { v } of batch.points ?? []) for (const sent of v) delays.push(now - sent);
      });
      await new Promise<void>((ready, failed) => {
        socket.once('open', ready);
        socket.once('error', failed);
      });
      const watch = { type: 'watch', dialect: 'dashboard', runs: [live.id], keys: ['sent'], table: true };
      socket.send(JSON.stringify(watch));
    }),
  );
  await sleep(500);
  const until = Date.now() + forMs;
  for (let step = 0; Date.now() < until; step += 1) {
    await live.send([{ k: 'm', s: step, v: { sent: Date.now() } }]);
    await sleep(PIECE_MS);
  }
  const expected = live.samples * dashboards;
  for (let waited = 0; delays.length < expected && waited < 10_000; waited += 50) await sleep(50);
  for (const socket of sockets) socket.terminate();
  await space.close();
  const sorted = delays.sort((a, b) => a - b);
  const at = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
  return (
    [
      ['median', at(0.5)],
      ['99th percentile', at(0.99)],
      ['longest', at(1)],
    ] as const
  ).map(([name, value]) => ({
    name: `delay to ${dashboards} dashboards, ${name} (${Math.round((100 * sorted.length) / expected)} % arrived)`,
    value,
    unit: 'ms',
    floor: null,
    against: null,
    goal: 'under 1 s',
    reached: value < 1000 && sorted.length === expected,
  }));
}

/** A run whose job logs right now. */
class LiveRun {
  readonly id = newRunId();
  readonly writer = newWriterName('job');
  samples = 0;
  readonly #space: HttpSpace;
  #bytes: Buffer;
  #sent = 0;

  constructor(space: HttpSpace) {
    this.#space = space;
    this.#bytes = Buffer.from(
      `${JSON.stringify({ k: 'open', t: 1, format: 1, writer: this.writer, role: 'job', run: this.id, host: 'h', pid: 1, client: 'bench', attempt: this.writer })}\n`,
    );
  }

  async send(events: readonly object[]): Promise<void> {
    this.samples += events.filter((event) => (event as { k?: string }).k === 'm').length;
    const before = rootOfBytes(this.#bytes.subarray(0, this.#sent));
    const lines = events.map((event) => `${JSON.stringify({ t: Date.now() / 1000, ...event })}\n`).join('');
    this.#bytes = Buffer.concat([this.#bytes, Buffer.from(lines)]);
    const [result] = await this.#space.writeJournals([
      {
        run: this.id,
        writer: this.writer,
        offset: this.#sent,
        before,
        root: rootOfBytes(this.#bytes),
        bytes: this.#bytes.subarray(this.#sent),
      },
    ]);
    if (result?.ok !== true) throw new Error(`a piece was refused: ${JSON.stringify(result)}`);
    this.#sent = this.#bytes.length;
  }
}

function rootOfBytes(bytes: Buffer): string {
  const blocks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES)
    blocks.push(hashBlock(bytes.subarray(at, at + BLOCK_BYTES)));
  return rootOf(blocks);
}

/** KiB. */
function peakOf({ child }: Collector): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]);
}

export const collector: Bench = {
  name: 'collector',
  async run(options) {
    const scratch = join(options.scratch, 'collector-bench');
    await mkdir(scratch, { recursive: true });
    return run({ ...options, scratch });
  },
};
