import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { migrate, userVersion } from './migrate.ts';
import { MIGRATIONS } from './schema.ts';

/** How long one statement waits for another process's transaction, in milliseconds. A bulk transaction takes under 1 s. */
const BUSY_TIMEOUT_MS = 15_000;

/** An open database; must be closed. Rows come back as plain objects, as node:sqlite gives them. */
export class Store {
  readonly path: string;
  readonly readOnly: boolean;
  readonly db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #file: string | null;
  readonly #version: number;

  constructor(path: string, db: DatabaseSync, readOnly: boolean) {
    this.path = path;
    this.db = db;
    this.readOnly = readOnly;
    this.#file = fileAt(path);
    this.#version = userVersion(db);
  }

  /** Whether another file, or none, stands at the path by now: what is written here would be seen by nobody. */
  get replaced(): boolean {
    return this.#file !== null && fileAt(this.path) !== this.#file;
  }

  /** The statement for this text, prepared once. Not for text that varies without bound. */
  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  /**
   * Runs `work` in one write transaction: all of it is kept, or where it throws, nothing. Throws `store-busy` where
   * another process holds the database for too long, `store-read-only` where it cannot be written, `store-newer` where a
   * newer Waddle has migrated it meanwhile.
   */
  transaction<T>(work: () => T): T {
    if (this.readOnly) throw readOnlyError(this.path);
    try {
      this.db.exec('BEGIN IMMEDIATE');
      const version = Number(this.prepare('PRAGMA user_version').get()?.user_version);
      if (version !== this.#version) throw newerError(this.path, version, this.#version);
      const result = work();
      this.db.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.db.isTransaction) this.db.exec('ROLLBACK');
      throw storeError(this.path, error);
    }
  }

  /** A fact about the database; undefined where there is none. */
  meta(key: string): unknown {
    return this.prepare('SELECT value FROM meta WHERE key = ?').get(key)?.value;
  }

  /** Grows by one with each transaction that changed something. */
  get revision(): number {
    return Number(this.meta('revision') ?? 0);
  }

  /** Random, new with each database: revisions of two epochs do not compare. */
  get epoch(): string {
    return String(this.meta('epoch') ?? '');
  }

  close(): void {
    this.#statements.clear();
    if (this.db.isOpen) this.db.close();
  }
}

/** Names the file at a path; null where there is none, as for `:memory:`. */
function fileAt(path: string): string | null {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`;
}

export interface OpenOptions {
  /** Only reads, and the file must be there; works on a read-only disk too. */
  readOnly?: boolean;
  /** SQL from each version to the next; others only in tests. */
  steps?: readonly string[];
}

/**
 * Opens the database, making and migrating it as needed (`migrate.ts`; `takeNotice` there tells what was done). Throws
 * WaddleError: `store-newer` (made by a newer Waddle), `store-corrupt` (damaged, or no database), `store-read-only`,
 * `store-missing` (read-only and not there), `store-full`, `store-unusable`. In each case the file is left as it was.
 */
export function openStore(path: string, options: OpenOptions = {}): Store {
  const readOnly = options.readOnly === true;
  const steps = options.steps ?? MIGRATIONS;
  try {
    return readOnly ? openForReading(path, steps.length) : openForWriting(path, steps);
  } catch (error) {
    throw storeError(path, error);
  }
}

function openForWriting(path: string, steps: readonly string[]): Store {
  mkdirSync(dirname(path), { recursive: true });
  const db = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  try {
    const version = userVersion(db);
    if (version > steps.length) throw newerError(path, version, steps.length);
    // Another program's database is not ours to fill. One of ours that is being made has a version by the time that its
    // tables show: it is asked for again.
    if (version === 0 && hasTables(db) && userVersion(db) === 0) throw foreignError(path);
    db.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      PRAGMA wal_autocheckpoint = 4000;
      PRAGMA journal_size_limit = 67108864;
      PRAGMA cache_size = -16384;
      PRAGMA temp_store = MEMORY;
    `);
    if (version < steps.length) {
      const now = migrate(db, path, steps);
      if (now > steps.length) throw newerError(path, now, steps.length);
    }
    return new Store(path, db, false);
  } catch (error) {
    db.close();
    throw error;
  }
}

function openForReading(path: string, known: number): Store {
  if (!existsSync(path)) {
    throw new WaddleError(
      'store-missing',
      `there is no database at ${path}`,
      'Run any command that reads runs, such as `waddle ls`: it builds the database from the journals.',
    );
  }
  const db = openReadOnlyDatabase(path);
  try {
    const version = userVersion(db);
    if (version > known) throw newerError(path, version, known);
    if (version < known) {
      throw version === 0
        ? foreignError(path)
        : new WaddleError(
            'store-older',
            `${path} was made by an older Waddle and cannot be migrated while it is only read`,
            'Run `waddle ls` where the folder can be written.',
          );
    }
    db.exec('PRAGMA cache_size = -32768');
    return new Store(path, db, true);
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * WAL needs a `-shm` file beside the database even to read it. Where that cannot be made (a read-only disk), the file is
 * opened as immutable, which is right exactly there: nobody else can write it either. What still waits in a `-wal` file
 * is not seen then; the database is as it was before.
 */
function openReadOnlyDatabase(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    userVersion(db);
    return db;
  } catch (error) {
    db.close();
    // A read-only disk is the first; another user's folder, where the file itself may not be written either, the second.
    const code = sqliteCode(error);
    if ((code !== SQLITE.CANTOPEN && code !== SQLITE.READONLY) || canWrite(dirname(path))) throw error;
    const url = pathToFileURL(path);
    url.searchParams.set('immutable', '1');
    return new DatabaseSync(url, { readOnly: true });
  }
}

/** Whether files can be made in a folder, or in the nearest above it that is there. */
function canWrite(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    try {
      accessSync(at, constants.W_OK);
      return true;
    } catch (error) {
      if (!isSystemError(error, 'ENOENT') || at === dirname(at)) {
        return !isSystemError(error, 'EROFS', 'EACCES', 'EPERM');
      }
    }
  }
}

function hasTables(db: DatabaseSync): boolean {
  return db.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() !== undefined;
}

function newerError(path: string, version: number, known: number): WaddleError {
  return new WaddleError(
    'store-newer',
    `${path} was made by a newer Waddle (its version is ${version}, this one knows ${known})`,
    'Update Waddle, or name another file as "db" in waddle.json: this Waddle builds it from the journals.',
  );
}

function foreignError(path: string): WaddleError {
  return new WaddleError(
    'store-corrupt',
    `${path} is not a Waddle database`,
    'Name another file as "db" in waddle.json, or move this one away: Waddle builds a new one from the journals.',
  );
}

function readOnlyError(path: string, cause?: unknown): WaddleError {
  return new WaddleError(
    'store-read-only',
    `${path} cannot be written`,
    'Make its folder writable, or name a file elsewhere as "db" in waddle.json: it is built from the journals.',
    { cause },
  );
}

/** SQLite's result codes (the low byte of an extended one). */
const SQLITE = {
  BUSY: 5,
  LOCKED: 6,
  READONLY: 8,
  IOERR: 10,
  CORRUPT: 11,
  FULL: 13,
  CANTOPEN: 14,
  NOTADB: 26,
};

function sqliteCode(error: unknown): number {
  return Number((error as { errcode?: unknown }).errcode ?? 0) & 0xff;
}

/** What a person can act on, where SQLite or the system failed for a known reason; else the error as it was. */
export function storeError(path: string, error: unknown): unknown {
  if (error instanceof WaddleError || !(error instanceof Error)) return error;
  if (isSystemError(error, 'EROFS', 'EACCES', 'EPERM')) return readOnlyError(path, error);
  const code = sqliteCode(error);
  if (code === SQLITE.CORRUPT || code === SQLITE.NOTADB) {
    return new WaddleError(
      'store-corrupt',
      `${path} is damaged or is not a database (${error.message})`,
      'Move it away with its -wal and -shm files: Waddle builds a new one from the journals, with nothing lost.',
      { cause: error },
    );
  }
  if (code === SQLITE.READONLY) return readOnlyError(path, error);
  // SQLite, and node's recursive mkdir, name a read-only disk like this.
  if ((code === SQLITE.CANTOPEN || isSystemError(error, 'ENOENT')) && !canWrite(dirname(path))) {
    return readOnlyError(path, error);
  }
  if (code === SQLITE.BUSY || code === SQLITE.LOCKED) {
    return new WaddleError(
      'store-busy',
      `${path} is held by another process`,
      'Try again; if it stays so, look for a program that keeps the database locked.',
      { cause: error },
    );
  }
  if (code === SQLITE.FULL || isSystemError(error, 'ENOSPC')) {
    return new WaddleError(
      'store-full',
      `there is no room for ${path}`,
      'Free some space: the journals are kept, and the database catches up.',
      { cause: error },
    );
  }
  if (
    code === SQLITE.CANTOPEN ||
    code === SQLITE.IOERR ||
    isSystemError(error, 'ENOTDIR', 'EISDIR', 'EEXIST')
  ) {
    return new WaddleError(
      'store-unusable',
      `${path} cannot be opened (${error.message})`,
      'Check the folder and its permissions, or name another file as "db" in waddle.json.',
      { cause: error },
    );
  }
  return error;
}
