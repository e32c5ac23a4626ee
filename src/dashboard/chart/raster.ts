/**
 * A pen that sets pixels. Without a graphics card a browser takes 5 to 10 ms to stroke twenty noisy lines of a chart, as it
 * makes each stroke an outline first and fills that; what a chart draws is simpler. A line is a piece of each pixel column
 * that it crosses (of each row, where it is steep), as thick as its slope makes it there; an area is one span a column.
 * The picture is opaque, so that a pixel is mixed with one multiplication for each pair of channels.
 */
import type { Look, Pen } from './pen.ts';

/** Red and blue, green, as the bytes of a picture lie in a number. */
const RED_BLUE = 0x00ff00ff;
const GREEN = 0x0000ff00;
const OPAQUE = 0xff000000;

export class Raster implements Pen {
  /** Device pixels. */
  width = 0;
  height = 0;
  /** Column after column, as that is how lines are drawn. */
  #pixels = new Uint32Array(0);
  /** Device pixels of a CSS pixel. */
  #ratio = 1;

  /** Makes it so large, in device pixels; what it held is lost where that is a change. */
  resize(width: number, height: number, ratio: number): void {
    this.#ratio = ratio;
    if (width === this.width && height === this.height) return;
    this.width = Math.max(1, width);
    this.height = Math.max(1, height);
    this.#pixels = new Uint32Array(this.width * this.height);
  }

  /** As a canvas takes it; good until the next one is made. */
  image(): ImageData {
    const { width, height } = this;
    if (shared?.width !== width || shared.height !== height) shared = new ImageData(width, height);
    const to = new Uint32Array(shared.data.buffer);
    const from = this.#pixels;
    // In squares that the processor's cache holds.
    for (let left = 0; left < width; left += 16) {
      const right = Math.min(width, left + 16);
      for (let y = 0; y < height; y++) {
        for (let x = left; x < right; x++) to[y * width + x] = from[x * height + y] ?? 0;
      }
    }
    return shared;
  }

  /** One colour, and lines of another at some places (CSS pixels) of each axis. */
  clear(colour: string, grid: string, columns: readonly number[], rows: readonly number[]): void {
    this.#pixels.fill(rgb(colour) | OPAQUE);
    const ink = rgb(grid) | OPAQUE;
    const thick = Math.max(1, Math.round(this.#ratio));
    const place = (at: number, size: number) =>
      Math.max(0, Math.min(size - thick, Math.round(at * this.#ratio - thick / 2)));
    const { width, height } = this;
    for (const column of columns) {
      const from = place(column, width) * height;
      this.#pixels.fill(ink, from, from + thick * height);
    }
    for (const row of rows) {
      const from = place(row, height);
      for (let x = 0; x < width; x++) this.#pixels.fill(ink, x * height + from, x * height + from + thick);
    }
  }

  /** Becomes what another is, with a share (0 to 1) of what that has over `ground`. */
  fade(other: Raster, ground: Raster, share: number): void {
    this.resize(other.width, other.height, other.#ratio);
    const [from, under, to] = [other.#pixels, ground.#pixels, this.#pixels];
    const weight = Math.round(share * 256);
    for (let at = 0; at < to.length; at++) {
      const below = under[at] ?? 0;
      const above = from[at] ?? 0;
      to[at] = below === above ? below : mixed(below, above & RED_BLUE, above & GREEN, weight);
    }
  }

  /**
   * First how much of each pixel the line covers, all its pieces together, then the colour over that: pieces that meet in a
   * pixel make neither a hole nor a dark spot.
   */
  line(points: Float64Array, count: number, look: Look): void {
    const ratio = this.#ratio;
    const half = Math.max(1, look.width * ratio) / 2;
    const dashes = look.dash.length > 0 ? dashEnds(look.dash, ratio) : undefined;
    begin(this.width, this.height);
    let along = 0;
    let ax = (points[0] ?? 0) * ratio;
    let ay = (points[1] ?? 0) * ratio;
    for (let at = 2; at + 1 < count; at += 2) {
      const bx = (points[at] ?? 0) * ratio;
      const by = (points[at + 1] ?? 0) * ratio;
      if (Math.abs(bx - ax) >= Math.abs(by - ay)) this.#flat(ax, ay, bx, by, half, dashes, along);
      else this.#steep(ax, ay, bx, by, half, dashes, along);
      if (dashes) along += Math.hypot(bx - ax, by - ay);
      ax = bx;
      ay = by;
    }
    // Thinner than a pixel is paler.
    this.#ink(rgb(look.colour), look.alpha * Math.min(1, look.width * ratio));
  }

  /** Column by column; across them it is as thick as its slope makes it. */
  #flat(
    ax: number,
    ay: number,
    bx: number,
    by: number,
    half: number,
    dashes: Float64Array | undefined,
    along: number,
  ): void {
    if (ax === bx) return;
    const slope = (by - ay) / (bx - ax);
    const stretch = Math.sqrt(1 + slope * slope);
    const reach = half * stretch;
    const from = Math.max(0, Math.min(ax, bx));
    const to = Math.min(this.width, Math.max(ax, bx));
    const height = this.height;
    const covered = cover;
    for (let x = Math.floor(from); x < to; x++) {
      const left = from > x ? from : x;
      const right = to < x + 1 ? to : x + 1;
      const way = (left + right) / 2 - ax;
      if (dashes !== undefined && isGap(dashes, along + Math.abs(way) * stretch)) continue;
      const top = ay + way * slope - reach;
      const bottom = top + 2 * reach;
      const first = Math.max(0, Math.floor(top));
      const end = Math.min(height, Math.ceil(bottom));
      if (first >= end) continue;
      const full = (right - left) * 255;
      for (let y = first; y < end; y++) {
        const inside = (bottom < y + 1 ? bottom : y + 1) - (top > y ? top : y);
        add(covered, x * height + y, (inside * full) | 0);
      }
      touch(x, first, end);
    }
  }

  /** Row by row. */
  #steep(
    ax: number,
    ay: number,
    bx: number,
    by: number,
    half: number,
    dashes: Float64Array | undefined,
    along: number,
  ): void {
    const slope = (bx - ax) / (by - ay);
    const stretch = Math.sqrt(1 + slope * slope);
    const reach = half * stretch;
    const from = Math.max(0, Math.min(ay, by));
    const to = Math.min(this.height, Math.max(ay, by));
    if (from >= to) return;
    const { width, height } = this;
    const covered = cover;
    const thick = 2 * reach;
    const end = Math.ceil(to);
    // Over an edge of the plot pixels are looked at one by one.
    const inside = Math.min(ax, bx) - reach >= 0 && Math.max(ax, bx) + reach + 1 < width;
    for (let y = Math.floor(from); y < end; y++) {
      const upper = from > y ? from : y;
      const lower = to < y + 1 ? to : y + 1;
      const way = (upper + lower) / 2 - ay;
      if (dashes !== undefined && isGap(dashes, along + Math.abs(way) * stretch)) continue;
      const left = ax + way * slope - reach;
      const full = (lower - upper) * 255;
      if (!inside) {
        const right = left + thick;
        for (let x = Math.max(0, Math.floor(left)); x <= Math.min(width - 1, Math.floor(right)); x++) {
          const share = (right < x + 1 ? right : x + 1) - (left > x ? left : x);
          add(covered, x * height + y, (share * full) | 0);
        }
        continue;
      }
      const first = left | 0;
      let index = first * height + y;
      const begun = first + 1 - left;
      let rest = thick - begun;
      if (rest <= 0) {
        add(covered, index, (thick * full) | 0);
        continue;
      }
      add(covered, index, (begun * full) | 0);
      for (; rest > 1; rest--) {
        index += height;
        add(covered, index, full | 0);
      }
      add(covered, index + height, (rest * full) | 0);
    }
    const first = Math.max(0, Math.floor(Math.min(ax, bx) - reach));
    const last = Math.min(width, Math.ceil(Math.max(ax, bx) + reach));
    for (let x = first; x < last; x++) touch(x, Math.floor(from), end);
  }

  /** A colour over all that is covered; nothing is, afterwards. */
  #ink(colour: number, alpha: number): void {
    const redBlue = colour & RED_BLUE;
    const green = colour & GREEN;
    const full = (alpha * 256) / 255;
    const { width, height } = this;
    const pixels = this.#pixels;
    const covered = cover;
    for (let x = 0; x < width; x++) {
      const end = x * height + (lows[x] ?? 0);
      for (let index = x * height + (highs[x] ?? 0); index < end; index++) {
        const share = covered[index] ?? 0;
        if (share === 0) continue;
        covered[index] = 0;
        pixels[index] = mixed(pixels[index] ?? 0, redBlue, green, (share * full) | 0);
      }
    }
  }

  band(corners: Float64Array, count: number, look: Look): void {
    const colour = rgb(look.colour);
    const ratio = this.#ratio;
    // Of corners within one column the outermost count.
    let high = Number.POSITIVE_INFINITY;
    let low = Number.NEGATIVE_INFINITY;
    for (let at = 0; at + 2 < count; at += 3) {
      const next = Math.min(at + 3, count - 3);
      const x0 = (corners[at] ?? 0) * ratio;
      const top0 = (corners[at + 1] ?? 0) * ratio;
      const bottom0 = (corners[at + 2] ?? 0) * ratio;
      const x1 = (corners[next] ?? 0) * ratio;
      const top1 = (corners[next + 1] ?? 0) * ratio;
      const bottom1 = (corners[next + 2] ?? 0) * ratio;
      if (top0 < high) high = top0;
      if (bottom0 > low) low = bottom0;
      const to = Math.min(this.width, Math.ceil(x1 - 0.5));
      for (let x = Math.max(0, Math.ceil(x0 - 0.5)); x < to; x++) {
        const share = (x + 0.5 - x0) / (x1 - x0);
        const top = Math.min(high, top0 + (top1 - top0) * share);
        this.#span(x, top, Math.max(low, bottom0 + (bottom1 - bottom0) * share), colour, look.alpha);
        high = Number.POSITIVE_INFINITY;
        low = Number.NEGATIVE_INFINITY;
      }
    }
  }

  #span(x: number, top: number, bottom: number, colour: number, alpha: number): void {
    const redBlue = colour & RED_BLUE;
    const green = colour & GREEN;
    const full = alpha * 256;
    const from = Math.max(0, Math.floor(top));
    const to = Math.min(this.height, Math.ceil(bottom));
    const pixels = this.#pixels;
    for (let y = from; y < to; y++) {
      const inside = (bottom < y + 1 ? bottom : y + 1) - (top > y ? top : y);
      const index = x * this.height + y;
      pixels[index] = mixed(pixels[index] ?? 0, redBlue, green, (inside * full) | 0);
    }
  }

  dot(x: number, y: number, radius: number, look: Look): void {
    this.#round(x, y, Number.NEGATIVE_INFINITY, radius, look);
  }

  ring(x: number, y: number, radius: number, look: Look): void {
    this.#round(x, y, radius - look.width / 2, radius + look.width / 2, look);
  }

  #round(x: number, y: number, inner: number, outer: number, look: Look): void {
    const ratio = this.#ratio;
    const colour = rgb(look.colour);
    const [cx, cy, reach] = [x * ratio, y * ratio, outer * ratio];
    for (let py = Math.max(0, Math.floor(cy - reach)); py < Math.min(this.height, cy + reach); py++) {
      for (let px = Math.max(0, Math.floor(cx - reach)); px < Math.min(this.width, cx + reach); px++) {
        const far = Math.hypot(px + 0.5 - cx, py + 0.5 - cy);
        const inside = Math.min(1, reach + 0.5 - far, far + 0.5 - inner * ratio);
        if (inside <= 0) continue;
        const index = px * this.height + py;
        const weight = (inside * look.alpha * 256) | 0;
        this.#pixels[index] = mixed(this.#pixels[index] ?? 0, colour & RED_BLUE, colour & GREEN, weight);
      }
    }
  }
}

/** How much of each pixel the line at hand covers, 0 to 255; nothing between lines. */
let cover = new Uint8Array(0);
/** The rows of each column where that may be more than nothing. */
let highs = new Int32Array(0);
let lows = new Int32Array(0);

function begin(width: number, height: number): void {
  if (cover.length < width * height) cover = new Uint8Array(width * height);
  if (highs.length < width) {
    highs = new Int32Array(width);
    lows = new Int32Array(width);
  }
  highs.fill(height, 0, width);
  lows.fill(0, 0, width);
}

function add(cover: Uint8Array, index: number, more: number): void {
  const sum = (cover[index] ?? 0) + more;
  cover[index] = sum < 255 ? sum : 255;
}

function touch(x: number, from: number, to: number): void {
  if (from < (highs[x] ?? 0)) highs[x] = from;
  if (to > (lows[x] ?? 0)) lows[x] = to;
}

/** One pixel with another over it, of which `weight` 256ths count. Both lanes wrap around as they must. */
function mixed(below: number, redBlue: number, green: number, weight: number): number {
  const a = below & RED_BLUE;
  const b = below & GREEN;
  return (
    OPAQUE |
    ((a + (Math.imul(redBlue - a, weight) >> 8)) & RED_BLUE) |
    ((b + (Math.imul(green - b, weight) >> 8)) & GREEN)
  );
}

/** Where each dash and each gap ends, from the beginning of the pattern. */
function dashEnds(dash: readonly number[], ratio: number): Float64Array {
  let end = 0;
  return Float64Array.from(dash, (one) => {
    end += one * ratio;
    return end;
  });
}

function isGap(ends: Float64Array, along: number): boolean {
  const last = ends.length - 1;
  const place = along % (ends[last] ?? 1);
  let index = 0;
  while (index < last && place >= (ends[index] ?? 0)) index++;
  return index % 2 === 1;
}

let shared: ImageData | undefined;
const known = new Map<string, number>();
let reader: OffscreenCanvasRenderingContext2D | null | undefined;

/** Any colour that CSS knows, as red, green and blue from the lowest byte on. */
function rgb(colour: string): number {
  let value = known.get(colour);
  if (value === undefined) {
    reader ??= new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true });
    if (!reader) return 0;
    reader.fillStyle = colour;
    reader.fillRect(0, 0, 1, 1);
    const [red = 0, green = 0, blue = 0] = reader.getImageData(0, 0, 1, 1).data;
    value = red | (green << 8) | (blue << 16);
    known.set(colour, value);
  }
  return value;
}
