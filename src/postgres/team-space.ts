/** A space of a team: what is known of it in PostgreSQL, what is large as objects. Any number of collectors serve it at once. */
import { isRunId } from '../events/ids.ts';
import { listRuns } from '../query/runs-table.ts';
import type { DirectBlobs } from '../sync/direct-blobs.ts';
import { runDigest } from '../sync/run-digest.ts';
import type {
  BlobMark,
  BlobPart,
  Comparison,
  JournalMark,
  JournalPiece,
  JournalWant,
  ListedRun,
  ListQuery,
  PackPart,
  PartResult,
  PieceResult,
  ReadPiece,
  RunState,
  Space,
} from '../sync/space.ts';
import { type Row, type Session, schemaName } from './database.ts';
import { PostgresEngine } from './engine.ts';
import type { Listener } from './listener.ts';
import { ownerSql, projectsIn } from './owners.ts';
import { TeamBlobs, type TeamBlobsOptions } from './team-blobs.ts';
import { readKnown, removalsOf, TeamJournals } from './team-journals.ts';
import { TeamTrees, type TeamTreesOptions } from './team-trees.ts';

const PAGE = 1000;
/** Milliseconds that a list waits for what is being taken in. */
const SETTLE_MS = 1500;

export interface TeamSpaceOptions extends TeamBlobsOptions, TeamTreesOptions {
  listener: Listener;
  /** Receives journals in its place, on another thread. */
  receive?: ((pieces: readonly JournalPiece[]) => Promise<PieceResult[]>) | undefined;
}

export class TeamSpace implements Space {
  readonly engine: PostgresEngine;
  readonly blobs: TeamBlobs;
  readonly #options: TeamSpaceOptions;
  readonly #journals: TeamJournals;
  readonly #trees: TeamTrees;
  readonly #stateSql: string;
  readonly #ownerSql: string;

  constructor(options: TeamSpaceOptions) {
    this.#options = options;
    const schema = schemaName(options.space);
    this.#stateSql = stateSql(schema);
    this.#ownerSql = ownerSql(`${schema}.`);
    this.engine = new PostgresEngine(options);
    this.#journals = new TeamJournals(options);
    this.blobs = new TeamBlobs(options);
    this.#trees = new TeamTrees(options);
  }

  #read<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#options.database.transaction(this.#options.space, work, 'snapshot');
  }

  #write<T>(work: (session: Session) => Promise<T>): Promise<T> {
    return this.#options.database.transaction(this.#options.space, work);
  }

  /** Of the runs that are here, each one's project. */
  async projectsOf(runs: readonly string[]): Promise<Map<string, string>> {
    return projectsIn(await this.#options.database.ask(this.#ownerSql, [runs]));
  }

  /** All runs that anything is here of, removed ones too. */
  async runIds(): Promise<string[]> {
    const rows = await this.#read((session) => session.rows('SELECT run FROM owners ORDER BY run'));
    return rows.map((row) => String(row.run));
  }

  /** Lengths of the journals of removals, by writer: of those that take effect, or of those that are only told. */
  async removalJournals(kind: 'applied' | 'announced'): Promise<Map<string, number>> {
    const known = await this.#read(async (session) => (await readKnown(session, [''])).get('') ?? []);
    const own = known.filter(({ announced, facts }) => announced === (kind === 'announced') && facts.travels);
    return new Map(own.map(({ writer, facts }) => [writer, facts.length]));
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
    const rows = await this.#options.database.ask(this.#stateSql, [runs]);
    return new Map(
      rows.map((row) => [
        String(row.run),
        {
          project: String(row.project),
          journals: new Map(
            (row.journals as [string, number, string][]).map(([writer, length, root]) => [
              writer,
              { length, root },
            ]),
          ),
          blobs: (row.blobs as [string, number][]).map(([sha256, size]) => ({ sha256, size })),
          trees: row.trees as string[],
        },
      ]),
    );
  }

  writeJournals(pieces: readonly JournalPiece[]): Promise<PieceResult[]> {
    return this.#options.receive?.(pieces) ?? this.#journals.write(pieces);
  }

  readJournals(wants: readonly JournalWant[]): Promise<ReadPiece[]> {
    return this.#read((session) => this.#journals.read(session, wants));
  }

  missingBlobs(run: string, blobs: readonly BlobMark[]): Promise<{ sha256: string; received: number }[]> {
    return this.blobs.missing(run, blobs);
  }

  writeBlobs(parts: readonly BlobPart[]): Promise<PartResult[]> {
    return this.blobs.write(parts);
  }

  readBlob(run: string, sha256: string, offset: number): Promise<Uint8Array | null> {
    return this.blobs.read(run, sha256, offset);
  }

  get direct(): DirectBlobs | null {
    return this.blobs.direct;
  }

  missingTrees(run: string, trees: readonly string[]): Promise<{ missing: string[]; bases: string[] }> {
    return this.#trees.missing(run, trees);
  }

  writeTrees(parts: readonly PackPart[]): Promise<PartResult[]> {
    return this.#trees.write(parts);
  }

  readTrees(...asked: Parameters<Space['readTrees']>): Promise<PackPart[]> {
    return this.#trees.read(...asked);
  }

  /** A git dir of this machine that holds these trees of a project, as far as they are here. */
  codeDir(project: string, trees: readonly string[]): Promise<string> {
    return this.#trees.codeDir(project, trees);
  }

  /** Bytes and samples that are held, uploads that have begun with all that they will be; of one project without packs. */
  async usage(project: string | null): Promise<{ bytes: number; samples: number }> {
    const [row] = await this.#read((session) =>
      session.rows(
        `SELECT
           (SELECT coalesce(sum(r.length), 0) FROM received r LEFT JOIN owners o ON o.run = r.run
             WHERE $1::text IS NULL OR o.project = $1) AS journals,
           (SELECT coalesce(sum(size), 0) FROM blobs WHERE $1::text IS NULL OR project = $1)
             + (SELECT coalesce(sum(size), 0) FROM uploads WHERE $1::text IS NULL OR project = $1) AS blobs,
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
    await this.blobs.close();
    await this.engine.close();
  }
}

/** All that is there of runs, in one statement and so as of one moment. */
function stateSql(schema: string): string {
  const list = (item: string, from: string, order: string) =>
    `coalesce((SELECT json_agg(${item} ORDER BY ${order}) FROM ${from}), '[]')`;
  const named = (names: string, things: string, column: string) =>
    `${schema}.${names} n JOIN ${schema}.${things} t ON t.project = o.project AND t.${column} = n.${column} WHERE n.run = o.run`;
  return `SELECT o.run, o.project,
      ${list('json_build_array(r.writer, r.length, r.root)', `${schema}.received r WHERE r.run = o.run`, 'r.writer')} AS journals,
      ${list('json_build_array(t.sha256, t.size)', named('blob_names', 'blobs', 'sha256'), 't.sha256')} AS blobs,
      ${list('t.tree', named('tree_names', 'trees', 'tree'), 't.tree')} AS trees
    FROM ${schema}.owners o WHERE o.run = ANY($1)`;
}
