/**
 * The plain stream, read from the database: what is new after a cursor, as frames in a fixed order, a piece at a time. The
 * database is the buffer: a slow client costs nothing but its cursor.
 */
import { encodeNumber, parseExactJson, stringifyExactJson } from '../../events/line.ts';
import type { GapFrame, MetricFrame, ParamFrame, StatusFrame, TagFrame } from '../../protocol/api.ts';
import { readConsistently } from '../../query/consistent-read.ts';
import type { Store } from '../../store/open.ts';
import { MAX_SEQ } from '../../store/schema.ts';
import {
  type Cursor,
  comparePlaces,
  cursorAt,
  formatCursor,
  PHASES,
  type Phase,
  type Place,
  START,
} from './cursor.ts';

/** A frame as text, and what it is about, for those who asked for less than everything. */
interface ReadyFrame {
  run: string;
  /** Null of a status. */
  key: string | null;
  text: string;
}

export interface Piece {
  frames: ReadyFrame[];
  /** Stands after these frames. */
  next: Cursor;
  /** There is more right now. */
  more: boolean;
}

/** What a client asked for; undefined is all. */
export interface Wanted {
  runs?: ReadonlySet<string> | undefined;
  keys?: KeySet | undefined;
}

export class KeySet {
  readonly #exact = new Set<string>();
  readonly #prefixes: string[] = [];

  constructor(keys: readonly string[]) {
    for (const key of keys) {
      this.#exact.add(key);
      if (key.endsWith('*')) this.#prefixes.push(key.slice(0, -1));
    }
  }

  has(key: string): boolean {
    return this.#exact.has(key) || this.#prefixes.some((prefix) => key.startsWith(prefix));
  }
}

export function isWanted({ runs, keys }: Wanted, run: string, key: string | null): boolean {
  if (runs !== undefined && !runs.has(run)) return false;
  return key === null || keys === undefined || keys.has(key);
}

/** What comes before a frame's cursor: the order, and the run. */
interface Meta {
  revision: number;
  place: Place;
  run: string;
  key: string | null;
  /** The frame but for its cursor. */
  fields: Omit<StatusFrame, 'cursor'> | Omit<ParamFrame, 'cursor'> | Omit<TagFrame, 'cursor'>;
}

/** Where the stream stands now. */
export function nowCursor(store: Store): Cursor {
  return cursorAt(store.epoch, store.revision);
}

/** The beginning of all that there is now. */
export function beginning(store: Store): Cursor {
  return { epoch: store.epoch, revision: store.revision, place: START, history: true };
}

/** The gap that lies before a cursor's future, where what came after it can no longer be told. */
export function gapAfter(store: Store, cursor: Cursor): GapFrame | undefined {
  const other = cursor.epoch !== store.epoch || cursor.revision > store.revision;
  const had = cursor.place === null || cursor.history ? cursor.revision : cursor.revision - 1;
  if (!other && had >= Number(store.meta('changes_from') ?? 0)) return undefined;
  return {
    type: 'gap',
    reason: other ? 'other-store' : 'too-old',
    since: formatCursor(cursor),
    cursor: formatCursor(nowCursor(store)),
  };
}

/** The next frames after a cursor without gap: at most about `limit` of them, of every run and key. */
export function readAfter(store: Store, cursor: Cursor, limit: number): Piece {
  return readConsistently(store.db, () => {
    const now = store.revision;
    const from = cursor.place === null ? cursor.revision + 1 : cursor.revision;
    if (from > now) return { frames: [], next: cursorAt(store.epoch, now), more: false };
    const isDone = (revision: number, place: Place) =>
      cursor.place !== null && revision === cursor.revision && comparePlaces(place, cursor.place) <= 0;
    const metas = readMetas(store, from - 1, now).filter((meta) => !isDone(meta.revision, meta.place));
    const { place } = cursor;
    const started = place === null || place.phase < PHASES.sample ? 0 : place.a;
    const ended = place !== null && place.phase > PHASES.sample;
    const changes = store
      .prepare(
        `SELECT c.revision, c.series, c.seq0, c.seq1, s.key, s.t0, r.id AS run FROM changes c
         JOIN series s ON s.id = c.series JOIN runs r ON r.num = s.run
         WHERE (c.revision, c.series) >= (?, ?) AND r.removed = 0 ORDER BY c.revision, c.series LIMIT ?`,
      )
      .all(ended ? from + 1 : from, ended ? 0 : started, limit + 1);
    // What lies behind the last change that was read is for the next piece.
    const lastRead = changes.length > limit ? Number(changes.at(-1)?.revision) : Number.POSITIVE_INFINITY;

    const out = new FrameWriter(store.epoch, false);
    let at = 0;
    const flushMetas = (revision: number, before: Phase): boolean => {
      for (; at < metas.length; at++) {
        const meta = metas[at];
        if (meta === undefined || meta.revision > revision) return true;
        if (meta.revision === revision && meta.place.phase > before) return true;
        if (out.frames.length >= limit) return false;
        out.meta(meta.revision, meta);
      }
      return true;
    };
    for (const change of changes) {
      const revision = Number(change.revision);
      if (!flushMetas(revision, PHASES.tag)) return out.piece(true);
      const series = Number(change.series);
      const done = isDone(revision, { phase: PHASES.sample, a: series, b: Number(change.seq1) });
      if (done) continue;
      const resumed =
        cursor.place?.phase === PHASES.sample && cursor.revision === revision && cursor.place.a === series
          ? Number(cursor.place.b) + 1
          : Number(change.seq0);
      const room = limit - out.frames.length;
      const last = Math.min(Number(change.seq1), resumed + room - 1);
      if (room > 0) out.samples(store, { ...change, revision, series, from: resumed, to: last });
      if (last < Number(change.seq1) || room <= 0) return out.piece(true);
    }
    if (lastRead !== Number.POSITIVE_INFINITY) return out.piece(true);
    if (!flushMetas(now, PHASES.ended)) return out.piece(true);
    return { frames: out.frames, next: cursorAt(store.epoch, now), more: false };
  });
}

/** The next frames of what there was at the cursor's revision, from the beginning on; of what is wanted only. */
export function readHistory(store: Store, cursor: Cursor, wanted: Wanted, limit: number): Piece {
  return readConsistently(store.db, () => {
    const { revision } = cursor;
    const after = cursor.place ?? START;
    const out = new FrameWriter(store.epoch, true);
    for (const phase of Object.values(PHASES)) {
      if (phase < after.phase) continue;
      const from = phase === after.phase ? after : { ...START, phase };
      const whole =
        phase === PHASES.sample
          ? oldSamples(store, from, revision, wanted, limit, out)
          : oldMetas(store, from, revision, wanted, limit, out);
      if (!whole) return out.piece(true);
    }
    return { frames: out.frames, next: cursorAt(store.epoch, revision), more: store.revision > revision };
  });
}

/** What is wanted of the runs, as SQL over `runs r`. */
function runCondition({ runs }: Wanted): { sql: string; values: string[] } {
  if (runs === undefined) return { sql: 'r.removed = 0', values: [] };
  const sql = 'r.removed = 0 AND r.id IN (SELECT value FROM json_each(?))';
  return { sql, values: [JSON.stringify([...runs])] };
}

/** False where the piece is full. */
function oldMetas(
  store: Store,
  from: Place,
  revision: number,
  wanted: Wanted,
  limit: number,
  out: FrameWriter,
): boolean {
  const of = runCondition(wanted);
  const { phase } = from;
  const isStatus = phase === PHASES.started || phase === PHASES.ended;
  const rows = isStatus
    ? store.db
        .prepare(
          `SELECT num, id, status, status_revision AS revision FROM runs r WHERE num > ? AND status_revision <= ?
           AND status ${phase === PHASES.started ? '=' : '<>'} 'running' AND ${of.sql} ORDER BY num`,
        )
        .iterate(from.a, revision, ...of.values)
    : store.db
        .prepare(
          `SELECT r.num, r.id, p.key, p.value, p.revision
           FROM runs r CROSS JOIN ${phase === PHASES.param ? 'params' : 'tags'} p ON p.run = r.num
           WHERE r.num >= ? AND (r.num, p.key) > (?, ?) AND p.revision <= ? AND ${of.sql} ORDER BY r.num, p.key`,
        )
        .iterate(from.a, from.a, String(from.b), revision, ...of.values);
  for (const row of rows) {
    const meta = isStatus ? statusMeta(row) : fieldMeta(row, phase === PHASES.param ? 'param' : 'tag');
    if (!isWanted(wanted, meta.run, meta.key)) continue;
    if (out.frames.length >= limit) return false;
    out.meta(revision, meta);
  }
  return true;
}

function oldSamples(
  store: Store,
  from: Place,
  revision: number,
  wanted: Wanted,
  limit: number,
  out: FrameWriter,
): boolean {
  // What came after the revision is for later.
  const later = new Map(
    store
      .prepare('SELECT series, min(seq0) AS seq FROM changes WHERE revision > ? GROUP BY series')
      .all(revision)
      .map((row) => [Number(row.series), Number(row.seq)]),
  );
  const of = runCondition(wanted);
  const rows = store.db
    .prepare(
      `SELECT s.id AS series, s.key, s.t0, s.count, r.id AS run FROM series s JOIN runs r ON r.num = s.run
       WHERE s.id >= ? AND ${of.sql} ORDER BY s.id`,
    )
    .iterate(from.a, ...of.values);
  for (const row of rows) {
    if (!isWanted(wanted, String(row.run), String(row.key))) continue;
    const series = Number(row.series);
    const end = (later.get(series) ?? Number(row.count)) - 1;
    const begin = series === from.a ? Number(from.b) + 1 : 0;
    if (begin > end) continue;
    const room = limit - out.frames.length;
    if (room <= 0) return false;
    const last = Math.min(end, begin + room - 1);
    out.samples(store, { ...row, revision, series, from: begin, to: last });
    if (last < end) return false;
  }
  return true;
}

/** Statuses, params and tags that a revision after `after` and up to `to` last touched, in the order of the stream. */
function readMetas(store: Store, after: number, to: number): Meta[] {
  const statuses = store
    .prepare(
      `SELECT num, id, status, status_revision AS revision FROM runs
       WHERE revision > ? AND status_revision > ? AND status_revision <= ? AND removed = 0`,
    )
    .all(after, after, to)
    .map(statusMeta);
  const fields = (['param', 'tag'] as const).flatMap((kind) =>
    store
      .prepare(
        `SELECT r.num, r.id, p.key, p.value, p.revision FROM runs r CROSS JOIN ${kind}s p ON p.run = r.num
         WHERE r.revision > ? AND p.revision > ? AND p.revision <= ? AND r.removed = 0`,
      )
      .all(after, after, to)
      .map((row) => fieldMeta(row, kind)),
  );
  return [...statuses, ...fields].sort((x, y) => x.revision - y.revision || comparePlaces(x.place, y.place));
}

type Row = Record<string, unknown>;

function statusMeta(row: Row): Meta {
  const run = String(row.id);
  const status = String(row.status) as StatusFrame['status'];
  const phase = status === 'running' ? PHASES.started : PHASES.ended;
  return {
    revision: Number(row.revision),
    place: { phase, a: Number(row.num), b: '' },
    run,
    key: null,
    fields: { type: 'status', run_id: run, status },
  };
}

function fieldMeta(row: Row, kind: 'param' | 'tag'): Meta {
  const run = String(row.id);
  const key = String(row.key);
  const text = String(row.value);
  return {
    revision: Number(row.revision),
    place: { phase: PHASES[kind], a: Number(row.num), b: key },
    run,
    key,
    fields:
      kind === 'param'
        ? { type: 'param', run_id: run, key, value: parseExactJson(text) }
        : { type: 'tag', run_id: run, key, value: text },
  };
}

class FrameWriter {
  readonly frames: ReadyFrame[] = [];
  readonly #epoch: string;
  readonly #history: boolean;
  #last: Cursor | undefined;

  constructor(epoch: string, history: boolean) {
    this.#epoch = epoch;
    this.#history = history;
  }

  #cursor(revision: number, place: Place): Cursor {
    this.#last = { epoch: this.#epoch, revision, place, history: this.#history };
    return this.#last;
  }

  meta(revision: number, { place, run, key, fields }: Meta): void {
    const cursor = formatCursor(this.#cursor(revision, place));
    this.frames.push({ run, key, text: stringifyExactJson({ ...fields, cursor }) });
  }

  /** Samples `from` … `to` of a series, both ends included. */
  samples(
    store: Store,
    of: { revision: number; series: number; from: number; to: number } & Record<string, unknown>,
  ): void {
    const { revision, series } = of;
    const base = series * MAX_SEQ;
    const run = String(of.run);
    const key = String(of.key);
    const t0 = Number(of.t0);
    const rows = store
      .prepare('SELECT id, step, dt, value FROM samples WHERE id BETWEEN ? AND ? ORDER BY id')
      .all(base + of.from, base + of.to);
    // Even where there is none: the reader must get on.
    this.#cursor(revision, { phase: PHASES.sample, a: series, b: of.to });
    for (const row of rows) {
      const seq = Number(row.id) - base;
      const frame: MetricFrame = {
        type: 'metric',
        run_id: run,
        key,
        step: Number(row.step),
        value: encodeNumber(row.value === null ? Number.NaN : Number(row.value)),
        ts: (t0 + Number(row.dt)) / 1000,
        cursor: formatCursor(this.#cursor(revision, { phase: PHASES.sample, a: series, b: seq })),
      };
      this.frames.push({ run, key, text: JSON.stringify(frame) });
    }
  }

  piece(more: boolean): Piece {
    const next = this.#last;
    if (next === undefined) throw new Error('a piece without a frame');
    return { frames: this.frames, next, more };
  }
}
