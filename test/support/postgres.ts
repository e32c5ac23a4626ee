/** A real PostgreSQL for tests: the machine's, or, where root may, Debian's. A cluster of its own in a temporary folder. */
import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { freePort } from './sandbox.ts';

const run = promisify(execFile);

/** Folder of PostgreSQL's programs, installed first where they are missing; else why there are none. */
export async function findPostgres(): Promise<{ bin: string } | { missing: string }> {
  const look = () =>
    [
      ...globSync('/usr/lib/postgresql/*/bin')
        .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }))
        .reverse(),
      ...(process.env.PATH ?? '').split(':'),
    ].find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')));
  const found = look();
  if (found !== undefined) return { bin: found };
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    return {
      missing: 'there is no PostgreSQL, and only root on Debian can install one: apt-get install postgresql',
    };
  }
  try {
    const options = { timeout: 300_000 };
    await run('apt-get', ['update'], options);
    // The cluster that the package would make and start is not wanted.
    await run('apt-get', ['install', '-y', '--no-install-recommends', 'postgresql-common'], options);
    writeFileSync('/etc/postgresql-common/createcluster.conf', 'create_main_cluster = false\n');
    await run('apt-get', ['install', '-y', '--no-install-recommends', 'postgresql'], options);
  } catch (error) {
    return {
      missing: `PostgreSQL could not be installed: ${error instanceof Error ? error.message : error}`,
    };
  }
  const installed = look();
  return installed === undefined ? { missing: 'apt-get installed no PostgreSQL' } : { bin: installed };
}

/** PostgreSQL refuses to be root: then it is the account that Debian's package made for it, else nobody. */
function account(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string) =>
        Number(execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' }));
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // The next name.
    }
  }
  throw new Error('root can start PostgreSQL only as another user, and there is none');
}

/** A cluster that runs, whoever has started it. */
export class Cluster {
  readonly port: number;

  constructor(port: number) {
    this.port = port;
  }

  /** The connection string of a database. */
  url(database = 'postgres'): string {
    return `postgres://waddle@127.0.0.1:${this.port}/${database}`;
  }

  /** Makes an empty database. @param name what it is for; others may use the same */
  async database(name: string): Promise<string> {
    const own = `${name}-${randomBytes(4).toString('hex')}`;
    await this.query(`CREATE DATABASE "${own}"`);
    return this.url(own);
  }

  async query(sql: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.url() });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql)).rows;
    } finally {
      await client.end();
    }
  }
}

/** A cluster of one's own; must be removed. */
export class TestPostgres extends Cluster {
  readonly folder: string;
  readonly #bin: string;
  readonly #account = account();
  #server: ChildProcess | null = null;

  private constructor(bin: string, port: number) {
    super(port);
    this.#bin = bin;
    this.folder = mkdtempSync(join(tmpdir(), 'waddle-postgres-'));
    if (this.#account !== null) chownSync(this.folder, this.#account.uid, this.#account.gid);
  }

  /** A new cluster that is not started yet. @param bin folder of the programs */
  static async make(bin: string): Promise<TestPostgres> {
    const made = new TestPostgres(bin, await freePort());
    const options = ['-A', 'trust', '-U', 'waddle', '-E', 'UTF8', '--locale=C', '--no-sync'];
    const data = join(made.folder, 'data');
    await run(join(bin, 'initdb'), ['-D', data, ...options], { ...made.#account, cwd: '/' });
    return made;
  }

  /** Of the process that the others are children of; 0 where none runs. */
  get pid(): number {
    return this.#server?.pid ?? 0;
  }

  async start(): Promise<void> {
    const settings = ['listen_addresses=127.0.0.1', `port=${this.port}`, 'unix_socket_directories='];
    // No fsync: a test ends PostgreSQL, never the machine.
    settings.push('fsync=off', 'shared_buffers=64MB', 'max_connections=200', 'autovacuum_naptime=5s');
    const command = [
      join(this.#bin, 'postgres'),
      '-D',
      join(this.folder, 'data'),
      ...settings.flatMap((one) => ['-c', one]),
    ];
    // Where the test is killed, it goes with it.
    const death = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'QUIT'] : [];
    const [program = '', ...args] = [...death, ...command];
    const server = spawn(program, args, { ...this.#account, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
    this.#server = server;
    let said = '';
    server.stderr?.on('data', (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(-4000);
    });
    for (;;) {
      if (server.exitCode !== null) throw new Error(`PostgreSQL did not start: ${said}`);
      try {
        await this.query('SELECT 1');
        return;
      } catch {
        await new Promise((wake) => setTimeout(wake, 50));
      }
    }
  }

  /** `immediate` is a crash: nothing is written, and the next start recovers from the log. */
  async stop(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null || server.exitCode !== null) return;
    const gone = new Promise((resolve) => server.once('exit', resolve));
    server.kill(how === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await gone;
  }

  async restart(how: 'fast' | 'immediate' = 'fast'): Promise<void> {
    await this.stop(how);
    await this.start();
  }

  async remove(): Promise<void> {
    await this.stop('immediate');
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A started cluster, or why there is none. */
export async function startPostgres(): Promise<TestPostgres | { missing: string }> {
  const found = await findPostgres();
  if ('missing' in found) return found;
  const postgres = await TestPostgres.make(found.bin);
  try {
    await postgres.start();
    return postgres;
  } catch (error) {
    await postgres.remove();
    throw error;
  }
}
