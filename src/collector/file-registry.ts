/** The registry in a SQLite file of the collector's folder. The command line may change it while the collector runs. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { WaddleError } from '../errors/waddle-error.ts';
import {
  type FoundToken,
  isUseNews,
  type Quota,
  type Registry,
  type SpaceRecord,
  type TokenRecord,
} from './registry.ts';
import { foundTokenOf, spaceOf, tokenOf } from './registry-rows.ts';

const SCHEMA = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE spaces (
  name TEXT PRIMARY KEY, created_at REAL NOT NULL, quota_bytes INTEGER, quota_samples INTEGER
) WITHOUT ROWID;
CREATE TABLE tokens (
  id TEXT PRIMARY KEY, hash BLOB NOT NULL, name TEXT, space TEXT NOT NULL, project TEXT, scope TEXT NOT NULL,
  quota_bytes INTEGER, quota_samples INTEGER,
  created_at REAL NOT NULL, expires_at REAL, revoked_at REAL, last_used_at REAL
) WITHOUT ROWID;
`;
const VERSION = 1;

/** @throws WaddleError `collector-newer`, or the system's error where the folder cannot be written */
export function openFileRegistry(path: string): Registry {
  mkdirSync(dirname(path), { recursive: true });
  const fresh = !existsSync(path);
  const db = new DatabaseSync(path, { timeout: 10_000 });
  try {
    // It holds nothing that opens anything, but who is who is nobody's business.
    if (fresh) chmodSync(path, 0o600);
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;');
    migrate(db, path);
    return new FileRegistry(db);
  } catch (error) {
    db.close();
    throw error;
  }
}

function migrate(db: DatabaseSync, path: string): void {
  const version = () => Number(db.prepare('PRAGMA user_version').get()?.user_version ?? 0);
  if (version() > VERSION) {
    throw new WaddleError(
      'collector-newer',
      `${path} was made by a newer Waddle`,
      'Update Waddle: the collector of an older one would not understand it.',
    );
  }
  if (version() === VERSION) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    // Two may have come here at once: the second finds the work done.
    if (version() === 0) {
      db.exec(SCHEMA);
      db.prepare("INSERT INTO meta (key, value) VALUES ('secret', ?)").run(randomBytes(32));
      db.exec(`PRAGMA user_version = ${VERSION}`);
    }
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

class FileRegistry implements Registry {
  readonly #db: DatabaseSync;
  readonly #find: ReturnType<DatabaseSync['prepare']>;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#find = db.prepare(
      `SELECT t.*, s.quota_bytes AS space_bytes, s.quota_samples AS space_samples
       FROM tokens t LEFT JOIN spaces s ON s.name = t.space WHERE t.id = ?`,
    );
  }

  async addSpace(name: string): Promise<SpaceRecord> {
    this.#db
      .prepare('INSERT OR IGNORE INTO spaces (name, created_at) VALUES (?, ?)')
      .run(name, Date.now() / 1000);
    const record = await this.findSpace(name);
    if (record === null) throw new Error(`the space ${name} was not made`);
    return record;
  }

  async findSpace(name: string): Promise<SpaceRecord | null> {
    const row = this.#db.prepare('SELECT * FROM spaces WHERE name = ?').get(name);
    return row === undefined ? null : spaceOf(row);
  }

  async listSpaces(): Promise<SpaceRecord[]> {
    return this.#db.prepare('SELECT * FROM spaces ORDER BY name').all().map(spaceOf);
  }

  async setQuota(space: string, { bytes, samples }: Quota): Promise<void> {
    this.#db
      .prepare('UPDATE spaces SET quota_bytes = ?, quota_samples = ? WHERE name = ?')
      .run(bytes, samples, space);
  }

  async addToken(token: TokenRecord): Promise<void> {
    this.#insertToken(token, 'true');
  }

  async addFirstToken(token: TokenRecord): Promise<boolean> {
    return this.#insertToken(token, 'NOT EXISTS (SELECT 1 FROM tokens)');
  }

  #insertToken(token: TokenRecord, condition: string): boolean {
    const { id, hash, name, space, project, scope, quota, createdAt, expiresAt } = token;
    const done = this.#db
      .prepare(
        `INSERT INTO tokens (id, hash, name, space, project, scope, quota_bytes, quota_samples, created_at, expires_at)
         SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ? WHERE ${condition}`,
      )
      .run(id, hash, name, space, project, scope, quota.bytes, quota.samples, createdAt, expiresAt);
    return Number(done.changes) > 0;
  }

  async findToken(id: string): Promise<FoundToken | null> {
    const row = this.#find.get(id);
    return row === undefined ? null : foundTokenOf(row);
  }

  async listTokens(space?: string): Promise<TokenRecord[]> {
    return this.#db
      .prepare('SELECT * FROM tokens WHERE ?1 IS NULL OR space = ?1 ORDER BY created_at, id')
      .all(space ?? null)
      .map(tokenOf);
  }

  async revokeToken(id: string, at: number): Promise<boolean> {
    const done = this.#db
      .prepare('UPDATE tokens SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL')
      .run(at, id);
    return Number(done.changes) > 0;
  }

  async tokenUsed(token: TokenRecord, at: number): Promise<void> {
    if (!isUseNews(token, at)) return;
    this.#db.prepare('UPDATE tokens SET last_used_at = ? WHERE id = ?').run(at, token.id);
  }

  async secret(): Promise<Buffer> {
    const row = this.#db.prepare("SELECT value FROM meta WHERE key = 'secret'").get();
    if (!(row?.value instanceof Uint8Array)) throw new Error('the registry has no secret');
    return Buffer.from(row.value);
  }

  async close(): Promise<void> {
    if (this.#db.isOpen) this.#db.close();
  }
}
