/**
 * The plain stream, read from the database: what is new after a cursor, as frames in a fixed order, a piece at a time. The
 * database is the buffer: a slow client costs nothing but its cursor.
 */
import { type Question, rows } from '../../store/question.ts';
import { type Cursor, comparePlaces, cursorAt, PHASES, type Phase, type Place } from './cursor.ts';
import { FrameWriter, fieldMeta, type Meta, ofSeries, type PieceOrGap, statusMeta } from './frame-writer.ts';
import { gapAfter, streamState } from './stream-state.ts';

/** The next frames after a cursor: at most about `limit` of them, of every run and key. */
export function* readAfter(cursor: Cursor, limit: number): Question<PieceOrGap> {
  const state = yield* streamState();
  const gap = gapAfter(state, cursor);
  if (gap !== undefined) return { gap, now: cursorAt(state.epoch, state.revision) };
  const { epoch, revision: now } = state;
  const from = cursor.place === null ? cursor.revision + 1 : cursor.revision;
  if (from > now) return { piece: { frames: [], next: cursorAt(epoch, now), more: false } };
  const isDone = (revision: number, place: Place) =>
    cursor.place !== null && revision === cursor.revision && comparePlaces(place, cursor.place) <= 0;
  const metas = (yield* readMetas(from - 1, now)).filter((meta) => !isDone(meta.revision, meta.place));
  const { place } = cursor;
  const started = place === null || place.phase < PHASES.sample ? 0 : place.a;
  const ended = place !== null && place.phase > PHASES.sample;
  const changes = yield* rows(
    `SELECT c.revision, c.series, c.seq0, c.seq1, s.key, s.t0, r.id AS run FROM changes c
     JOIN series s ON s.id = c.series JOIN runs r ON r.num = s.run
     WHERE (c.revision, c.series) >= (?, ?) AND r.removed = 0 ORDER BY c.revision, c.series LIMIT ?`,
    ended ? from + 1 : from,
    ended ? 0 : started,
    limit + 1,
  );
  // What lies behind the last change that was read is for the next piece.
  const whole = changes.length <= limit;

  const out = new FrameWriter(epoch, false);
  let at = 0;
  const flushMetas = (revision: number, before: Phase): boolean => {
    for (; at < metas.length; at++) {
      const meta = metas[at];
      if (meta === undefined || meta.revision > revision) return true;
      if (meta.revision === revision && meta.place.phase > before) return true;
      if (out.length >= limit) return false;
      out.meta(meta.revision, meta);
    }
    return true;
  };
  for (const change of changes) {
    const revision = Number(change.revision);
    if (!flushMetas(revision, PHASES.tag)) return { piece: yield* out.piece(true) };
    const series = Number(change.series);
    const done = isDone(revision, { phase: PHASES.sample, a: series, b: Number(change.seq1) });
    if (done) continue;
    const resumed =
      cursor.place?.phase === PHASES.sample && cursor.revision === revision && cursor.place.a === series
        ? Number(cursor.place.b) + 1
        : Number(change.seq0);
    const room = limit - out.length;
    const last = Math.min(Number(change.seq1), resumed + room - 1);
    if (room > 0) out.samples({ ...ofSeries(change), revision, series, from: resumed, to: last });
    if (last < Number(change.seq1) || room <= 0) return { piece: yield* out.piece(true) };
  }
  if (!whole || !flushMetas(now, PHASES.ended)) return { piece: yield* out.piece(true) };
  return { piece: yield* out.piece(false, cursorAt(epoch, now)) };
}

/** Statuses, params and tags that a revision after `after` and up to `to` last touched, in the order of the stream. */
function* readMetas(after: number, to: number): Question<Meta[]> {
  const statuses = yield* rows(
    `SELECT r.num, r.id, r.status, r.status_revision AS revision FROM runs r
     WHERE r.revision > ? AND r.status_revision > ? AND r.status_revision <= ? AND r.removed = 0`,
    after,
    after,
    to,
  );
  const metas = statuses.map(statusMeta);
  for (const kind of ['param', 'tag'] as const) {
    const found = yield* rows(
      `SELECT r.num, r.id, p.key, p.value, p.revision FROM runs r CROSS JOIN ${kind}s p ON p.run = r.num
       WHERE r.revision > ? AND p.revision > ? AND p.revision <= ? AND r.removed = 0`,
      after,
      after,
      to,
    );
    for (const row of found) metas.push(fieldMeta(row, kind));
  }
  return metas.sort((x, y) => x.revision - y.revision || comparePlaces(x.place, y.place));
}
