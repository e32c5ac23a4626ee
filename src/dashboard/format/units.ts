/** How the values of a metric are written, told from the end of its name. */
import { formatBytes, formatNumber } from './numbers.ts';

type Format = (value: number) => string;

const UNITS: readonly [ending: RegExp, format: Format][] = [
  [/_bytes_per_s(ec(ond)?)?$/, (value) => `${formatBytes(value)}/s`],
  [/_bytes$/, formatBytes],
  [/_mib$/i, (value) => formatBytes(value * 2 ** 20)],
  [/_percent$|_pct$/, (value) => `${formatNumber(value, 3)} %`],
  [/_celsius$|temperature(_c)?$/, (value) => `${formatNumber(value, 3)} °C`],
  [/_watts?$/, (value) => `${formatNumber(value, 3)} W`],
];

/** Undefined where a plain number says it. */
export const formatOf = (key: string): Format | undefined => UNITS.find(([ending]) => ending.test(key))?.[1];
