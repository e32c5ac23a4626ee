/** Who may open which space: tokens and spaces, wherever they are kept. */

export type Scope = 'read' | 'write' | 'admin';

/** Greatest bytes and samples; null is no limit. */
export interface Quota {
  bytes: number | null;
  samples: number | null;
}

export interface TokenRecord {
  /** The part of the token that is no secret: it stands in its text, in logs and in lists. */
  id: string;
  /** SHA-256 of the whole token. */
  hash: Buffer;
  /** What it is for, in somebody's words. */
  name: string | null;
  space: string;
  /** The one project that it opens; null: all of the space. */
  project: string | null;
  scope: Scope;
  /** What may be written with it; of a token with a project, what that project may hold. */
  quota: Quota;
  /** Epoch seconds, as all times here. */
  createdAt: number;
  expiresAt: number | null;
  revokedAt: number | null;
  /** To the minute or so. */
  lastUsedAt: number | null;
}

/** A token as it was found, for whoever lets it in. */
export interface FoundToken extends TokenRecord {
  /** What the space may hold. */
  spaceQuota: Quota;
}

/** A use is written down at most so often, in seconds. */
const USED_EVERY_S = 60;

/** Whether a use is to be written down. */
export function isUseNews({ lastUsedAt }: TokenRecord, at: number): boolean {
  return (lastUsedAt ?? 0) < at - USED_EVERY_S;
}

export interface SpaceRecord {
  name: string;
  quota: Quota;
  createdAt: number;
}

/** Everything in it is durable when a call has resolved, and seen by every collector of the same registry at once. */
export interface Registry {
  /** Makes it where it is not there. */
  addSpace(name: string): Promise<SpaceRecord>;
  findSpace(name: string): Promise<SpaceRecord | null>;
  listSpaces(): Promise<SpaceRecord[]>;
  setQuota(space: string, quota: Quota): Promise<void>;

  addToken(token: TokenRecord): Promise<void>;
  /** Adds it if there is no token of any space yet, whoever else tries at this moment; tells whether it was added. */
  addFirstToken(token: TokenRecord): Promise<boolean>;
  /** By id, whatever has become of it. */
  findToken(id: string): Promise<FoundToken | null>;
  /** The newest last. Of one space, or of all. */
  listTokens(space?: string): Promise<TokenRecord[]>;
  /** False where there is none of that id, or it was revoked before. */
  revokeToken(id: string, at: number): Promise<boolean>;
  /** Called for each use, with the token as it was found; it may be kept to the minute. */
  tokenUsed(token: TokenRecord, at: number): Promise<void>;

  /** 32 random bytes that every collector of this registry shares: browsers' cookies are signed with them. */
  secret(): Promise<Buffer>;
  close(): Promise<void>;
}
