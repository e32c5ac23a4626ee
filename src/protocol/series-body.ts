/**
 * The binary answer of `POST /api/series`, for both ends; no dependency, so that the browser can have it.
 *
 * ```
 * u32 little-endian: bytes of the header
 * header: JSON text in UTF-8 (SeriesHeader)
 * padding with spaces to a multiple of 8 from the beginning of the body
 * for each series of the header at its offset, counted from here: its columns one after the other, n float64 each
 * ```
 *
 * A `raw` series has the columns x0 and first alone: x1, min, max, last and mean are the same, and each count is 1.
 * A NaN is a NaN: in `first` and `last` a sample that was none, in `min`, `max` and `mean` a bucket of nothing but such.
 */
import type { SeriesBlock, SeriesColumn, SeriesHeader } from './api.ts';

/** One line with its columns, as the page wants it: every asked column is there, raw or not. */
export interface DecodedSeries extends Omit<SeriesBlock, 'columns' | 'offset'> {
  x0: Float64Array;
  x1: Float64Array;
  min: Float64Array;
  max: Float64Array;
  first: Float64Array;
  last: Float64Array;
  /** Of the values that are not NaN. */
  mean: Float64Array;
  /** Samples in each bucket; undefined where each is one, or it was not asked for. */
  count: Float64Array | undefined;
  /** NaN samples in each bucket; undefined where there are none, or it was not asked for. */
  nan: Float64Array | undefined;
}

export interface DecodedBody {
  cursor: string;
  axis: SeriesHeader['axis'];
  series: DecodedSeries[];
}

/** What stands for a column that a raw series leaves out. */
const SAME: Partial<Record<SeriesColumn, SeriesColumn>> = {
  x1: 'x0',
  min: 'first',
  max: 'first',
  last: 'first',
  mean: 'first',
};

const NONE = new Float64Array(0);

/** Reads a body without copying its columns. Throws RangeError or SyntaxError where it is cut short. */
export function decodeSeriesBody(body: ArrayBuffer): DecodedBody {
  const length = new DataView(body).getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(body, 4, length));
  const header = JSON.parse(text) as SeriesHeader;
  const start = padded(4 + length);
  const series = header.series.map(({ columns, offset, ...block }): DecodedSeries => {
    const column = (name: SeriesColumn): Float64Array | undefined => {
      let index = columns.indexOf(name);
      const same = SAME[name];
      if (index < 0 && block.raw && same !== undefined) index = columns.indexOf(same);
      return index < 0 ? undefined : new Float64Array(body, start + offset + index * block.n * 8, block.n);
    };
    return {
      ...block,
      x0: column('x0') ?? NONE,
      x1: column('x1') ?? NONE,
      min: column('min') ?? NONE,
      max: column('max') ?? NONE,
      first: column('first') ?? NONE,
      last: column('last') ?? NONE,
      mean: column('mean') ?? NONE,
      count: column('count'),
      nan: column('nan'),
    };
  });
  return { cursor: header.cursor, axis: header.axis, series };
}

/** A line to be sent: its columns by name, in the order in which they go. */
export interface EncodableSeries extends Omit<SeriesBlock, 'columns' | 'offset'> {
  columns: [name: SeriesColumn, values: Float64Array][];
}

/** The body in pieces, to be written one after the other: columns are not copied. Needs a little-endian machine. */
export function encodeSeriesBody(
  cursor: string,
  axis: SeriesHeader['axis'],
  series: readonly EncodableSeries[],
): Uint8Array<ArrayBufferLike>[] {
  let offset = 0;
  const blocks = series.map(({ columns, ...block }): SeriesBlock => {
    const at = offset;
    offset += columns.length * block.n * 8;
    return { ...block, columns: columns.map(([name]) => name), offset: at };
  });
  const header: SeriesHeader = { cursor, axis, series: blocks };
  const json = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(padded(4 + json.length)).fill(0x20);
  new DataView(head.buffer).setUint32(0, json.length, true);
  head.set(json, 4);
  const pieces: Uint8Array<ArrayBufferLike>[] = [head];
  for (const { columns } of series) {
    for (const [, values] of columns) {
      pieces.push(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
  }
  return pieces;
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
