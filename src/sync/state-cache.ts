import { mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type StatementSync } from 'node:sqlite';

/** What is remembered of one run (or, under PROJECT_ROW, of the project's journals). */
export interface CachedRun {
  /** Change time of the run's folder (ms) when it was looked at; -1 where it was too fresh to tell a further change by. */
  folder: number;
  /** Every journal in it is done: while the folder's time stands, it need not be opened. */
  settled: boolean;
  /** State of the stores of blobs and code that `digest` is true of. */
  presence: string;
  digest: string;
  /** JSON, the owner's own. */
  body: string;
}

/** The row of the project's own journals. */
export const PROJECT_ROW = '';

const FORMAT = 2;

const TABLES = `
  CREATE TABLE IF NOT EXISTS runs (id TEXT PRIMARY KEY, folder REAL NOT NULL, settled INTEGER NOT NULL,
    presence TEXT NOT NULL, digest TEXT NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS trees (project TEXT NOT NULL, tree TEXT NOT NULL, at REAL NOT NULL,
    PRIMARY KEY (project, tree)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX IF NOT EXISTS trees_newest ON trees (project, at);
`;

/**
 * What was found out about the runs of a folder, so that the next process need not read it again: a view, never the
 * truth. A file that cannot be used, or is of another version, is made anew; where none can be made, nothing is remembered.
 */
export class StateCache {
  #database: DatabaseSync | null = null;
  #statements = new Map<string, StatementSync>();

  /** @param path the database's file, on a local disk */
  constructor(path: string) {
    for (let attempt = 0; attempt < 2 && this.#database === null; attempt += 1) {
      try {
        mkdirSync(dirname(path), { recursive: true });
        this.#database = openDatabase(path);
      } catch {
        // Damaged, or of another version: it holds nothing that cannot be found out again.
        if (attempt === 0) for (const end of ['', '-wal', '-shm']) rmSync(path + end, { force: true });
      }
    }
  }

  #run<T>(sql: string, work: (statement: StatementSync) => T, otherwise: T): T {
    if (this.#database === null) return otherwise;
    try {
      let statement = this.#statements.get(sql);
      if (statement === undefined) {
        statement = this.#database.prepare(sql);
        this.#statements.set(sql, statement);
      }
      return work(statement);
    } catch {
      // Locked by another process for long, or the disk is full: then it is found out again.
      return otherwise;
    }
  }

  get(id: string): CachedRun | undefined {
    return this.#run(
      'SELECT folder, settled, presence, digest, body FROM runs WHERE id = ?',
      (statement) => {
        const row = statement.get(id);
        if (row === undefined) return undefined;
        return {
          folder: Number(row.folder),
          settled: row.settled === 1,
          presence: String(row.presence),
          digest: String(row.digest),
          body: String(row.body),
        };
      },
      undefined,
    );
  }

  /** Of every settled run its folder's time and its digest in this state of the stores. */
  settledDigests(presence: string): Map<string, { folder: number; digest: string }> {
    return this.#run(
      "SELECT id, folder, digest FROM runs WHERE settled = 1 AND presence = ? AND digest <> ''",
      (statement) =>
        new Map(
          statement
            .all(presence)
            .map((row) => [String(row.id), { folder: Number(row.folder), digest: String(row.digest) }]),
        ),
      new Map(),
    );
  }

  put(id: string, run: CachedRun): void {
    this.#run(
      'INSERT OR REPLACE INTO runs (id, folder, settled, presence, digest, body) VALUES (?, ?, ?, ?, ?, ?)',
      (statement) =>
        void statement.run(id, run.folder, Number(run.settled), run.presence, run.digest, run.body),
      undefined,
    );
  }

  forget(id: string): void {
    this.#run('DELETE FROM runs WHERE id = ?', (statement) => void statement.run(id), undefined);
  }

  /** Notes that a tree of this project is here, as of `at` (epoch seconds). */
  noteTree(project: string, tree: string, at: number): void {
    this.#run(
      'INSERT INTO trees (project, tree, at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)',
      (statement) => void statement.run(project, tree, at),
      undefined,
    );
  }

  /** Trees that were noted of a project, the newest first. */
  newestTrees(project: string, limit: number): string[] {
    return this.#run(
      'SELECT tree FROM trees WHERE project = ? ORDER BY at DESC, tree LIMIT ?',
      (statement) => statement.all(project, limit).map((row) => String(row.tree)),
      [],
    );
  }

  note(name: string): string | undefined {
    return this.#run(
      'SELECT value FROM notes WHERE name = ?',
      (statement) => {
        const row = statement.get(name);
        return row === undefined ? undefined : String(row.value);
      },
      undefined,
    );
  }

  setNote(name: string, value: string): void {
    this.#run(
      'INSERT OR REPLACE INTO notes (name, value) VALUES (?, ?)',
      (statement) => void statement.run(name, value),
      undefined,
    );
  }

  /** Many puts in one transaction; without effect on what `work` does where that cannot be had. */
  together<T>(work: () => T): T {
    const begun = this.#run('BEGIN IMMEDIATE', (statement) => statement.run() !== undefined, false);
    try {
      return work();
    } finally {
      if (begun) this.#run('COMMIT', (statement) => void statement.run(), undefined);
    }
  }

  close(): void {
    try {
      this.#database?.close();
    } catch {
      // It is closed.
    }
    this.#database = null;
  }
}

function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path);
  try {
    database.exec('PRAGMA busy_timeout = 2000; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF');
    const version = Number(database.prepare('PRAGMA user_version').get()?.user_version);
    if (version !== 0 && version !== FORMAT) throw new Error('another version');
    if (version === 0) database.exec(`BEGIN IMMEDIATE; ${TABLES} PRAGMA user_version = ${FORMAT}; COMMIT`);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}
