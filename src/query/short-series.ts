import { type Question, type Row, rows, type SampleColumns, samples } from '../store/question.ts';
import { MAX_SEGMENTS } from '../store/series.ts';

/** Consecutive samples of one writer whose steps do not go back. */
export interface ShortLine {
  writer: string;
  rank: number | null;
  segment: number;
  /** Steps, or epoch seconds. */
  x: Float64Array;
  /** NaN is one. */
  value: Float64Array;
}

export interface ShortSeries {
  run: string;
  key: string;
  lines: ShortLine[];
  /** Samples of each writer. */
  ends: Map<string, number>;
}

/**
 * Samples that were read before. They are only ever added to a series, so that as many of the same writer's are the same
 * samples. Whoever keeps them changes nothing in them, and neither does who gets them.
 */
export interface KeptSamples {
  get(name: string): SampleColumns | undefined;
  set(name: string, columns: SampleColumns): void;
}

/**
 * All samples of those of the asked series that have at most `limit` of them (over all writers); the others are not in
 * the answer, and `readSeries` draws them. Many short series are what a sweep is made of, and for these the samples
 * themselves are less work and fewer bytes than buckets of them.
 */
export function* readShortSeries(
  asked: readonly { run: string; key: string }[],
  axis: 'step' | 'time',
  limit: number,
  kept?: KeptSamples,
): Question<Map<string, ShortSeries>> {
  const places = new Map(asked.map(({ run, key }, index) => [shortName(run, key), index]));
  const placeOf = (row: Row) => places.get(shortName(String(row.run), String(row.key))) ?? -1;
  const parts = (yield* rows(
    `SELECT r.id AS run, s.key, s.id, s.writer, s.t0, s.count, s.segment, j.rank
     FROM runs r CROSS JOIN metric_summaries m ON m.run = r.num AND m.count <= ?
     CROSS JOIN series s ON s.run = r.num AND s.key = m.key AND s.count > 0 AND s.segment < ${MAX_SEGMENTS}
     LEFT JOIN journals j ON j.run = r.num AND j.writer = s.writer
     WHERE r.removed = 0 AND r.id IN (SELECT value FROM json_each(?)) AND m.key IN (SELECT value FROM json_each(?))
     ORDER BY s.writer, s.part`,
    limit,
    [...new Set(asked.map(({ run }) => run))],
    [...new Set(asked.map(({ key }) => key))],
  ))
    .filter((row) => placeOf(row) >= 0)
    .sort((a, b) => placeOf(a) - placeOf(b));
  const columnsOf = yield* samplesOf(parts, axis, kept);
  const found = new Map<string, ShortSeries>();
  for (const row of parts) {
    const columns = columnsOf.get(row);
    if (columns === undefined) break;
    const run = String(row.run);
    const key = String(row.key);
    const writer = String(row.writer);
    const name = shortName(run, key);
    const series: ShortSeries = found.get(name) ?? { run, key, lines: [], ends: new Map() };
    found.set(name, series);
    series.ends.set(writer, Number(row.count));
    const t0 = Number(row.t0);
    const x = axis === 'time' ? columns.dt.map((ms) => (t0 + ms) / 1000) : columns.step;
    const rank = row.rank === null ? null : Number(row.rank);
    for (const [segment, [from, to]] of rangesAtStepsBack(columns.step).entries()) {
      series.lines.push({
        writer,
        rank,
        segment,
        x: x.subarray(from, to),
        value: columns.value.subarray(from, to),
      });
    }
  }
  return found;
}

/** All samples of each series, read where they are not kept. */
function* samplesOf(
  parts: readonly Row[],
  axis: 'step' | 'time',
  kept: KeptSamples | undefined,
): Question<Map<Row, SampleColumns>> {
  const found = new Map<Row, SampleColumns>();
  const missing: Row[] = [];
  const nameOf = (row: Row) => `${axis} ${row.id} ${row.t0} ${row.count} ${row.run} ${row.writer} ${row.key}`;
  for (const row of parts) {
    const columns = kept?.get(nameOf(row));
    if (columns === undefined) missing.push(row);
    else found.set(row, columns);
  }
  const read = yield* samples(
    missing.map((row) => ({ series: Number(row.id), from: 0, to: Number(row.count) })),
    { times: axis === 'time' },
  );
  for (const [index, row] of missing.entries()) {
    const columns = read[index];
    if (columns === undefined) break;
    found.set(row, columns);
    kept?.set(nameOf(row), columns);
  }
  return found;
}

/** What a series is called in the answer of `readShortSeries`. */
export function shortName(run: string, key: string): string {
  return `${run} ${key}`;
}

function rangesAtStepsBack(steps: Float64Array): [number, number][] {
  const ranges: [number, number][] = [];
  let from = 0;
  for (let index = 1; index <= steps.length; index++) {
    if (index < steps.length && (steps[index] ?? 0) >= (steps[index - 1] ?? 0)) continue;
    ranges.push([from, index]);
    from = index;
  }
  return ranges;
}
