import stringWidth from 'string-width';
import { inert } from './inert.ts';
import type { Paint, Style } from './paint.ts';

export interface Column {
  title: string;
  align?: 'left' | 'right';
  /** The column may be cut to this width where the terminal is narrow; a column without it is never cut. */
  min?: number;
  /** The column is left out where it does not fit, the last one first. */
  optional?: true;
}

/** A cell's text, made inert here; a style colours all of it. */
export type Cell = string | { text: string; style: Style };

const GAP = '  ';

/** Columns that a text takes on a terminal. */
export function displayWidth(text: string): number {
  return ONE_EACH.test(text) ? text.length : stringWidth(text);
}

/**
 * What takes one column a character and joins with nothing: Latin, Greek, Cyrillic, dashes, arrows, boxes and our marks.
 * The first look at anything else costs 40 ms, for Node then builds the list of all emoji.
 */
const ONE_EACH =
  /^[\x20-\x7e\xa1-\xac\xae-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u2190-\u21ff\u2500-\u25fc✓✗]*$/;

/** Cuts a text to at most `width` columns, with `…` where something was cut; never inside a character. */
export function cut(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const more = displayWidth(segment);
    if (used + more > width - 1) break;
    kept += segment;
    used += more;
  }
  return width > 0 ? `${kept}…` : '';
}

/** Fills a text up to `width` columns. */
export function pad(text: string, width: number, align: 'left' | 'right' = 'left'): string {
  const space = ' '.repeat(Math.max(0, width - displayWidth(text)));
  return align === 'right' ? space + text : text + space;
}

/**
 * A table of aligned columns, each line ended by a newline. Within `width` columns: optional columns that do not fit are
 * left out, then the widest of those that may be cut are cut. Without a width (a pipe) everything is shown whole.
 */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  options: { width: number | undefined; paint: Paint; header?: boolean },
): string {
  const texts = rows.map((row) => row.map((cell) => inert(typeof cell === 'string' ? cell : cell.text)));
  const header = options.header !== false;
  const natural = columns.map((column, index) =>
    Math.max(
      header ? displayWidth(inert(column.title)) : 0,
      ...chunkedMax(texts, (row) => displayWidth(row[index] ?? '')),
    ),
  );
  const shown = columns.map((_, index) => index);
  const widths = [...natural];
  if (options.width !== undefined) {
    dropOptional(shown, columns, widths, options.width);
    shrink(shown, columns, widths, options.width);
  }
  const line = (text: (index: number) => string, style: (index: number) => Style | undefined): string => {
    const cells = shown.map((index, place) => {
      const align = columns[index]?.align ?? 'left';
      const shownText = cut(text(index), widths[index] ?? 0);
      const last = place === shown.length - 1;
      const padded = last && align === 'left' ? shownText : pad(shownText, widths[index] ?? 0, align);
      const colour = style(index);
      return colour === undefined ? padded : options.paint(colour, padded);
    });
    return `${cells.join(GAP).trimEnd()}\n`;
  };
  let out = header
    ? line(
        (index) => inert(columns[index]?.title ?? ''),
        () => 'dim',
      )
    : '';
  rows.forEach((row, place) => {
    out += line(
      (index) => texts[place]?.[index] ?? '',
      (index) => {
        const cell = row[index];
        return typeof cell === 'object' ? cell.style : undefined;
      },
    );
  });
  return out;
}

/** The maximum as a list of one, so that a table of a million rows does not overflow the arguments of Math.max. */
function chunkedMax<T>(items: readonly T[], measure: (item: T) => number): number[] {
  let greatest = 0;
  for (const item of items) greatest = Math.max(greatest, measure(item));
  return [greatest];
}

function total(shown: readonly number[], widths: readonly number[]): number {
  return shown.reduce((sum, index) => sum + (widths[index] ?? 0), GAP.length * Math.max(0, shown.length - 1));
}

/** Leaves out optional columns, from the last on, until the rest fits with its cuttable columns cut a little. */
function dropOptional(
  shown: number[],
  columns: readonly Column[],
  widths: readonly number[],
  width: number,
): void {
  const modest = widths.map((natural, index) => {
    const min = columns[index]?.min;
    return min === undefined ? natural : Math.min(natural, Math.max(min, 20));
  });
  while (total(shown, modest) > width) {
    const last = shown.findLastIndex((index) => columns[index]?.optional === true);
    if (last === -1) return;
    shown.splice(last, 1);
  }
}

function shrink(shown: readonly number[], columns: readonly Column[], widths: number[], width: number): void {
  for (;;) {
    const over = total(shown, widths) - width;
    if (over <= 0) return;
    let widest = -1;
    for (const index of shown) {
      const min = columns[index]?.min;
      if (min === undefined || (widths[index] ?? 0) <= min) continue;
      if (widest === -1 || (widths[index] ?? 0) > (widths[widest] ?? 0)) widest = index;
    }
    if (widest === -1) return;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
}
