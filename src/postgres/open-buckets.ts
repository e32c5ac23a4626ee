/** The rollup buckets of a series that are still being filled, as they are kept beside its row. */
import { openBucket, type RollupBucket } from '../store/bucket.ts';
import { TOP_LEVEL } from '../store/series.ts';
import { decodeColumns, encodeColumns } from './column-codec.ts';

const FIELDS = [
  'children',
  'seq',
  'count',
  'nan',
  'min',
  'max',
  'sum',
  'first',
  'last',
  'step0',
  'step1',
  'dt0',
  'dt1',
] as const satisfies (keyof RollupBucket)[];

/** Open buckets of levels 1 to TOP_LEVEL; those that are empty count too. */
export function encodeOpen(open: RollupBucket[]): Buffer {
  const buckets: RollupBucket[] = [];
  for (let level = 1; level <= TOP_LEVEL; level += 1) buckets.push(openBucket(open, level));
  return encodeColumns(
    FIELDS.map((field) => buckets.map((bucket) => bucket[field])),
    TOP_LEVEL,
  );
}

export function decodeOpen(bytes: Buffer | undefined): RollupBucket[] {
  const open: RollupBucket[] = [];
  if (bytes === undefined) return open;
  const columns = decodeColumns(bytes, TOP_LEVEL);
  for (let level = 1; level <= TOP_LEVEL; level += 1) {
    const bucket = openBucket(open, level);
    for (const [index, field] of FIELDS.entries()) bucket[field] = columns[index]?.[level - 1] ?? 0;
  }
  return open;
}

/**
 * How far each level's full buckets reach: of a level the number of the first sample that is in none; of level 0, that is
 * of the samples, their count.
 */
export function coveredEnds(open: Buffer | undefined, count: number): number[] {
  const buckets = decodeOpen(open);
  const ends = [count];
  for (let level = 1; level <= TOP_LEVEL; level += 1) {
    const bucket = buckets[level];
    const below = ends[level - 1] ?? 0;
    ends.push(bucket !== undefined && bucket.children > 0 ? Math.min(bucket.seq, below) : below);
  }
  return ends;
}
