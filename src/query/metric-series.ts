import { type Question, rows } from '../store/question.ts';

/** One part of a metric of one writer (docs/store.md, `series`), as of one state of the database. */
export interface MetricSeries {
  id: number;
  key: string;
  writer: string;
  part: number;
  /** Milliseconds since the epoch: `dt` counts from here. */
  t0: number;
  count: number;
  minStep: number;
  maxStep: number;
  /** Epoch seconds of its earliest and latest sample. */
  firstTs: number;
  lastTs: number;
  /** The segment of the newest samples. */
  segment: number;
}

/** The series of a metric (or of all metrics of the run), by key, then writer and part. Empty where there is none. */
export function* metricSeries(runId: string, key?: string): Question<MetricSeries[]> {
  const found = yield* rows(
    `SELECT s.id, s.key, s.writer, s.part, s.t0, s.count, s.min_step, s.max_step, s.first_ts, s.last_ts, s.segment
     FROM runs r JOIN series s ON s.run = r.num
     WHERE r.id = ? AND r.removed = 0 AND s.count > 0 ${key === undefined ? '' : 'AND s.key = ?'}
     ORDER BY s.key, s.writer, s.part`,
    ...(key === undefined ? [runId] : [runId, key]),
  );
  return found.map((row) => ({
    id: Number(row.id),
    key: String(row.key),
    writer: String(row.writer),
    part: Number(row.part),
    t0: Number(row.t0),
    count: Number(row.count),
    minStep: Number(row.min_step),
    maxStep: Number(row.max_step),
    firstTs: Number(row.first_ts),
    lastTs: Number(row.last_ts),
    segment: Number(row.segment),
  }));
}
