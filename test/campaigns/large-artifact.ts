/**
 * A large artifact that is pushed and pulled while both ends are killed with `kill -9`: what had arrived is not sent again, and
 * the memory of both ends does not grow with it. Of the size that is asked for; `test/sync-survival.test.ts` does the same with 40 MB.
 *
 *     node test/campaigns/large-artifact.ts --mib 2048 --seed 1
 */
import type { ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, globSync, openSync, readFileSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ended, freePort, ROOT, Sandbox, until } from '../support/sandbox.ts';

const MIB = 1024 * 1024;
const PROGRAM = join(ROOT, 'dist/waddle.js');

interface Result {
  mib: number;
  push_s: number;
  pull_s: number;
  /** Bytes of bodies that reached the collector, in parts of the artifact's. */
  sent_share: number;
  /** Peak memory (MiB) of each end, and of it what the artifact cannot have a part in: a client that has nothing to do. */
  client_mib: number;
  collector_mib: number;
}

/** Peak memory of a process, in MiB; 0 where it is gone. */
function peakOf(child: ChildProcess): number {
  try {
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}

class Collector {
  readonly #sandbox: Sandbox;
  readonly #port: number;
  #child: ChildProcess | null = null;
  #said = '';
  #sent = 0;
  #sentBefore = 0;
  token = '';
  peak = 0;

  constructor(sandbox: Sandbox, port: number) {
    this.#sandbox = sandbox;
    this.#port = port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Bytes of bodies over all its lives, as far as it was looked at. */
  get sent(): number {
    return this.#sentBefore + this.#sent;
  }

  async start(): Promise<void> {
    const args = [PROGRAM, 'serve', '--collector', '--dir', join(this.#sandbox.folder, 'collector')];
    const child = this.#sandbox.start(process.execPath, [...args, '--port', String(this.#port)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said = (this.#said + text).slice(0, 10_000);
    });
    this.#child = child;
    await until(() => this.#said.includes('Ctrl-C ends it.'), 'the collector is up', 60_000);
    this.token ||= /waddle_[a-z2-7]{10}_[\w-]{43}/.exec(this.#said)?.[0] ?? '';
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
    this.#sentBefore = this.sent;
    this.#sent = 0;
  }

  async look(): Promise<void> {
    if (this.#child !== null) this.peak = Math.max(this.peak, peakOf(this.#child));
    try {
      const text = await (await fetch(`${this.url}/metrics`)).text();
      this.#sent = [...text.matchAll(/^waddle_http_request_bytes_total(?:\{.*\})? (\S+)$/gm)].reduce(
        (sum, match) => sum + Number(match[1]),
        0,
      );
    } catch {
      // It was killed, or is not up yet.
    }
  }
}

/** Bytes of the largest file that an unfinished transfer has brought into this folder. */
function arrived(folder: string): number {
  const files = globSync('*', { cwd: folder });
  return Math.max(
    0,
    ...files.map((file) => statSync(join(folder, file), { throwIfNoEntry: false })?.size ?? 0),
  );
}

function writeLarge(path: string, mib: number, seed: number): string {
  const block = Buffer.alloc(MIB);
  for (let at = 0, hash = createHash('sha256').update(String(seed)).digest(); at < MIB; at += 32) {
    hash = createHash('sha256').update(hash).digest();
    hash.copy(block, at);
  }
  const whole = createHash('sha256');
  const fd = openSync(path, 'w');
  for (let index = 0; index < mib; index += 1) {
    block.writeUInt32BE(index);
    writeSync(fd, block);
    whole.update(block);
  }
  closeSync(fd);
  return whole.digest('hex');
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest('hex');
}

/** Throws where anything is lost, or sent again. */
export async function carryLarge(options: {
  mib: number;
  seed: number;
  say?: (text: string) => void;
}): Promise<Result> {
  const { mib, seed, say = () => undefined } = options;
  const size = mib * MIB;
  const here = new Sandbox();
  const there = new Sandbox();
  try {
    const collector = new Collector(there, await freePort());
    await collector.start();
    say('writes it\n');
    here.write('.gitignore', 'big.bin\n');
    const sha256 = writeLarge(join(here.folder, 'big.bin'), mib, seed);
    here.write('job.py', 'import waddle\nwaddle.init().log_artifact("big", "big.bin")\n');
    const logged = here.waddle('run', '--', 'python3', 'job.py');
    if (logged.status !== 0) throw new Error(logged.stderr);
    for (const each of [here, there]) each.env.WADDLE_TOKEN = collector.token;

    let clientPeak = 0;
    const begin = (sandbox: Sandbox, verb: string) => {
      const args = [PROGRAM, verb, '--quiet', '--remote', collector.url];
      const child = sandbox.start(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      return { child, said: () => said };
    };
    /** Until the transfer has brought so much, or has ended. */
    const watch = async (child: ChildProcess, folder: string, bytes: number) => {
      while (child.exitCode === null && child.signalCode === null && arrived(folder) < bytes) {
        clientPeak = Math.max(clientPeak, peakOf(child));
        await collector.look();
        await sleep(100);
      }
    };
    const end = async ({ child, said }: ReturnType<typeof begin>, folder: string) => {
      await watch(child, folder, Number.POSITIVE_INFINITY);
      if (child.exitCode !== 0) throw new Error(`it ended with ${child.exitCode}: ${said()}`);
    };
    const kill = async (child: ChildProcess) => {
      child.kill('SIGKILL');
      if ((await ended(child)).signal === null) throw new Error('it was at its end before it was killed');
    };

    const store = join(there.folder, 'collector/spaces/default/.waddle/incoming/blobs');
    const own = join(there.folder, '.waddle/incoming/blobs');
    let began = performance.now();
    let push = begin(here, 'push');
    await watch(push.child, store, 0.3 * size);
    await kill(push.child);
    const kept = arrived(store);
    say(`push killed at ${Math.round(kept / MIB)} MiB\n`);
    push = begin(here, 'push');
    await watch(push.child, store, 0.6 * size);
    if (arrived(store) < kept) throw new Error('it began anew');
    collector.kill();
    say(`collector killed at ${Math.round(arrived(store) / MIB)} MiB\n`);
    await collector.start();
    await end(push, store);
    const pushed = (performance.now() - began) / 1000;
    await collector.look();
    const sent = collector.sent / size;
    // At each kill a part or two may have been on their way.
    if (sent > 1 + (4 * 16 * MIB) / size) throw new Error(`${sent.toFixed(3)} times its bytes were sent`);

    began = performance.now();
    const pull = begin(there, 'pull');
    await watch(pull.child, own, 0.5 * size);
    await kill(pull.child);
    const brought = arrived(own);
    say(`pull killed at ${Math.round(brought / MIB)} MiB\n`);
    if (brought === 0) throw new Error('nothing is kept of a pull that was killed');
    await end(begin(there, 'pull'), own);
    const pulled = (performance.now() - began) / 1000;
    const got = there.waddle('get', '@last', 'big', 'copy.bin');
    if (got.status !== 0) throw new Error(got.stderr);
    if ((await hashOf(join(there.folder, 'copy.bin'))) !== sha256) throw new Error('it came as another');
    return {
      mib,
      push_s: Math.round(pushed),
      pull_s: Math.round(pulled),
      sent_share: Number(sent.toFixed(3)),
      client_mib: Math.round(clientPeak),
      collector_mib: Math.round(collector.peak),
    };
  } finally {
    await here.remove();
    await there.remove();
  }
}

if (process.argv[1] === import.meta.filename) {
  const option = (name: string, fallback: number) => {
    const at = process.argv.indexOf(`--${name}`);
    return at === -1 ? fallback : Number(process.argv[at + 1]);
  };
  const result = await carryLarge({
    mib: option('mib', 2048),
    seed: option('seed', 1),
    say: (text) => void process.stdout.write(text),
  });
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
