import { WaddleError } from '../errors/waddle-error.ts';

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 };

/** A time as people give it: an age (`12h`, `7d`) or a date. `now` is in milliseconds; gives epoch seconds. */
export function parseSince(text: string, now: number): number {
  const age = /^(\d+(?:\.\d+)?)([smhdw])$/.exec(text);
  if (age !== null) return now / 1000 - Number(age[1]) * (UNITS[age[2] ?? ''] ?? 1);
  const date = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(date)) return date / 1000;
  throw new WaddleError('since-invalid', `"${text}" is no time`, 'Write for example: 12h, 7d, 2026-11-26', {
    exitCode: 2,
  });
}
