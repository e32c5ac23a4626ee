/** Lines, envelopes and marks onto a canvas. All lengths in CSS pixels; the context is scaled already. */
import { bucketAt, type Line } from './line.ts';

/** What is needed of a canvas; `svg-pen.ts` is another. */
export type Pen = Pick<
  CanvasRenderingContext2D,
  | 'beginPath'
  | 'moveTo'
  | 'lineTo'
  | 'arc'
  | 'closePath'
  | 'stroke'
  | 'fill'
  | 'setLineDash'
  | 'strokeStyle'
  | 'fillStyle'
  | 'globalAlpha'
  | 'lineWidth'
  | 'lineJoin'
>;

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

export interface Stroke {
  colour: string;
  dash: readonly number[];
  width: number;
  /** 0 to 1, of the line; the envelope has 15 % of it. */
  alpha: number;
  envelope: boolean;
  /** Buckets that stand out are drawn at full strength; not in a band, which is no bucket. */
  spikes: boolean;
}

/** Far outside: canvas coordinates beyond this lose precision. */
const FAR = 1e5;
const clamp = (value: number): number => (value > FAR ? FAR : value < -FAR ? -FAR : value);

/** Where a distance between neighbours is so much more than usual that it is a gap. */
export function gapWidth(line: Line): number {
  const { n, x0, x1 } = line;
  if (n < 8) return Number.POSITIVE_INFINITY;
  const stride = Math.max(1, Math.floor(n / 64));
  const distances: number[] = [];
  for (let index = stride; index < n; index += stride)
    distances.push((x0[index] ?? 0) - (x1[index - 1] ?? 0));
  const widths = distances.sort((a, b) => a - b);
  const usual = widths[Math.floor(widths.length * 0.75)] ?? 0;
  const whole = (x1[n - 1] ?? 0) - (x0[0] ?? 0);
  return usual > 0 ? Math.max(usual * 10, whole / 50) : Number.POSITIVE_INFINITY;
}

/** Indices to draw: those within the plot and one beyond on each side. */
const visible = (line: Line, at: Projection): [from: number, to: number] => [
  Math.max(0, bucketAt(line, at.from)),
  Math.min(line.n - 1, bucketAt(line, at.to) + 1),
];

export function drawEnvelope(context: Pen, line: Line, at: Projection, stroke: Stroke): void {
  if (line.raw) return;
  const [from, to] = visible(line, at);
  context.fillStyle = stroke.colour;
  context.globalAlpha = stroke.alpha * 0.15;
  context.beginPath();
  let start = from;
  const close = (end: number) => {
    for (let index = end; index >= start; index--) {
      const y = clamp(at.y(line.min[index] ?? 0));
      context.lineTo(clamp(at.x(line.x1[index] ?? 0)), y);
      context.lineTo(clamp(at.x(line.x0[index] ?? 0)), y);
    }
    context.closePath();
  };
  let open = false;
  for (let index = from; index <= to; index++) {
    const max = line.max[index] ?? Number.NaN;
    if (Number.isNaN(max)) {
      if (open) close(index - 1);
      open = false;
      continue;
    }
    const y = clamp(at.y(max));
    const x = clamp(at.x(line.x0[index] ?? 0));
    if (open) context.lineTo(x, y);
    else context.moveTo(x, y);
    if (!open) start = index;
    open = true;
    context.lineTo(clamp(at.x(line.x1[index] ?? 0)), y);
  }
  if (open) close(to);
  context.fill();
}

/** The line through `y`, broken at NaN and at gaps; a value between two gaps is a dot. */
export function drawLine(context: Pen, line: Line, y: Float64Array, at: Projection, stroke: Stroke): void {
  const [from, to] = visible(line, at);
  const gap = gapWidth(line);
  context.strokeStyle = stroke.colour;
  context.globalAlpha = stroke.alpha;
  context.lineWidth = stroke.width;
  // Round joins cost more than the line; at a pixel's width nobody sees them.
  context.lineJoin = stroke.width > 1 ? 'round' : 'bevel';
  context.setLineDash([...stroke.dash]);
  context.beginPath();
  let [pen, lone, lastX, lastY, lastEnd] = [false, false, 0, 0, 0];
  const dots: number[] = [];
  for (let index = from; index <= to; index++) {
    const value = y[index] ?? Number.NaN;
    const [left, right] = [line.x0[index] ?? 0, line.x1[index] ?? 0];
    const py = clamp(at.y(value));
    if (!Number.isFinite(value) || Number.isNaN(py)) {
      if (pen && lone) dots.push(lastX, lastY);
      pen = false;
      continue;
    }
    // The ends of a line reach to its first and last sample; between, a bucket stands at its middle.
    const place = index === 0 ? left : index === line.n - 1 ? right : (left + right) / 2;
    const px = clamp(at.x(place));
    if (pen && left - lastEnd > gap) {
      if (lone) dots.push(lastX, lastY);
      pen = false;
    }
    if (pen) {
      // Several in one column of pixels: the envelope tells the rest.
      if (px - lastX < 0.4 && Math.abs(py - lastY) < 0.4 && index < to) continue;
      context.lineTo(px, py);
      lone = false;
    } else {
      context.moveTo(px, py);
      lone = true;
    }
    [pen, lastX, lastY, lastEnd] = [true, px, py, right];
  }
  if (pen && lone) dots.push(lastX, lastY);
  context.stroke();
  context.setLineDash([]);
  if (dots.length === 0) return;
  context.fillStyle = stroke.colour;
  context.beginPath();
  for (let index = 0; index < dots.length; index += 2) {
    const [x, dotY] = [dots[index] ?? 0, dots[index + 1] ?? 0];
    context.moveTo(x + 2, dotY);
    context.arc(x, dotY, 2, 0, Math.PI * 2);
  }
  context.fill();
}

/**
 * What an envelope of 15 % would whisper: a bucket that stands out from its neighbours by far is drawn at full strength, as
 * the upright line that the samples themselves would make.
 */
export function drawSpikes(context: Pen, line: Line, at: Projection, stroke: Stroke): void {
  if (line.raw) return;
  const [from, to] = visible(line, at);
  if (to - from < 8) return;
  const stride = Math.max(1, Math.floor((to - from) / 200));
  const extents: number[] = [];
  for (let index = from; index <= to; index += stride) {
    const extent = (line.max[index] ?? 0) - (line.min[index] ?? 0);
    if (Number.isFinite(extent)) extents.push(extent);
  }
  extents.sort((a, b) => a - b);
  const usual = extents[Math.floor(extents.length * 0.9)] ?? 0;
  const least = Math.max(usual * 2.5, Number.MIN_VALUE);
  context.strokeStyle = stroke.colour;
  context.globalAlpha = stroke.alpha;
  context.lineWidth = Math.max(1, stroke.width - 0.25);
  context.beginPath();
  for (let index = from; index <= to; index++) {
    const [min, max, mean] = [line.min[index] ?? 0, line.max[index] ?? 0, line.mean[index] ?? Number.NaN];
    if (!(max - min > least) || Number.isNaN(mean)) continue;
    const x = clamp(at.x(((line.x0[index] ?? 0) + (line.x1[index] ?? 0)) / 2));
    const [top, bottom] = [clamp(at.y(max)), clamp(at.y(min))];
    if (Number.isNaN(top)) continue;
    context.moveTo(x, top);
    context.lineTo(x, Number.isNaN(bottom) ? at.height : bottom);
  }
  context.stroke();
}

/** NaN at the foot, infinities at their edge, and where a run was resumed. */
export function drawMarks(context: Pen, line: Line, at: Projection, stroke: Stroke): void {
  const [from, to] = visible(line, at);
  context.globalAlpha = stroke.alpha;
  context.strokeStyle = stroke.colour;
  context.lineWidth = 1.25;
  context.beginPath();
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
    if (nan) cross(context, x, at.height - 5);
    if (high) arrow(context, x, 2, 1);
    if (low) arrow(context, x, at.height - 2, -1);
  }
  context.stroke();
  if (!line.resumes || line.n === 0) return;
  const [x, y] = [at.x(line.x0[0] ?? 0), at.y(line.mean[0] ?? Number.NaN)];
  if (!(x >= 0 && x <= at.width) || !Number.isFinite(y)) return;
  context.beginPath();
  context.arc(x, y, 3, 0, Math.PI * 2);
  context.stroke();
}

function cross(context: Pen, x: number, y: number): void {
  context.moveTo(x - 2.5, y - 2.5);
  context.lineTo(x + 2.5, y + 2.5);
  context.moveTo(x + 2.5, y - 2.5);
  context.lineTo(x - 2.5, y + 2.5);
}

function arrow(context: Pen, x: number, y: number, down: 1 | -1): void {
  context.moveTo(x - 3, y + 4 * down);
  context.lineTo(x, y);
  context.lineTo(x + 3, y + 4 * down);
}
