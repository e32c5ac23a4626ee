import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Look } from './pen.ts';
import { Raster } from './raster.ts';

/** What of a browser is used: a place for pixels, and what a colour's text means; here, three bytes. */
class Pixels {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.data = new Uint8ClampedArray(width * height * 4);
  }
}
class OnePixel {
  fillStyle = '';
  getContext = () => this;
  fillRect(): void {}
  getImageData = () => ({ data: this.fillStyle.split(' ').map(Number) });
}

const [WHITE, BLACK] = ['255 255 255', '0 0 0'];
const ink = (more: Partial<Look> = {}): Look => ({ colour: BLACK, alpha: 1, width: 1.5, dash: [], ...more });

function raster(ratio = 1): Raster {
  const made = new Raster();
  made.resize(100 * ratio, 60 * ratio, ratio);
  made.clear(WHITE, '200 200 200', [], []);
  return made;
}

/** How black each pixel is, 0 to 1. */
const darkness = (one: Raster) => {
  const { data, width } = one.image();
  const dark = Float64Array.from({ length: data.length / 4 }, (_, index) => 1 - (data[index * 4] ?? 0) / 255);
  return {
    at: (x: number, y: number) => dark[y * width + x] ?? 0,
    sum: dark.reduce((sum, each) => sum + each, 0),
  };
};

describe('the raster', () => {
  beforeAll(() => {
    vi.stubGlobal('ImageData', Pixels);
    vi.stubGlobal('OffscreenCanvas', OnePixel);
  });
  afterAll(() => {
    vi.unstubAllGlobals();
  });

  it('covers as much as a line has length and width, at any slope', () => {
    for (let degrees = 0; degrees < 180; degrees += 15) {
      const [dx, dy] = [25 * Math.cos((degrees * Math.PI) / 180), 25 * Math.sin((degrees * Math.PI) / 180)];
      const one = raster();
      one.line(Float64Array.of(50.3 - dx, 30.2 - dy, 50.3 + dx, 30.2 + dy), 4, ink());
      expect(darkness(one).sum / (50 * 1.5), `${degrees}°`).toBeCloseTo(1, 1);
    }
  });

  it('draws a line of many short pieces like one of a few long ones', () => {
    const wave = (x: number) => 30 + 20 * Math.sin(x / 9);
    const curve = (step: number) => {
      const points = Array.from({ length: Math.floor(90 / step) + 1 }, (_, index) => [
        5 + index * step,
        wave(5 + index * step),
      ]).flat();
      const one = raster();
      one.line(Float64Array.from(points), points.length, ink());
      return darkness(one);
    };
    const [fine, coarse] = [curve(0.15), curve(3)];
    expect(fine.sum / coarse.sum).toBeCloseTo(1, 1);
    // No hole and no dark spot on its way.
    for (let x = 8; x < 92; x++) {
      let column = 0;
      for (let y = 0; y < 60; y++) column += fine.at(x, y);
      const slope = (20 / 9) * Math.cos((x + 0.5) / 9);
      expect(Math.abs(column - 1.5 * Math.hypot(1, slope)), `column ${x}`).toBeLessThan(0.8);
    }
  });

  it('shows a spike of one sample at its full height', () => {
    const one = raster();
    one.line(Float64Array.of(0, 55, 50, 55, 50.05, 3, 50.1, 55, 100, 55), 10, ink());
    const { at } = darkness(one);
    for (let y = 4; y < 54; y++) expect(at(50, y), `row ${y}`).toBeGreaterThan(0.6);
  });

  it('keeps an area’s outermost edges, however many corners a column has', () => {
    const corners = Array.from({ length: 1000 }, (_, index) => [
      index / 10,
      index === 617 ? 2 : 28,
      index === 333 ? 58 : 32,
    ]).flat();
    const one = raster();
    one.band(Float64Array.from(corners), corners.length, ink({ alpha: 0.5 }));
    const { at } = darkness(one);
    expect(at(20, 30)).toBeCloseTo(0.5, 1);
    expect(at(20, 20)).toBe(0);
    expect(Math.max(at(61, 4), at(62, 4))).toBeCloseTo(0.5, 1);
    expect(Math.max(at(33, 56), at(34, 56))).toBeCloseTo(0.5, 1);
  });

  it('is the same picture at twice the pixels, and never leaves its own', () => {
    const sums = [1, 2].map((ratio) => {
      const one = raster(ratio);
      one.line(Float64Array.of(-1e5, -1e5, 1e5, 1e5, 50, -1e5, 50, 1e5), 8, ink({ dash: [6, 3] }));
      one.dot(99, 59, 4, ink());
      one.ring(0, 0, 3, ink());
      return darkness(one).sum / ratio ** 2;
    });
    expect((sums[0] ?? 0) / (sums[1] ?? 1)).toBeCloseTo(1, 1);
  });

  it('pales what is over the ground, and not the ground', () => {
    const [ground, one, pale] = [raster(), raster(), new Raster()];
    for (const each of [ground, one]) each.clear(WHITE, '200 200 200', [20], []);
    one.line(Float64Array.of(0, 30, 100, 30), 4, ink({ width: 2 }));
    pale.fade(one, ground, 0.25);
    expect(darkness(pale).at(50, 30)).toBeCloseTo(0.25, 1);
    expect(darkness(pale).at(20, 10)).toBe(darkness(ground).at(20, 10));
  });
});
