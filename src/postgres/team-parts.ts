/** What comes in parts, to whichever collector: each part an object until all are there. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ObjectStore } from '../blobs/object-store.ts';
import { projectName } from '../sync/folder-blobs.ts';
import type { Database } from './database.ts';

export interface Arriving {
  project: string;
  /** Of what, and how long that is. */
  name: string;
  size: number;
}

/** How far it has come; `file` is there once it is whole, and is removed afterwards. */
type Arrived<T> =
  | { ok: true; received: number; whole: T | null }
  | { ok: false; received: number; message: string };

export class TeamParts {
  readonly #database: Database;
  readonly #space: string;
  readonly #objects: ObjectStore;

  constructor(options: { database: Database; space: string; objects: ObjectStore }) {
    this.#database = options.database;
    this.#space = options.space;
    this.#objects = options.objects;
  }

  async received(project: string, names: readonly string[]): Promise<Map<string, number>> {
    const rows = await this.#database.transaction(
      this.#space,
      (session) =>
        session.rows(
          'SELECT name, at, length FROM parts WHERE project = $1 AND name = ANY($2) ORDER BY name, at',
          [project, names],
        ),
      'snapshot',
    );
    const received = new Map<string, number>();
    for (const { name, at, length } of rows) {
      const before = received.get(String(name)) ?? 0;
      if (Number(at) <= before) received.set(String(name), Math.max(before, Number(at) + Number(length)));
    }
    return received;
  }

  /**
   * Takes a part. Once all are there, `whole` is called with a file of all bytes, and the parts are forgotten, whatever
   * it thinks of them. What comes in one part never was one.
   */
  async put<T>(
    { project, name, size }: Arriving,
    offset: number,
    bytes: Uint8Array,
    whole: (file: string, sha256: string) => Promise<T>,
  ): Promise<Arrived<T>> {
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + bytes.length > size) {
      return { ok: false, received: 0, message: 'it lies outside of what it is a part of' };
    }
    const before = (await this.received(project, [name])).get(name) ?? 0;
    if (offset > before) return { ok: false, received: before, message: `it goes on from ${before}` };
    if (offset === 0 && bytes.length === size) return this.#assemble(project, name, [bytes], whole);
    const end = offset + bytes.length;
    if (end > before) {
      const object = `incoming/${projectName(project)}/${randomBytes(16).toString('hex')}`;
      await this.#objects.putIfAbsent(object, bytes);
      const fresh = await this.#database.transaction(this.#space, (session) =>
        session.change(
          'INSERT INTO parts (project, name, at, length, object) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING',
          [project, name, offset, bytes.length, object],
        ),
      );
      if (fresh === 0) await this.#objects.delete(object);
    }
    const received = (await this.received(project, [name])).get(name) ?? 0;
    if (received < size) return { ok: true, received, whole: null };
    return this.#assemble(project, name, this.#pieces(project, name), whole);
  }

  async *#pieces(project: string, name: string): AsyncGenerator<Uint8Array> {
    const rows = await this.#database.transaction(
      this.#space,
      (session) =>
        session.rows('SELECT at, length, object FROM parts WHERE project = $1 AND name = $2 ORDER BY at', [
          project,
          name,
        ]),
      'snapshot',
    );
    let next = 0;
    for (const { at, length, object } of rows) {
      if (Number(at) + Number(length) <= next) continue;
      const bytes = await this.#objects.get(String(object));
      if (bytes === null) throw new Error(`a part is gone: ${name} at ${at}`);
      yield bytes.subarray(next - Number(at));
      next = Number(at) + Number(length);
    }
  }

  async #assemble<T>(
    project: string,
    name: string,
    pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    whole: (file: string, sha256: string) => Promise<T>,
  ): Promise<Arrived<T>> {
    const folder = await mkdtemp(join(tmpdir(), 'waddle-arriving-'));
    try {
      const path = join(folder, 'whole');
      const hash = createHash('sha256');
      const file = await open(path, 'wx', 0o600);
      let received = 0;
      try {
        for await (const piece of pieces) {
          hash.update(piece);
          await file.appendFile(piece);
          received += piece.length;
        }
      } finally {
        await file.close();
      }
      const result = await whole(path, hash.digest('hex'));
      await this.forget(project, name);
      return { ok: true, received, whole: result };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async forget(project: string, name: string): Promise<void> {
    const rows = await this.#database.transaction(this.#space, (session) =>
      session.rows('DELETE FROM parts WHERE project = $1 AND name = $2 RETURNING object', [project, name]),
    );
    for (const { object } of rows) await this.#objects.delete(String(object));
  }
}
