/**
 * The loaded stretch of a run's console: one run of lines without a hole, grown at either end by pages and at its end by
 * live lines. Pure; the tab draws it.
 */
import type { ConsoleLine, ConsolePage } from '../../protocol/api.ts';

export interface Stretch {
  lines: readonly ConsoleLine[];
  moreBefore: boolean;
  moreAfter: boolean;
  /** Lines of the run, loaded or not. */
  total: number;
}

export const NOTHING: Stretch = { lines: [], moreBefore: false, moreAfter: false, total: 0 };

/** More lines than this are not held; those farthest from what is read go. */
export const MAX_LINES = 40_000;

export const lineKey = (line: ConsoleLine): string => `${line.attempt} ${line.stream} ${line.n}`;

export const stretchOf = (page: ConsolePage): Stretch => ({
  lines: page.lines,
  moreBefore: page.more_before,
  moreAfter: page.more_after,
  total: page.total,
});

/** With the page that lies before it. */
export function prepend(stretch: Stretch, page: ConsolePage): Stretch {
  const held = new Set(stretch.lines.map(lineKey));
  const lines = [...page.lines.filter((line) => !held.has(lineKey(line))), ...stretch.lines];
  const over = lines.length > MAX_LINES;
  return {
    lines: over ? lines.slice(0, MAX_LINES) : lines,
    moreBefore: page.more_before,
    moreAfter: stretch.moreAfter || over,
    total: Math.max(stretch.total, page.total),
  };
}

/** With the page that lies after it; lines that came live meanwhile get their places. */
export function append(stretch: Stretch, page: ConsolePage): Stretch {
  return {
    ...grow(stretch, page.lines),
    moreAfter: page.more_after,
    total: Math.max(stretch.total, page.total),
  };
}

/** With live lines. Where the end is not loaded they only count. */
export function appendLive(stretch: Stretch, lines: readonly ConsoleLine[]): Stretch {
  const fresh = new Set(lines.filter((line) => !line.partial).map(lineKey)).size;
  if (stretch.moreAfter) return { ...stretch, total: stretch.total + fresh };
  const before = stretch.lines.length;
  const grown = grow(stretch, lines);
  const added = Math.max(
    0,
    grown.lines.length - before + (grown.moreBefore && !stretch.moreBefore ? before : 0),
  );
  return { ...grown, total: stretch.total + added };
}

/** Lines at the end: one that is there already (a partial one, or one that came twice) is replaced in its place. */
function grow(stretch: Stretch, lines: readonly ConsoleLine[]): Stretch {
  if (lines.length === 0) return stretch;
  const next = [...stretch.lines];
  // Only the latest can come again; but a page after a reconnect may hold many.
  const from = Math.max(0, next.length - lines.length - 2000);
  const places = new Map<string, number>();
  for (let index = from; index < next.length; index++) {
    const line = next[index];
    if (line) places.set(lineKey(line), index);
  }
  for (const line of lines) {
    const key = lineKey(line);
    const at = places.get(key);
    const known = at === undefined ? undefined : next[at];
    if (at === undefined) {
      places.set(key, next.length);
      next.push(line);
    } else if (known !== undefined) {
      next[at] = line.at === '' ? { ...line, at: known.at } : line;
    }
  }
  const over = next.length > MAX_LINES;
  return {
    ...stretch,
    lines: over ? next.slice(next.length - Math.floor(MAX_LINES * 0.8)) : next,
    moreBefore: stretch.moreBefore || over,
  };
}

/** Whether live lines leave a hole after what is there: then a page has to fill it. */
export function leavesHole(stretch: Stretch, lines: readonly ConsoleLine[]): boolean {
  const last = new Map<string, number>();
  for (let index = stretch.lines.length - 1; index >= 0 && last.size < 4; index--) {
    const line = stretch.lines[index];
    if (line === undefined) break;
    const key = `${line.attempt} ${line.stream}`;
    if (!last.has(key)) last.set(key, line.n);
    if (stretch.lines.length - index > 5000) break;
  }
  for (const line of lines) {
    const key = `${line.attempt} ${line.stream}`;
    const known = last.get(key);
    if (known !== undefined && line.n > known + 1) return true;
    if (known === undefined && line.n > 0 && !stretch.moreBefore) return true;
    last.set(key, Math.max(known ?? 0, line.n));
  }
  return false;
}

/** The last line whose place is known. */
export const lastPlaced = (lines: readonly ConsoleLine[]): string | undefined =>
  lines.findLast((line) => line.at !== '' && !line.partial)?.at;
