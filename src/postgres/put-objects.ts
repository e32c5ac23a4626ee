/**
 * Objects that a transaction will refer to. One that is new nobody takes away for as long as garbage is young; but one that
 * was there already may be garbage that is being collected at this moment, so that it is held, and looked at once more.
 */
import type { ObjectStore } from '../blobs/object-store.ts';
import { LOCK, lockNumber, type Session } from './database.ts';

/** An object counts as new for so long, in milliseconds: a small part of the time after which garbage is collected. */
const NEW_MS = 60 * 60_000;

export class PutObjects {
  readonly #objects: ObjectStore;
  readonly #put = new Map<string, { fresh: boolean; at: number }>();

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  async put(key: string, content: Uint8Array | { file: string }): Promise<void> {
    const at = Date.now();
    this.#put.set(key, { fresh: await this.#objects.putIfAbsent(key, content), at });
  }

  /**
   * Within the transaction that will refer to them, before it does: from now until its end nobody takes them away. False
   * where one is gone, and all must be put again.
   */
  async hold(session: Session): Promise<boolean> {
    const old = [...this.#put].filter(([, { fresh, at }]) => !fresh || Date.now() - at > NEW_MS);
    const keys = old.map(([key]) => key);
    await lockObjects(session, keys, 'shared');
    for (const key of keys) if ((await this.#objects.head(key)) === null) return false;
    return true;
  }
}

/**
 * Before a transaction notes what a run names, or what is there: until its end nobody lets go of what nobody names.
 * @param how `alone`: who lets go of it
 */
export async function holdNames(session: Session, space: string, how: 'shared' | 'alone'): Promise<void> {
  const lock = how === 'alone' ? 'pg_advisory_xact_lock' : 'pg_advisory_xact_lock_shared';
  await session.rows(`SELECT ${lock}($1, $2)`, [LOCK.names, lockNumber('names', space)]);
}

/** Until the end of the transaction. In one order, so that two never wait for each other. */
export async function lockObjects(
  session: Session,
  keys: readonly string[],
  how: 'shared' | 'alone',
): Promise<void> {
  const numbers = [...new Set(keys.map((key) => lockNumber('object', key)))].sort((a, b) => a - b);
  const lock = how === 'alone' ? 'pg_advisory_xact_lock' : 'pg_advisory_xact_lock_shared';
  for (const number of numbers) await session.rows(`SELECT ${lock}($1, $2)`, [LOCK.object, number]);
}
