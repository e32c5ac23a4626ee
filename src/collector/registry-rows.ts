/** Rows of spaces and tokens, which are the same wherever they are kept. */
import type { FoundToken, Quota, Scope, SpaceRecord, TokenRecord } from './registry.ts';

type Row = Record<string, unknown>;

export function spaceOf(row: Row): SpaceRecord {
  return { name: String(row.name), quota: quotaOf(row), createdAt: Number(row.created_at) };
}

export function tokenOf(row: Row): TokenRecord {
  return {
    id: String(row.id),
    hash: Buffer.from(row.hash as Uint8Array),
    name: textOf(row.name),
    space: String(row.space),
    project: textOf(row.project),
    scope: String(row.scope) as Scope,
    quota: quotaOf(row),
    createdAt: Number(row.created_at),
    expiresAt: numberOf(row.expires_at),
    revokedAt: numberOf(row.revoked_at),
    lastUsedAt: numberOf(row.last_used_at),
  };
}

/** @param row of a token, joined with its space */
export function foundTokenOf(row: Row): FoundToken {
  const { space_bytes: bytes, space_samples: samples } = row;
  return { ...tokenOf(row), spaceQuota: { bytes: numberOf(bytes), samples: numberOf(samples) } };
}

function quotaOf(row: Row): Quota {
  return { bytes: numberOf(row.quota_bytes), samples: numberOf(row.quota_samples) };
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' ? value : null;
}
