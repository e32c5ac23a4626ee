/** The registry in PostgreSQL: every collector of the database sees it at once. */
import { randomBytes } from 'node:crypto';
import { type Database, openSpaceSchema, type Row, type Session, schemaName } from '../postgres/database.ts';
import {
  type FoundToken,
  isUseNews,
  type Quota,
  type Registry,
  type SpaceRecord,
  type TokenRecord,
} from './registry.ts';
import { foundTokenOf, spaceOf, tokenOf } from './registry-rows.ts';
import { checkSpaceName } from './tokens.ts';

const INSTANCE = schemaName(null);
const SPACE = `SELECT name, quota_bytes, quota_samples, created_at FROM ${INSTANCE}.spaces WHERE name = $1`;
const TOKEN = `SELECT t.id, t.hash, t.name, t.space, t.project, t.scope, t.quota_bytes, t.quota_samples, t.created_at, t.expires_at,
  t.revoked_at, t.last_used_at, s.quota_bytes AS space_bytes, s.quota_samples AS space_samples
  FROM ${INSTANCE}.tokens t LEFT JOIN ${INSTANCE}.spaces s ON s.name = t.space WHERE t.id = $1`;

export class PostgresRegistry implements Registry {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  #rows(text: string, ...values: unknown[]): Promise<Row[]> {
    return this.#database.transaction(null, (session) => session.rows(text, values));
  }

  async addSpace(name: string): Promise<SpaceRecord> {
    checkSpaceName(name);
    await openSpaceSchema(this.#database, name);
    const record = await this.findSpace(name);
    if (record === null) throw new Error(`the space ${name} was not made`);
    return record;
  }

  async findSpace(name: string): Promise<SpaceRecord | null> {
    const [row] = await this.#database.ask(SPACE, [name]);
    return row === undefined ? null : spaceOf(row);
  }

  async listSpaces(): Promise<SpaceRecord[]> {
    return (await this.#rows('SELECT * FROM spaces ORDER BY name')).map(spaceOf);
  }

  async setQuota(space: string, { bytes, samples }: Quota): Promise<void> {
    await this.#rows(
      'UPDATE spaces SET quota_bytes = $1, quota_samples = $2 WHERE name = $3',
      bytes,
      samples,
      space,
    );
  }

  async addToken(token: TokenRecord): Promise<void> {
    await this.#database.transaction(null, (session) => insertToken(session, token));
  }

  addFirstToken(token: TokenRecord): Promise<boolean> {
    return this.#database.transaction(null, async (session) => {
      // Held until the commit, so that the next one sees what this one added.
      await session.rows('LOCK TABLE tokens IN SHARE ROW EXCLUSIVE MODE');
      const any = await session.rows('SELECT 1 FROM tokens LIMIT 1');
      if (any.length === 0) await insertToken(session, token);
      return any.length === 0;
    });
  }

  async findToken(id: string): Promise<FoundToken | null> {
    const [row] = await this.#database.ask(TOKEN, [id]);
    return row === undefined ? null : foundTokenOf(row);
  }

  async listTokens(space?: string): Promise<TokenRecord[]> {
    const rows = await this.#rows(
      'SELECT * FROM tokens WHERE $1::text IS NULL OR space = $1 ORDER BY created_at, id',
      space ?? null,
    );
    return rows.map(tokenOf);
  }

  async revokeToken(id: string, at: number): Promise<boolean> {
    const rows = await this.#rows(
      'UPDATE tokens SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL RETURNING id',
      at,
      id,
    );
    return rows.length > 0;
  }

  async tokenUsed(token: TokenRecord, at: number): Promise<void> {
    if (!isUseNews(token, at)) return;
    await this.#rows(
      'UPDATE tokens SET last_used_at = greatest(last_used_at, $1) WHERE id = $2',
      at,
      token.id,
    );
  }

  async secret(): Promise<Buffer> {
    await this.#rows("INSERT INTO secrets VALUES ('cookies', $1) ON CONFLICT DO NOTHING", randomBytes(32));
    const [row] = await this.#rows("SELECT value FROM secrets WHERE name = 'cookies'");
    if (!(row?.value instanceof Uint8Array)) throw new Error('the registry has no secret');
    return Buffer.from(row.value);
  }

  /** The database is not this one's to close. */
  async close(): Promise<void> {}
}

async function insertToken(session: Session, token: TokenRecord): Promise<void> {
  const { id, hash, name, space, project, scope, quota, createdAt, expiresAt } = token;
  await session.change(
    `INSERT INTO tokens (id, hash, name, space, project, scope, quota_bytes, quota_samples, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
    [id, hash, name, space, project, scope, quota.bytes, quota.samples, createdAt, expiresAt],
  );
}
