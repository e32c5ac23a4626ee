/** The plain stream from the beginning: what there was at a revision, a piece at a time. */
import { type Bound, type Question, rows } from '../../store/question.ts';
import { type Cursor, cursorAt, PHASES, type Place, START } from './cursor.ts';
import { FrameWriter, fieldMeta, ofSeries, type PieceOrGap, statusMeta } from './frame-writer.ts';
import { gapAfter, streamState } from './stream-state.ts';
import { isWanted, type Wanted } from './wanted.ts';

/** The next frames of what there was at the cursor's revision, from the beginning on; of what is wanted only. */
export function* readHistory(cursor: Cursor, wanted: Wanted, limit: number): Question<PieceOrGap> {
  const state = yield* streamState();
  const gap = gapAfter(state, cursor);
  if (gap !== undefined) return { gap, now: cursorAt(state.epoch, state.revision) };
  const { revision } = cursor;
  const after = cursor.place ?? START;
  const out = new FrameWriter(state.epoch, true);
  for (const phase of Object.values(PHASES)) {
    if (phase < after.phase) continue;
    const from = phase === after.phase ? after : { ...START, phase };
    const whole =
      phase === PHASES.sample
        ? yield* oldSamples(from, revision, wanted, limit, out)
        : yield* oldMetas(from, revision, wanted, limit, out);
    if (!whole) return { piece: yield* out.piece(true) };
  }
  return { piece: yield* out.piece(state.revision > revision, cursorAt(state.epoch, revision)) };
}

/** What is wanted of the runs, as SQL over `runs r`. */
function runCondition({ runs }: Wanted): { sql: string; values: Bound[] } {
  if (runs === undefined) return { sql: 'r.removed = 0', values: [] };
  return { sql: 'r.removed = 0 AND r.id IN (SELECT value FROM json_each(?))', values: [[...runs]] };
}

/** Rows are read so many at a time: most of them may be unwanted, and the piece full after the first. */
const ROWS = 2000;

/** False where the piece is full. */
function* oldMetas(
  from: Place,
  revision: number,
  wanted: Wanted,
  limit: number,
  out: FrameWriter,
): Question<boolean> {
  const of = runCondition(wanted);
  const { phase } = from;
  const isStatus = phase === PHASES.started || phase === PHASES.ended;
  let after: Place = from;
  for (;;) {
    const found = isStatus
      ? yield* rows(
          `SELECT r.num, r.id, r.status, r.status_revision AS revision FROM runs r
           WHERE r.num > ? AND r.status_revision <= ?
             AND r.status ${phase === PHASES.started ? '=' : '<>'} 'running' AND ${of.sql} ORDER BY r.num LIMIT ?`,
          after.a,
          revision,
          ...of.values,
          ROWS,
        )
      : yield* rows(
          `SELECT r.num, r.id, p.key, p.value, p.revision
           FROM runs r CROSS JOIN ${phase === PHASES.param ? 'params' : 'tags'} p ON p.run = r.num
           WHERE r.num >= ? AND (r.num, p.key) > (?, ?) AND p.revision <= ? AND ${of.sql}
           ORDER BY r.num, p.key LIMIT ?`,
          after.a,
          after.a,
          String(after.b),
          revision,
          ...of.values,
          ROWS,
        );
    for (const row of found) {
      const meta = isStatus ? statusMeta(row) : fieldMeta(row, phase === PHASES.param ? 'param' : 'tag');
      after = meta.place;
      if (!isWanted(wanted, meta.run, meta.key)) continue;
      if (out.length >= limit) return false;
      out.meta(revision, meta);
    }
    if (found.length < ROWS) return true;
  }
}

function* oldSamples(
  from: Place,
  revision: number,
  wanted: Wanted,
  limit: number,
  out: FrameWriter,
): Question<boolean> {
  // What came after the revision is for later.
  const changed = yield* rows(
    'SELECT series, min(seq0) AS seq FROM changes WHERE revision > ? GROUP BY series',
    revision,
  );
  const later = new Map(changed.map((row) => [Number(row.series), Number(row.seq)]));
  const of = runCondition(wanted);
  for (let next = from.a; ; ) {
    const found = yield* rows(
      `SELECT s.id AS series, s.key, s.t0, s.count, r.id AS run FROM series s JOIN runs r ON r.num = s.run
       WHERE s.id >= ? AND ${of.sql} ORDER BY s.id LIMIT ?`,
      next,
      ...of.values,
      ROWS,
    );
    for (const row of found) {
      const series = Number(row.series);
      next = series + 1;
      if (!isWanted(wanted, String(row.run), String(row.key))) continue;
      const end = (later.get(series) ?? Number(row.count)) - 1;
      const begin = series === from.a ? Number(from.b) + 1 : 0;
      if (begin > end) continue;
      const room = limit - out.length;
      if (room <= 0) return false;
      const last = Math.min(end, begin + room - 1);
      out.samples({ ...ofSeries(row), revision, series, from: begin, to: last });
      if (last < end) return false;
    }
    if (found.length < ROWS) return true;
  }
}
