import { createHash, randomBytes } from 'node:crypto';
import type { Client, Pool, PoolClient } from 'pg';
import { WaddleError } from '../errors/waddle-error.ts';
import { readDatabaseUrl } from './database-url.ts';
import { INSTANCE_MIGRATIONS, SPACE_MIGRATIONS } from './schema.ts';

/** Rows come back as plain objects; whole numbers as numbers, NULL as null, bytes as Buffers. */
export type Row = Record<string, unknown>;

/** One connection, inside or outside of a transaction. */
export interface Session {
  /** `$1`, `$2`, … in the text. */
  rows(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** As `rows`, of a text that is the same each time: each connection prepares it once. It names its columns: `*` may become others. */
  prepared(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** As `rows`, of a text that is put together, and is one of few: prepared where it comes often. */
  often(text: string, values: readonly unknown[]): Promise<Row[]>;
  /** Rows that a statement touched. */
  change(text: string, values?: readonly unknown[]): Promise<number>;
}

export interface DatabaseOptions {
  /** Connections at most; 10 without it. */
  connections?: number;
}

/** What is given are lists, of which no value tells anything about the best plan: it is made once. */
const ONE_PLAN = '; SET LOCAL plan_cache_mode = force_generic_plan';

interface Beginning {
  mode: 'write' | 'snapshot';
  project: string | null;
  /** Whole numbers of 32 bits. */
  lock?: readonly [number, number];
}

/** A connection that nobody uses is kept so long: many collectors share what one PostgreSQL allows. */
const IDLE_MS = 10_000;

/** Schema of what all spaces share. */
const INSTANCE = 'waddle';
/** Locks of ours, by what they lock. */
export const LOCK = {
  migrate: 0x77_61_64_00,
  run: 0x77_61_64_01,
  receive: 0x77_61_64_02,
  object: 0x77_61_64_03,
  garbage: 0x77_61_64_04,
  names: 0x77_61_64_05,
} as const;
const NAME = /^[a-z0-9][a-z0-9_-]{0,47}$/;

/** PostgreSQL as every collector shares it; must be closed. */
export class Database {
  readonly pool: Pool;
  readonly url: string;
  readonly #session: string;

  /** @param session its address for connections of one's own */
  constructor(pool: Pool, url: string, session: string) {
    this.pool = pool;
    this.url = url;
    this.#session = session;
  }

  /** A connection of one's own, that is not a pooler's to share: one that listens, or holds a lock for long. Not connected yet. */
  async client(): Promise<Client> {
    const { default: pg } = await import('pg');
    return new pg.Client({ connectionString: this.#session, application_name: 'waddle', keepAlive: true });
  }

  /**
   * Runs `work` in one transaction: all of it is kept, or where it throws, nothing. Names without a schema are of the
   * space, or of what all spaces share where it is null.
   * @param mode `snapshot`: reads one state of the database and writes nothing
   * @param project of a snapshot: only its runs are there
   */
  async transaction<T>(
    space: string | null,
    work: (session: Session) => Promise<T>,
    mode: 'write' | 'snapshot' = 'write',
    project: string | null = null,
  ): Promise<T> {
    return this.#transact(space, { mode, project }, (session) => work(session));
  }

  /** As `transaction`, under an advisory lock until its end; null where another has it. */
  async locked<T>(
    space: string,
    lock: readonly [number, number],
    work: (session: Session) => Promise<T>,
  ): Promise<T | null> {
    const beginning = { mode: 'write', project: null, lock } as const;
    return this.#transact<T | null>(space, beginning, async (session, mine) => (mine ? work(session) : null));
  }

  async #transact<T>(
    space: string | null,
    { mode, project, lock }: Beginning,
    work: (session: Session, mine: boolean) => Promise<T>,
  ): Promise<T> {
    const client = await this.connect();
    let broken: Error | undefined;
    let released = false;
    try {
      const begin =
        mode === 'write' ? 'BEGIN' : 'BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY';
      const path = project === null ? schemaName(space) : `${narrowName(space)}, ${schemaName(space)}`;
      // No question takes long enough for compiling it to pay: that alone takes half a second.
      const settings = mode === 'write' ? '' : '; SET LOCAL jit = off';
      const narrow = project === null ? '' : `; SET LOCAL waddle.project = ${client.escapeLiteral(project)}`;
      // A statement of its own, so that the ones that follow see what whoever had the lock has done.
      const take =
        lock === undefined ? '' : `${ONE_PLAN}; SELECT pg_try_advisory_xact_lock(${lock.join(', ')}) AS mine`;
      const begun = await client.query(
        `${begin}; SET LOCAL search_path TO ${path}${settings}${narrow}${take}`,
      );
      const [locked] = lock === undefined ? [] : ((begun as unknown as { rows: Row[] }[]).at(-1)?.rows ?? []);
      const result = await work(sessionOf(client, path), lock === undefined || locked?.mine === true);
      const ended = client.query('COMMIT');
      if (mode === 'write') await ended;
      else {
        // Nothing was written, so that nobody need wait for its end.
        released = true;
        ended.then(
          () => client.release(),
          (error: Error) => client.release(error),
        );
      }
      return result;
    } catch (error) {
      forgetsPrepared(error);
      try {
        await client.query('ROLLBACK');
      } catch (lost) {
        broken = lost instanceof Error ? lost : new Error(String(lost));
      }
      throw databaseError(error);
    } finally {
      if (!released) client.release(broken);
    }
  }

  /**
   * One statement, prepared, which is a transaction by itself: one round trip. Names of tables carry their schema
   * (`schemaName`), and columns are named.
   */
  async ask(text: string, values: readonly unknown[]): Promise<Row[]> {
    const ask = async () => (await this.pool.query<Row>(preparedQuery('', text, values))).rows;
    try {
      return await ask().catch((error: unknown) => {
        if (!forgetsPrepared(error)) throw error;
        return ask();
      });
    } catch (error) {
      throw databaseError(error);
    }
  }

  async connect(): Promise<PoolClient> {
    try {
      return await this.pool.connect();
    } catch (error) {
      throw databaseError(error);
    }
  }

  async close(): Promise<void> {
    await this.pool.end();
  }
}

/** Connects, and makes or migrates what all spaces share. Throws `database-unreachable`, `database-denied`, `store-newer`. */
export async function openDatabase(url: string, options: DatabaseOptions = {}): Promise<Database> {
  const { default: pg } = await import('pg');
  const types = new pg.TypeOverrides();
  // int8: all of ours are below 2^53.
  types.setTypeParser(20, Number);
  // numeric: sums of them.
  types.setTypeParser(1700, Number);
  const address = readDatabaseUrl(url);
  const pool = new pg.Pool({
    connectionString: address.url,
    max: options.connections ?? 10,
    types,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: IDLE_MS,
    application_name: 'waddle',
    keepAlive: true,
  });
  // A connection that breaks while nobody uses it is replaced; who used it has its own error, and between two of its
  // statements the next one tells.
  pool.on('error', () => {});
  pool.on('connect', (client) => client.on('error', () => {}));
  const database = new Database(pool, address.url, address.session);
  try {
    await migrate(database, null, INSTANCE_MIGRATIONS);
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** Makes or migrates the schema of a space. Any number of collectors may do so at once. */
export async function openSpaceSchema(database: Database, space: string): Promise<void> {
  await migrate(database, space, SPACE_MIGRATIONS);
}

async function migrate(database: Database, space: string | null, steps: readonly string[]): Promise<void> {
  const schema = schemaName(space);
  const version = await database.transaction(space, (session) => versionOf(session, schema));
  if (version > steps.length) throw newerError(schema, version, steps.length);
  if (version === steps.length) return;
  await database.transaction(space, async (session) => {
    await session.rows('SELECT pg_advisory_xact_lock($1, hashtext($2))', [LOCK.migrate, schema]);
    // Another may have done it meanwhile.
    const from = await versionOf(session, schema);
    if (from > steps.length) throw newerError(schema, from, steps.length);
    if (from === 0) {
      await session.change(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
      await session.change(`CREATE TABLE ${schema}.version (version bigint NOT NULL)`);
      await session.change(`INSERT INTO ${schema}.version VALUES (0)`);
    }
    const names = { $SPACE: schema, $NARROW: narrowName(space) };
    for (const step of steps.slice(from)) {
      await session.change(step.replaceAll(/\$SPACE|\$NARROW/g, (name) => names[name as keyof typeof names]));
    }
    if (from === 0 && space !== null) {
      await session.change(
        `INSERT INTO meta (key, value) VALUES ('epoch', $1), ('revision', '0'), ('clock', '0'), ('changes_from', '0')`,
        [randomBytes(8).toString('hex')],
      );
      await session.change(
        `INSERT INTO ${INSTANCE}.spaces (name, created_at) VALUES ($1, extract(epoch FROM now())) ON CONFLICT DO NOTHING`,
        [space],
      );
    }
    await session.change(`UPDATE ${schema}.version SET version = $1`, [steps.length]);
  });
}

/** 0 where the schema is not there. */
async function versionOf(session: Session, schema: string): Promise<number> {
  // From the catalog itself: a look-up by name may answer from a cache that is older than the lock just taken.
  const there = await session.rows(
    "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = $1 AND tablename = 'version'",
    [schema.replaceAll('"', '')],
  );
  if (there.length === 0) return 0;
  const [row] = await session.rows(`SELECT version FROM ${schema}.version`);
  return Number(row?.version ?? 0);
}

/** Quoted, so that it can stand in SQL. Throws `space-invalid`. */
export function schemaName(space: string | null): string {
  if (space === null) return INSTANCE;
  if (!NAME.test(space)) {
    throw new WaddleError(
      'space-invalid',
      `"${space}" is no name of a space`,
      'use up to 48 lower-case letters, digits, "-" and "_"',
      { exitCode: 2 },
    );
  }
  return `"waddle_${space}"`;
}

/** Of the views that show one project; no space can be called so. */
function narrowName(space: string | null): string {
  return `"${schemaName(space).replaceAll('"', '')}.project"`;
}

/** A number of 31 bits for a name, the same in every collector: for advisory locks. */
export function lockNumber(...names: string[]): number {
  return createHash('sha256').update(names.join('\0')).digest().readInt32BE(0);
}

/** Statements that are prepared at most: each connection keeps a plan of each. */
const MOST_PREPARED = 256;
/** One of many texts is worth it once it has come so often. */
const OFTEN = 3;
/** Texts that are counted at most. */
const MOST_COUNTED = 4096;
const names = new Map<string, string>();
const counts = new Map<string, number>();

/** Off for good where a pooler gives each statement to whichever connection is free, and does not know of prepared ones. */
let prepares = true;

/** Whether it failed because what was prepared is another connection's; from then on nothing is prepared. */
function forgetsPrepared(error: unknown): boolean {
  if (!STRANGE_PREPARED.test(String((error as { code?: unknown }).code ?? ''))) return false;
  prepares = false;
  return true;
}

/** The query, as one that is prepared: under one name for a text and the schemas that its names are looked up in. */
function preparedQuery(path: string, text: string, values: readonly unknown[]) {
  const query = { text, values: values as unknown[] };
  if (!prepares) return query;
  const key = `${path}\0${text}`;
  let name = names.get(key);
  if (name === undefined) {
    if (names.size >= MOST_PREPARED) return query;
    name = `waddle_${createHash('sha256').update(key).digest('hex').slice(0, 32)}`;
    names.set(key, name);
  }
  return { ...query, name };
}

function isOften(path: string, text: string): boolean {
  const key = `${path}\0${text}`;
  if (names.has(key)) return true;
  if (counts.size > MOST_COUNTED) counts.clear();
  const count = (counts.get(key) ?? 0) + 1;
  counts.set(key, count);
  return count >= OFTEN;
}

/** @param path the schemas that names are looked up in */
function sessionOf(client: PoolClient, path: string): Session {
  return {
    prepared: async (text, values = []) => (await client.query<Row>(preparedQuery(path, text, values))).rows,
    often: async (text, values) =>
      (
        await client.query<Row>(
          isOften(path, text) ? preparedQuery(path, text, values) : { text, values: [...values] },
        )
      ).rows,
    rows: async (text, values) => (await client.query<Row>(text, values as unknown[] | undefined)).rows,
    change: async (text, values) => (await client.query(text, values as unknown[] | undefined)).rowCount ?? 0,
  };
}

function newerError(schema: string, version: number, known: number): WaddleError {
  return new WaddleError(
    'store-newer',
    `the schema ${schema} was made by a newer Waddle (its version is ${version}, this one knows ${known})`,
    'Update this collector: all that share a database must be of one version or newer.',
  );
}

/** A prepared statement is not there, or there already. */
const STRANGE_PREPARED = /^(26000|42P05)$/;
/** Refused, gone, starting up, shutting down: it may come back. */
const PASSING = /^(08|57P0|53|40001|40P01|26000|42P05)|^E(CONN|PIPE|HOST|NET|TIMEDOUT)/;

/** What a person can act on; `database-unreachable` may pass, and whoever asked should try again. */
export function databaseError(error: unknown): unknown {
  if (error instanceof WaddleError || !(error instanceof Error)) return error;
  const code = String((error as { code?: unknown }).code ?? '');
  if (PASSING.test(code) || /terminat|timeout exceeded|not queryable|Connection ended/i.test(error.message)) {
    return new WaddleError(
      'database-unreachable',
      `PostgreSQL cannot be reached (${error.message || code})`,
      'Waddle tries again by itself; check that PostgreSQL runs and can be reached from here.',
      { cause: error },
    );
  }
  if (/^(28|3D000|42501)/.test(code)) {
    return new WaddleError(
      'database-denied',
      `PostgreSQL refuses: ${error.message}`,
      'Check the user, the password and the name of the database in --database, and that the user may create schemas.',
      { cause: error },
    );
  }
  return error;
}
