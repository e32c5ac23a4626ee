/** From data and settings to what a plot draws. */
import { bandOf, lineOfBand } from './bands.ts';
import type { ChartGroup, ChartSettings } from './context.ts';
import { type Range, xExtent, yExtent } from './extent.ts';
import type { Line } from './line.ts';
import type { DrawnLine, Picture } from './plot.ts';
import { dashOf, lookOf, runColour } from './run-colours.ts';
import { smooth } from './smoothing.ts';

/** More lines than this: thinner, and without envelopes, which would be mush. */
const MANY = 24;
const BAND_POINTS = 240;

interface Smoothed {
  version: number;
  weight: number;
  range: number;
  y: Float64Array;
}
const smoothed = new WeakMap<Line, Smoothed>();

function smoothLine(line: Line, weight: number, range: number): Float64Array {
  const kept = smoothed.get(line);
  if (kept && kept.version === line.version && kept.weight === weight && kept.range === range) return kept.y;
  const y = smooth(line.x0, line.mean, line.n, weight, range);
  smoothed.set(line, { version: line.version, weight, range, y });
  return y;
}

/** The range of x that is shown: what was asked for, ends of Infinity and null filled in from the data. */
export function shownRange(lines: readonly Line[], asked: Range | null, logX: boolean): Range | null {
  const extent = xExtent(lines, logX);
  if (asked === null) {
    if (extent === null || extent[0] < extent[1]) return extent;
    return [extent[0] - (logX ? extent[0] / 2 : 0.5), extent[1] + 0.5];
  }
  const to = Number.isFinite(asked[1]) ? asked[1] : Math.max(extent?.[1] ?? asked[0] + 1, asked[0] + 1e-9);
  const from = Number.isFinite(asked[0]) ? asked[0] : (extent?.[0] ?? to - 1);
  if (logX && from <= 0) return extent === null ? null : [extent[0], Math.max(to, extent[0] * 1.01)];
  return [from, to];
}

export interface PictureOptions {
  settings: ChartSettings;
  groups: readonly ChartGroup[] | null;
  /** Asked ranges; null: what the data have. */
  x: Range | null;
  y: Range | null;
  dark: boolean;
  /** The last picture's ranges, kept where axes must rest. */
  keep: Picture | undefined;
}

/** Null where there is nothing to draw. */
export function pictureOf(lines: readonly Line[], options: PictureOptions): Picture | null {
  const { settings, groups, dark, keep } = options;
  const x = keep?.x ?? shownRange(lines, options.x, settings.logX);
  if (x === null) return null;
  const drawn =
    groups === null ? runLines(lines, settings, x, dark) : groupLines(lines, groups, settings, x, dark);
  const y =
    options.y ??
    keep?.y ??
    yExtent(drawn, x, { log: settings.logY, clip: settings.clip }) ??
    (settings.logY ? [0.1, 10] : [0, 1]);
  const kept = (range: Range, before: Range | undefined): Range =>
    before && before[0] === range[0] && before[1] === range[1] ? before : range;
  return { lines: drawn, x: kept(x, keep?.x), y: kept(y, keep?.y) };
}

function runLines(lines: readonly Line[], settings: ChartSettings, x: Range, dark: boolean): DrawnLine[] {
  const many = lines.length > MANY;
  const range = x[1] - x[0];
  return lines.map((line) => {
    const look = lookOf(line.run);
    const y = settings.smoothing > 0 ? smoothLine(line, settings.smoothing, range) : line.mean;
    return {
      line,
      owner: line.run,
      y,
      behind: settings.smoothing > 0 && !many ? line.mean : undefined,
      envelope: !line.raw,
      stroke: {
        colour: runColour(look.slot, dark),
        dash: dashOf(look),
        width: many ? 1 : 1.5,
        alpha: many ? Math.max(0.55, 1 - lines.length / 500) : 1,
        envelope: !many && settings.smoothing === 0,
        spikes: true,
      },
    };
  });
}

function groupLines(
  lines: readonly Line[],
  groups: readonly ChartGroup[],
  settings: ChartSettings,
  x: Range,
  dark: boolean,
): DrawnLine[] {
  const owner = new Map(groups.flatMap((group) => group.runs.map((run) => [run, group] as const)));
  const range = x[1] - x[0];
  return [...Map.groupBy(lines, (line) => owner.get(line.run))].flatMap(([group, members]) => {
    if (group === undefined) return [];
    const extent = xExtent(members);
    if (extent === null) return [];
    const from = Math.max(extent[0], x[0]);
    const to = Math.min(extent[1], x[1]);
    if (!(from <= to)) return [];
    const line = lineOfBand(group.name, bandOf(members, from, to, BAND_POINTS, settings.spread));
    return [
      {
        line,
        owner: group.name,
        y: settings.smoothing > 0 ? smooth(line.x0, line.mean, line.n, settings.smoothing, range) : line.mean,
        behind: undefined,
        envelope: true,
        stroke: {
          colour: runColour(group.look.slot, dark),
          dash: dashOf(group.look),
          width: 1.75,
          alpha: 1,
          envelope: true,
          spikes: false,
        },
      },
    ];
  });
}
