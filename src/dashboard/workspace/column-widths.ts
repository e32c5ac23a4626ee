/** How wide the table's columns are where nobody has dragged them. Pixels. */
import { type Column, type OwnColumn, titleAmong } from './columns.ts';

const OWN_WIDTH: Partial<Record<OwnColumn, number>> = {
  started_at: 66,
  entry: 150,
  project: 110,
  host: 110,
  user: 90,
  id: 118,
  status: 96,
};
/** `−0.001234` fits. */
const NUMBER = 92;
const TEXT = 120;
/** Of a letter of a title. */
const LETTER = 7;
const LEAST_NAME = 150;
/** The name has this in a table of many columns, and grows to the other where there is room. */
const TABLE_NAME = { least: 220, most: 420 };
/** A text has no more than this of what room is left. */
const MOST_TEXT = 280;
const MOST_WIDTH = 1200;

export const widthWithin = (width: number): number => Math.round(Math.max(56, Math.min(MOST_WIDTH, width)));

/** Whether a column holds numbers. */
type Numeric = (column: Column) => boolean;

function columnWidth(column: Column, columns: readonly Column[], isNumeric: Numeric): number {
  if (column.of === 'run') return OWN_WIDTH[column.key] ?? 82;
  if (column.of === 'spark') return 104;
  const title = 30 + titleAmong(column, columns).length * LETTER;
  return Math.max(isNumeric(column) ? NUMBER : TEXT, Math.min(170, title));
}

/** Texts of any length, which are read better the more of them is seen. */
const isText = (column: Column, isNumeric: Numeric): boolean =>
  column.of === 'param' || column.of === 'tag'
    ? !isNumeric(column)
    : column.of === 'run' && (column.key === 'entry' || column.key === 'project' || column.key === 'host');

export interface ColumnWidths {
  name: number;
  of: ReadonlyMap<string, number>;
}

/** The name and one column fill a rail; in a table, what is left over goes to the name and to texts. */
export function usualWidths(
  columns: readonly Column[],
  width: number,
  narrow: boolean,
  isNumeric: Numeric,
): ColumnWidths {
  const of = new Map(columns.map((column) => [column.id, columnWidth(column, columns, isNumeric)]));
  const sum = [...of.values()].reduce((total, one) => total + one, 0);
  if (narrow) return { name: Math.max(LEAST_NAME, width - sum), of };
  let left = width - sum - TABLE_NAME.least;
  if (left <= 0) return { name: TABLE_NAME.least, of };
  const texts = columns.filter((column) => isText(column, isNumeric));
  const share = Math.floor(left / (texts.length + 1));
  for (const column of texts) {
    const own = of.get(column.id) ?? 0;
    const grown = Math.max(own, Math.min(MOST_TEXT, own + share));
    of.set(column.id, grown);
    left -= grown - own;
  }
  return { name: Math.min(TABLE_NAME.most, TABLE_NAME.least + left), of };
}
