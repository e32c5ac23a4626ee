/** Final values of metrics, then and now, and whether they are equal. */
import { WaddleError } from '../errors/waddle-error.ts';

/** A metric's value as JSON has it: a number, or "NaN", "Infinity", "-Infinity". */
type Value = number | string;

export interface Tolerance {
  value: number;
  /** Of the old value's size; else in the metric's own unit. */
  relative: boolean;
}

export interface ComparedMetric {
  key: string;
  /** Null where that run has no such metric. */
  before: Value | null;
  now: Value | null;
  /** now - before, where both are finite. */
  difference: number | null;
  equal: boolean;
}

/** As people type it: `0.001`, or `0.1%` of the old value. */
export function readTolerance(text: string): Tolerance {
  const match = /^(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)(%?)$/i.exec(text.trim());
  if (match === null) {
    throw new WaddleError(
      'tolerance-invalid',
      `"${text}" is no tolerance`,
      'Give a number, such as 0.001, or a part of the old value, such as 0.1%.',
      { exitCode: 2 },
    );
  }
  const relative = match[2] === '%';
  return { value: Number(match[1]) / (relative ? 100 : 1), relative };
}

/** Compares by key. NaN equals NaN, an infinity itself; what one of the two lacks is not equal. */
export function compareMetrics(
  then: Readonly<Record<string, Value>>,
  now: Readonly<Record<string, Value>>,
  tolerance: Tolerance,
): ComparedMetric[] {
  const keys = [...new Set([...Object.keys(then), ...Object.keys(now)])].sort();
  return keys.map((key) => {
    const a = Object.hasOwn(then, key) ? (then[key] ?? null) : null;
    const b = Object.hasOwn(now, key) ? (now[key] ?? null) : null;
    if (typeof a !== 'number' || typeof b !== 'number') {
      return { key, before: a, now: b, difference: null, equal: a !== null && a === b };
    }
    const difference = b - a;
    const room = tolerance.relative ? tolerance.value * Math.abs(a) : tolerance.value;
    return { key, before: a, now: b, difference, equal: a === b || Math.abs(difference) <= room };
  });
}
