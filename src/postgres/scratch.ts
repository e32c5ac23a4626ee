/**
 * One run (or the project's own journals) in a store in memory, so that the applier, which knows what events mean, can do
 * its work there; what it changed goes to PostgreSQL. It numbers runs, series, journals and artifacts for itself.
 */
import type { SQLInputValue } from 'node:sqlite';
import { setImmediate } from 'node:timers/promises';
import { Applier, type Batch } from '../store/apply.ts';
import type { ReaderClock } from '../store/journal-state.ts';
import { openStore, type Store } from '../store/open.ts';
import type { SampleSink } from '../store/sample-tables.ts';
import { type SeriesState, TOP_LEVEL } from '../store/series.ts';
import { type RowChange, readChangeset } from './changeset.ts';
import { blockOf, ChunkWriter } from './chunks.ts';
import { shortKey } from './clean-event.ts';
import type { Row, Session } from './database.ts';
import { decodeOpen, encodeOpen } from './open-buckets.ts';

/** The run's number in its scratch. */
const LOCAL_RUN = 1;
/** Revisions in a scratch begin here: what bears one is of the present transaction, and gets the space's. */
export const LOCAL_REVISIONS = 2 ** 52;

interface Column {
  name: string;
  type: string;
  /** Place in the primary key, from 1; 0 where it is not in it. */
  key: number;
}

/** Tables of a run that the applier reads, in the order in which they are filled. */
const OF_RUN = [
  'params',
  'param_leaves',
  'tags',
  'tag_facts',
  'edits',
  'series',
  'metric_summaries',
  'attempts',
  'kept_events',
  'snapshots',
  'environments',
  'journals',
  'run_texts',
] as const;
/** Tables that it only adds to: emptied after each transaction. */
const APPENDED = ['artifacts', 'console', 'warnings', 'broken_lines', 'changes', 'console_changes'] as const;
/** What is the scratch's alone, or written otherwise. */
const NOT_SAVED: ReadonlySet<string> = new Set(['meta', 'folders', 'leases', 'samples', 'rollups']);

/** Of rows that change with each piece, all columns that have changed once: of each table few different statements come of it. */
const CHANGED: Record<string, Set<string>> = {
  series: new Set(),
  metric_summaries: new Set(),
  journals: new Set(),
};

/** Numbers of the scratch, and those of the database. */
const NUMBERED = { series: 'id', journals: 'id', artifacts: 'id' } as const;
type Numbered = keyof typeof NUMBERED;
const SEQUENCES: Record<Numbered, string> = {
  series: 'series_ids',
  journals: 'journal_ids',
  artifacts: 'artifact_ids',
};
/** Columns that name a numbered thing elsewhere. */
const REFERENCES: Record<string, Record<string, Numbered>> = {
  console: { journal: 'journals' },
  broken_lines: { journal: 'journals' },
  changes: { series: 'series' },
};

/** What is to become of a table. Rows and keys are as the database has them. */
export interface TableChange {
  table: string;
  key: string[];
  /** Columns of the new rows. */
  columns: string[];
  fresh: Row[];
  /** Columns that changed, in any of the changed rows, which hold these and the key. */
  changedColumns: string[];
  changed: Row[];
  gone: Row[];
}

export interface ScratchChanges {
  /** `revision` and `status_revision` of what is of this transaction are the scratch's (above `LOCAL_REVISIONS`). */
  tables: TableChange[];
  /** The greatest Lamport clock seen; 0 where none was. */
  clock: number;
}

export interface Taken {
  lines: number;
  samples: number;
}

export class Scratch {
  /** Null for the project's own journals. */
  readonly run: string | null;
  /** The run's number in the database; 0 for the project's own journals. */
  readonly num: number;
  readonly store: Store;
  readonly chunks = new ChunkWriter();
  /** `runs.revision` in the database as of which the scratch holds all of the run; -1 where nobody may rely on it. */
  version = -1;
  /** The clock that the database has been told. */
  toldClock = 0;
  readonly #applier: Applier;
  readonly #columns = new Map<string, Column[]>();
  readonly #ids: Record<Numbered, Map<number, number>> = {
    series: new Map(),
    journals: new Map(),
    artifacts: new Map(),
  };
  /** Open buckets of a series, as they are kept. */
  readonly #open = new Map<number, Buffer>();
  readonly #grown = new Set<SeriesState>();

  constructor(run: string | null, num: number, clock: ReaderClock) {
    this.run = run;
    this.num = num;
    this.store = openStore(':memory:');
    this.store.db.exec(`UPDATE meta SET value = ${LOCAL_REVISIONS} WHERE key = 'revision'`);
    this.#applier = new Applier(this.store, { clock, sink: this.#sink() });
  }

  #sink(): SampleSink {
    return {
      sample: (series, seq, step, dt, value) => {
        if (series.count === seq) this.#grown.add(series);
        this.chunks.sample(series.id, seq, step, dt, value);
      },
      bucket: (series, level, bucket) => this.chunks.bucket(series, level, bucket),
      restore: (series) => {
        series.open = decodeOpen(this.#open.get(series.id));
      },
    };
  }

  close(): void {
    this.store.close();
  }

  /** Series that are held, for whoever bounds memory. */
  get weight(): number {
    return 20 + this.#open.size;
  }

  /** Journals by writer and how far each has been taken in. */
  offsets(): Map<string, number> {
    const rows = this.store.prepare('SELECT writer, "offset" AS at FROM journals').all();
    return new Map(rows.map((row) => [String(row.writer), Number(row.at)]));
  }

  /** Names of the run's attempts, as far as its journals have told. */
  attempts(): string[] {
    const rows = this.store
      .prepare("SELECT attempt FROM attempts UNION SELECT coalesce(attempt, '') FROM journals")
      .all();
    return ['', ...rows.map((row) => String(row.attempt))];
  }

  /** Fills it with all that the database has of the run, but for samples and lines. Once, while it is new. */
  async load(session: Session): Promise<void> {
    const { num } = this;
    if (this.run === null) {
      await this.#fill(session, 'journals', 'SELECT * FROM journals WHERE run = 0');
      await this.#fill(session, 'tombstones', 'SELECT * FROM tombstones');
      await this.#fill(session, 'links', 'SELECT * FROM links');
      return;
    }
    await this.#fill(session, 'tombstones', 'SELECT * FROM tombstones WHERE run = $1', this.run);
    const known = await this.#fill(session, 'runs', 'SELECT * FROM runs WHERE num = $1', num);
    if (known.length === 0) return;
    const parts = OF_RUN.map(
      (table) => `SELECT '${table}' AS t, to_json(x) AS r FROM ${table} x WHERE run = $1`,
    );
    const rows = await session.rows(parts.join(' UNION ALL '), [num]);
    for (const table of OF_RUN) {
      this.#insert(
        table,
        rows.filter((row) => row.t === table).map((row) => row.r as Row),
      );
    }
    if (this.#ids.series.size === 0) return;
    const local = new Map([...this.#ids.series].map(([own, id]) => [id, own]));
    const tails = await session.rows(TAILS, [num]);
    for (const row of tails) {
      this.chunks.knows(
        local.get(Number(row.series)) ?? 0,
        Number(row.level),
        Number(row.seq0),
        Number(row.count),
      );
    }
  }

  async #fill(session: Session, table: string, sql: string, ...values: unknown[]): Promise<Row[]> {
    const rows = await session.rows(`SELECT to_json(x) AS r FROM (${sql}) x`, values);
    const found = rows.map((row) => row.r as Row);
    this.#insert(table, found);
    return found;
  }

  #insert(table: string, rows: readonly Row[]): void {
    if (rows.length === 0) return;
    const columns = this.#columnsOf(table);
    const insert = this.store.prepare(
      `INSERT INTO ${table} (${columns.map(({ name }) => `"${name}"`).join(', ')})
       VALUES (${columns.map(() => '?').join(', ')})`,
    );
    const numbered = table in NUMBERED ? this.#ids[table as Numbered] : undefined;
    this.store.db.exec('BEGIN');
    for (const row of rows) {
      const own = numbered === undefined ? 0 : numbered.size + 1;
      numbered?.set(own, Number(row.id));
      if (table === 'series' && typeof row.open === 'string') {
        this.#open.set(own, Buffer.from(row.open.slice(2), 'hex'));
      }
      insert.run(...columns.map((column) => this.#localValue(table, column, row, own)));
    }
    this.store.db.exec('COMMIT');
  }

  #localValue(table: string, { name, type }: Column, row: Row, own: number): SQLInputValue {
    const value = row[name];
    if (own > 0 && name === 'id') return own;
    if ((name === 'num' && table === 'runs') || (name === 'run' && type === 'INTEGER')) {
      return this.run === null ? 0 : LOCAL_RUN;
    }
    if (value === null || value === undefined) return null;
    if (type === 'REAL') return Number(value);
    if (type === 'BLOB') return Buffer.from(String(value).slice(2), 'hex');
    return value as SQLInputValue;
  }

  #columnsOf(table: string): Column[] {
    let columns = this.#columns.get(table);
    if (columns === undefined) {
      columns = this.store.db
        .prepare(`PRAGMA table_info("${table}")`)
        .all()
        .map((row) => ({ name: String(row.name), type: String(row.type), key: Number(row.pk) }));
      this.#columns.set(table, columns);
    }
    return columns;
  }

  /** Lines of the console that the database has and that lines to come may replace. */
  takeConsole(rows: readonly Row[]): void {
    const local = new Map([...this.#ids.journals].map(([own, id]) => [id, own]));
    const columns = this.#columnsOf('console');
    const insert = this.store.prepare(
      `INSERT OR IGNORE INTO console (${columns.map(({ name }) => `"${name}"`).join(', ')})
       VALUES (${columns.map(() => '?').join(', ')})`,
    );
    for (const row of rows) {
      const journal = local.get(Number(row.journal)) ?? 0;
      insert.run(...columns.map((column) => this.#localValue('console', column, { ...row, journal }, 0)));
    }
  }

  /**
   * Applies piece by piece, with a pause after each for whoever else has something to do, and tells what all of it changed. Ids of new rows are taken from the database, so the
   * rows can be written as they are. Where the caller's transaction fails, the scratch is of no use any more.
   */
  async apply(
    session: Session,
    works: readonly ((batch: Batch) => void)[],
  ): Promise<{ taken: Taken; changes: ScratchChanges }> {
    const watch = this.store.db.createSession();
    const taken: Taken = { lines: 0, samples: 0 };
    let changed = false;
    let found: RowChange[];
    try {
      for (const [index, work] of works.entries()) {
        if (index > 0) await setImmediate();
        const applied = this.#applier.transact(work);
        taken.lines += applied.lines;
        taken.samples += applied.samples;
        changed ||= applied.revision !== null;
      }
      found = readChangeset(watch.changeset());
    } finally {
      watch.close();
    }
    const clock = Number(this.store.meta('clock') ?? 0);
    if (!changed) return { taken, changes: { tables: [], clock: 0 } };
    const tables = Map.groupBy(
      found.filter(({ table }) => !NOT_SAVED.has(table)),
      ({ table }) => table,
    );
    await this.#number(session, tables);
    const changes = [...tables].map(([table, rows]) => this.#tableChange(table, rows));
    this.#keepOpen(changes);
    return { taken, changes: { tables: changes, clock } };
  }

  /** Takes ids for what is new. */
  async #number(session: Session, tables: ReadonlyMap<string, RowChange[]>): Promise<void> {
    for (const table of Object.keys(NUMBERED) as Numbered[]) {
      const known = this.#ids[table];
      const fresh = (tables.get(table) ?? [])
        .filter(({ how, key }) => how === 'new' && !known.has(Number(key[0])))
        .map(({ key }) => Number(key[0]));
      if (fresh.length === 0) continue;
      const rows = await session.rows('SELECT nextval($1::regclass) AS id FROM generate_series(1, $2)', [
        SEQUENCES[table],
        fresh.length,
      ]);
      for (const [index, own] of fresh.sort((a, b) => a - b).entries())
        known.set(own, Number(rows[index]?.id));
    }
  }

  #tableChange(table: string, rows: readonly RowChange[]): TableChange {
    const columns = this.#columnsOf(table);
    // A changeset gives a key in the order of the table's columns.
    const key = columns.filter((column) => column.key > 0);
    const changed = new Set(rows.flatMap((row) => row.columns));
    const before = CHANGED[table];
    for (const place of changed) before?.add(columns[place]?.name ?? '');
    const changedColumns = columns.filter(
      ({ name }, place) => changed.has(place) || before?.has(name) === true,
    );
    const names = (list: readonly Column[]) => list.map(({ name }) => name);
    const read = (which: RowChange['how'], wanted: readonly Column[]): Row[] => {
      const some = rows.filter(({ how }) => how === which);
      if (some.length === 0) return [];
      const select = this.store.prepare(
        `SELECT ${quoted(names(wanted))} FROM ${table} WHERE ${key.map(({ name }) => `"${name}" = ?`).join(' AND ')}`,
      );
      return some.flatMap((each) => {
        const row = select.get(...each.key);
        return row === undefined ? [] : [this.#databaseRow(table, wanted, row)];
      });
    };
    // What was appended earlier and is pruned here has long been told.
    const pruned = (APPENDED as readonly string[]).includes(table);
    return {
      table,
      key: names(key),
      columns: names(columns),
      fresh: read('new', columns),
      changedColumns: names(changedColumns),
      changed: read('changed', [...key, ...changedColumns]),
      gone: pruned
        ? []
        : rows
            .filter(({ how }) => how === 'gone')
            .map((each) => {
              const row = Object.fromEntries(key.map(({ name }, index) => [name, each.key[index] ?? null]));
              return this.#databaseRow(table, key, row);
            }),
    };
  }

  #databaseRow(table: string, columns: readonly Column[], row: Record<string, unknown>): Row {
    const found: Row = {};
    for (const { name, type } of columns) {
      const value = row[name];
      const reference = REFERENCES[table]?.[name];
      if (table in NUMBERED && name === 'id') found[name] = this.#ids[table as Numbered].get(Number(value));
      else if (reference !== undefined) found[name] = this.#ids[reference].get(Number(value));
      else if ((name === 'num' && table === 'runs') || (name === 'run' && type === 'INTEGER'))
        found[name] = this.num;
      else if (typeof value === 'string')
        found[name] = table === 'param_leaves' ? leafText(name, value) : whole(value);
      else if (typeof value === 'number' && !Number.isFinite(value)) found[name] = String(value);
      else if (value instanceof Uint8Array) found[name] = `\\x${Buffer.from(value).toString('hex')}`;
      else found[name] = value;
    }
    return found;
  }

  /** Adds the open buckets to the rows of series that grew. */
  #keepOpen(changes: readonly TableChange[]): void {
    const grown = new Map<number | undefined, Buffer>();
    for (const series of this.#grown) {
      const open = encodeOpen(series.open);
      this.#open.set(series.id, open);
      grown.set(this.idOf(series.id), open);
    }
    this.#grown.clear();
    const change = changes.find(({ table }) => table === 'series');
    if (change === undefined) return;
    change.columns.push('open');
    change.changedColumns.push('open');
    for (const row of [...change.fresh, ...change.changed]) {
      const open = grown.get(Number(row.id));
      if (open === undefined) throw new Error(`a series changed that has not grown: ${row.id}`);
      row.open = `\\x${open.toString('hex')}`;
    }
  }

  /** A series' id in the database. */
  idOf(series: number): number {
    const id = this.#ids.series.get(series);
    if (id === undefined) throw new Error(`a series without an id: ${series}`);
    return id;
  }

  /** After its changes are in the database, at this revision: forgets what is only added to. */
  settle(revision: number): void {
    const { db } = this.store;
    db.exec('BEGIN');
    for (const table of APPENDED) db.exec(`DELETE FROM ${table}`);
    this.store
      .prepare(
        `UPDATE runs SET revision = ?, status_revision = CASE WHEN status_revision > ${LOCAL_REVISIONS} THEN ?
         ELSE status_revision END`,
      )
      .run(revision, revision);
    db.exec('COMMIT');
    for (const [own] of this.#ids.artifacts) this.#ids.artifacts.delete(own);
    this.version = revision;
  }
}

/** PostgreSQL's texts hold no NUL. Those of keys are gone already (clean-event.ts). */
function whole(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text;
}

/** The key of a leaf is made of many names. */
function leafText(name: string, text: string): string {
  return name === 'key' || name === 'param' ? shortKey(whole(text)) : whole(text);
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

/** Chunks of the blocks that are being filled. */
const TAILS = `SELECT s.id AS series, 0 AS level, c.seq0, c.count FROM series s
  JOIN sample_chunks c ON c.series = s.id AND c.seq0 >= s.count / ${blockOf(0)} * ${blockOf(0)} WHERE s.run = $1
  UNION ALL
  SELECT s.id, c.level, c.seq0, c.count FROM series s
  CROSS JOIN (VALUES ${Array.from({ length: TOP_LEVEL }, (_, index) => `(${index + 1}, ${blockOf(index + 1)}::bigint)`).join(', ')}) AS l (level, block)
  JOIN rollup_chunks c ON c.series = s.id AND c.level = l.level AND c.seq0 >= s.count / l.block * l.block WHERE s.run = $1
  ORDER BY series, level, seq0`;
