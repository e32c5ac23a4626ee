/** A bucket that is still being filled. `min` and `max` are ±Infinity the wrong way round until there is a value. */
export interface RollupBucket {
  children: number;
  seq: number;
  count: number;
  nan: number;
  min: number;
  max: number;
  sum: number;
  first: number;
  last: number;
  step0: number;
  step1: number;
  dt0: number;
  dt1: number;
}

function emptyBucket(): RollupBucket {
  return {
    children: 0,
    seq: 0,
    count: 0,
    nan: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    sum: 0,
    first: 0,
    last: 0,
    step0: 0,
    step1: 0,
    dt0: 0,
    dt1: 0,
  };
}

/** The bucket being filled at a level; index 0 of `open` is not used. */
export function openBucket(open: RollupBucket[], level: number): RollupBucket {
  let bucket = open[level];
  if (bucket === undefined) {
    bucket = emptyBucket();
    open[level] = bucket;
  }
  return bucket;
}

export function clear(bucket: RollupBucket): void {
  bucket.children = 0;
  bucket.count = 0;
  bucket.nan = 0;
  bucket.min = Number.POSITIVE_INFINITY;
  bucket.max = Number.NEGATIVE_INFINITY;
  bucket.sum = 0;
}

export function addSample(bucket: RollupBucket, seq: number, step: number, dt: number, value: number): void {
  if (bucket.children === 0) {
    bucket.seq = seq;
    bucket.first = value;
    bucket.step0 = step;
    bucket.dt0 = dt;
  }
  bucket.children += 1;
  bucket.count += 1;
  if (Number.isNaN(value)) bucket.nan += 1;
  else {
    if (value < bucket.min) bucket.min = value;
    if (value > bucket.max) bucket.max = value;
    bucket.sum += value;
  }
  bucket.last = value;
  bucket.step1 = step;
  bucket.dt1 = dt;
}

export function addBucket(bucket: RollupBucket, child: RollupBucket): void {
  if (bucket.children === 0) {
    bucket.seq = child.seq;
    bucket.first = child.first;
    bucket.step0 = child.step0;
    bucket.dt0 = child.dt0;
  }
  bucket.children += 1;
  bucket.count += child.count;
  bucket.nan += child.nan;
  if (child.min < bucket.min) bucket.min = child.min;
  if (child.max > bucket.max) bucket.max = child.max;
  bucket.sum += child.sum;
  bucket.last = child.last;
  bucket.step1 = child.step1;
  bucket.dt1 = child.dt1;
}

/** SQLite has no NaN: it is NULL. `node:sqlite` would do the same; this says it. */
export function nullIfNaN(value: number): number | null {
  return Number.isNaN(value) ? null : value;
}

export function nanIfNull(value: unknown): number {
  return value === null || value === undefined ? Number.NaN : Number(value);
}
