import { NUMBER_TEXT } from '../store/number-text.ts';

/** From `from` on and before `to`, epoch seconds: the day, minute or second that an ISO text names. */
export interface TimeRange {
  from: number;
  to: number;
}

const SECONDS: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86_400 };

/** Seconds of `'90s'`, `'1h30m'`, `'250ms'`, `'12.5'`. */
export function readDuration(text: string): number | undefined {
  if (NUMBER_TEXT.test(text)) return Number(text);
  if (!/^\s*(?:\d+(?:\.\d+)?\s*(?:ms|[smhd])\s*)+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|[smhd])/g)) {
    seconds += Number(amount) * (SECONDS[unit ?? ''] ?? 0);
  }
  return seconds;
}

const ISO =
  /^\s*(\d{4})-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d{1,9})?)?\s*(Z|[+-]\d\d:?\d\d)?)?)?\s*$/i;

/** What an ISO text names: a month, a day, a minute, a second, or an instant; local where it has no zone. */
export function readTime(text: string): TimeRange | undefined {
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone] = match;
  const [y, mo, d, h, mi, s] = [year, month, day, hour, minute, second].map((part) => Number(part ?? 0));
  if (y === undefined || mo === undefined || d === undefined) return undefined;
  if (h === undefined || mi === undefined || s === undefined) return undefined;
  const dayOfMonth = day === undefined ? 1 : d;
  const check = new Date(Date.UTC(y, mo - 1, dayOfMonth, h, mi, s));
  if (check.getUTCMonth() !== mo - 1 || check.getUTCDate() !== dayOfMonth || h > 23 || mi > 59 || s > 59) {
    return undefined;
  }
  const at = (months: number, days: number, seconds: number): number => {
    const parts = [y, mo - 1 + months, dayOfMonth + days, h, mi, s + seconds] as const;
    if (zone === undefined) return new Date(...parts).getTime() / 1000;
    return Date.UTC(...parts) / 1000 - zoneSeconds(zone);
  };
  const from = at(0, 0, 0) + Number(fraction ?? 0);
  if (fraction !== undefined) return { from, to: from + 0.001 };
  if (second !== undefined) return { from, to: at(0, 0, 1) };
  if (minute !== undefined) return { from, to: at(0, 0, 60) };
  return { from, to: day === undefined ? at(1, 0, 0) : at(0, 1, 0) };
}

function zoneSeconds(zone: string): number {
  if (zone.toUpperCase() === 'Z') return 0;
  const sign = zone.startsWith('-') ? -1 : 1;
  return sign * (Number(zone.slice(1, 3)) * 3600 + Number(zone.slice(-2)) * 60);
}
