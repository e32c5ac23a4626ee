import { identityOf, judgeLife, type ProcessIdentity } from '../journal/process-identity.ts';
import type { Store } from '../store/open.ts';

/** How long a lease holds without being renewed, in milliseconds. */
export const LEASE_MS = 10_000;

/**
 * Takes or renews the lease on background ingest; false where another process that lives holds it. A courtesy that saves
 * work, never what keeps the content right: that two ingest at once does no harm.
 */
export function takeLease(store: Store, holder: string = ownName(), now: number = Date.now()): boolean {
  const row = store.prepare("SELECT holder, expires_at FROM leases WHERE name = 'ingest'").get();
  const expires = Number(row?.expires_at ?? 0) * 1000;
  const mine = row?.holder === holder;
  // More than one term ahead: the clock was set back since.
  const held = row !== undefined && !mine && expires > now && expires <= now + LEASE_MS;
  if (held && holderLives(String(row.holder))) return false;
  // Half a term is left: no need to write.
  if (mine && expires > now + LEASE_MS / 2 && expires <= now + LEASE_MS) return true;
  return store.transaction(() => {
    const { changes } = store
      .prepare(
        `INSERT INTO leases (name, holder, expires_at) VALUES ('ingest', ?, ?)
         ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
         WHERE holder IS ?`,
      )
      .run(holder, (now + LEASE_MS) / 1000, row === undefined ? holder : String(row.holder));
    return changes > 0;
  });
}

/** Gives the lease back, so that the next one need not wait. */
export function releaseLease(store: Store, holder: string = ownName()): void {
  store.transaction(() => {
    store.prepare("DELETE FROM leases WHERE name = 'ingest' AND holder = ?").run(holder);
  });
}

let own: string | undefined;

function ownName(): string {
  own ??= JSON.stringify(identityOf(process.pid));
  return own;
}

function holderLives(holder: string): boolean {
  try {
    return judgeLife(JSON.parse(holder) as ProcessIdentity) !== 'dead';
  } catch {
    return true;
  }
}
