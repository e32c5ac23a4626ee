/** Where each panel of a grid stands. Pure. */

export interface PanelSize {
  /** Columns it takes. */
  span: number;
  /** Pixels. */
  height: number;
}

export interface PlacedPanel {
  key: string;
  /** Of the section it stands in; a pinned panel stands in two at most. */
  section: string;
  left: number;
  width: number;
  height: number;
}

export type GridRow =
  | { type: 'head'; section: string; title: string; count: number; folded: boolean; height: number }
  | { type: 'panels'; panels: PlacedPanel[]; height: number };

export interface Section {
  name: string;
  title: string;
  keys: string[];
}

export const GAP = 12;
const HEAD = 40;
/** A chart narrower than this tells little. */
const LEAST_WIDTH = 300;

export const PINNED = '*';

/** Keys by the part before their first slash; what has none comes first, the system's last. */
export function sectionsOf(keys: readonly string[], pinned: readonly string[]): Section[] {
  const sections = new Map<string, string[]>();
  for (const key of keys) {
    const slash = key.indexOf('/');
    const name = slash > 0 ? key.slice(0, slash) : '';
    const list = sections.get(name);
    if (list) list.push(key);
    else sections.set(name, [key]);
  }
  const here = new Set(keys);
  const held = pinned.filter((key) => here.has(key));
  const rank = (name: string) => (name === '' ? 0 : name === 'system' ? 2 : 1);
  const rest = [...sections]
    .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .map(([name, list]) => ({ name, title: name === '' ? 'Metrics' : name, keys: list }));
  return held.length > 0 ? [{ name: PINNED, title: 'Pinned', keys: held }, ...rest] : rest;
}

/** Puts each moved key before its other, in the order of the moves. */
export function applyMoves(keys: readonly string[], moves: readonly (readonly [string, string])[]): string[] {
  const list = [...keys];
  for (const [key, before] of moves) {
    const [from, to] = [list.indexOf(key), list.indexOf(before)];
    if (from < 0 || to < 0 || from === to) continue;
    list.splice(from, 1);
    list.splice(list.indexOf(before), 0, key);
  }
  return list;
}

export const columnsFor = (width: number): number =>
  Math.max(1, Math.min(width >= 2000 ? 5 : 4, Math.floor((width + GAP) / (LEAST_WIDTH + GAP))));

export interface LayoutOptions {
  width: number;
  height: number;
  sizes: ReadonlyMap<string, PanelSize>;
  folded: ReadonlySet<string>;
  moves: readonly (readonly [string, string])[];
}

/** Rows from the top; heights include the gap below. */
export function layOut(sections: readonly Section[], options: LayoutOptions): GridRow[] {
  // Few charts get the room that is there.
  const most = sections.reduce((greatest, section) => Math.max(greatest, section.keys.length), 0);
  const columns = Math.min(columnsFor(options.width), Math.max(2, most));
  const unit = (options.width - GAP * (columns - 1)) / columns;
  const rows: GridRow[] = [];
  for (const { name, title, keys } of sections) {
    const folded = options.folded.has(name);
    rows.push({ type: 'head', section: name, title, count: keys.length, folded, height: HEAD });
    if (folded) continue;
    let panels: PlacedPanel[] = [];
    let used = 0;
    const close = () => {
      if (panels.length === 0) return;
      const height = Math.max(...panels.map((panel) => panel.height));
      for (const panel of panels) panel.height = height;
      rows.push({ type: 'panels', panels, height: height + GAP });
      [panels, used] = [[], 0];
    };
    for (const key of applyMoves(keys, options.moves)) {
      const size = options.sizes.get(key);
      const span = Math.min(columns, size?.span ?? 1);
      if (used + span > columns) close();
      const left = Math.round(used * (unit + GAP));
      const width = Math.round((used + span) * (unit + GAP) - GAP) - left;
      panels.push({ key, section: name, left, width, height: size?.height ?? options.height });
      used += span;
    }
    close();
  }
  return rows;
}
