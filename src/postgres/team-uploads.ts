/** Blobs that clients send to the object store themselves, part by part; what is known of them is in PostgreSQL. */
import { createHash, randomBytes } from 'node:crypto';
import type { DirectAccess } from '../blobs/direct-access.ts';
import type { ObjectStore } from '../blobs/object-store.ts';
import type { UploadedPart } from '../blobs/s3-uploads.ts';
import { refusedPart } from '../sync/call.ts';
import type { Begun, DirectPart } from '../sync/direct-blobs.ts';
import { projectName } from '../sync/folder-blobs.ts';
import { type BlobMark, MAX_BODY_BYTES, type PartResult } from '../sync/space.ts';
import type { Database, Row, Session } from './database.ts';

/** Of each part but the last: as much as a client reads at once. */
const PART_BYTES = MAX_BODY_BYTES;
/** Amazon takes no more. */
const MAX_PARTS = 10_000;
/** An address opens for so long, in seconds. */
export const OPEN_SECONDS = 300;
/** Whoever asks for the end of an upload is told after this time that it is being checked, in milliseconds. */
const PATIENCE_MS = 10_000;
const CHUNK_BYTES = 4 * 1024 * 1024;

interface Upload extends BlobMark {
  id: string;
  project: string;
  object: string;
  session: string;
}

export interface UploadsOptions {
  database: Database;
  space: string;
  objects: ObjectStore;
  direct: DirectAccess;
  /** The blob is there, whole and checked. Within the transaction that forgets the upload; false where another was quicker. */
  note(session: Session, project: string, blob: BlobMark, object: string): Promise<boolean>;
}

export class TeamUploads {
  readonly #options: UploadsOptions;
  /** Those that this collector checks, and how far it has come. */
  readonly #checks = new Map<string, Promise<PartResult>>();
  #closed = false;

  constructor(options: UploadsOptions) {
    this.#options = options;
  }

  #write<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#options.database.transaction(this.#options.space, work);
  }

  /** Begins an upload, or finds the one that was cut off. */
  async begin(project: string, blob: BlobMark): Promise<Begun> {
    const { direct } = this.#options;
    if (blob.size > PART_BYTES * MAX_PARTS) {
      return { ok: false, code: 'quota-exceeded', message: 'it is too large to be sent directly' };
    }
    for (let tries = 0; tries < 3; tries += 1) {
      const known = await this.#find(project, blob);
      if (known === null) {
        const begun = await this.#start(project, blob);
        if (begun !== null) return begun;
        continue;
      }
      const parts = await direct.parts(known.object, known.session);
      if (parts !== null) {
        return { ok: true, upload: known.id, partBytes: PART_BYTES, received: receivedOf(known, parts) };
      }
      // Complete, and perhaps being checked.
      if ((await this.#options.objects.head(known.object)) === known.size) {
        return { ok: true, upload: known.id, partBytes: PART_BYTES, received: known.size };
      }
      await this.#forget(known);
    }
    throw new Error('the upload changes too fast');
  }

  async #find(project: string, { sha256, size }: BlobMark): Promise<Upload | null> {
    const [row] = await this.#write((session) =>
      session.rows(
        `UPDATE uploads SET touched_at = now() WHERE project = $1 AND sha256 = $2 AND size = $3 RETURNING *`,
        [project, sha256, size],
      ),
    );
    return row === undefined ? null : uploadOf(row);
  }

  /** Null where another has just begun it. */
  async #start(project: string, { sha256, size }: BlobMark): Promise<Begun | null> {
    const { direct } = this.#options;
    const id = randomBytes(16).toString('hex');
    const object = `direct/${projectName(project)}/${id}`;
    const session = await direct.begin(object);
    const fresh = await this.#write((write) =>
      write.change(
        `INSERT INTO uploads (id, project, sha256, size, object, session) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT DO NOTHING`,
        [id, project, sha256, size, object, session],
      ),
    );
    if (fresh > 0) return { ok: true, upload: id, partBytes: PART_BYTES, received: 0 };
    await direct.abort(object, session);
    return null;
  }

  async #get(project: string, id: string): Promise<Upload | null> {
    const [row] = await this.#write((session) =>
      session.rows('UPDATE uploads SET touched_at = now() WHERE project = $1 AND id = $2 RETURNING *', [
        project,
        id,
      ]),
    );
    return row === undefined ? null : uploadOf(row);
  }

  async part(project: string, id: string, number: number, sha256: string): Promise<DirectPart | null> {
    const upload = await this.#get(project, id);
    if (upload === null) return null;
    const before = (number - 1) * PART_BYTES;
    if (before < 0 || before >= upload.size) return null;
    const size = Math.min(PART_BYTES, upload.size - before);
    const part = { number, sha256, size };
    const address = await this.#options.direct.part(upload.object, upload.session, part, OPEN_SECONDS);
    return { ...address, seconds: OPEN_SECONDS };
  }

  /** Puts the parts together and checks them; `ok` and not `stored` while that goes on. */
  async finish(project: string, id: string): Promise<PartResult> {
    const upload = await this.#get(project, id);
    if (upload === null) return refusedPart('part-offset', 'there is no such upload');
    let check = this.#checks.get(id);
    if (check === undefined) {
      check = this.#check(upload).finally(() => this.#checks.delete(id));
      this.#checks.set(id, check);
    }
    let timer: NodeJS.Timeout | undefined;
    const later = new Promise<PartResult>((resolve) => {
      const going = { ok: true as const, received: upload.size, stored: false };
      timer = setTimeout(() => resolve(going), PATIENCE_MS);
    });
    return Promise.race([check, later]).finally(() => clearTimeout(timer));
  }

  async #check(upload: Upload): Promise<PartResult> {
    const { direct, objects, note } = this.#options;
    const { object, session, size, sha256 } = upload;
    const parts = await direct.parts(object, session);
    if (parts !== null) {
      const received = receivedOf(upload, parts);
      if (received < size) return refusedPart('part-offset', `it goes on from ${received}`, received);
      await direct.complete(object, session, parts);
    }
    if ((await objects.head(object)) !== size || (await this.#hashOf(upload)) !== sha256) {
      await this.#forget(upload);
      return refusedPart('hash-mismatch', 'its bytes have another hash');
    }
    const kept = await this.#write(async (write) => {
      const gone = await write.change('DELETE FROM uploads WHERE id = $1', [upload.id]);
      return gone > 0 && (await note(write, upload.project, upload, object));
    });
    if (kept) return { ok: true, received: size, stored: true };
    return this.#lost(upload);
  }

  /** Another has stored the same meanwhile, or the upload was given up. */
  async #lost({ project, sha256, object, size }: Upload): Promise<PartResult> {
    const [stored] = await this.#write((session) =>
      session.rows('SELECT object FROM blobs WHERE project = $1 AND sha256 = $2', [project, sha256]),
    );
    if (stored?.object !== object) await this.#options.objects.delete(object);
    if (stored !== undefined) return { ok: true, received: size, stored: true };
    return refusedPart('part-offset', 'the upload was given up meanwhile');
  }

  async #hashOf({ object, size }: Upload): Promise<string> {
    const hash = createHash('sha256');
    const read = (at: number) => {
      const reading = at < size ? this.#options.objects.get(object, at, CHUNK_BYTES) : Promise.resolve(null);
      // Where the loop ends before it looks, nobody is to hear of it.
      reading.catch(() => undefined);
      return reading;
    };
    let next = read(0);
    for (let at = 0; at < size && !this.#closed; ) {
      const bytes = await next;
      if (bytes === null || bytes.length === 0) break;
      at += bytes.length;
      next = read(at);
      hash.update(bytes);
    }
    if (this.#closed) throw new Error('the collector ends');
    return hash.digest('hex');
  }

  async drop(project: string, id: string): Promise<void> {
    const upload = await this.#get(project, id);
    if (upload !== null) await this.#forget(upload);
  }

  /** The blob came another way. */
  async dropOf(project: string, blob: BlobMark): Promise<void> {
    const upload = await this.#find(project, blob);
    if (upload !== null) await this.#forget(upload);
  }

  /** The row first: without it nobody finishes the upload, and what is left of it nobody refers to. */
  async #forget(upload: Upload): Promise<void> {
    const gone = await this.#write((session) =>
      session.change('DELETE FROM uploads WHERE id = $1', [upload.id]),
    );
    if (gone === 0) return;
    await this.#options.direct.abort(upload.object, upload.session);
    await this.#options.objects.delete(upload.object);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.allSettled(this.#checks.values());
  }
}

/** Gives up uploads that nobody has gone on with for so many seconds; tells how many. What is left of them is garbage. */
export async function letGoOfUploads(
  database: Database,
  objects: ObjectStore,
  space: string,
  seconds: number,
  dry: boolean,
): Promise<number> {
  const old = "uploads WHERE touched_at < now() - $1 * interval '1 second'";
  const rows = await database.transaction(space, (session) =>
    session.rows(dry ? `SELECT * FROM ${old}` : `DELETE FROM ${old} RETURNING *`, [seconds]),
  );
  // Where clients may not go there any more, the bucket's own rules end what had begun.
  if (!dry)
    for (const { object, session } of rows.map(uploadOf)) await objects.direct?.abort(object, session);
  return rows.length;
}

/** Bytes from the beginning on that have come. */
function receivedOf({ size }: BlobMark, parts: readonly UploadedPart[]): number {
  let received = 0;
  for (const part of parts) {
    const expected = Math.min(PART_BYTES, size - received);
    if (part.number !== received / PART_BYTES + 1 || part.size !== expected) break;
    received += part.size;
    if (received === size) break;
  }
  return received;
}

function uploadOf(row: Row): Upload {
  return {
    id: String(row.id),
    project: String(row.project),
    sha256: String(row.sha256),
    size: Number(row.size),
    object: String(row.object),
    session: String(row.session),
  };
}
