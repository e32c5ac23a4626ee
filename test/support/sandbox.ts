import { type ChildProcess, execFileSync, type SpawnOptions, spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export const ROOT = join(import.meta.dirname, '../..');
export const WADDLE = join(ROOT, 'bin/waddle');

export interface Finished {
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** The first sandbox's `.git` as git made it, for those after it: five processes of git each would be most of their cost. */
let firstCommit: [name: string, bytes: Buffer | null][] | null = null;

/** What a folder holds, itself first (''); null for folders. */
function readTree(folder: string): [name: string, bytes: Buffer | null][] {
  const found: [string, Buffer | null][] = [['', null]];
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    found.push([relative(folder, path), entry.isDirectory() ? null : readFileSync(path)]);
  }
  return found.sort(([a], [b]) => (a < b ? -1 : 1));
}

/**
 * A project folder of its own with a home of its own: a small git repository with one commit, as a user would have it.
 * Nothing of the machine's configuration reaches it. Must be removed.
 */
export class Sandbox {
  readonly folder: string;
  readonly env: Record<string, string>;
  readonly #base: string;
  readonly #children: ChildProcess[] = [];

  constructor(options: { git?: boolean; base?: string } = {}) {
    this.#base = realpathSync(mkdtempSync(join(options.base ?? tmpdir(), 'waddle-test-')));
    this.folder = join(this.#base, 'project');
    const home = join(this.#base, 'home');
    mkdirSync(this.folder);
    mkdirSync(home);
    const inherited: Record<string, string> = {};
    for (const [name, value] of Object.entries(process.env)) {
      if (
        value !== undefined &&
        !/^(WADDLE_|GIT_|RANK$|LOCAL_RANK$|WORLD_SIZE$|SLURM_|VIRTUAL_ENV$|CI$|NO_COLOR$|FORCE_COLOR$)/.test(
          name,
        )
      ) {
        inherited[name] = value;
      }
    }
    this.env = {
      ...inherited,
      HOME: home,
      XDG_CONFIG_HOME: join(home, '.config'),
      XDG_CACHE_HOME: join(home, '.cache'),
      GIT_CONFIG_NOSYSTEM: '1',
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONPATH: join(ROOT, 'python'),
    };
    if (options.git === false) return;
    this.write('README', 'a project\n');
    if (firstCommit !== null) {
      for (const [name, bytes] of firstCommit) {
        const path = join(this.folder, '.git', name);
        if (bytes === null) mkdirSync(path);
        else writeFileSync(path, bytes);
      }
      // The index knows the other README's times.
      this.git('update-index', '-q', '--refresh');
      return;
    }
    this.git('init', '--quiet', '--initial-branch=main');
    this.git('config', 'user.name', 'Test');
    this.git('config', 'user.email', 'test@example.com');
    this.git('add', '.');
    this.git('commit', '--quiet', '--message', 'first');
    firstCommit = readTree(join(this.folder, '.git'));
  }

  write(name: string, text: string): string {
    const path = join(this.folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  }

  git(...args: string[]): string {
    return execFileSync('git', args, { cwd: this.folder, env: this.env, encoding: 'utf8' });
  }

  /** Runs `waddle` to its end. */
  waddle(...args: string[]): Finished {
    const { status, signal, stdout, stderr } = spawnSync(WADDLE, args, {
      cwd: this.folder,
      env: this.env,
      encoding: 'utf8',
      input: '',
      maxBuffer: 256 * 1024 * 1024,
    });
    return { status, signal, stdout, stderr };
  }

  /** As `waddle`, while this process goes on: it may be the one that is asked. */
  async later(...args: string[]): Promise<Finished> {
    const child = this.start(WADDLE, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]?.on('data', (data) => {
        said[name] += String(data);
      });
    }
    const closed = new Promise((resolve) => child.once('close', resolve));
    const finished = await ended(child);
    await closed;
    return { ...finished, ...said };
  }

  /** Runs `waddle` to its end, which must be good, and parses its `--json`. */
  json<T>(...args: string[]): T {
    const { status, stdout, stderr } = this.waddle(...args, '--json');
    if (status !== 0) throw new Error(`waddle ${args.join(' ')} exited with ${status}: ${stderr}`);
    return JSON.parse(stdout) as T;
  }

  /** Starts a process that `remove` will have ended. */
  start(command: string, args: string[], options: SpawnOptions = {}): ChildProcess {
    const child = spawn(command, args, { cwd: this.folder, env: this.env, stdio: 'ignore', ...options });
    this.#children.push(child);
    return child;
  }

  /** A query over the store as any SQLite tool would put it; run `waddle ls` first where it must be current. */
  query<T = Record<string, unknown>>(sql: string, ...values: (string | number)[]): T[] {
    const database = new DatabaseSync(join(this.folder, '.waddle/waddle.sqlite'), {
      readOnly: true,
      // A helper that closes it last holds it alone for a moment.
      timeout: 15_000,
    });
    try {
      return database.prepare(sql).all(...values) as T[];
    } finally {
      database.close();
    }
  }

  async remove(): Promise<void> {
    for (const child of this.#children)
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    // Helpers of plain scripts outlive them for a moment, and may still write.
    await until(() => processesUnder(this.#base).length === 0, 'the sandbox’s processes end', 20_000).catch(
      () => {
        for (const pid of processesUnder(this.#base)) process.kill(pid, 'SIGKILL');
      },
    );
    rmSync(this.#base, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Processes whose working directory lies in a folder; none are known on a system without `/proc`. */
export function processesUnder(folder: string): number[] {
  if (!existsSync('/proc')) return [];
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => workingFolder(name)?.startsWith(folder))
    .map(Number);
}

/** Null where the process has just ended, or is another user's. */
function workingFolder(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return null;
  }
}

/** Waits until the condition holds, looking every 20 ms; throws after `patience` ms. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  patience = 60_000,
): Promise<void> {
  const deadline = Date.now() + patience;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited ${patience} ms in vain until ${what}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

/** How a started process ended. */
export function ended(
  child: ChildProcess,
): Promise<{ status: number | null; signal: NodeJS.Signals | null }> {
  if (child.exitCode !== null || child.signalCode !== null) {
    return Promise.resolve({ status: child.exitCode, signal: child.signalCode });
  }
  return new Promise((settle) => child.once('exit', (status, signal) => settle({ status, signal })));
}

/** A port of the loopback address that nobody listens on, now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}
