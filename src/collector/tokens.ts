/**
 * Tokens: `waddle_<id>_<secret>`. The secret is 32 random bytes, so a plain SHA-256 of it is kept: what makes the slow hashes
 * of passwords necessary is that people choose them; 256 random bits nobody guesses, and every request pays for the hash.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { WaddleError } from '../errors/waddle-error.ts';
import type { FoundToken, Quota, Registry, Scope, TokenRecord } from './registry.ts';

const TOKEN = /^waddle_([a-z2-7]{10})_[\w-]{43}$/;
const TOKEN_ID = /^[a-z2-7]{10}$/;
const SPACE = /^[a-z0-9](?:[a-z0-9-]{0,48}[a-z0-9])?$/;

/** A project's name stands in paths of no kind; it only must be one. */
const MAX_PROJECT = 200;

export interface NewToken {
  space: string;
  project?: string | null | undefined;
  scope: Scope;
  name?: string | null | undefined;
  /** Seconds from now on. */
  expiresIn?: number | null | undefined;
  quota?: Quota | undefined;
}

export const NO_QUOTA: Quota = { bytes: null, samples: null };

/**
 * Makes a token, and its space where that is not there. The text is told here and never again.
 * @param now epoch seconds
 * @throws WaddleError `space-invalid`, `project-invalid`
 */
export async function createToken(
  registry: Registry,
  asked: NewToken,
  now: number,
): Promise<{ text: string; record: TokenRecord }> {
  const made = drawToken(asked, now);
  await registry.addSpace(asked.space);
  await registry.addToken(made.record);
  return made;
}

/** As `createToken`, where there is no token at all yet: of many that try at once one gets it, the others null. */
export async function createFirstToken(
  registry: Registry,
  asked: NewToken,
  now: number,
): Promise<{ text: string; record: TokenRecord } | null> {
  const made = drawToken(asked, now);
  await registry.addSpace(asked.space);
  return (await registry.addFirstToken(made.record)) ? made : null;
}

function drawToken(asked: NewToken, now: number): { text: string; record: TokenRecord } {
  checkSpaceName(asked.space);
  const project = asked.project ?? null;
  if (project !== null && (project === '' || project.length > MAX_PROJECT)) {
    throw new WaddleError(
      'project-invalid',
      `a project's name has 1 to ${MAX_PROJECT} characters`,
      'Name the project as its runs do.',
      { exitCode: 2 },
    );
  }
  const id = base32(10);
  const text = `waddle_${id}_${randomBytes(32).toString('base64url')}`;
  const record: TokenRecord = {
    id,
    hash: hashOf(text),
    name: asked.name ?? null,
    space: asked.space,
    project,
    scope: asked.scope,
    quota: asked.quota ?? NO_QUOTA,
    createdAt: now,
    expiresAt: asked.expiresIn == null ? null : now + asked.expiresIn,
    revokedAt: null,
    lastUsedAt: null,
  };
  return { text, record };
}

/** @throws WaddleError `space-invalid` */
export function checkSpaceName(name: string): void {
  if (SPACE.test(name)) return;
  throw new WaddleError(
    'space-invalid',
    `"${name}" is no name for a space`,
    'It has 1 to 50 letters, digits and hyphens, in lower case.',
    { exitCode: 2 },
  );
}

/** The record of a token as somebody sent it. @throws WaddleError `token-wrong`, `token-expired`, `token-revoked` */
export async function checkToken(registry: Registry, text: string, now: number): Promise<FoundToken> {
  const id = TOKEN.exec(text)?.[1];
  const record = id === undefined ? null : await registry.findToken(id);
  // A wrong token takes as long as a right one, but for whether its id is known, which is no secret.
  if (record === null || !timingSafeEqual(hashOf(text), record.hash)) throw wrongToken();
  return usable(record, now);
}

/** What a browser keeps instead of the token: it opens this collector for as long as the token does, and does not tell it. */
export function cookieOf(record: TokenRecord, secret: Buffer): string {
  const mac = createHmac('sha256', secret).update(`${record.id}\0`).update(record.hash).digest('base64url');
  return `${record.id}.${mac}`;
}

/** @throws WaddleError as `checkToken` */
export async function checkCookie(
  registry: Registry,
  cookie: string,
  secret: Buffer,
  now: number,
): Promise<FoundToken> {
  const id = cookie.split('.')[0] ?? '';
  const record = TOKEN_ID.test(id) ? await registry.findToken(id) : null;
  if (record === null) throw wrongToken();
  const hash = (value: string) => createHash('sha256').update(value).digest();
  if (!timingSafeEqual(hash(cookie), hash(cookieOf(record, secret)))) throw wrongToken();
  return usable(record, now);
}

function usable(record: FoundToken, now: number): FoundToken {
  if (record.revokedAt !== null) {
    throw new WaddleError(
      'token-revoked',
      `the token ${record.id} was revoked`,
      'Ask who runs the collector for another one.',
    );
  }
  if (record.expiresAt !== null && now >= record.expiresAt) {
    throw new WaddleError(
      'token-expired',
      `the token ${record.id} has expired`,
      'Ask who runs the collector for another one.',
    );
  }
  return record;
}

function wrongToken(): WaddleError {
  return new WaddleError(
    'token-wrong',
    'the token is not known here',
    'Ask who runs the collector for one: waddle token create',
  );
}

function hashOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** Lowercase base32: ids are read aloud and typed. */
function base32(length: number): string {
  const letters = 'abcdefghijklmnopqrstuvwxyz234567';
  return [...randomBytes(length)].map((byte) => letters[byte & 31]).join('');
}
