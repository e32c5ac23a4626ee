/** One chart: a title, the drawing, and what shows when it is pointed at. */
import {
  batch,
  effect,
  type ReadonlySignal,
  signal,
  untracked,
  useComputed,
  useSignal,
} from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { connection } from '../api/live.ts';
import { formatNumber } from '../format/numbers.ts';
import { stepsOf } from '../format/units.ts';
import { Icon } from '../parts/icon.tsx';
import { IconButton } from '../parts/icon-button.tsx';
import { MenuButton, MenuItem } from '../parts/popover.tsx';
import { Said } from '../parts/said.tsx';
import { dark } from '../shell/theme.ts';
import type { ChartContext } from './context.ts';
import { saveCsv, savePng, saveSvg } from './download.ts';
import type { Range } from './extent.ts';
import { drawGrowth, drawNever, drawSoon, type Task } from './frame.ts';
import { nearestBucket } from './line.ts';
import { PanelData } from './panel-data.ts';
import { pictureOf, shownRange } from './picture.ts';
import { type Picture, Plot } from './plot.ts';
import { runLooks } from './run-colours.ts';
import { type TipRow, tip } from './tip.tsx';

/** Axes rest this long while a line grows. */
const REST_MS = 1000;
/** While zooming, what is on hand is stretched; finer data are asked for when the hand rests. */
const SETTLE_MS = 70;
/** A line is pointed at within this many pixels. */
const NEAR = 28;
const MAX_TIP = 9;

export interface PanelProps {
  metric: string;
  context: ChartContext;
  /** Pixels of the whole panel. */
  width: number;
  height: number;
  title?: string;
  /** How values are written, where they have a unit. */
  format?: (value: number) => string;
  /** More in the panel's menu. */
  menu?: (close: () => void) => ComponentChildren;
  /** The title can be dragged. */
  onDragStart?: (event: PointerEvent) => void;
  /** The corner can be dragged. */
  onResize?: (event: PointerEvent) => void;
  pinned?: boolean;
}

const TITLE = 28;

/** What of a panel is not drawn by Preact: data in, plot out. */
class PanelCore {
  readonly data: PanelData;
  readonly plot: Plot;
  readonly y = signal<Range | null>(null);
  readonly empty = signal(false);
  #picture: Picture | undefined;
  #rested = 0;
  /** Since the last picture nothing but the ends of lines has changed. */
  #onlyGrew = false;
  #timer: number | undefined;
  #askTimer: number | undefined;
  #asked: { range: Range | null } | undefined;
  readonly #stop: (() => void)[] = [];

  readonly host: HTMLElement;
  readonly metric: string;
  readonly context: ChartContext;
  readonly size: ReadonlySignal<{ width: number; height: number }>;
  readonly format: ((value: number) => string) | undefined;

  constructor(
    host: HTMLElement,
    metric: string,
    context: ChartContext,
    size: ReadonlySignal<{ width: number; height: number }>,
    format: ((value: number) => string) | undefined,
  ) {
    this.host = host;
    this.metric = metric;
    this.context = context;
    this.size = size;
    this.format = format;
    const starts = () => new Map(context.runs.peek().map((run) => [run.id, run.startedAt]));
    this.data = new PanelData((run) => starts().get(run) ?? 0);
    const { axis, logX, logY } = context.settings.peek();
    this.plot = new Plot(
      host,
      { axis, logX, logY, formatY: format, stepsY: stepsOf(metric) },
      {
        hover: (at) => this.#hover(host, at),
        selectX: (range) => this.#selectX(range),
        selectY: (range) => {
          this.y.value = range;
        },
        reset: () =>
          batch(() => {
            this.y.value = null;
            context.setRange(null);
          }),
        zoom: (factor, at) => this.#zoom(factor, at),
        press: () => {
          const lifted = context.lifted.peek();
          if (lifted !== null && context.groups.peek() === null) context.open?.(lifted);
        },
      },
    );
    drawSoon(this.#prepare);
    this.#stop.push(
      effect(() => this.#ask()),
      effect(() => this.#changed()),
      effect(() => {
        context.lifted.value;
        drawSoon(this.#lift);
      }),
      effect(() => {
        const cursor = context.cursor.value;
        this.plot.setCursor(cursor === null || cursor.panel === this ? null : cursor.x);
      }),
      effect(() => {
        dark.value;
        this.plot.recolour();
      }),
    );
  }

  /** Asks for what is to be seen, at the width it is seen at. */
  #ask(): void {
    const runs = this.context.runs.value;
    const { axis } = this.context.settings.value;
    const range = this.context.range.value;
    const width = Math.max(80, this.size.value.width - 64);
    const ids = runIds(runs);
    // Steps of 64, so that a drag of an edge does not ask for each pixel; fewer where lines are many.
    const share = runs.length > 100 ? 3 : runs.length > 30 ? 2 : 1;
    const points = Math.max(48, Math.ceil(width / share / 64) * 64);
    const ask = () =>
      untracked(() =>
        this.data.ask(
          { runs: ids, key: this.metric, points, axis, from: finite(range?.[0]), to: finite(range?.[1]) },
          runs.filter((run) => run.live).map((run) => run.id),
        ),
      );
    clearTimeout(this.#askTimer);
    const zooming = this.#asked !== undefined && this.#asked.range !== range;
    this.#asked = { range };
    if (zooming) this.#askTimer = window.setTimeout(ask, SETTLE_MS);
    else ask();
  }

  #seen: { version: number; rest: unknown[] } | undefined;

  /** Something that is drawn has changed. Where it is only the data's growth, axes may rest. */
  #changed(): void {
    const version = this.data.version.value;
    const state = this.data.state.value;
    const { settings, groups, range, runs } = this.context;
    const looks = runLooks.value;
    const rest = [
      looks,
      settings.value,
      groups.value,
      range.value,
      this.y.value,
      this.size.value,
      dark.value,
      runs.value,
      state,
    ];
    const grew = this.#seen !== undefined && rest.every((value, index) => value === this.#seen?.rest[index]);
    this.#seen = { version, rest };
    // Nothing is there yet; who comes first of those that wait is first when data come.
    if (state === 'loading' && this.data.lines.length === 0) return;
    if (grew) drawGrowth(this.#draw);
    else {
      this.#rested = 0;
      this.#onlyGrew = false;
      drawSoon(this.#draw);
    }
  }

  readonly #prepare = (): undefined => {
    const { width, height } = this.size.peek();
    this.plot.setSize(width, height);
    this.plot.prepare();
  };

  readonly #draw = (): Task | undefined => {
    const settings = this.context.settings.peek();
    const { width, height } = this.size.peek();
    if (width === 0) return undefined;
    const now = performance.now();
    const resting = this.#picture !== undefined && now - this.#rested < REST_MS;
    this.plot.setStyle({
      axis: settings.axis,
      logX: settings.logX,
      logY: settings.logY,
      formatY: this.format,
      stepsY: stepsOf(this.metric),
    });
    this.plot.setSize(width, height);
    const picture = pictureOf(this.data.lines, {
      settings,
      groups: this.context.groups.peek(),
      x: this.context.range.peek(),
      y: this.y.peek(),
      dark: dark.peek(),
      keep: resting ? this.#picture : undefined,
    });
    this.empty.value = picture === null && this.data.state.peek() === 'ready';
    if (picture === null) return undefined;
    if (!resting) this.#rested = now;
    else if (this.#timer === undefined) {
      this.#timer = window.setTimeout(
        () => {
          this.#timer = undefined;
          drawGrowth(this.#draw);
        },
        REST_MS - (now - this.#rested) + 10,
      );
    }
    this.#picture = picture;
    const done = this.plot.draw(picture, resting && this.#onlyGrew && this.context.groups.peek() === null);
    this.#onlyGrew = true;
    if (!done) return this.#goOn;
    this.#drawn();
    return undefined;
  };

  /** The rest of a picture, a little each time. */
  readonly #goOn = (): Task | undefined => {
    if (!this.plot.goOn()) return this.#goOn;
    this.#drawn();
    return undefined;
  };

  #drawn(): void {
    // For whoever looks from outside: how far the drawn data reach.
    const lines = this.#picture?.lines ?? [];
    const end = String(lines.reduce((most, { line }) => Math.max(most, line.x1[line.n - 1] ?? 0), 0));
    if (this.host.dataset.end !== end) this.host.dataset.end = end;
    this.#lift();
  }

  readonly #lift = (): undefined => {
    this.plot.lift(this.context.lifted.peek());
  };

  #selectX(range: Range): void {
    const end = this.#picture?.x[1] ?? Number.POSITIVE_INFINITY;
    const before = this.context.range.peek();
    const following = before === null || before[1] === Number.POSITIVE_INFINITY;
    const live = this.context.runs.peek().some((run) => run.live);
    const width = (this.#picture?.x[1] ?? 0) - (this.#picture?.x[0] ?? 0);
    const atEnd = live && following && range[1] >= end - width * 0.01;
    this.context.setRange([range[0], atEnd ? Number.POSITIVE_INFINITY : range[1]]);
  }

  #zoom(factor: number, at: number): void {
    const { logX } = this.context.settings.peek();
    const picture = this.#picture;
    const whole = shownRange(this.data.lines, null, logX);
    if (picture === undefined) return;
    const [from, to] = logX ? [Math.log10(picture.x[0]), Math.log10(picture.x[1])] : picture.x;
    const middle = from + (to - from) * at;
    const ends: Range = [middle - (middle - from) * factor, middle + (to - middle) * factor];
    const range: Range = logX ? [10 ** ends[0], 10 ** ends[1]] : ends;
    if (whole && range[0] <= whole[0] && range[1] >= whole[1]) this.context.setRange(null);
    else if (range[1] > range[0]) this.context.setRange(range);
  }

  #hover(host: HTMLElement, at: { left: number; top: number } | null): void {
    const { lifted, cursor } = this.context;
    const to = this.plot.projection();
    if (at === null || to === undefined || this.#picture === undefined) {
      batch(() => {
        cursor.value = null;
        lifted.value = null;
        this.context.values.value = null;
        tip.value = null;
      });
      return;
    }
    const x = this.plot.xAt(at.left);
    const slack = Math.abs(this.plot.xAt(at.left + 12) - x);
    const found: (TipRow & { distance: number })[] = [];
    const names = this.#names();
    for (const { line, y, owner, stroke } of this.#picture.lines) {
      const bucket = nearestBucket(line, x, slack);
      if (bucket < 0) continue;
      const value = y[bucket] ?? Number.NaN;
      const distance = Number.isFinite(value) ? Math.abs(to.y(value) - at.top) : Number.POSITIVE_INFINITY;
      found.push({
        owner,
        name: names.get(owner) ?? owner,
        colour: stroke.colour,
        value: line.mean[bucket] ?? value,
        low: line.min[bucket] ?? value,
        high: line.max[bucket] ?? value,
        nearest: false,
        distance,
      });
    }
    const format = this.format ?? ((value: number) => formatNumber(value, 5));
    // Of several lines of a run the last one is where it went on.
    const values = new Map(found.map((row) => [row.owner, format(row.value)]));
    found.sort((a, b) => a.distance - b.distance);
    const nearest = found[0];
    const near = nearest !== undefined && nearest.distance <= NEAR;
    if (near) nearest.nearest = true;
    const rows = found.slice(0, MAX_TIP).sort((a, b) => b.value - a.value || a.distance - b.distance);
    const box = host.getBoundingClientRect();
    const { left, top } = { left: box.left + 52 + at.left, top: box.top + 8 + at.top };
    batch(() => {
      cursor.value = { x, panel: this };
      lifted.value = near ? nearest.owner : null;
      this.context.values.value = { metric: this.metric, of: values };
      tip.value =
        rows.length === 0
          ? null
          : {
              left,
              top,
              x,
              axis: this.context.settings.peek().axis,
              rows,
              more: found.length - rows.length,
              format: this.format,
            };
    });
  }

  #names(): Map<string, string> {
    const groups = this.context.groups.peek();
    if (groups !== null) return new Map(groups.map((group) => [group.name, group.name]));
    return new Map(this.context.runs.peek().map((run) => [run.id, run.name]));
  }

  legend(): { name: string; colour: string }[] {
    const names = this.#names();
    const seen = new Map((this.#picture?.lines ?? []).map((line) => [line.owner, line.stroke.colour]));
    return [...seen].map(([owner, colour]) => ({ name: names.get(owner) ?? owner, colour }));
  }

  csv(title: string): void {
    const names = new Map(this.context.runs.peek().map((run) => [run.id, run.name]));
    saveCsv(this.data.lines, title, this.context.settings.peek().axis, (run) => names.get(run) ?? run);
  }

  close(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#askTimer);
    drawNever(this.#prepare);
    drawNever(this.#draw);
    drawNever(this.#goOn);
    drawNever(this.#lift);
    if (this.context.cursor.peek()?.panel === this) {
      batch(() => {
        this.context.cursor.value = null;
        this.context.lifted.value = null;
        this.context.values.value = null;
        tip.value = null;
      });
    }
    for (const stop of this.#stop) stop();
    this.data.close();
    this.plot.close();
  }
}

const finite = (value: number | undefined): number | undefined =>
  Number.isFinite(value) ? value : undefined;

const idLists = new WeakMap<readonly { id: string }[], readonly string[]>();
/** The ids of some runs, the same array for the same runs. */
function runIds(runs: readonly { id: string }[]): readonly string[] {
  let ids = idLists.get(runs);
  if (ids === undefined) {
    ids = runs.map((run) => run.id);
    idLists.set(runs, ids);
  }
  return ids;
}

/** What is left within the border and below the title. */
const innerSize = (width: number, height: number) => ({ width: width - 2, height: height - TITLE - 2 });

const UNITS = { step: 'step', time: 'time', relative: 'after' } as const;

export function Panel(props: PanelProps) {
  const { metric, context, width, height } = props;
  const title = props.title ?? metric;
  const host = useRef<HTMLDivElement>(null);
  const core = useSignal<PanelCore | undefined>(undefined);
  const size = useSignal(innerSize(width, height));
  useLayoutEffect(() => {
    if (host.current === null) return;
    const made = new PanelCore(host.current, metric, context, size, props.format);
    core.value = made;
    return () => {
      core.value = undefined;
      made.close();
    };
  }, [metric, context]);
  useLayoutEffect(() => {
    const now = size.peek();
    const inner = innerSize(width, height);
    if (now.width !== inner.width || now.height !== inner.height) size.value = inner;
  }, [width, height]);
  const state = useComputed(() => core.value?.data.state.value ?? 'empty');
  const nothing = useComputed(() => core.value?.empty.value === true);
  const zoomed = useComputed(() => core.value?.y.value != null);
  const now = state.value;
  return (
    <section
      class="panel"
      aria-label={`Chart of ${metric}`}
      aria-busy={now === 'loading' || now === 'stale'}
      data-metric={metric}
      data-state={now}
    >
      <header class={`panel-head${props.onDragStart ? ' movable' : ''}`} onPointerDown={props.onDragStart}>
        <h3 class="clip" title={title}>
          {title}
        </h3>
        {props.pinned && <Icon name="pin" />}
        {zoomed.value && (
          <IconButton
            icon="reset"
            label={`Show all of ${title}`}
            class="tiny"
            onClick={() => {
              if (core.value) core.value.y.value = null;
            }}
          />
        )}
        <span class="grow" />
        <span class="panel-tools">
          <MenuButton label={`More for ${title}`} icon="more" class="icon-button tiny">
            {(close) => {
              const act = (run: (core: PanelCore) => void) => () => {
                if (core.value) run(core.value);
                close();
              };
              return (
                <>
                  {props.menu?.(close)}
                  <MenuItem icon="download" onPick={act((one) => savePng(one.plot, title, one.legend()))}>
                    Save as PNG
                  </MenuItem>
                  <MenuItem icon="download" onPick={act((one) => saveSvg(one.plot, title, one.legend()))}>
                    Save as SVG
                  </MenuItem>
                  <MenuItem icon="download" onPick={act((one) => one.csv(title))}>
                    Save the shown numbers as CSV
                  </MenuItem>
                </>
              );
            }}
          </MenuButton>
        </span>
      </header>
      <div class="plot" ref={host} />
      <span class="axis-unit" aria-hidden="true">
        {UNITS[context.settings.value.axis]}
      </span>
      {now === 'failed' && !(connection.value === 'offline' && (core.value?.data.lines.length ?? 0) > 0) && (
        <div class={`panel-note${(core.value?.data.lines.length ?? 0) > 0 ? ' beside' : ''}`} role="alert">
          <span>
            <Said text={core.value?.data.failure?.message ?? ''} />
          </span>
          <button type="button" class="button" onClick={() => core.value?.data.again()}>
            Try again
          </button>
        </div>
      )}
      {nothing.value && <div class="panel-note">No values for these runs</div>}
      {props.onResize && <div class="panel-corner" aria-hidden="true" onPointerDown={props.onResize} />}
    </section>
  );
}
