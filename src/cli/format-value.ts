import { stringifyExactJson } from '../events/line.ts';
import { formatNumber } from './format-number.ts';

/** A metric's value as JSON has it (a number, or "NaN" and the like), for a person. */
export function formatMetric(value: unknown): string {
  if (typeof value === 'number') return formatNumber(value);
  if (value === 'NaN') return 'NaN';
  if (value === 'Infinity') return 'inf';
  if (value === '-Infinity') return '-inf';
  return '';
}

/** A parameter's value: text as it is, everything else as JSON with all its digits. */
export function formatParam(value: unknown): string {
  if (value === undefined) return '';
  return typeof value === 'string' ? value : stringifyExactJson(value);
}
