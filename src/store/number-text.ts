import { decodeNumber } from '../events/line.ts';

export const NUMBER_TEXT = /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?\s*$/i;

/** The number that a text holds (`'0.1'`, `'NaN'`, `'-Infinity'`); undefined where it holds something else. */
export function readNumberText(text: string): number | undefined {
  if (NUMBER_TEXT.test(text)) return Number(text);
  return decodeNumber(text);
}
