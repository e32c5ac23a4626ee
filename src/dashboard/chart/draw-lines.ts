/** Lines, envelopes and marks by a pen. All lengths in CSS pixels. */
import { bucketAt, type Line } from './line.ts';
import { type Look, Path, type Pen } from './pen.ts';

/** From values to pixels of the plot, linear or logarithmic. */
export interface Projection {
  x: (value: number) => number;
  y: (value: number) => number;
  /** The values of x at both ends. */
  from: number;
  to: number;
  width: number;
  height: number;
}

export function projector(
  from: number,
  to: number,
  log: boolean,
  size: number,
  upward: boolean,
): (value: number) => number {
  const [a, b] = log ? [Math.log10(from), Math.log10(to)] : [from, to];
  const scale = size / (b - a);
  if (log) {
    return upward
      ? (value) => size - (Math.log10(value) - a) * scale
      : (value) => (Math.log10(value) - a) * scale;
  }
  return upward ? (value) => size - (value - a) * scale : (value) => (value - a) * scale;
}

/** `alpha` is the line's; the envelope has 15 % of it. */
export interface Stroke extends Look {
  envelope: boolean;
  /** Buckets that stand out are drawn at full strength; not in a band, which is no bucket. */
  spikes: boolean;
}

/** Far outside: canvas coordinates beyond this lose precision. */
const FAR = 1e5;
const clamp = (value: number): number => (value > FAR ? FAR : value < -FAR ? -FAR : value);

const gaps = new WeakMap<Line, { version: number; width: number }>();

/** Where a distance between neighbours is so much more than usual that it is a gap. */
export function gapWidth(line: Line): number {
  const kept = gaps.get(line);
  if (kept?.version === line.version) return kept.width;
  const width = measureGap(line);
  gaps.set(line, { version: line.version, width });
  return width;
}

function measureGap({ n, x0, x1 }: Line): number {
  if (n < 8) return Number.POSITIVE_INFINITY;
  const stride = Math.max(1, Math.floor(n / 64));
  const widths = new Float64Array(Math.ceil(n / stride) - 1);
  for (let place = 0; place < widths.length; place++) {
    const index = (place + 1) * stride;
    widths[place] = (x0[index] ?? 0) - (x1[index - 1] ?? 0);
  }
  widths.sort();
  const usual = widths[Math.floor(widths.length * 0.75)] ?? 0;
  const whole = (x1[n - 1] ?? 0) - (x0[0] ?? 0);
  return usual > 0 ? Math.max(usual * 10, whole / 50) : Number.POSITIVE_INFINITY;
}

/** Indices to draw: those within the plot and one beyond on each side. */
const visible = (line: Line, at: Projection): [from: number, to: number] => [
  Math.max(0, bucketAt(line, at.from)),
  Math.min(line.n - 1, bucketAt(line, at.to) + 1),
];

/** Filled and handed on within one call each. */
const path = new Path();

export function drawEnvelope(pen: Pen, line: Line, at: Projection, stroke: Stroke): void {
  if (line.raw) return;
  const [from, to] = visible(line, at);
  const look = { ...stroke, alpha: stroke.alpha * 0.15 };
  path.clear();
  for (let index = from; index <= to; index++) {
    const max = line.max[index] ?? Number.NaN;
    if (Number.isNaN(max)) {
      pen.band(path.points, path.count, look);
      path.clear();
      continue;
    }
    const [top, bottom] = [clamp(at.y(max)), clamp(at.y(line.min[index] ?? 0))];
    path.add3(clamp(at.x(line.x0[index] ?? 0)), top, bottom);
    path.add3(clamp(at.x(line.x1[index] ?? 0)), top, bottom);
  }
  pen.band(path.points, path.count, look);
}

/** The line through `y`, broken at NaN and at gaps; a value between two gaps is a dot. */
export function drawLine(pen: Pen, line: Line, y: Float64Array, at: Projection, stroke: Stroke): void {
  const [from, to] = visible(line, at);
  const gap = gapWidth(line);
  let down = false;
  let lastX = 0;
  let lastY = 0;
  let lastEnd = 0;
  path.clear();
  for (let index = from; index <= to; index++) {
    const value = y[index] ?? Number.NaN;
    const py = clamp(at.y(value));
    if (!Number.isFinite(value) || Number.isNaN(py)) {
      finish(pen, stroke);
      down = false;
      continue;
    }
    const left = line.x0[index] ?? 0;
    const right = line.x1[index] ?? 0;
    // The ends of a line reach to its first and last sample; between, a bucket stands at its middle.
    const place = index === 0 ? left : index === line.n - 1 ? right : (left + right) / 2;
    const px = clamp(at.x(place));
    if (down && left - lastEnd > gap) {
      finish(pen, stroke);
      down = false;
    }
    lastEnd = right;
    // Several in one column of pixels: the envelope tells the rest.
    if (down && px - lastX < 0.4 && Math.abs(py - lastY) < 0.4 && index < to) continue;
    path.add(px, py);
    down = true;
    lastX = px;
    lastY = py;
  }
  finish(pen, stroke);
}

function finish(pen: Pen, stroke: Stroke): void {
  if (path.count === 2) pen.dot(path.points[0] ?? 0, path.points[1] ?? 0, 2, stroke);
  else if (path.count > 2) pen.line(path.points, path.count, stroke);
  path.clear();
}

/** Times the usual extent. */
const OUTSTANDING = 2.5;

/**
 * What an envelope of 15 % would whisper: a bucket that stands out from its neighbours by far is drawn at full strength, as
 * the upright line that the samples themselves would make.
 */
export function drawSpikes(pen: Pen, line: Line, at: Projection, stroke: Stroke): void {
  if (line.raw) return;
  const [from, to] = visible(line, at);
  if (to - from < 8) return;
  const stride = Math.max(1, Math.floor((to - from) / 200));
  const extents: number[] = [];
  let greatest = 0;
  for (let index = from; index <= to; index += stride) {
    const extent = (line.max[index] ?? 0) - (line.min[index] ?? 0);
    if (extent > greatest) greatest = extent;
    if (Number.isFinite(extent)) extents.push(extent);
  }
  const place = Math.floor(extents.length * 0.9);
  if (stride === 1) {
    // Of most lines none stands out, as the usual is near the greatest: seen without putting them in order.
    let near = 0;
    for (const extent of extents) if (extent * OUTSTANDING >= greatest) near++;
    if (near >= extents.length - place) return;
  }
  extents.sort((a, b) => a - b);
  const usual = extents[place] ?? 0;
  const least = Math.max(usual * OUTSTANDING, Number.MIN_VALUE);
  const look = { ...stroke, width: Math.max(1, stroke.width - 0.25), dash: [] };
  for (let index = from; index <= to; index++) {
    const [min, max, mean] = [line.min[index] ?? 0, line.max[index] ?? 0, line.mean[index] ?? Number.NaN];
    if (!(max - min > least) || Number.isNaN(mean)) continue;
    const x = clamp(at.x(((line.x0[index] ?? 0) + (line.x1[index] ?? 0)) / 2));
    const [top, bottom] = [clamp(at.y(max)), clamp(at.y(min))];
    if (Number.isNaN(top)) continue;
    segment(pen, x, top, x, Number.isNaN(bottom) ? at.height : bottom, look);
  }
}

/** NaN at the foot, infinities at their edge, and where a run was resumed. */
export function drawMarks(pen: Pen, line: Line, at: Projection, stroke: Stroke): void {
  const [from, to] = visible(line, at);
  const look = { ...stroke, width: 1.25, dash: [] };
  let last = Number.NEGATIVE_INFINITY;
  for (let index = from; index <= to; index++) {
    const value = line.mean[index] ?? Number.NaN;
    const nan = line.nan === undefined ? Number.isNaN(value) : (line.nan[index] ?? 0) > 0;
    const [high, low] = [
      line.max[index] === Number.POSITIVE_INFINITY,
      line.min[index] === Number.NEGATIVE_INFINITY,
    ];
    if (!nan && !high && !low) continue;
    const x = at.x(((line.x0[index] ?? 0) + (line.x1[index] ?? 0)) / 2);
    if (x - last < 4 || x < -4 || x > at.width + 4) continue;
    last = x;
    if (nan) cross(pen, x, at.height - 5, look);
    if (high) arrow(pen, x, 2, 1, look);
    if (low) arrow(pen, x, at.height - 2, -1, look);
  }
  if (!line.resumes || line.n === 0 || from > 0) return;
  const [x, y] = [at.x(line.x0[0] ?? 0), at.y(line.mean[0] ?? Number.NaN)];
  if (!(x >= 0 && x <= at.width) || !Number.isFinite(y)) return;
  pen.ring(x, y, 3, look);
}

const two = new Float64Array(4);

function segment(pen: Pen, x0: number, y0: number, x1: number, y1: number, look: Stroke): void {
  [two[0], two[1], two[2], two[3]] = [x0, y0, x1, y1];
  pen.line(two, 4, look);
}

function cross(pen: Pen, x: number, y: number, look: Stroke): void {
  segment(pen, x - 2.5, y - 2.5, x + 2.5, y + 2.5, look);
  segment(pen, x + 2.5, y - 2.5, x - 2.5, y + 2.5, look);
}

function arrow(pen: Pen, x: number, y: number, down: 1 | -1, look: Stroke): void {
  segment(pen, x - 3, y + 4 * down, x, y, look);
  segment(pen, x, y, x + 3, y + 4 * down, look);
}
