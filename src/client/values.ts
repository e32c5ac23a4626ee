import { encodeNumber } from '../events/line.ts';

/** Steps beyond this are not exact in JSON's readers, so that two of them could fall together. */
const MAX_STEP = 2 ** 53;
/** Parameters nested deeper than this, or into themselves, become text. */
const MAX_DEPTH = 64;
/** The longest text that stands for a value that JSON lacks, in characters. */
const MAX_TEXT = 16_384;

/** A metric's value as the text of JSON; undefined for what is no number (null, text, an object without one). */
export function numberText(value: unknown): string | undefined {
  if (typeof value === 'number') return JSON.stringify(encodeNumber(value));
  if (typeof value === 'boolean') return value ? '1' : '0';
  if (typeof value === 'bigint') {
    return Number.isFinite(Number(value)) ? value.toString() : JSON.stringify(encodeNumber(Number(value)));
  }
  if (typeof value !== 'object' || value === null) return undefined;
  let inner: unknown;
  try {
    inner = value.valueOf();
  } catch {
    return undefined;
  }
  return inner === value || typeof inner === 'object' ? undefined : numberText(inner);
}

/** Whether a step can be kept: an integer within ±2^53 or a finite number that is no integer. */
export function isStep(step: unknown): step is number {
  if (typeof step !== 'number' || !Number.isFinite(step)) return false;
  return !Number.isInteger(step) || Math.abs(step) <= MAX_STEP;
}

/** What a value is, for a person. */
export function shown(value: unknown): string {
  if (typeof value === 'string') return `the string ${JSON.stringify(value.slice(0, 40))}`;
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'number' || typeof value === 'bigint') return String(value).slice(0, 40);
  return typeof value === 'object' ? `an object (${value.constructor?.name ?? 'Object'})` : typeof value;
}

/**
 * Any value as JSON text: numbers that JSON lacks become their names, integers of any size keep their digits, dates and
 * what has `toJSON` become what that gives, maps and sets become objects and arrays, and the rest becomes text.
 */
export function jsonText(value: unknown): string {
  return write(value, [], 0);
}

function write(value: unknown, above: readonly object[], depth: number): string {
  if (value === null || value === undefined) return 'null';
  if (typeof value === 'string') return JSON.stringify(value.toWellFormed());
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return JSON.stringify(encodeNumber(value));
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object') return text(value);
  if (depth >= MAX_DEPTH || above.includes(value)) return text(value);
  const inside = [...above, value];
  const item = (each: unknown) => write(each, inside, depth + 1);
  try {
    const { toJSON } = value as { toJSON?: unknown };
    if (typeof toJSON === 'function') return item(toJSON.call(value));
    if (
      Array.isArray(value) ||
      value instanceof Set ||
      (ArrayBuffer.isView(value) && !(value instanceof DataView))
    ) {
      return `[${[...(value as Iterable<unknown>)].map(item).join(',')}]`;
    }
    if (value instanceof Number || value instanceof String || value instanceof Boolean)
      return item(value.valueOf());
    const entries = value instanceof Map ? [...value] : Object.entries(value);
    const parts = entries
      .filter(([, each]) => each !== undefined && typeof each !== 'function')
      .map(([key, each]) => `${JSON.stringify(String(key).toWellFormed())}:${item(each)}`);
    return `{${parts.join(',')}}`;
  } catch {
    return text(value);
  }
}

function text(value: unknown): string {
  let shownAs: string;
  try {
    shownAs = String(value);
  } catch {
    shownAs = typeof value;
  }
  return JSON.stringify(shownAs.slice(0, MAX_TEXT).toWellFormed());
}

/** A tag's value, or a key, as text. */
export function plainText(value: unknown): string {
  try {
    return String(value).toWellFormed();
  } catch {
    return typeof value;
  }
}
