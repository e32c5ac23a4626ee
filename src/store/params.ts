import { parseExactJson, stringifyExactJson } from '../events/line.ts';
import type { Store } from './open.ts';

type LeafType = 'number' | 'string' | 'boolean' | 'null' | 'array' | 'object';

/** One value of a flattened parameter. */
export interface ParamLeaf {
  /** Dotted. */
  key: string;
  type: LeafType;
  /** The string itself, or JSON text with all digits. */
  text: string;
  number: number | null;
}

/** Objects nested deeper than this stay one leaf, as JSON. */
const MAX_DEPTH = 32;

/** Flattens a parameter with dots. An array is a leaf, and so is an empty object. */
export function flattenParam(key: string, value: unknown, depth = 0): ParamLeaf[] {
  if (value === null) return [{ key, type: 'null', text: 'null', number: null }];
  if (typeof value === 'number' || typeof value === 'bigint') {
    return [{ key, type: 'number', text: stringifyExactJson(value), number: Number(value) }];
  }
  if (typeof value === 'string') return [{ key, type: 'string', text: value, number: null }];
  if (typeof value === 'boolean') return [{ key, type: 'boolean', text: String(value), number: null }];
  if (Array.isArray(value)) return [{ key, type: 'array', text: stringifyExactJson(value), number: null }];
  const entries = Object.entries(value as Record<string, unknown>);
  if (entries.length === 0 || depth >= MAX_DEPTH) {
    return [{ key, type: 'object', text: stringifyExactJson(value), number: null }];
  }
  return entries.flatMap(([name, item]) => flattenParam(`${key}.${name.toWellFormed()}`, item, depth + 1));
}

/** What stands before the first dot: only parameters that share it can give the same leaf. */
export function paramFamily(key: string): string {
  const dot = key.indexOf('.');
  return dot === -1 ? key : key.slice(0, dot);
}

/** Makes the leaves of one family of a run's parameters anew from `params`. */
export function flattenFamily(store: Store, run: number, family: string): void {
  // '/' follows '.' in UTF-8, so this is the range of keys that begin with "family.".
  const range = [run, family, `${family}.`, `${family}/`] as const;
  store
    .prepare('DELETE FROM param_leaves WHERE run = ? AND (key = ? OR (key >= ? AND key < ?))')
    .run(...range);
  // Of two parameters that give the same leaf, the longer key is written last and stays.
  const params = store
    .prepare(
      'SELECT key, value FROM params WHERE run = ? AND (key = ? OR (key >= ? AND key < ?)) ORDER BY length(key)',
    )
    .all(...range);
  const insert = store.prepare(
    'INSERT OR REPLACE INTO param_leaves (run, key, type, text, number, param) VALUES (?, ?, ?, ?, ?, ?)',
  );
  for (const { key, value } of params) {
    for (const leaf of flattenParam(String(key), parseExactJson(String(value)))) {
      insert.run(run, leaf.key, leaf.type, leaf.text, leaf.number, String(key));
    }
  }
}
