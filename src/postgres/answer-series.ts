/** What questions ask of series, from chunks of columns. */
import type { Ask, ChartAxis, ChartBucket, Columns, SampleColumns, SampleRange } from '../store/question.ts';
import { TOP_LEVEL } from '../store/series.ts';
import { BUCKET, blockOf } from './chunks.ts';
import { decodeColumns } from './column-codec.ts';
import type { Session } from './database.ts';
import { coveredEnds } from './open-buckets.ts';

/** Samples `from` … `to - 1` of a level; level 0 is of the samples themselves. */
interface Span {
  series: number;
  level: number;
  from: number;
  to: number;
}

/** Rows of a span, in order: of samples step, dt, value; of rollups as BUCKET says. */
type SpanColumns = { seqs: ArrayLike<number>; columns: Float64Array[] };

/** All spans in two queries. Holes are not seen: where a span ends before `to`, there is less of it. */
async function readSpans(session: Session, spans: readonly Span[]): Promise<SpanColumns[]> {
  const found = spans.map((): { seq0: number; count: number; body: Buffer }[] => []);
  for (const table of ['sample_chunks', 'rollup_chunks'] as const) {
    const samples = table === 'sample_chunks';
    const wanted = [...spans.entries()].filter(
      ([, { level, from, to }]) => (level === 0) === samples && to > from,
    );
    if (wanted.length === 0) continue;
    const column = (read: (span: Span) => number) => wanted.map(([, span]) => read(span));
    const rows = await session.prepared(
      `SELECT k.n, c.seq0, c.count, c.body
       FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
         AS k (n, series, level, low, "from", high)
       CROSS JOIN LATERAL (
         SELECT seq0, count, body FROM ${table}
         WHERE series = k.series ${samples ? '' : 'AND level = k.level'} AND seq0 >= k.low AND seq0 < k.high
           AND ${samples ? 'seq0 + count' : 'seq1'} > k."from" ORDER BY seq0
       ) c ORDER BY k.n, c.seq0`,
      [
        wanted.map(([index]) => index),
        column((span) => span.series),
        column((span) => span.level),
        column(({ level, from }) => from - (from % blockOf(level))),
        column((span) => span.from),
        column((span) => span.to),
      ],
    );
    for (const row of rows) {
      found[Number(row.n)]?.push({
        seq0: Number(row.seq0),
        count: Number(row.count),
        body: row.body as Buffer,
      });
    }
  }
  return spans.map((span, index) => joinChunks(span, found[index] ?? []));
}

function joinChunks(
  span: Span,
  chunks: readonly { seq0: number; count: number; body: Buffer }[],
): SpanColumns {
  const samples = span.level === 0;
  const pieces: Float64Array[][] = [];
  const seqs: Float64Array[] = [];
  for (const { seq0, count, body } of chunks) {
    const columns = decodeColumns(body, count);
    const [first] = columns;
    if (first === undefined) continue;
    let [start, end] = [0, count];
    if (samples) {
      start = Math.max(0, span.from - seq0);
      end = Math.min(count, span.to - seq0);
      seqs.push(Float64Array.from({ length: Math.max(0, end - start) }, (_, at) => seq0 + start + at));
    } else {
      while (start < end && (first[start] ?? 0) < span.from) start += 1;
      while (end > start && (first[end - 1] ?? 0) >= span.to) end -= 1;
      seqs.push(first.subarray(start, end));
    }
    pieces.push(columns.map((column) => column.subarray(start, end)));
  }
  const width = pieces[0]?.length ?? (samples ? 3 : Object.keys(BUCKET).length);
  return {
    seqs: join(seqs),
    columns: Array.from({ length: width }, (_, place) =>
      join(pieces.map((piece) => piece[place] ?? new Float64Array())),
    ),
  };
}

function join(pieces: readonly Float64Array[]): Float64Array {
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  const joined = new Float64Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    joined.set(piece, at);
    at += piece.length;
  }
  return joined;
}

export async function answerSamples(
  session: Session,
  ranges: readonly SampleRange[],
  times: boolean,
): Promise<SampleColumns[]> {
  const spans = await readSpans(
    session,
    ranges.map((range) => ({ ...range, level: 0 })),
  );
  const none = new Float64Array();
  return spans.map(({ columns: [step = none, dt = none, value = none] }) => ({
    step,
    dt: times ? dt : none,
    value,
  }));
}

export async function answerFirstAtStep(
  session: Session,
  { series, from, to }: SampleRange,
  step: number,
): Promise<number> {
  if (to <= from) return to;
  // Chunks whose last step is not below: the first holds it. Those that reach over an end of the range may have others.
  const chunks = await session.prepared(
    `SELECT seq0, count, body FROM sample_chunks
     WHERE series = $1 AND seq0 >= $2 AND seq0 < $4 AND seq0 + count > $3
       AND (step1 >= $5 OR seq0 < $3 OR seq0 + count > $4) ORDER BY seq0 LIMIT 3`,
    [series, from - (from % blockOf(0)), from, to, step],
  );
  for (const row of chunks) {
    const seq0 = Number(row.seq0);
    const [steps = new Float64Array()] = decodeColumns(row.body as Buffer, Number(row.count));
    for (let seq = Math.max(from, seq0); seq < Math.min(to, seq0 + steps.length); seq += 1) {
      if ((steps[seq - seq0] ?? 0) >= step) return seq;
    }
  }
  return to;
}

type CoverAsk = Extract<Ask, { kind: 'cover' }>;

/** Any number of them in three queries. */
export async function answerCovers(session: Session, asks: readonly CoverAsk[]): Promise<ChartBucket[][][]> {
  const rows = await session.prepared('SELECT id, count, open FROM series WHERE id = ANY($1)', [
    [...new Set(asks.map((ask) => ask.series))],
  ]);
  const ends = new Map(
    rows.map((row) => [
      Number(row.id),
      coveredEnds((row.open as Buffer | null) ?? undefined, Number(row.count)),
    ]),
  );
  const spans: (Span & { ask: number; part: number; segment: number })[] = [];
  for (const [ask, { series, parts }] of asks.entries()) {
    for (const [part, { level, from, to, segment }] of parts.entries()) {
      let next = from;
      for (let at = Math.min(level, TOP_LEVEL); at >= 0 && next < to; at -= 1) {
        const end = Math.min(to, at === 0 ? to : (ends.get(series)?.[at] ?? 0));
        if (end <= next) continue;
        spans.push({ series, level: at, from: next, to: end, ask, part, segment });
        next = end;
      }
    }
  }
  const answers = asks.map((ask) => ask.parts.map((): ChartBucket[] => []));
  for (const [index, read] of (await readSpans(session, spans)).entries()) {
    const span = spans[index];
    const ask = asks[span?.ask ?? 0];
    if (span === undefined || ask === undefined) continue;
    answers[span.ask]?.[span.part]?.push(...mergeSpan(span, read, ask.axis, ask.columns, span.segment));
  }
  return answers;
}

/** A group of consecutive rows that start in one column; `rest` is what the additions have lost (Neumaier), as in SQLite. */
interface Group extends ChartBucket {
  rest: number;
  /** Something has been added up, though it may come to nothing: ∞ - ∞. */
  summed: boolean;
  parts: number;
}

/** What SQLite's GROUP BY does (src/store/answer-series.ts), in order of the samples. */
function mergeSpan(
  { level }: Span,
  { seqs, columns }: SpanColumns,
  axis: ChartAxis,
  { from, to, width }: Columns,
  segment: number,
): ChartBucket[] {
  const scale = width > 0 && to - from > 0 ? 1 / width : 0;
  const read = rowReader(level, seqs, columns, axis, segment);
  const groups: Group[] = [];
  const byColumn = new Map<number, Group>();
  let currentSegment = Number.NaN;
  for (let index = 0; index < seqs.length; index += 1) {
    const row = read(index);
    if (row.segment !== currentSegment) {
      byColumn.clear();
      currentSegment = row.segment;
    }
    const alone = row.x1 - row.x0 > width || row.x0 < from || row.x1 > to;
    const column = alone ? Number.NaN : Math.trunc((row.x0 - from) * scale);
    const group = alone ? undefined : byColumn.get(column);
    if (group === undefined) {
      groups.push(row);
      if (!alone) byColumn.set(column, row);
    } else absorb(group, row);
  }
  return groups.map(({ rest, summed: _, parts, ...bucket }) => ({
    ...bucket,
    sum: Number.isFinite(rest) ? bucket.sum + rest : bucket.sum,
    openable: level === 0 || parts > 1 || bucket.count === 1 ? 0 : level,
  }));
}

function rowReader(
  level: number,
  seqs: ArrayLike<number>,
  columns: readonly Float64Array[],
  axis: ChartAxis,
  segment: number,
): (index: number) => Group {
  const at = (place: number, index: number): number => columns[place]?.[index] ?? Number.NaN;
  if (level === 0) {
    return (index) => {
      const value = at(2, index);
      const seq = seqs[index] ?? 0;
      const x = axis === 'step' ? at(0, index) : axis === 'time' ? at(1, index) : seq;
      const nan = Number.isNaN(value) ? 1 : 0;
      return {
        seq,
        count: 1,
        nan,
        min: value,
        max: value,
        sum: value,
        first: value,
        last: value,
        x0: x,
        x1: x,
        segment,
        openable: 0,
        rest: 0,
        summed: nan === 0,
        parts: 1,
      };
    };
  }
  return (index) => {
    const seq = at(BUCKET.seq, index);
    const count = at(BUCKET.count, index);
    const [dt0, dt1] = [at(BUCKET.dt0, index), at(BUCKET.dt1, index)];
    const ends = {
      step: [at(BUCKET.step0, index), at(BUCKET.step1, index)],
      time: [Math.min(dt0, dt1), Math.max(dt0, dt1)],
      arrival: [seq, seq + count - 1],
    } as const;
    const [x0, x1] = ends[axis];
    const [nan, sum] = [at(BUCKET.nan, index), at(BUCKET.sum, index)];
    return {
      seq,
      count,
      nan,
      min: at(BUCKET.min, index),
      max: at(BUCKET.max, index),
      sum,
      first: at(BUCKET.first, index),
      last: at(BUCKET.last, index),
      x0,
      x1,
      segment: at(BUCKET.segment, index),
      openable: 0,
      rest: 0,
      summed: !Number.isNaN(sum),
      parts: 1,
    };
  };
}

function absorb(group: Group, row: Group): void {
  group.count += row.count;
  group.nan += row.nan;
  if (!(group.min <= row.min) && !Number.isNaN(row.min)) group.min = row.min;
  if (!(group.max >= row.max) && !Number.isNaN(row.max)) group.max = row.max;
  if (!group.summed) {
    group.sum = row.sum;
    group.summed = row.summed;
  } else if (row.summed) {
    const sum = group.sum + row.sum;
    group.rest +=
      Math.abs(group.sum) > Math.abs(row.sum) ? group.sum - sum + row.sum : row.sum - sum + group.sum;
    group.sum = sum;
  }
  group.last = row.last;
  group.x1 = row.x1;
  group.parts += row.parts;
}
