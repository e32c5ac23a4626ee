/** Journals of a space as they are received: kept as segments, checked against what is there, and put down for taking in. */
import type { ObjectStore } from '../blobs/object-store.ts';
import { BLOCK_BYTES } from '../journal/root.ts';
import { segmentName } from '../sync/bucket-keys.ts';
import { checkCall, refusedPiece, takenPiece } from '../sync/call.ts';
import { type Removals, readRemovals } from '../sync/folder-removals.ts';
import { faultOf } from '../sync/journal-check.ts';
import { extendFacts, type JournalFacts, NO_FACTS, treesOf } from '../sync/journal-facts.ts';
import { JournalHasher } from '../sync/journal-hash.ts';
import type { FolderFacts } from '../sync/run-book.ts';
import { codeOf, projectOf } from '../sync/run-summary.ts';
import {
  type JournalPiece,
  type JournalWant,
  MAX_BODY_BYTES,
  MAX_PIECES,
  type PieceResult,
  type ReadPiece,
} from '../sync/space.ts';
import { type Database, LOCK, lockNumber, type Session, schemaName } from './database.ts';
import { holdNames, PutObjects } from './put-objects.ts';
import { packSegment, unpackSegment } from './segments.ts';

/** A packed piece up to this size stays in the database: a request to S3 costs more than it does. */
const INLINE_BYTES = 64 * 1024;
/** Running hashes that are kept: of journals that are being appended to. */
const KEPT_HASHERS = 512;
/** Runs that are being appended to, of which it is kept what is known; not of those of which that is more than so much text. */
const KEPT_RUNS = 512;
const KEPT_TEXT = 64 * 1024;
/** About what one thing that a journal names takes. */
const NAMED_TEXT = 100;
/** Told where there is something to take in: `<space> <run>`. */
export const WORK_CHANNEL = 'waddle_work';

/** A journal as it is here. `id` null: it is not. */
interface Known {
  id: number | null;
  run: string;
  writer: string;
  announced: boolean;
  facts: JournalFacts;
}

/** Whole lines of a journal, packed; `object`: the key that it is kept by. */
interface Segment {
  at: number;
  length: number;
  body: Buffer;
  object: string | null;
}

/** What one journal gains. */
interface Growth {
  known: Known;
  facts: JournalFacts;
  segments: Segment[];
  /** The plain bytes of the segments. */
  fresh: { at: number; bytes: Uint8Array }[];
  hasher: JournalHasher;
}

/** All that is known of a run, as of a state of its row in `owners`, which every piece changes. */
interface KeptRun {
  state: string;
  journals: Known[];
}

/** What has just been received of a run, for whoever takes it in. */
export interface ReceivedPieces {
  run: string;
  /** As `work` has it: which time that it waits, and how often it has grown since. */
  since: string;
  version: number;
  pieces: { writer: string; at: number; bytes: Uint8Array }[];
}

export interface TeamJournalsOptions {
  database: Database;
  space: string;
  objects: ObjectStore;
  /** Told when it is durable, in place of all who listen: it is taken in here. */
  received?: ((received: ReceivedPieces) => void) | undefined;
}

export class TeamJournals {
  readonly #database: Database;
  readonly #space: string;
  readonly #objects: ObjectStore;
  readonly #received: TeamJournalsOptions['received'];
  readonly #growSql: string;
  readonly #hashers = new Map<string, JournalHasher>();
  /** The one that was written to last at the end. */
  readonly #runs = new Map<string, KeptRun>();

  constructor(options: TeamJournalsOptions) {
    this.#database = options.database;
    this.#space = options.space;
    this.#objects = options.objects;
    this.#received = options.received;
    this.#growSql = growSql(schemaName(options.space));
  }

  /** Durable when it resolves: in the database, the large ones as objects, and put down for taking in. */
  async write(pieces: readonly JournalPiece[]): Promise<PieceResult[]> {
    checkCall(pieces);
    const grown = await this.#grow(pieces);
    if (grown !== null) return grown;
    for (let tries = 0; ; tries += 1) {
      const plan = await this.#database.transaction(
        this.#space,
        (session) => this.#plan(session, pieces),
        'snapshot',
      );
      const put = new PutObjects(this.#objects);
      for (const growth of plan.growths) {
        for (const { object, body } of growth.segments) if (object !== null) await put.put(object, body);
      }
      if (plan.growths.length === 0 || (await this.#commit(plan, put))) return plan.results;
      // Somebody else brought something of the same journals meanwhile, or took an object away: look again.
      if (tries === 8) throw new Error('the journals change too fast');
    }
  }

  /**
   * What a live run brings again and again, in one statement: small pieces of journals of one run, which go on from where this
   * process left them and name nothing new. Null where it is not that, or somebody else has been at the run: nothing was done.
   */
  async #grow(pieces: readonly JournalPiece[]): Promise<PieceResult[] | null> {
    const run = pieces[0]?.run ?? null;
    const kept = run === null ? undefined : this.#runs.get(run);
    if (run === null || kept === undefined) return null;
    const growths = new Map<string, Growth>();
    const results: PieceResult[] = [];
    for (const piece of pieces) {
      const { writer, offset, before, bytes } = piece;
      const known = kept.journals.find((each) => each.writer === writer);
      if (piece.run !== run || known === undefined || bytes.length === 0 || faultOf(piece) !== null)
        return null;
      const growth = growths.get(writer);
      const facts = growth?.facts ?? known.facts;
      const hasher = growth?.hasher ?? this.#hashers.get(`${run}/${writer}`);
      if (offset !== facts.length || before !== facts.root) return null;
      if (hasher === undefined || hasher.length !== offset || hasher.root() !== before) return null;
      const next = growthOf(known, growth, hasher, piece);
      if (next === null || next.segments.some(({ object }) => object !== null)) return null;
      if (!namesTheSame(known.facts, next.facts)) return null;
      growths.set(writer, next);
      results.push(takenPiece(piece, next.facts));
    }
    const all = [...growths.values()];
    const segments = all.flatMap(({ known, segments }) =>
      segments.map((each) => ({ ...each, id: known.id })),
    );
    this.#runs.delete(run);
    const [row] = await this.#database.ask(this.#growSql, [
      LOCK.receive,
      lockNumber(this.#space, 'received', run),
      run,
      kept.state,
      all.map(({ known }) => known.id),
      all.map(({ facts }) => facts.length),
      all.map(({ facts }) => facts.root),
      all.map(({ facts }) => JSON.stringify(facts)),
      all.map((growth) => inlineBytes(growth)),
      segments.map(({ id }) => id),
      segments.map(({ at }) => at),
      segments.map(({ length }) => length),
      segments.map(({ body }) => body),
    ]);
    if (row === undefined) return null;
    if (Number(row.grown) !== all.length) throw new Error(`journals of ${run} are gone`);
    this.#keepHashers(all);
    const facts = new Map(all.map((growth) => [growth.known.writer, growth.facts]));
    const journals = kept.journals.map((each) => ({ ...each, facts: facts.get(each.writer) ?? each.facts }));
    this.#keepRun(run, { state: String(row.state), journals });
    this.#received?.({
      run,
      since: String(row.since),
      version: Number(row.version),
      pieces: pieces.map(({ writer, offset, bytes }) => ({ writer, at: offset, bytes })),
    });
    return results;
  }

  #keepHashers(growths: readonly Growth[]): void {
    for (const { known, hasher } of growths) {
      const name = `${known.run}/${known.writer}`;
      this.#hashers.delete(name);
      this.#hashers.set(name, hasher);
      const [oldest] = this.#hashers.keys();
      if (this.#hashers.size > KEPT_HASHERS && oldest !== undefined) this.#hashers.delete(oldest);
    }
  }

  #keepRun(run: string, kept: KeptRun): void {
    this.#runs.delete(run);
    let named = 0;
    for (const { facts } of kept.journals)
      named += facts.blobs.length + facts.kept.length + facts.blocks.length;
    if (named * NAMED_TEXT > KEPT_TEXT) return;
    this.#runs.set(run, kept);
    const [oldest] = this.#runs.keys();
    if (this.#runs.size > KEPT_RUNS && oldest !== undefined) this.#runs.delete(oldest);
  }

  async #plan(session: Session, pieces: readonly JournalPiece[]) {
    const faults = pieces.map((piece) => faultOf(piece));
    const runs = [
      ...new Set(pieces.flatMap(({ run }, index) => (faults[index] === null ? [run ?? ''] : []))),
    ];
    const known = await readKnown(session, [...runs, '']);
    const removals = removalsOf(known.get('') ?? []);
    const growths = new Map<string, Growth>();
    const results: PieceResult[] = [];
    for (const [index, piece] of pieces.entries()) {
      const fault = faults[index] ?? null;
      if (fault !== null) {
        results.push(refusedPiece(piece, 'journal-invalid', fault, NO_FACTS));
        continue;
      }
      if (piece.run !== null && removals.has(piece.run)) {
        results.push(refusedPiece(piece, 'run-removed', 'the run was removed there', NO_FACTS));
        continue;
      }
      results.push(await this.#planOne(session, piece, known.get(piece.run ?? '') ?? [], removals, growths));
    }
    const grown = [...growths.values()].filter(({ segments }) => segments.length > 0);
    return { results, growths: grown, runs: runsOf(grown, known), known };
  }

  async #planOne(
    session: Session,
    piece: JournalPiece,
    journals: readonly Known[],
    removals: Removals,
    growths: Map<string, Growth>,
  ): Promise<PieceResult> {
    const { run, writer, offset, bytes } = piece;
    const announced = run === null && piece.apply !== true && !removals.applied.has(writer);
    const key = `${run ?? ''}/${writer}/${announced}`;
    const found = journals.find((each) => each.writer === writer && each.announced === announced);
    const known = found ?? { id: null, run: run ?? '', writer, announced, facts: NO_FACTS };
    const growth = growths.get(key);
    const facts = growth?.facts ?? known.facts;
    if (offset > facts.length) {
      return refusedPiece(piece, 'journal-offset', `it goes on from ${facts.length}`, facts);
    }
    const fits =
      offset === facts.length
        ? piece.before === facts.root
        : await this.#agrees(session, known, piece, { facts, added: growth?.segments ?? [] });
    if (!fits) {
      const shared = Math.min(facts.length, offset + bytes.length);
      return refusedPiece(piece, 'journal-diverged', `the first ${shared} bytes there are others`, facts);
    }
    const fresh = bytes.subarray(facts.length - offset);
    if (fresh.length === 0) return takenPiece(piece, facts);
    const hasher = growth?.hasher ?? (await this.#hasher(session, known));
    const next = growthOf(known, growth, hasher, piece);
    if (next === null) {
      return refusedPiece(piece, 'hash-mismatch', 'its root is not that of its bytes', facts);
    }
    growths.set(key, next);
    return takenPiece(piece, next.facts);
  }

  /** Whether what a piece says of bytes that are here is true of them. */
  async #agrees(
    session: Session,
    known: Known,
    piece: JournalPiece,
    { facts, added }: { facts: JournalFacts; added: readonly Segment[] },
  ): Promise<boolean> {
    const start = piece.offset - (piece.offset % BLOCK_BYTES);
    const end = Math.min(facts.length, piece.offset + piece.bytes.length);
    const here = await this.#bytes(session, known, start, end);
    for (const { at, length, body } of added) place(here, start, at, unpackSegment(body, length));
    const before = here.subarray(0, piece.offset - start);
    if (hasherAt(facts, start).update(before).root() !== piece.before) return false;
    const shared = here.subarray(piece.offset - start);
    return shared.equals(piece.bytes.subarray(0, shared.length));
  }

  async #hasher(session: Session, known: Known): Promise<JournalHasher> {
    const kept = this.#hashers.get(`${known.run}/${known.writer}`);
    if (kept !== undefined && kept.length === known.facts.length && kept.root() === known.facts.root)
      return kept;
    const start = known.facts.length - (known.facts.length % BLOCK_BYTES);
    return hasherAt(known.facts, start).update(await this.#bytes(session, known, start, known.facts.length));
  }

  /** Plain bytes `from` … `to - 1` of a journal. */
  async #bytes(session: Session, { id, run, writer }: Known, from: number, to: number): Promise<Buffer> {
    const bytes = Buffer.alloc(Math.max(0, to - from));
    if (id === null || to <= from) return bytes;
    const rows = await session.rows(
      `SELECT at, length, body, object FROM segments
       WHERE received = $1 AND at < $3 AND at + length > $2 ORDER BY at`,
      [id, from, to],
    );
    for (const { at, length, body, object } of rows) {
      const packed = object === null ? (body as Buffer) : await this.#objects.get(String(object));
      if (packed === null) throw new Error(`a segment is gone: ${run}/${writer} at ${at}`);
      place(bytes, from, Number(at), unpackSegment(packed, Number(length)));
    }
    return bytes;
  }

  /** False where a journal is not as it was planned for. */
  async #commit(plan: Plan, put: PutObjects): Promise<boolean> {
    const { growths, runs } = plan;
    const done = await this.#database.transaction(this.#space, async (session) => {
      await holdNames(session, this.#space, 'shared');
      if (!(await put.hold(session))) return null;
      // In one order, so that two never wait for each other.
      const names = [...new Set(growths.map(({ known }) => lockNumber(this.#space, 'received', known.run)))];
      for (const name of names.sort((a, b) => a - b)) {
        await session.rows('SELECT pg_advisory_xact_lock($1, $2)', [LOCK.receive, name]);
      }
      const now = await session.rows(
        `SELECT r.run, r.writer, r.announced, r.length, r.root FROM unnest($1::text[], $2::text[], $3::bigint[])
           AS k (run, writer, announced) JOIN received r USING (run, writer, announced)`,
        keysOf(growths),
      );
      const same = (known: Known) => {
        const row = now.find(
          (each) =>
            each.run === known.run &&
            each.writer === known.writer &&
            each.announced === Number(known.announced),
        );
        const { length, root } = row ?? NO_FACTS;
        return length === known.facts.length && root === known.facts.root;
      };
      if (!growths.every(({ known }) => same(known))) return null;
      const inserted = await this.#insert(session, growths);
      return { ...inserted, states: await noteRuns(session, runs) };
    });
    if (done === null) return false;
    this.#keepHashers(growths);
    // A run may be removed from now on.
    if (growths.some(({ known }) => known.run === '')) this.#runs.clear();
    for (const [run, state] of done.states) {
      const journals = new Map((plan.known.get(run) ?? []).map((each) => [each.writer, each]));
      for (const { known, facts } of growths) {
        if (known.run === run)
          journals.set(known.writer, { ...known, facts, id: done.ids.get(nameOf(known)) ?? null });
      }
      this.#keepRun(run, { state, journals: [...journals.values()] });
    }
    for (const { run, since, version } of done.waiting) {
      const pieces = growths.flatMap(({ known, fresh }) =>
        known.run === run ? fresh.map((piece) => ({ writer: known.writer, ...piece })) : [],
      );
      this.#received?.({ run, since, version, pieces });
    }
    return true;
  }

  async #insert(session: Session, growths: readonly Growth[]): Promise<Inserted> {
    const ids = await session.rows(
      `INSERT INTO received (run, writer, announced, length, root, facts, inline)
       SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::text[], $6::text[], $7::bigint[])
       ON CONFLICT (run, writer, announced) DO UPDATE SET length = excluded.length, root = excluded.root,
         facts = excluded.facts, inline = received.inline + excluded.inline, grown_at = now()
       RETURNING id, run, writer, announced`,
      [
        ...keysOf(growths),
        growths.map(({ facts }) => facts.length),
        growths.map(({ facts }) => facts.root),
        growths.map(({ facts }) => JSON.stringify(facts)),
        growths.map((growth) => inlineBytes(growth)),
      ],
    );
    const byName = new Map(ids.map((row) => [`${row.run}/${row.writer}/${row.announced}`, Number(row.id)]));
    const segments = growths.flatMap(({ known, segments: all }) => {
      const id = byName.get(nameOf(known));
      return all.map((segment) => ({ ...segment, id }));
    });
    await session.change(
      `INSERT INTO segments (received, at, length, body, object)
       SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bytea[], $5::text[])`,
      [
        segments.map(({ id }) => id),
        segments.map(({ at }) => at),
        segments.map(({ length }) => length),
        segments.map(({ object, body }) => (object === null ? body : null)),
        segments.map(({ object }) => object),
      ],
    );
    const applied = growths
      .filter(({ known }) => known.run === '' && !known.announced)
      .map(({ known }) => known.writer);
    if (applied.length > 0) {
      // What was only told is told by the one that is applied.
      await session.change(
        `WITH gone AS (DELETE FROM received WHERE run = '' AND announced = 1 AND writer = ANY($1) RETURNING id)
         DELETE FROM segments WHERE received IN (SELECT id FROM gone)`,
        [applied],
      );
    }
    const waiting = [
      ...new Set(growths.filter(({ known }) => !known.announced).map(({ known }) => known.run)),
    ];
    if (waiting.length === 0) return { ids: byName, waiting: [] };
    const rows = await session.prepared(
      `INSERT INTO work (run) SELECT run FROM unnest($1::text[]) AS k (run) ORDER BY run
       ON CONFLICT (run) DO UPDATE SET version = work.version + 1, retry_at = now() RETURNING run, since::text, version`,
      [waiting],
    );
    if (this.#received === undefined) {
      await session.rows('SELECT pg_notify($1, $2)', [WORK_CHANNEL, this.#space]);
    }
    return {
      ids: byName,
      waiting: rows.map((row) => ({
        run: String(row.run),
        since: String(row.since),
        version: Number(row.version),
      })),
    };
  }

  /** Whole lines, as many as fit; a line that alone is longer than a call may carry gives a piece without bytes. */
  async read(session: Session, wants: readonly JournalWant[]): Promise<ReadPiece[]> {
    const pieces: ReadPiece[] = [];
    const known = await readKnown(session, [...new Set(wants.map(({ run }) => run ?? ''))]);
    let room = MAX_BODY_BYTES;
    for (const { run, writer, offset } of wants.slice(0, MAX_PIECES)) {
      const journals = (known.get(run ?? '') ?? []).filter(
        (each) => each.writer === writer && (run !== null || each.facts.travels),
      );
      const journal = journals.find((each) => !each.announced) ?? journals[0];
      if (journal === undefined || offset < 0 || offset >= journal.facts.length) continue;
      const { length, root } = journal.facts;
      const start = offset - (offset % BLOCK_BYTES);
      const read = await this.#bytes(session, journal, start, Math.min(length, offset + room));
      const bytes = read.subarray(offset - start, read.lastIndexOf(10) + 1);
      if (bytes.length === 0 && room < MAX_BODY_BYTES) break;
      const hasher = hasherAt(journal.facts, start).update(read.subarray(0, offset - start));
      const before = hasher.root();
      pieces.push({ run, writer, offset, before, after: hasher.update(bytes).root(), length, root, bytes });
      room -= bytes.length;
      if (room <= 0 || offset + bytes.length < length) break;
    }
    return pieces;
  }
}

interface Plan {
  results: PieceResult[];
  growths: Growth[];
  runs: RunFacts[];
  known: ReadonlyMap<string, Known[]>;
}

interface Inserted {
  /** Numbers of the journals, by `nameOf`. */
  ids: ReadonlyMap<string, number>;
  waiting: { run: string; since: string; version: number }[];
}

function nameOf({ run, writer, announced }: Known): string {
  return `${run}/${writer}/${Number(announced)}`;
}

function inlineBytes({ segments }: Growth): number {
  return segments.reduce((sum, { object, body }) => sum + (object === null ? body.length : 0), 0);
}

/** A journal with what a piece has that it lacks; null where the piece's root is another. `hasher` stands at its end. */
function growthOf(
  known: Known,
  before: Growth | undefined,
  hasher: JournalHasher,
  piece: JournalPiece,
): Growth | null {
  const { run, writer, offset, bytes } = piece;
  const facts = before?.facts ?? known.facts;
  const fresh = bytes.subarray(facts.length - offset);
  const grown = hasher.copy().update(fresh);
  if (grown.root() !== piece.root) return null;
  const body = packSegment(fresh);
  const folder =
    run === null ? `${known.announced ? 'announced' : 'project'}/${writer}` : `runs/${run}/j/${writer}`;
  const name = `${folder}/${segmentName(facts.length, fresh.length, piece.root)}`;
  const object = body.length > INLINE_BYTES ? name : null;
  return {
    known,
    facts: extendFacts(facts, grown, {
      bytes: fresh,
      others: fresh.length === bytes.length ? piece.others : undefined,
    }),
    segments: [...(before?.segments ?? []), { at: facts.length, length: fresh.length, body, object }],
    fresh: [...(before?.fresh ?? []), { at: facts.length, bytes: fresh }],
    hasher: grown,
  };
}

/** Whether the run is of the same project, and names the same blobs and code, with these facts as with those before. */
function namesTheSame(before: JournalFacts, now: JournalFacts): boolean {
  return (
    now.blobs.length === before.blobs.length &&
    now.code.length === before.code.length &&
    now.kept.length === before.kept.length
  );
}

/**
 * Appends to journals of one run that is as it was left ("state"), and not removed; gives no row where it is not. The lock comes
 * first, as for all who write journals of the run; what is written is judged by the rows as they are then.
 */
function growSql(schema: string): string {
  return `WITH locked AS MATERIALIZED (SELECT pg_advisory_xact_lock($1, $2)),
    own AS (
      UPDATE ${schema}.owners o SET digest = NULL FROM locked
      WHERE o.run = $3 AND o.xmin::text = $4
        AND NOT EXISTS (SELECT 1 FROM ${schema}.tombstones t WHERE t.run = $3 AND t.removed = 1)
      RETURNING o.xmin::text AS state
    ), grown AS (
      UPDATE ${schema}.received r SET length = k.length, root = k.root, facts = k.facts, inline = r.inline + k.inline,
        grown_at = now()
      FROM own, unnest($5::bigint[], $6::bigint[], $7::text[], $8::text[], $9::bigint[]) AS k (id, length, root, facts, inline)
      WHERE r.id = k.id RETURNING r.id
    ), kept AS (
      INSERT INTO ${schema}.segments (received, at, length, body)
      SELECT k.id, k.at, k.length, k.body
      FROM grown JOIN unnest($10::bigint[], $11::bigint[], $12::bigint[], $13::bytea[]) AS k (id, at, length, body) USING (id)
    ), waiting AS (
      INSERT INTO ${schema}.work AS w (run) SELECT $3 FROM own
      ON CONFLICT (run) DO UPDATE SET version = w.version + 1, retry_at = now() RETURNING since::text, version
    )
    SELECT own.state, waiting.since, waiting.version, (SELECT count(*) FROM grown) AS grown FROM own, waiting`;
}

/** Puts what of a segment at `at` lies in bytes that begin at `from`. */
function place(bytes: Buffer, from: number, at: number, plain: Buffer): void {
  if (at + plain.length <= from || at >= from + bytes.length) return;
  plain.copy(bytes, Math.max(0, at - from), Math.max(0, from - at));
}

/** After the full blocks before `start`, which is one's beginning. */
function hasherAt(facts: JournalFacts, start: number): JournalHasher {
  return JournalHasher.from(facts.blocks.slice(0, start / BLOCK_BYTES).map((hex) => Buffer.from(hex, 'hex')));
}

function keysOf(growths: readonly Growth[]): [string[], string[], number[]] {
  return [
    growths.map(({ known }) => known.run),
    growths.map(({ known }) => known.writer),
    growths.map(({ known }) => Number(known.announced)),
  ];
}

/** The journals of these runs ('' are the project's own). */
export async function readKnown(session: Session, runs: readonly string[]): Promise<Map<string, Known[]>> {
  const rows = await session.rows(
    'SELECT id, run, writer, announced, facts FROM received WHERE run = ANY($1) ORDER BY run, writer',
    [runs],
  );
  const known = new Map<string, Known[]>();
  for (const row of rows) {
    const journal: Known = {
      id: Number(row.id),
      run: String(row.run),
      writer: String(row.writer),
      announced: row.announced === 1,
      facts: JSON.parse(String(row.facts)) as JournalFacts,
    };
    known.set(journal.run, [...(known.get(journal.run) ?? []), journal]);
  }
  return known;
}

/** As the tools of sync take it. */
export function factsOf(
  journals: readonly { writer: string; facts: JournalFacts }[],
): Pick<FolderFacts, 'journals'> {
  return {
    journals: new Map(
      journals.map(({ writer, facts }) => [writer, { path: '', sealed: false, stamp: '', facts }]),
    ),
  };
}

export function removalsOf(journals: readonly Known[]): Removals {
  return readRemovals({
    project: (kind) => factsOf(journals.filter(({ announced }) => announced === (kind === 'announced'))),
  });
}

/** What the journals of a run, as they will be, say that is looked up elsewhere. */
interface RunFacts {
  run: string;
  project: string;
  blobs: { sha256: string; size: number | null }[];
  trees: string[];
}

function runsOf(growths: readonly Growth[], known: ReadonlyMap<string, Known[]>): RunFacts[] {
  const found: RunFacts[] = [];
  for (const [run, grown] of Map.groupBy(growths, (growth) => growth.known.run)) {
    if (run === '') continue;
    const journals = new Map((known.get(run) ?? []).map((each) => [each.writer, each.facts]));
    for (const growth of grown) journals.set(growth.known.writer, growth.facts);
    const facts = factsOf([...journals].map(([writer, each]) => ({ writer, facts: each })));
    const named = [...journals.values()].flatMap(({ blobs }) => blobs);
    found.push({
      run,
      project: projectOf(facts),
      blobs: named.map(({ sha256, size, folder }) => ({ sha256, size: folder ? null : size })),
      trees: treesOf(codeOf(facts)),
    });
  }
  return found;
}

/** @returns of each run the state of its row in `owners` */
async function noteRuns(session: Session, runs: readonly RunFacts[]): Promise<Map<string, string>> {
  if (runs.length === 0) return new Map();
  const owners = await session.prepared(
    `INSERT INTO owners (run, project) SELECT * FROM unnest($1::text[], $2::text[])
     ON CONFLICT (run) DO UPDATE SET project = excluded.project, digest = NULL RETURNING run, xmin::text AS state`,
    [runs.map(({ run }) => run), runs.map(({ project }) => project)],
  );
  const blobs = runs.flatMap(({ run, blobs: all }) => all.map((blob) => ({ run, ...blob })));
  if (blobs.length > 0) {
    await session.change(
      `INSERT INTO blob_names (run, sha256, size) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
       ON CONFLICT DO NOTHING`,
      [blobs.map(({ run }) => run), blobs.map(({ sha256 }) => sha256), blobs.map(({ size }) => size)],
    );
  }
  const trees = runs.flatMap(({ run, trees: all }) => all.map((tree) => ({ run, tree })));
  if (trees.length > 0) {
    await session.change(
      'INSERT INTO tree_names (run, tree) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING',
      [trees.map(({ run }) => run), trees.map(({ tree }) => tree)],
    );
  }
  return new Map(owners.map((row) => [String(row.run), String(row.state)]));
}
