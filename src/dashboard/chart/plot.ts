/**
 * One drawing: uPlot for axes, cursor and selection, and pixels of our own within, in the same canvas. That one is never in
 * the page: what is whole is handed to the page's canvas as a bitmap, as without a graphics card a browser copies a canvas
 * that can be drawn on anew in each frame, changed or not. The lines' pixels are kept, so that pointing at a run costs one
 * line, however many there are.
 */
import uPlot from 'uplot';
import { formatNumber, formatTicks } from '../format/numbers.ts';
import { DURATION_STEPS, formatDuration, formatTimeTicks } from '../format/times.ts';
import { ink } from '../shell/theme.ts';
import {
  drawEnvelope,
  drawLine,
  drawMarks,
  drawSpikes,
  type Projection,
  projector,
  type Stroke,
} from './draw-lines.ts';
import type { Drawn, Range } from './extent.ts';
import type { Axis, Line } from './line.ts';
import type { Pen } from './pen.ts';
import { Raster } from './raster.ts';

/** A line with its look. */
export interface DrawnLine extends Drawn {
  /** The run, or the group, it stands for. */
  owner: string;
  stroke: Stroke;
  /** What is behind a smoothed line: the values themselves. */
  behind: Float64Array | undefined;
}

export interface Picture {
  lines: readonly DrawnLine[];
  x: Range;
  y: Range;
}

export interface PlotStyle {
  axis: Axis;
  logX: boolean;
  logY: boolean;
  /** How y is written, where it is not a plain number. */
  formatY?: ((value: number) => string) | undefined;
  /** Distances that ticks of y may have, where the usual ones make no round numbers. */
  stepsY?: ((greatest: number) => number[]) | undefined;
}

export interface PlotHandlers {
  /** The pointer at these pixels of the plot; null: it left. */
  hover: (at: { left: number; top: number } | null) => void;
  selectX: (range: Range) => void;
  selectY: (range: Range) => void;
  reset: () => void;
  /** Ctrl and wheel: by this factor around this share of the width. */
  zoom: (factor: number, at: number) => void;
  press: () => void;
}

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
/** CSS pixels; "12.5 MiB/s" fits. */
const Y_AXIS = 72;
const X_AXIS = 24;
/** Room at the right of the plot, and above it. */
const RIGHT = 12;
const TOP = 8;
/** Milliseconds of one step of a picture of many lines. */
const STEP_MS = 8;
/** Least pixels of a drag that means a range. */
const LEAST_DRAG = 6;
/** Distances of whole steps. */
const STEPS = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((one) => one * 10 ** power)).flat();

export class Plot {
  readonly #host: HTMLElement;
  readonly #handlers: PlotHandlers;
  readonly #raster = new Raster();
  /** How much of each line is in it. */
  #painted = new Map<Line, number>();
  /** Lines that are still to be painted: until then the page shows what it showed. */
  #unfinished: Iterator<void> | undefined;
  /** Within `draw`, whose caller paints on. */
  #drawing = false;
  /** What the page shows. */
  readonly #screen = document.createElement('canvas');
  readonly #display = this.#screen.getContext('bitmaprenderer');
  #plot: uPlot | undefined;
  /** Draws `#plot` for the first time. */
  #init: (() => void) | undefined;
  #style: PlotStyle;
  #size = { width: 0, height: 0 };
  /** Since it was last drawn. */
  #resized = false;
  #recoloured = false;
  #picture: Picture | undefined;
  #lifted: string | null = null;
  #cursorX: number | null = null;

  constructor(host: HTMLElement, style: PlotStyle, handlers: PlotHandlers) {
    this.#host = host;
    this.#style = style;
    this.#handlers = handlers;
    // The page's layers are these from the beginning: to add one costs as much as all of them.
    host.append(this.#screen);
  }

  get width(): number {
    return this.#plot?.over.clientWidth ?? 0;
  }

  setSize(width: number, height: number): void {
    if (width === this.#size.width && height === this.#size.height) return;
    this.#size = { width, height };
    this.#resized = true;
  }

  setStyle(style: PlotStyle): void {
    const before = this.#style;
    this.#style = style;
    if (before.axis === style.axis && before.logX === style.logX && before.logY === style.logY) return;
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  /** Makes what needs no data, while they are on their way. */
  prepare(): void {
    if (this.#plot === undefined && this.#size.width >= 40) this.#build();
  }

  /**
   * Draws all of it; `grown`: since the last time lines have grown at their ends, and nothing else has changed. True where
   * it is done: many lines are painted in steps, by `goOn`.
   */
  draw(picture: Picture, grown: boolean): boolean {
    const before = this.#picture;
    this.#picture = picture;
    if (this.#size.width < 40) return true;
    const plot = this.#plot ?? this.#build();
    const init = this.#init;
    this.#init = undefined;
    const [resized, recoloured] = [this.#resized, this.#recoloured];
    this.#resized = this.#recoloured = false;
    this.#drawing = true;
    if (!init && !resized && !recoloured && before?.x === picture.x && before.y === picture.y) {
      if (grown && this.#unfinished === undefined) this.#extend();
      else this.#paint();
    } else {
      // Draws the axes, and the lines with them, once.
      plot.batch(() => {
        init?.();
        if (resized) plot.setSize(this.#size);
        if (recoloured) plot.redraw(false, true);
        plot.setScale('x', { min: picture.x[0], max: picture.x[1] });
        plot.setScale('y', { min: picture.y[0], max: picture.y[1] });
      });
    }
    this.#drawing = false;
    return this.goOn();
  }

  /** Paints some more; true where it is done. */
  goOn(): boolean {
    const steps = this.#unfinished;
    if (steps === undefined) return true;
    const end = performance.now() + STEP_MS;
    while (steps.next().done !== true) if (performance.now() > end) return false;
    this.#finish();
    return true;
  }

  /** The theme has changed: the next picture has axes and grid anew. */
  recolour(): void {
    this.#recoloured = true;
  }

  projection(): Projection | undefined {
    const picture = this.#picture;
    const plot = this.#plot;
    if (picture === undefined || plot === undefined) return undefined;
    const { width, height } = this.#box();
    return {
      x: projector(picture.x[0], picture.x[1], this.#style.logX, width, false),
      y: projector(picture.y[0], picture.y[1], this.#style.logY, height, true),
      from: picture.x[0],
      to: picture.x[1],
      width,
      height,
    };
  }

  /** The x under a pixel of the plot. */
  xAt(left: number): number {
    const picture = this.#picture;
    if (picture === undefined) return 0;
    const share = left / Math.max(1, this.#box().width);
    const [from, to] = picture.x;
    if (!this.#style.logX) return from + share * (to - from);
    return 10 ** (Math.log10(from) + share * (Math.log10(to) - Math.log10(from)));
  }

  yAt(top: number): number {
    const picture = this.#picture;
    if (picture === undefined) return 0;
    const share = 1 - top / Math.max(1, this.#box().height);
    const [from, to] = picture.y;
    if (!this.#style.logY) return from + share * (to - from);
    return 10 ** (Math.log10(from) + share * (Math.log10(to) - Math.log10(from)));
  }

  /** Lifts the lines of one run or group, and dims the rest. */
  lift(owner: string | null): void {
    if (owner === this.#lifted) return;
    this.#lifted = owner;
    this.#show();
  }

  /** Shows the cursor of another plot at this x. */
  setCursor(x: number | null): void {
    if (x === this.#cursorX || this.#plot === undefined || this.#picture === undefined) return;
    this.#cursorX = x;
    this.#host.classList.toggle('crossed', x !== null);
    const left = x === null ? -10 : (this.projection()?.x(x) ?? -10);
    this.#plot.setCursor({ left: left > this.#box().width ? -10 : left, top: -10 }, false);
  }

  /** A picture of it: axes, lines and a background. */
  toCanvas(): HTMLCanvasElement | undefined {
    const plot = this.#plot;
    if (plot === undefined || this.#picture === undefined) return undefined;
    const copy = document.createElement('canvas');
    const own = plot.ctx.canvas;
    [copy.width, copy.height] = [own.width, own.height];
    const context = copy.getContext('2d');
    if (context === null) return undefined;
    context.fillStyle = ink.peek().surface;
    context.fillRect(0, 0, copy.width, copy.height);
    context.drawImage(own, 0, 0);
    return copy;
  }

  /** The lines by another pen, and where the plot lies. */
  drawWith(pen: Pen): { left: number; top: number; width: number; height: number; ticks: Ticks } | undefined {
    const at = this.projection();
    const plot = this.#plot;
    if (at === undefined || plot === undefined || this.#picture === undefined) return undefined;
    drawAll(pen, this.#picture.lines, at);
    const ratio = devicePixelRatio;
    return {
      left: plot.bbox.left / ratio,
      top: plot.bbox.top / ratio,
      width: at.width,
      height: at.height,
      ticks: { x: ticksOf(plot, 0, at.x), y: ticksOf(plot, 1, at.y) },
    };
  }

  close(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
  }

  #box(): { width: number; height: number } {
    return {
      width: Math.max(1, this.#size.width - Y_AXIS - RIGHT),
      height: Math.max(1, this.#size.height - X_AXIS - TOP),
    };
  }

  /** Makes it, and draws nothing yet. */
  #build(): uPlot {
    const { axis, logX, logY, stepsY } = this.#style;
    const none = { show: false };
    const base = { font: FONT, stroke: () => ink.peek().text, grid: none, ticks: none };
    const xAxis: uPlot.Axis =
      axis === 'time'
        ? { ...base, space: 64, values: (_, splits) => this.#fitting(splits, formatTimeTicks(splits)) }
        : axis === 'relative'
          ? {
              ...base,
              space: 60,
              incrs: [...DURATION_STEPS],
              values: (_, splits) => this.#fitting(splits, splits.map(formatDuration)),
            }
          : {
              ...base,
              space: 56,
              ...(logX ? {} : { incrs: STEPS }),
              values: (_, splits) => this.#fitting(splits, formatTicks(splits)),
            };
    const plot: uPlot = new uPlot(
      {
        ...this.#size,
        padding: [TOP, RIGHT, 0, 0],
        legend: { show: false },
        scales: {
          x: { time: axis === 'time', auto: false, distr: logX ? 3 : 1 },
          y: { auto: false, distr: logY ? 3 : 1 },
        },
        axes: [
          { ...xAxis, scale: 'x', size: X_AXIS, gap: 4 },
          {
            ...base,
            scale: 'y',
            side: 3,
            size: Y_AXIS,
            gap: 6,
            space: 30,
            ...(stepsY && !logY
              ? {
                  incrs: (_: uPlot, _axis: number, from: number, to: number) =>
                    stepsY(Math.max(Math.abs(from), Math.abs(to))),
                }
              : {}),
            values: (_, splits) => this.#formatY(splits),
          },
        ],
        series: [{}, { scale: 'y', paths: () => null, points: { show: false } }],
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: true, y: false, setScale: false, dist: LEAST_DRAG },
          bind: {
            mousedown: (self, _target, handler) => (event) => {
              if (event.button !== 0 || event.ctrlKey) return null;
              const drag = self.cursor.drag;
              if (drag) {
                drag.y = event.shiftKey;
                drag.x = !event.shiftKey;
              }
              return handler(event);
            },
            dblclick: () => () => {
              this.#handlers.reset();
              return null;
            },
          },
        },
        hooks: { setSelect: [(self) => this.#selected(self)], drawAxes: [(self) => this.#paint(self)] },
      },
      [
        [0, 1],
        [null, null],
      ],
      (made, init) => {
        this.#plot = made;
        this.#init = () => init();
        // A font that is set on a canvas of the page has the whole page styled and laid out first.
        made.ctx.canvas.remove();
        // As uPlot will place it: to move what is in the page has all layers made anew.
        place(made.over, { left: Y_AXIS, top: TOP, ...this.#box() });
        place(made.over.parentElement, this.#size);
        this.#host.append(made.root);
      },
    );
    plot.over.addEventListener('pointermove', (event) => {
      const box = plot.over.getBoundingClientRect();
      this.#cursorX = null;
      this.#host.classList.add('crossed');
      this.#handlers.hover({ left: event.clientX - box.left, top: event.clientY - box.top });
    });
    plot.over.addEventListener('pointerleave', () => {
      this.#host.classList.remove('crossed');
      this.#handlers.hover(null);
    });
    // The end of a drag is a click too, and no press.
    let down = { x: 0, y: 0 };
    plot.over.addEventListener('pointerdown', ({ clientX: x, clientY: y }) => {
      down = { x, y };
    });
    plot.over.addEventListener('click', ({ clientX: x, clientY: y }) => {
      if (Math.hypot(x - down.x, y - down.y) < 4) this.#handlers.press();
    });
    plot.over.addEventListener(
      'wheel',
      (event) => {
        if (!event.ctrlKey && !event.metaKey) return;
        event.preventDefault();
        const box = plot.over.getBoundingClientRect();
        const distance = event.deltaMode === 0 ? event.deltaY : event.deltaY * 30;
        this.#handlers.zoom(
          2 ** (Math.max(-240, Math.min(240, distance)) / 240),
          (event.clientX - box.left) / box.width,
        );
      },
      { passive: false },
    );
    return plot;
  }

  /** A label that would stick out at the right is left out. */
  #fitting(splits: readonly number[], texts: string[]): string[] {
    const at = this.projection();
    if (at === undefined) return texts;
    return texts.map((text, index) =>
      at.x(splits[index] ?? 0) + text.length * 3.6 > at.width + RIGHT ? '' : text,
    );
  }

  #formatY(splits: number[]): string[] {
    const { formatY, logY } = this.#style;
    if (formatY) {
      const texts = splits.map((split) => (split === null ? '' : formatY(split)));
      // Ticks that are nearer than the digits tell have one label.
      return texts.map((text, index) => (text === texts[index - 1] ? '' : text));
    }
    if (!logY) return formatTicks(splits);
    // The lower end of a log axis is a tick too; it is named only where it is a round number.
    const round = (value: number) => /^[125]e/.test(value.toExponential(6).replace(/\.?0+e/, 'e'));
    return splits.map((split, index) =>
      split === null || (index === 0 && splits.length > 3 && !round(split)) ? '' : formatNumber(split, 2),
    );
  }

  #selected(plot: uPlot): void {
    const { left, top, width, height } = plot.select;
    if (width === 0 && height === 0) return;
    const upright = plot.cursor.drag?.y === true;
    if (upright && height >= LEAST_DRAG) this.#handlers.selectY([this.yAt(top + height), this.yAt(top)]);
    else if (!upright && width >= LEAST_DRAG)
      this.#handlers.selectX([this.xAt(left), this.xAt(left + width)]);
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  }

  /** The lines, once uPlot has drawn the axes, whose ticks the grid has. */
  #paint(plot = this.#plot): void {
    const at = this.projection();
    if (plot === undefined || at === undefined || this.#picture === undefined) return;
    const { width, height } = plot.bbox;
    this.#raster.resize(Math.round(width), Math.round(height), width / at.width);
    this.#ground(this.#raster, plot, at);
    this.#painted = new Map(this.#picture.lines.map(({ line }) => [line, line.n]));
    this.#unfinished = drawSteps(this.#raster, this.#picture.lines, at);
    if (this.#drawing) return;
    // uPlot by itself, as where the window was moved to a screen of other pixels.
    while (this.#unfinished.next().done !== true);
    this.#finish();
  }

  #finish(): void {
    this.#unfinished = undefined;
    this.#show();
  }

  /** New ends over what is there. That they lie over lines that should be over them shows until the axes move. */
  #extend(): void {
    const at = this.projection();
    if (at === undefined || this.#picture === undefined) return;
    for (const drawn of this.#picture.lines) {
      const { line } = drawn;
      const had = this.#painted.get(line) ?? 0;
      if (had === line.n) continue;
      drawAll(this.#raster, [drawn], { ...at, from: Math.max(at.from, line.x0[had - 1] ?? at.from) });
      this.#painted.set(line, line.n);
    }
    this.#show();
  }

  #ground(raster: Raster, plot: uPlot, at: Projection): void {
    const { surface, grid } = ink.peek();
    raster.clear(surface, grid, splitsOf(plot, 0).map(at.x), splitsOf(plot, 1).map(at.y));
  }

  /** Puts the lines onto the canvas; where one is lifted, bold over the others, which are pale. Then the page gets it. */
  #show(): void {
    const plot = this.#plot;
    const at = this.projection();
    const lines = this.#picture?.lines.filter((line) => line.owner === this.#lifted) ?? [];
    let shown = this.#raster;
    if (plot === undefined || at === undefined || this.#unfinished !== undefined) return;
    if (lines.length > 0) {
      const { width, height } = shown;
      ground.resize(width, height, width / at.width);
      this.#ground(ground, plot, at);
      pale.fade(shown, ground, PALE);
      const bold = lines.map((line) => ({
        ...line,
        stroke: { ...line.stroke, width: line.stroke.width + 0.75, alpha: 1, envelope: true },
      }));
      drawAll(pale, bold, at);
      shown = pale;
    }
    plot.ctx.putImageData(shown.image(), Math.round(plot.bbox.left), Math.round(plot.bbox.top));
    // There before the frame is: it waits for nothing.
    void createImageBitmap(plot.ctx.canvas).then((bitmap) => this.#display?.transferFromImageBitmap(bitmap));
  }
}

function place(element: HTMLElement | null, box: Record<string, number>): void {
  for (const [name, pixels] of Object.entries(box)) element?.style.setProperty(name, `${pixels}px`);
}

/** Of what is not lifted. */
const PALE = 0.22;
/** Used within one call. */
const [ground, pale] = [new Raster(), new Raster()];

/** Places and texts of an axis' ticks, in pixels of the plot. */
interface Tick {
  at: number;
  text: string;
}
interface Ticks {
  x: Tick[];
  y: Tick[];
}

type DrawnAxis = uPlot.Axis & { _splits?: number[]; _values?: (string | null)[] };

/** Values of an axis that have a tick. */
const splitsOf = (plot: uPlot, index: number): number[] =>
  ((plot.axes[index] as DrawnAxis | undefined)?._splits ?? []).filter((split) => split !== null);

function ticksOf(plot: uPlot, index: number, project: (value: number) => number): Tick[] {
  const axis = plot.axes[index] as DrawnAxis | undefined;
  const texts = axis?._values ?? [];
  return (axis?._splits ?? []).map((split, place) => ({
    at: project(split),
    text: String(texts[place] ?? ''),
  }));
}

function drawAll(pen: Pen, lines: readonly DrawnLine[], at: Projection): void {
  for (const _ of drawSteps(pen, lines, at));
}

/** A line of each layer a step. */
function* drawSteps(pen: Pen, lines: readonly DrawnLine[], at: Projection): Generator<void, void, void> {
  for (const { line, stroke } of lines) {
    if (!stroke.envelope) continue;
    drawEnvelope(pen, line, at, stroke);
    yield;
  }
  for (const { line, stroke, behind } of lines) {
    if (!behind) continue;
    drawLine(pen, line, behind, at, { ...stroke, width: 1, alpha: stroke.alpha * 0.28, dash: [] });
    yield;
  }
  for (const { line, y, stroke } of lines) {
    drawLine(pen, line, y, at, stroke);
    yield;
  }
  for (const { line, stroke, behind } of lines) {
    if (stroke.spikes) drawSpikes(pen, line, at, behind ? { ...stroke, alpha: stroke.alpha * 0.5 } : stroke);
    drawMarks(pen, line, at, stroke);
    yield;
  }
}
