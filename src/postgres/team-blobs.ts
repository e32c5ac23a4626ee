/** Artifacts' bytes of a team's space: objects, and in PostgreSQL which project's members have shown which. */
import { readFile } from 'node:fs/promises';
import { isSha256 } from '../blobs/blob-store.ts';
import type { DirectAccess } from '../blobs/direct-access.ts';
import type { ObjectStore } from '../blobs/object-store.ts';
import { refusedPart, takeParts } from '../sync/call.ts';
import type { Begun, DirectBlobs } from '../sync/direct-blobs.ts';
import { type BlobMark, type BlobPart, MAX_BODY_BYTES, type PartResult } from '../sync/space.ts';
import type { Database, Session } from './database.ts';
import { ownerOf } from './owners.ts';
import { holdNames, PutObjects } from './put-objects.ts';
import { TeamParts } from './team-parts.ts';
import { OPEN_SECONDS, TeamUploads } from './team-uploads.ts';

/** A manifest larger than this is no folder's, and so many files are read of one at most. */
const MANIFEST_BYTES = 64 * 1024 * 1024;
const MANIFEST_FILES = 1_000_000;

export interface TeamBlobsOptions {
  database: Database;
  space: string;
  objects: ObjectStore;
  maxBlobBytes?: number | undefined;
}

export class TeamBlobs {
  /** Null where blobs only come and go through a collector. */
  readonly direct: DirectBlobs | null;
  readonly #options: TeamBlobsOptions;
  readonly #parts: TeamParts;
  readonly #uploads: TeamUploads | null;

  constructor(options: TeamBlobsOptions) {
    this.#options = options;
    this.#parts = new TeamParts(options);
    const { direct = null } = options.objects;
    const note = (session: Session, project: string, blob: BlobMark, object: string) =>
      this.#insert(session, project, blob, object, []);
    this.#uploads = direct === null ? null : new TeamUploads({ ...options, direct, note });
    this.direct = direct === null || this.#uploads === null ? null : this.#directly(direct, this.#uploads);
  }

  #read<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#options.database.transaction(this.#options.space, work, 'snapshot');
  }

  #write<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#options.database.transaction(this.#options.space, work);
  }

  async missing(run: string, blobs: readonly BlobMark[]): Promise<{ sha256: string; received: number }[]> {
    const project = await this.#read((session) => ownerOf(session, run));
    if (project === null) return blobs.map(({ sha256 }) => ({ sha256, received: 0 }));
    const asked = blobs.map(({ sha256 }) => sha256);
    const { there, named } = await this.#read(async (session) => {
      const hashes = async (text: string, of: string) =>
        new Set((await session.rows(text, [of, asked])).map((row) => row.sha256));
      return {
        there: await hashes('SELECT sha256 FROM blobs WHERE project = $1 AND sha256 = ANY($2)', project),
        named: await hashes('SELECT sha256 FROM blob_names WHERE run = $1 AND sha256 = ANY($2)', run),
      };
    });
    if (!asked.every((sha256) => named.has(sha256))) await this.#nameMembers(run, project);
    const missing = blobs.filter(({ sha256 }) => isSha256(sha256) && !there.has(sha256));
    const received = await this.#parts.received(project, missing.map(blobName));
    return missing.map((blob) => ({ sha256: blob.sha256, received: received.get(blobName(blob)) ?? 0 }));
  }

  write(parts: readonly BlobPart[]): Promise<PartResult[]> {
    return takeParts(parts, (part) => this.#writeOne(part));
  }

  /** What the run says of a blob, and whether it may come. */
  async #judge(run: string, { sha256, size }: BlobMark): Promise<Judged> {
    const [known] = await this.#read((session) =>
      session.rows(
        `SELECT o.project, n.size, b.size AS stored FROM blob_names n JOIN owners o ON o.run = n.run
         LEFT JOIN blobs b ON b.project = o.project AND b.sha256 = n.sha256 WHERE n.run = $1 AND n.sha256 = $2`,
        [run, sha256],
      ),
    );
    if (!isSha256(sha256) || known === undefined) {
      return refusedPart('blob-not-named', 'no artifact of the run has this hash');
    }
    const expected = known.size === null ? null : Number(known.size);
    if (!Number.isSafeInteger(size) || size < 0 || (expected !== null && expected !== size)) {
      return refusedPart('hash-mismatch', `its size is not the ${expected} bytes that the run names`);
    }
    const { maxBlobBytes = Number.MAX_SAFE_INTEGER } = this.#options;
    const most = expected === null ? Math.min(MANIFEST_BYTES, maxBlobBytes) : maxBlobBytes;
    if (size > most) return refusedPart('quota-exceeded', `${size} bytes are not taken`);
    const project = String(known.project);
    return { ok: true, project, manifest: expected === null, stored: known.stored !== null };
  }

  async #writeOne(part: BlobPart): Promise<PartResult> {
    const { run, sha256, size, offset, bytes } = part;
    const judged = await this.#judge(run, part);
    if (!judged.ok) return judged;
    if (judged.stored) return { ok: true, received: size, stored: true };
    const { project, manifest } = judged;
    const arriving = { project, name: blobName(part), size };
    const arrived = await this.#parts.put(arriving, offset, bytes, async (file, hash) => {
      if (hash !== sha256) return false;
      await this.#putBlob(project, { sha256, size }, file, manifest ? membersOf(await readFile(file)) : []);
      return true;
    });
    if (!arrived.ok) return refusedPart('part-offset', arrived.message, arrived.received);
    if (arrived.whole === false) return refusedPart('hash-mismatch', 'its bytes have another hash');
    if (arrived.whole === true) await this.#uploads?.dropOf(project, part);
    return { ok: true, received: arrived.received, stored: arrived.whole === true };
  }

  /** From then on the blob is there for every run of the project that names it. */
  async #putBlob(project: string, blob: BlobMark, file: string, members: readonly BlobMark[]): Promise<void> {
    for (let held = false; !held; ) {
      const put = new PutObjects(this.#options.objects);
      await put.put(blobKey(blob.sha256), { file });
      held = await this.#write(async (session) => {
        if (!(await put.hold(session))) return false;
        await this.#insert(session, project, blob, null, members);
        return true;
      });
    }
  }

  /** The files of folders whose manifests another run had brought before this one named them. */
  async #nameMembers(run: string, project: string): Promise<void> {
    const manifests = await this.#read((session) =>
      session.rows(
        `SELECT b.sha256, b.object FROM blob_names n JOIN blobs b ON b.project = $2 AND b.sha256 = n.sha256
         WHERE n.run = $1 AND n.size IS NULL AND b.size <= $3`,
        [run, project, MANIFEST_BYTES],
      ),
    );
    for (const { sha256, object } of manifests) {
      const bytes = await this.#options.objects.get(objectOf(String(sha256), object));
      const members = bytes === null ? [] : membersOf(Buffer.from(bytes));
      if (members.length === 0) continue;
      await this.#write(async (session) => {
        await holdNames(session, this.#options.space, 'shared');
        const fresh = await session.change(
          `INSERT INTO blob_names (run, sha256, size) SELECT o.run, k.sha256, k.size
           FROM owners o CROSS JOIN unnest($3::text[], $4::bigint[]) AS k (sha256, size)
           WHERE o.run = $1 AND o.project = $2 ON CONFLICT DO NOTHING`,
          [run, project, members.map((member) => member.sha256), members.map((member) => member.size)],
        );
        if (fresh > 0) await session.change('UPDATE owners SET digest = NULL WHERE run = $1', [run]);
      });
    }
  }

  /** False where it was there. */
  async #insert(
    session: Session,
    project: string,
    { sha256, size }: BlobMark,
    object: string | null,
    members: readonly BlobMark[],
  ): Promise<boolean> {
    await holdNames(session, this.#options.space, 'shared');
    const fresh = await session.change(
      'INSERT INTO blobs (project, sha256, size, object) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING',
      [project, sha256, size, object],
    );
    if (members.length > 0) {
      await session.change(
        `INSERT INTO blob_names (run, sha256, size) SELECT n.run, k.sha256, k.size
         FROM blob_names n JOIN owners o ON o.run = n.run AND o.project = $1
         CROSS JOIN unnest($3::text[], $4::bigint[]) AS k (sha256, size) WHERE n.sha256 = $2 ON CONFLICT DO NOTHING`,
        [project, sha256, members.map((member) => member.sha256), members.map((member) => member.size)],
      );
    }
    await session.change(
      `UPDATE owners o SET digest = NULL FROM blob_names n
       WHERE n.sha256 = ANY($2) AND n.run = o.run AND o.project = $1`,
      [project, [sha256, ...members.map((member) => member.sha256)]],
    );
    return fresh > 0;
  }

  /** The object of a blob that the run has; null where it has none. */
  async #objectOf(run: string, sha256: string): Promise<string | null> {
    if (!isSha256(sha256)) return null;
    const [row] = await this.#read((session) =>
      session.rows(
        `SELECT b.object FROM blob_names n JOIN owners o ON o.run = n.run
         JOIN blobs b ON b.project = o.project AND b.sha256 = n.sha256 WHERE n.run = $1 AND n.sha256 = $2`,
        [run, sha256],
      ),
    );
    return row === undefined ? null : objectOf(sha256, row.object);
  }

  async read(run: string, sha256: string, offset: number): Promise<Uint8Array | null> {
    const object = await this.#objectOf(run, sha256);
    return object === null ? null : this.#options.objects.get(object, Math.max(0, offset), MAX_BODY_BYTES);
  }

  #directly(direct: DirectAccess, uploads: TeamUploads): DirectBlobs {
    const own = async <T>(run: string, work: (project: string) => Promise<T>): Promise<T | null> => {
      const project = await this.#read((session) => ownerOf(session, run));
      return project === null ? null : work(project);
    };
    return {
      address: async (run, sha256) => {
        const object = await this.#objectOf(run, sha256);
        if (object === null) return null;
        return { url: await direct.reading(object, OPEN_SECONDS), seconds: OPEN_SECONDS };
      },
      begin: async (run, blob): Promise<Begun> => {
        const judged = await this.#judge(run, blob);
        if (!judged.ok) return judged;
        if (judged.stored) return { ok: true, upload: null, partBytes: MAX_BODY_BYTES, received: blob.size };
        // What is in a manifest has to be read; and what fits one request needs no addresses.
        if (judged.manifest || blob.size <= MAX_BODY_BYTES) {
          return refusedPart('part-offset', 'it is to go through the collector');
        }
        return uploads.begin(judged.project, blob);
      },
      part: (run, upload, number, sha256) =>
        own(run, (project) => uploads.part(project, upload, number, sha256)),
      finish: async (run, upload) =>
        (await own(run, (project) => uploads.finish(project, upload))) ??
        refusedPart('part-offset', 'there is no such upload'),
      drop: async (run, upload) => void (await own(run, (project) => uploads.drop(project, upload))),
    };
  }

  /** A blob that is there, of a project or of any; null where it is not. */
  async find(project: string | null, sha256: string): Promise<{ size: number; object: string } | null> {
    const [row] = await this.#read((session) =>
      session.rows(
        'SELECT size, object FROM blobs WHERE sha256 = $1 AND ($2::text IS NULL OR project = $2) LIMIT 1',
        [sha256, project],
      ),
    );
    return row === undefined ? null : { size: Number(row.size), object: objectOf(sha256, row.object) };
  }

  async close(): Promise<void> {
    await this.#uploads?.close();
  }
}

type Judged =
  | (PartResult & { ok: false })
  | { ok: true; project: string; manifest: boolean; stored: boolean };

function objectOf(sha256: string, object: unknown): string {
  return object === null ? blobKey(sha256) : String(object);
}

function blobKey(sha256: string): string {
  return `blobs/sha256/${sha256.slice(0, 2)}/${sha256}`;
}

function blobName({ sha256, size }: BlobMark): string {
  return `blob ${sha256} ${size}`;
}

/** Files of a folder artifact. Nothing where it is no manifest. */
function membersOf(manifest: Buffer): BlobMark[] {
  let entries: unknown;
  try {
    entries = JSON.parse(manifest.toString());
  } catch {
    return [];
  }
  if (!Array.isArray(entries)) return [];
  const members = new Map<string, number>();
  for (const entry of entries.slice(0, MANIFEST_FILES) as unknown[]) {
    const { sha256, size } = (entry ?? {}) as Record<string, unknown>;
    if (typeof sha256 === 'string' && isSha256(sha256) && Number.isSafeInteger(size)) {
      members.set(sha256, size as number);
    }
  }
  return [...members].map(([sha256, size]) => ({ sha256, size }));
}
