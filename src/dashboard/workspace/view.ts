/** What the workspace shows, as the address bar has it. Defaults are left out, so that a plain view has a plain link. */
import { computed } from '@preact/signals';
import type { ChartSettings } from '../chart/context.ts';
import { DEFAULT_SETTINGS } from '../chart/context.ts';
import type { Range } from '../chart/extent.ts';
import type { PanelSize } from '../chart/layout.ts';
import { replaceSearch, search } from '../shell/router.ts';

export interface View {
  /** What is typed: a filter, or words to find. */
  find: string;
  project: string;
  archived: boolean;
  /** A column's id; undefined: newest first. */
  sort: { id: string; desc: boolean } | undefined;
  /** A column's id. */
  group: string | undefined;
  /** Column ids in order; null: the usual ones. */
  columns: readonly string[] | null;
  /** Pixels of the columns that were made wider or narrower, by id; `name` too. */
  widths: ReadonlyMap<string, number>;
  /** Charted or not, against the usual choice. */
  hidden: readonly string[];
  shown: readonly string[];
  /** These and no others. */
  only: readonly string[] | null;
  settings: ChartSettings;
  range: Range | null;
  /** Panels whose name has this. */
  panels: string;
  pinned: readonly string[];
  /** Groups of panels folded (or, for those folded by themselves, unfolded). */
  folded: readonly string[];
  /** Panels moved: each stands before the other. */
  moves: readonly (readonly [key: string, before: string])[];
  sizes: ReadonlyMap<string, PanelSize>;
  /** Height of a row of panels. */
  height: number;
  /** Width of the table; 0: shut. */
  rail: number;
}

export const RAIL = 320;
export const HEIGHT = 232;

const number = (text: string | null, fallback: number, least: number, most: number): number => {
  const value = text === null || text.trim() === '' ? Number.NaN : Number(text);
  return Number.isFinite(value) ? Math.min(most, Math.max(least, value)) : fallback;
};
const list = (text: string | null): string[] => (text === null || text === '' ? [] : text.split(','));
const oneOf = <T extends string>(text: string | null, values: readonly T[], fallback: T): T =>
  values.find((value) => value === text) ?? fallback;

/** Reads a query; what is malformed counts as absent. Pure. */
export function readView(text: string): View {
  const query = new URLSearchParams(text);
  const get = (name: string) => query.get(name);
  const sort = get('sort');
  const only = get('only');
  const columns = query.getAll('col');
  return {
    find: get('find') ?? '',
    project: get('project') ?? '',
    archived: query.has('archived'),
    sort: sort ? { id: sort.replace(/:(asc|desc)$/, ''), desc: sort.endsWith(':desc') } : undefined,
    group: get('group') || undefined,
    columns: columns.length > 0 ? columns.filter((column) => column !== '') : null,
    widths: new Map(
      query.getAll('width').flatMap((entry) => {
        const match = /^(\d+):(.+)$/s.exec(entry);
        return match === null ? [] : [[match[2] ?? '', number(match[1] ?? null, 82, 40, 1200)]];
      }),
    ),
    hidden: list(get('hide')),
    shown: list(get('show')),
    only: only === null ? null : list(only),
    settings: {
      axis: oneOf(get('x'), ['step', 'time', 'relative'], DEFAULT_SETTINGS.axis),
      logX: query.has('logx'),
      logY: query.has('logy'),
      smoothing: number(get('smooth'), 0, 0, 0.999),
      clip: query.has('clip'),
      spread: oneOf(get('band'), ['minmax', 'std'], DEFAULT_SETTINGS.spread),
    },
    range: readRange(get('from'), get('to')),
    panels: get('panels') ?? '',
    pinned: query.getAll('pin'),
    folded: query.getAll('fold'),
    moves: query.getAll('move').flatMap((pair) => {
      const [key, before, more] = pair.split('>>');
      return key !== undefined && before !== undefined && more === undefined ? [[key, before] as const] : [];
    }),
    sizes: new Map(
      query.getAll('size').flatMap((entry) => {
        const match = /^(\d)x(\d+):(.+)$/s.exec(entry);
        if (match === null) return [];
        return [
          [
            match[3] ?? '',
            { span: number(match[1] ?? null, 1, 1, 4), height: number(match[2] ?? null, HEIGHT, 140, 900) },
          ],
        ];
      }),
    ),
    height: number(get('height'), HEIGHT, 140, 900),
    rail: number(get('rail'), RAIL, 0, 4000),
  };
}

function readRange(from: string | null, to: string | null): Range | null {
  if (from === null || from === '' || !Number.isFinite(Number(from))) return null;
  const [low, high] = [Number(from), to === null || to === '' ? Number.POSITIVE_INFINITY : Number(to)];
  return low < high ? [low, high] : null;
}

/** The query of a view. Pure; `readView` reads it back. */
export function writeView(view: View): string {
  const query = new URLSearchParams();
  const set = (name: string, value: string | number | undefined | null, fallback: string | number = '') => {
    if (value !== undefined && value !== null && value !== fallback) query.set(name, String(value));
  };
  const flag = (name: string, on: boolean) => set(name, on ? 1 : undefined);
  set('find', view.find);
  set('project', view.project);
  flag('archived', view.archived);
  set('sort', view.sort && `${view.sort.id}:${view.sort.desc ? 'desc' : 'asc'}`);
  set('group', view.group);
  if (view.columns !== null) {
    for (const column of view.columns.length > 0 ? view.columns : ['']) query.append('col', column);
  }
  for (const [column, width] of view.widths) query.append('width', `${width}:${column}`);
  set('hide', view.hidden.join());
  set('show', view.shown.join());
  if (view.only !== null) query.set('only', view.only.join());
  set('x', view.settings.axis, DEFAULT_SETTINGS.axis);
  flag('logx', view.settings.logX);
  flag('logy', view.settings.logY);
  set('smooth', view.settings.smoothing, 0);
  flag('clip', view.settings.clip);
  set('band', view.settings.spread, DEFAULT_SETTINGS.spread);
  if (view.range !== null) {
    set('from', Number(view.range[0].toPrecision(10)));
    if (Number.isFinite(view.range[1])) set('to', Number(view.range[1].toPrecision(10)));
  }
  set('panels', view.panels);
  for (const key of view.pinned) query.append('pin', key);
  for (const name of view.folded) query.append('fold', name);
  for (const [key, before] of view.moves) query.append('move', `${key}>>${before}`);
  for (const [key, size] of view.sizes) query.append('size', `${size.span}x${size.height}:${key}`);
  set('height', view.height, HEIGHT);
  set('rail', Math.round(view.rail), RAIL);
  return query.toString();
}

export const view = computed(() => readView(search.value));

/** Changes some of it, in place. */
export function setView(change: Partial<View>): void {
  replaceSearch(writeView({ ...view.peek(), ...change }));
}

export function setSettings(change: Partial<ChartSettings>): void {
  const now = view.peek();
  const moved = change.axis !== undefined && change.axis !== now.settings.axis;
  // A range of steps means nothing in seconds.
  setView({ settings: { ...now.settings, ...change }, ...(moved ? { range: null } : {}) });
}

/** A filter of the filter language, rather than words to find: it compares something. */
export function isFilter(text: string): boolean {
  return /[=<>~]|\b(is\s+(not\s+)?null|like\s+'|in\s*\()/i.test(text) || /^\s*not\s*\(/i.test(text);
}
