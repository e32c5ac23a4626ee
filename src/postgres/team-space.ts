/** A space of a team: what is known of it in PostgreSQL, what is large as objects. Any number of collectors serve it at once. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isSha256 } from '../blobs/blob-store.ts';
import type { ObjectStore } from '../blobs/object-store.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { isRunId } from '../events/ids.ts';
import { takeCodePack } from '../git/code-pack.ts';
import { openPrivateRepository } from '../git/private-repository.ts';
import type { Environment } from '../git/run-git.ts';
import { listRuns } from '../query/runs-table.ts';
import { BucketTrees } from '../sync/bucket-trees.ts';
import { refusedPart, takeParts } from '../sync/call.ts';
import { projectName } from '../sync/folder-blobs.ts';
import { isTreeId } from '../sync/journal-facts.ts';
import { runDigest } from '../sync/run-digest.ts';
import {
  type BlobMark,
  type BlobPart,
  type Comparison,
  type JournalMark,
  type JournalPiece,
  type JournalWant,
  type ListedRun,
  type ListQuery,
  MAX_BODY_BYTES,
  type PackPart,
  type PartCode,
  type PartResult,
  type PieceResult,
  type ReadPiece,
  type RunState,
  type Space,
} from '../sync/space.ts';
import type { Database, Row, Session } from './database.ts';
import { PostgresEngine } from './engine.ts';
import type { Listener } from './listener.ts';
import { readKnown, removalsOf, TeamJournals } from './team-journals.ts';
import { TeamParts } from './team-parts.ts';

/** A manifest larger than this is no folder's, and so many files are read of one at most. */
const MANIFEST_BYTES = 64 * 1024 * 1024;
const MANIFEST_FILES = 1_000_000;
const PAGE = 1000;
const MAX_BASES = 50;
/** Milliseconds that a list waits for what is being taken in. */
const SETTLE_MS = 1500;

export interface TeamSpaceOptions {
  database: Database;
  listener: Listener;
  objects: ObjectStore;
  space: string;
  /** Of this machine alone, for what can be made again: git's repositories. */
  scratch: string;
  /** Git is looked for with it. */
  env: Environment;
  /** Receives journals in its place, on another thread. */
  receive?: ((pieces: readonly JournalPiece[]) => Promise<PieceResult[]>) | undefined;
  maxBlobBytes?: number | undefined;
  maxPackBytes?: number | undefined;
}

export class TeamSpace implements Space {
  readonly engine: PostgresEngine;
  readonly #options: TeamSpaceOptions;
  readonly #journals: TeamJournals;
  readonly #parts: TeamParts;
  readonly #trees = new Map<string, BucketTrees>();

  constructor(options: TeamSpaceOptions) {
    this.#options = options;
    this.engine = new PostgresEngine(options);
    this.#journals = new TeamJournals(options);
    this.#parts = new TeamParts(options);
  }

  #read<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#options.database.transaction(this.#options.space, work, 'snapshot');
  }

  #write<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#options.database.transaction(this.#options.space, work);
  }

  /** Of the runs that are here, each one's project. */
  async projectsOf(runs: readonly string[]): Promise<Map<string, string>> {
    const rows = await this.#read((session) =>
      session.rows('SELECT run, project FROM owners WHERE run = ANY($1)', [runs]),
    );
    return new Map(rows.map((row) => [String(row.run), String(row.project)]));
  }

  async compare(
    runs: ReadonlyMap<string, string>,
    project: ReadonlyMap<string, JournalMark>,
  ): Promise<Comparison> {
    const ids = [...runs.keys()].filter(isRunId);
    const removals = removalsOf(
      await this.#read(async (session) => (await readKnown(session, [''])).get('') ?? []),
    );
    const digests = await this.#digests(ids);
    return {
      differ: ids.filter((run) => digests.has(run) && digests.get(run) !== runs.get(run)),
      unknown: ids.filter((run) => !digests.has(run)),
      removed: ids.filter((run) => removals.has(run)),
      projectMissing: [...project]
        .filter(([writer, { length }]) => (removals.marks.get(writer)?.length ?? 0) < length)
        .map(([writer]) => writer),
      removals: removals.of(ids),
    };
  }

  /** Of the runs that are here; found out once for each state of them. */
  async #digests(runs: readonly string[]): Promise<Map<string, string>> {
    const rows = await this.#read((session) =>
      session.rows('SELECT run, digest, xmin::text AS state FROM owners WHERE run = ANY($1)', [runs]),
    );
    const digests = new Map<string, string>();
    const open: Row[] = [];
    for (const row of rows) {
      if (row.digest === null) open.push(row);
      else digests.set(String(row.run), String(row.digest));
    }
    if (open.length === 0) return digests;
    const states = await this.states(open.map((row) => String(row.run)));
    const found = [...states].map(([run, state]) => ({ run, digest: runDigest(state) }));
    for (const { run, digest } of found) digests.set(run, digest);
    // Kept where nothing has come meanwhile.
    const stateOf = new Map(open.map((row) => [row.run, row.state]));
    await this.#write((session) =>
      session.change(
        `UPDATE owners o SET digest = k.digest FROM unnest($1::text[], $2::text[], $3::text[]) AS k (run, digest, state)
         WHERE o.run = k.run AND o.xmin::text = k.state`,
        [
          found.map(({ run }) => run),
          found.map(({ digest }) => digest),
          found.map(({ run }) => stateOf.get(run)),
        ],
      ),
    );
    return digests;
  }

  /** Until what was received before is taken in, or has had its time. */
  async #settled(): Promise<void> {
    const deadline = performance.now() + SETTLE_MS;
    while (performance.now() < deadline) {
      const waiting = await this.#read((session) =>
        session.rows('SELECT 1 FROM work WHERE failed = 0 LIMIT 1'),
      );
      if (waiting.length === 0) return;
      await new Promise((wake) => setTimeout(wake, 20));
    }
  }

  async list(query: ListQuery) {
    await this.#settled();
    const { project, since, filter, after, limit = PAGE } = query;
    const wanted = Math.min(limit, PAGE);
    const among =
      filter === undefined || filter.trim() === ''
        ? null
        : (await this.engine.answer(listRuns({ filter, archived: true }))).rows.map((run) => run.id);
    const { rows, removals } = await this.#read(async (session) => ({
      removals: removalsOf((await readKnown(session, [''])).get('') ?? []),
      rows: await session.rows(
        `SELECT id, project, name, status, "user", started_at FROM runs
         WHERE id > $1 AND ($2::text IS NULL OR project = $2)
           AND ($3::float8 IS NULL OR coalesce(started_at, 0) >= $3 OR coalesce(last_event_at, 0) >= $3)
           AND ($4::text[] IS NULL OR id = ANY($4))
         ORDER BY id LIMIT $5`,
        [after ?? '', project ?? null, since ?? null, among, wanted + 1],
      ),
    }));
    const page = rows.slice(0, wanted);
    const digests = await this.#digests(page.map((row) => String(row.id)));
    const runs = page.flatMap((row): ListedRun[] => {
      const id = String(row.id);
      const digest = digests.get(id);
      if (digest === undefined) return [];
      return [
        {
          id,
          digest,
          project: String(row.project),
          name: String(row.name),
          status: String(row.status),
          user: row.user === null ? null : String(row.user),
          started_at: row.started_at === null ? null : Number(row.started_at),
          removed: removals.has(id),
        },
      ];
    });
    const next = rows.length > page.length ? String(page.at(-1)?.id) : null;
    return { runs, next, project: removals.marks, removals: removals.of() };
  }

  async states(runs: readonly string[]): Promise<Map<string, RunState>> {
    return this.#read(async (session) => {
      const owners = await session.rows('SELECT run, project FROM owners WHERE run = ANY($1)', [runs]);
      const states = new Map<string, RunState>();
      for (const { run, project } of owners) {
        states.set(String(run), { project: String(project), journals: new Map(), blobs: [], trees: [] });
      }
      const of = (row: Row) => states.get(String(row.run));
      for (const row of await session.rows(
        'SELECT run, writer, length, root FROM received WHERE run = ANY($1) ORDER BY run, writer',
        [[...states.keys()]],
      )) {
        of(row)?.journals.set(String(row.writer), { length: Number(row.length), root: String(row.root) });
      }
      for (const row of await session.rows(
        `SELECT n.run, b.sha256, b.size FROM blob_names n JOIN owners o ON o.run = n.run
         JOIN blobs b ON b.project = o.project AND b.sha256 = n.sha256 WHERE n.run = ANY($1)`,
        [[...states.keys()]],
      )) {
        of(row)?.blobs.push({ sha256: String(row.sha256), size: Number(row.size) });
      }
      for (const row of await session.rows(
        `SELECT n.run, t.tree FROM tree_names n JOIN owners o ON o.run = n.run
         JOIN trees t ON t.project = o.project AND t.tree = n.tree WHERE n.run = ANY($1)`,
        [[...states.keys()]],
      )) {
        of(row)?.trees.push(String(row.tree));
      }
      return states;
    });
  }

  writeJournals(pieces: readonly JournalPiece[]): Promise<PieceResult[]> {
    return this.#options.receive?.(pieces) ?? this.#journals.write(pieces);
  }

  readJournals(wants: readonly JournalWant[]): Promise<ReadPiece[]> {
    return this.#read((session) => this.#journals.read(session, wants));
  }

  async #project(run: string): Promise<string | null> {
    return isRunId(run) ? ((await this.projectsOf([run])).get(run) ?? null) : null;
  }

  async missingBlobs(
    run: string,
    blobs: readonly BlobMark[],
  ): Promise<{ sha256: string; received: number }[]> {
    const project = await this.#project(run);
    if (project === null) return blobs.map(({ sha256 }) => ({ sha256, received: 0 }));
    const rows = await this.#read((session) =>
      session.rows('SELECT sha256 FROM blobs WHERE project = $1 AND sha256 = ANY($2)', [
        project,
        blobs.map(({ sha256 }) => sha256),
      ]),
    );
    const there = new Set(rows.map((row) => row.sha256));
    const missing = blobs.filter(({ sha256 }) => isSha256(sha256) && !there.has(sha256));
    const received = await this.#parts.received(project, missing.map(blobName));
    return missing.map((blob) => ({ sha256: blob.sha256, received: received.get(blobName(blob)) ?? 0 }));
  }

  writeBlobs(parts: readonly BlobPart[]): Promise<PartResult[]> {
    return takeParts(parts, (part) => this.#writeBlob(part));
  }

  async #writeBlob(part: BlobPart): Promise<PartResult> {
    const { run, sha256, size, offset, bytes } = part;
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
    if (known.stored !== null) return { ok: true, received: size, stored: true };
    const project = String(known.project);
    const arriving = { project, name: blobName(part), size };
    const arrived = await this.#parts.put(arriving, offset, bytes, async (file, hash) => {
      if (hash !== sha256) return false;
      await this.#options.objects.putIfAbsent(blobKey(sha256), { file });
      await this.#noteBlob(project, { sha256, size }, expected === null ? await readFile(file) : null);
      return true;
    });
    if (!arrived.ok) return refusedPart('part-offset', arrived.message, arrived.received);
    if (arrived.whole === false) return refusedPart('hash-mismatch', 'its bytes have another hash');
    return { ok: true, received: arrived.received, stored: arrived.whole === true };
  }

  /** The blob is there: for every run of the project that names it. */
  async #noteBlob(project: string, { sha256, size }: BlobMark, manifest: Buffer | null): Promise<void> {
    const members = manifest === null ? [] : membersOf(manifest);
    await this.#write(async (session) => {
      await session.change(
        'INSERT INTO blobs (project, sha256, size) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
        [project, sha256, size],
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
    });
  }

  async #hasBlob(run: string, sha256: string): Promise<boolean> {
    if (!isSha256(sha256)) return false;
    const rows = await this.#read((session) =>
      session.rows(
        `SELECT 1 FROM blob_names n JOIN owners o ON o.run = n.run
         JOIN blobs b ON b.project = o.project AND b.sha256 = n.sha256 WHERE n.run = $1 AND n.sha256 = $2`,
        [run, sha256],
      ),
    );
    return rows.length > 0;
  }

  async readBlob(run: string, sha256: string, offset: number): Promise<Uint8Array | null> {
    if (!(await this.#hasBlob(run, sha256))) return null;
    return this.#options.objects.get(blobKey(sha256), Math.max(0, offset), MAX_BODY_BYTES);
  }

  /** The code of a project, with a repository of its own on this machine. */
  #treesOf(project: string): BucketTrees {
    let trees = this.#trees.get(project);
    if (trees === undefined) {
      const { objects, env, scratch } = this.#options;
      trees = new BucketTrees(objects, join(scratch, projectName(project)), env);
      this.#trees.set(project, trees);
    }
    return trees;
  }

  async missingTrees(run: string, trees: readonly string[]): Promise<{ missing: string[]; bases: string[] }> {
    const project = await this.#project(run);
    const wanted = trees.filter(isTreeId);
    if (project === null) return { missing: wanted, bases: [] };
    return this.#read(async (session) => {
      const rows = await session.rows('SELECT tree FROM trees WHERE project = $1 AND tree = ANY($2)', [
        project,
        wanted,
      ]);
      const there = new Set(rows.map((row) => row.tree));
      // Those that stand by themselves: what builds on one of them is two packs away, and no more.
      const bases = await session.rows(
        'SELECT tree FROM trees WHERE project = $1 AND base IS NULL ORDER BY stored_at DESC LIMIT $2',
        [project, MAX_BASES],
      );
      return {
        missing: wanted.filter((tree) => !there.has(tree)),
        bases: bases.map((row) => String(row.tree)),
      };
    });
  }

  writeTrees(parts: readonly PackPart[]): Promise<PartResult[]> {
    return takeParts(parts, (part) => this.#writeTree(part));
  }

  async #writeTree(part: PackPart): Promise<PartResult> {
    const { run, tree, base, size, format } = part;
    const length = format === 'sha256' ? 64 : 40;
    if (
      !isTreeId(tree) ||
      tree.length !== length ||
      (base !== null && (!isTreeId(base) || base.length !== length))
    ) {
      return refusedPart('pack-invalid', 'its format is not that of its tree');
    }
    const [known] = await this.#read((session) =>
      session.rows(
        `SELECT o.project, t.tree AS stored, b.tree AS base FROM tree_names n JOIN owners o ON o.run = n.run
         LEFT JOIN trees t ON t.project = o.project AND t.tree = n.tree
         LEFT JOIN trees b ON b.project = o.project AND b.tree = $3 AND b.base IS NULL
         WHERE n.run = $1 AND n.tree = $2`,
        [run, tree, base],
      ),
    );
    if (known === undefined) return refusedPart('tree-not-named', 'the run has no such tree');
    if (known.stored !== null) return { ok: true, received: size, stored: true };
    if (base !== null && known.base === null) {
      return refusedPart('pack-base-missing', `the tree ${base} is not here, or builds on another itself`);
    }
    if (!(size > 0) || size > (this.#options.maxPackBytes ?? 4 * 1024 ** 3)) {
      return refusedPart('quota-exceeded', `a pack of ${size} bytes is not taken`);
    }
    const project = String(known.project);
    const arriving = { project, name: `pack ${tree} ${base ?? 'none'} ${size}`, size };
    const arrived = await this.#parts.put(arriving, part.offset, part.bytes, async (file) => {
      const fault = await this.#takePack(project, part, file);
      if (fault !== null) return fault;
      const object = `trees/${projectName(project)}/${tree}.${base ?? 'none'}.pack`;
      await this.#options.objects.putIfAbsent(object, { file });
      await this.#write(async (session) => {
        await session.change(
          'INSERT INTO trees (project, tree, base, size, object) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING',
          [project, tree, base, size, object],
        );
        await session.change(
          `UPDATE owners o SET digest = NULL FROM tree_names n WHERE n.tree = $2 AND n.run = o.run AND o.project = $1`,
          [project, tree],
        );
      });
      return 'taken' as const;
    });
    if (!arrived.ok) return refusedPart('part-offset', arrived.message, arrived.received);
    if (arrived.whole === null) return { ok: true, received: arrived.received, stored: false };
    if (arrived.whole === 'taken') return { ok: true, received: size, stored: true };
    return refusedPart(arrived.whole.code, arrived.whole.message);
  }

  /** Has git check the pack, in a repository of this machine. Null where it is right. */
  async #takePack(
    project: string,
    { tree, base, format }: PackPart,
    file: string,
  ): Promise<{ code: PartCode; message: string } | null> {
    const { env, scratch } = this.#options;
    const gitDir = await openPrivateRepository(join(scratch, projectName(project), 'git'), format);
    if (base !== null && !(await this.#treesOf(project).fetch(gitDir, project, base))) {
      return { code: 'pack-base-missing', message: `the tree ${base} is not here` };
    }
    try {
      await takeCodePack({ gitDir, tree, base, file, env });
      return null;
    } catch (error) {
      if (!(error instanceof WaddleError) || error.code === 'store-refuses') throw error;
      return {
        code: error.code === 'pack-base-missing' ? 'pack-base-missing' : 'pack-invalid',
        message: error.message,
      };
    }
  }

  async readTrees(
    run: string,
    trees: readonly string[],
    have: readonly string[],
    from: ReadonlyMap<string, number>,
  ): Promise<PackPart[]> {
    const [tree] = trees;
    if (tree === undefined) return [];
    const [known] = await this.#read((session) =>
      session.rows(
        `SELECT o.project FROM tree_names n JOIN owners o ON o.run = n.run
         JOIN trees t ON t.project = o.project AND t.tree = n.tree WHERE n.run = $1 AND n.tree = $2`,
        [run, tree],
      ),
    );
    if (known === undefined) return this.readTrees(run, trees.slice(1), have, from);
    const project = String(known.project);
    const part = await this.#treesOf(project).read(run, project, tree, have, from.get(tree) ?? 0);
    return part === null ? [] : [part];
  }

  /** A git dir of this machine that holds these trees of a project, as far as they are here. */
  async codeDir(project: string, trees: readonly string[]): Promise<string> {
    const format = trees[0]?.length === 64 ? 'sha256' : 'sha1';
    const gitDir = await openPrivateRepository(
      join(this.#options.scratch, projectName(project), 'git'),
      format,
    );
    for (const tree of trees) await this.#treesOf(project).fetch(gitDir, project, tree);
    return gitDir;
  }

  /** Bytes of a blob that is there, of a project or of any; null where it is not. */
  async blobSize(project: string | null, sha256: string): Promise<number | null> {
    const [row] = await this.#read((session) =>
      session.rows(
        'SELECT size FROM blobs WHERE sha256 = $1 AND ($2::text IS NULL OR project = $2) LIMIT 1',
        [sha256, project],
      ),
    );
    return row === undefined ? null : Number(row.size);
  }

  /** Bytes and samples that are held; of one project without packs. */
  async usage(project: string | null): Promise<{ bytes: number; samples: number }> {
    const [row] = await this.#read((session) =>
      session.rows(
        `SELECT
           (SELECT coalesce(sum(r.length), 0) FROM received r LEFT JOIN owners o ON o.run = r.run
             WHERE $1::text IS NULL OR o.project = $1) AS journals,
           (SELECT coalesce(sum(size), 0) FROM blobs WHERE $1::text IS NULL OR project = $1) AS blobs,
           (SELECT coalesce(sum(size), 0) FROM trees WHERE $1::text IS NULL) AS packs,
           (SELECT coalesce(sum(s.count), 0) FROM series s JOIN runs r ON r.num = s.run
             WHERE $1::text IS NULL OR r.project = $1) AS samples`,
        [project],
      ),
    );
    const number = (name: string) => Number(row?.[name] ?? 0);
    return { bytes: number('journals') + number('blobs') + number('packs'), samples: number('samples') };
  }

  async close(): Promise<void> {
    await this.engine.close();
  }
}

export function blobKey(sha256: string): string {
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
