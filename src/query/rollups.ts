import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { MAX_SEQ } from '../store/schema.ts';
import { TOP_LEVEL } from '../store/series.ts';
import { type MetricSeries, valueOrNaN } from './metric-series.ts';

/** What runs along the chart: steps, epoch seconds, or (past 1,000 steps back) the samples' numbers in arrival. */
export type ChartAxis = 'step' | 'time' | 'arrival';

/** Consecutive samples of one series and segment. `min`, `max` and `sum` are without NaN, and NaN where nothing is left. */
export interface Bucket {
  /** Number of its first sample. */
  seq: number;
  count: number;
  nan: number;
  min: number;
  max: number;
  sum: number;
  first: number;
  last: number;
  /** Its ends on the axis, in the series' own units. */
  x0: number;
  x1: number;
  segment: number;
  /** The level to look for its parts from; 0 where it shows all that is asked for. */
  openable: number;
}

/** The part of the axis that is shown, in the series' own units, and the width of a column of it. */
export interface Columns {
  from: number;
  to: number;
  /** Buckets in the range that start in one column and are no wider are read as one; below 0, each alone. */
  width: number;
}

/**
 * The axis in a series' own units, as SQL: steps; milliseconds since its first sample (a clock may have gone back inside
 * a bucket); or numbers of arrival.
 */
const ENDS: Record<ChartAxis, { x0: string; x1: string; sample: string }> = {
  step: { x0: 'step0', x1: 'step1', sample: 'step' },
  time: { x0: 'min(dt0, dt1)', x1: 'max(dt0, dt1)', sample: 'dt' },
  arrival: { x0: 'seq', x1: 'seq + count - 1', sample: 'id - $base' },
};

/** Reads the samples `from` … `to - 1`, each in exactly one bucket, in order. */
export interface RollupReader {
  /**
   * From this level where it holds them, else from the levels below: the newest samples are in no bucket yet, and
   * `segment` is theirs.
   */
  cover(level: number, from: number, to: number, segment: number, columns: Columns): Bucket[];
}

/**
 * Merging a column's buckets is left to SQLite: it adds up 8,000 of them in 2 ms, and handing them over as rows takes
 * ten times that (both measured).
 */
export function rollupReader(db: DatabaseSync, series: MetricSeries, axis: ChartAxis): RollupReader {
  const { x0, x1, sample } = ENDS[axis];
  const group = (start: string, end: string, id: string) =>
    `CASE WHEN ${end} - ${start} > $width OR ${start} < $from OR ${end} > $to THEN -1 - ${id}
      ELSE CAST((${start} - $from) * $scale AS INTEGER) END`;
  const ofTable = (table: string, expression: string) =>
    expression.replaceAll(/\b(step0|step1|dt0|dt1|seq|count|step|dt|id)\b/g, `${table}.$1`);
  const end = db.prepare(
    'SELECT seq + count AS next FROM rollups WHERE series = ? AND level = ? AND seq >= ? AND seq < ? ORDER BY seq DESC LIMIT 1',
  );
  const rollups = db.prepare(
    `SELECT g.seq0 AS seq, g.n AS count, g.nan, g.min, g.max, g.sum, a.first, b.last,
       ${ofTable('a', x0)} AS x0, ${ofTable('b', x1)} AS x1, g.segment, g.parts
     FROM (SELECT segment, min(seq) AS seq0, max(seq) AS seq1, sum(count) AS n, sum(nan_count) AS nan,
         min(min) AS min, max(max) AS max, sum(sum) AS sum, count(*) AS parts
       FROM rollups WHERE series = $series AND level = $level AND seq >= $seq0 AND seq < $seq1
       GROUP BY segment, ${group(x0, x1, 'seq')}) g
     CROSS JOIN rollups a ON a.series = $series AND a.level = $level AND a.seq = g.seq0
     CROSS JOIN rollups b ON b.series = $series AND b.level = $level AND b.seq = g.seq1
     ORDER BY g.seq0`,
  );
  const samples = db.prepare(
    `SELECT g.id0 - $base AS seq, g.n AS count, g.nan, g.min, g.max, g.sum, a.value AS first, b.value AS last,
       ${ofTable('a', sample)} AS x0, ${ofTable('b', sample)} AS x1
     FROM (SELECT min(id) AS id0, max(id) AS id1, count(*) AS n, count(*) - count(value) AS nan,
         min(value) AS min, max(value) AS max, sum(value) AS sum
       FROM samples WHERE id >= $base + $seq0 AND id < $base + $seq1
       GROUP BY ${group(`(${sample})`, `(${sample})`, `(id - $base)`)}) g
     CROSS JOIN samples a ON a.id = g.id0
     CROSS JOIN samples b ON b.id = g.id1
     ORDER BY g.id0`,
  );
  const base = series.id * MAX_SEQ;

  return {
    cover: (level, from, to, segment, columns) => {
      const range = columns.to - columns.from;
      const shared = {
        $from: columns.from,
        $to: columns.to,
        $width: columns.width,
        $scale: columns.width > 0 && range > 0 ? 1 / columns.width : 0,
      };
      const buckets: Bucket[] = [];
      let next = from;
      for (let at = Math.min(level, TOP_LEVEL); at > 0 && next < to; at--) {
        const covered = Number(end.get(series.id, at, next, to)?.next ?? next);
        if (covered <= next) continue;
        const place = { $series: series.id, $level: at, $seq0: next, $seq1: covered };
        pushBuckets(buckets, rollups, { ...shared, ...place }, at, segment);
        next = covered;
      }
      if (next < to) {
        pushBuckets(buckets, samples, { ...shared, $base: base, $seq0: next, $seq1: to }, 0, segment);
      }
      return buckets;
    },
  };
}

function pushBuckets(
  buckets: Bucket[],
  statement: StatementSync,
  values: Record<string, number>,
  level: number,
  segment: number,
): void {
  for (const row of statement.all(values)) {
    const count = Number(row.count);
    buckets.push({
      seq: Number(row.seq),
      count,
      nan: Number(row.nan),
      min: valueOrNaN(row.min),
      max: valueOrNaN(row.max),
      sum: valueOrNaN(row.sum),
      first: valueOrNaN(row.first),
      last: valueOrNaN(row.last),
      x0: Number(row.x0),
      x1: Number(row.x1),
      segment: level === 0 ? segment : Number(row.segment),
      openable: Number(row.parts ?? 1) > 1 || count === 1 ? 0 : level,
    });
  }
}
