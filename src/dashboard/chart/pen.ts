/** What lines are drawn with: pixels of our own (`raster.ts`), or SVG (`svg-pen.ts`). All lengths in CSS pixels. */

export interface Look {
  /** As CSS has it. */
  colour: string;
  /** 0 to 1. */
  alpha: number;
  width: number;
  dash: readonly number[];
}

export interface Pen {
  /** An unbroken line: x and y in turn, `count` numbers in all. */
  line(points: Float64Array, count: number, look: Look): void;
  /** An area: x, top and bottom in turn, from left to right. */
  band(corners: Float64Array, count: number, look: Look): void;
  dot(x: number, y: number, radius: number, look: Look): void;
  ring(x: number, y: number, radius: number, look: Look): void;
}

/** Numbers that are put together before a pen gets them; its memory stays. */
export class Path {
  points = new Float64Array(1024);
  count = 0;

  clear(): void {
    this.count = 0;
  }

  add(a: number, b: number): void {
    this.#room(2);
    this.points[this.count++] = a;
    this.points[this.count++] = b;
  }

  add3(a: number, b: number, c: number): void {
    this.#room(3);
    this.points[this.count++] = a;
    this.points[this.count++] = b;
    this.points[this.count++] = c;
  }

  #room(more: number): void {
    if (this.count + more <= this.points.length) return;
    const bigger = new Float64Array(this.points.length * 2);
    bigger.set(this.points);
    this.points = bigger;
  }
}
