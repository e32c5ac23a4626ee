import type { Client } from 'pg';
import type { Database } from './database.ts';

/** Milliseconds before a lost connection is made again; each try waits longer. */
const RETRY_MS = [50, 200, 1000, 3000];

/** Where notices come from. */
export interface Notices {
  /**
   * @param heard told of each notice; with null where some may have been missed
   * @returns what ends that
   */
  on(channel: string, heard: (payload: string | null) => void): () => void;
}

/** One connection that listens, made again whenever it is lost; must be closed. */
export class Listener implements Notices {
  readonly #database: Database;
  readonly #heard = new Map<string, Set<(payload: string | null) => void>>();
  #client: Client | null = null;
  #timer: NodeJS.Timeout | null = null;
  #tries = 0;
  #closed = false;
  #connecting: Promise<void> | null = null;

  constructor(database: Database) {
    this.#database = database;
  }

  on(channel: string, heard: (payload: string | null) => void): () => void {
    const known = this.#heard.get(channel);
    if (known === undefined) {
      this.#heard.set(channel, new Set([heard]));
      if (this.#client !== null) void this.#client.query(`LISTEN ${channel}`).catch(() => {});
      else this.#connect();
    } else known.add(heard);
    return () => {
      this.#heard.get(channel)?.delete(heard);
    };
  }

  #connect(): void {
    if (this.#closed || this.#connecting !== null) return;
    this.#connecting = this.#open().finally(() => {
      this.#connecting = null;
    });
  }

  async #open(): Promise<void> {
    const client = await this.#database.client();
    let lost = false;
    const again = () => {
      if (lost) return;
      lost = true;
      if (this.#client === client) this.#client = null;
      void client.end().catch(() => {});
      if (this.#closed) return;
      const wait = RETRY_MS[Math.min(this.#tries, RETRY_MS.length - 1)] ?? 0;
      this.#tries += 1;
      this.#timer = setTimeout(() => this.#connect(), wait * (0.5 + Math.random()));
    };
    client.on('error', again);
    client.on('end', again);
    client.on('notification', ({ channel, payload }) => this.#tell(channel, payload ?? ''));
    try {
      await client.connect();
      for (const channel of this.#heard.keys()) await client.query(`LISTEN ${channel}`);
      if (this.#closed) {
        lost = true;
        await client.end();
        return;
      }
      this.#client = client;
      this.#tries = 0;
      for (const channel of this.#heard.keys()) this.#tell(channel, null);
    } catch {
      again();
    }
  }

  #tell(channel: string, payload: string | null): void {
    for (const heard of this.#heard.get(channel) ?? []) heard(payload);
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#connecting;
    await this.#client?.end().catch(() => {});
  }
}
