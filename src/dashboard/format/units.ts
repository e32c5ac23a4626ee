/** How the values of a metric are written, told from the end of its name. */
import { formatBytes, formatNumber } from './numbers.ts';

type Format = (value: number) => string;

/** Distances that ticks may have, up to this value. */
type Steps = (greatest: number) => number[];

const ROUND = [0.01, 0.1, 1, 10, 100].flatMap((size) => [size, 2 * size, 5 * size]);

/** Round in the unit, KiB, MiB …, that the labels have; where the range is too small for that, in the one below. */
function binarySteps(greatest: number): number[] {
  const power = Math.max(0, Math.floor(Math.log2(Math.max(1, greatest)) / 10));
  const unit = 1024 ** power;
  return [
    ...ROUND.map((one) => (one * unit) / 1024).filter((one) => one < 0.01 * unit),
    ...ROUND.map((one) => one * unit),
  ];
}

const UNITS: readonly [ending: RegExp, format: Format, steps?: Steps][] = [
  [/_bytes_per_s(ec(ond)?)?$/, (value) => `${formatBytes(value)}/s`, binarySteps],
  [/_bytes$/, formatBytes, binarySteps],
  [/_mib$/i, (value) => formatBytes(value * 2 ** 20), binarySteps],
  [/_percent$|_pct$/, (value) => `${formatNumber(value, 3)} %`],
  [/_celsius$|temperature(_c)?$/, (value) => `${formatNumber(value, 3)} °C`],
  [/_watts?$/, (value) => `${formatNumber(value, 3)} W`],
];

/** Undefined where a plain number says it. */
const unitOf = (key: string) => UNITS.find(([ending]) => ending.test(key));

export const formatOf = (key: string): Format | undefined => unitOf(key)?.[1];
/** Distances that the ticks of its axis may have; undefined: the usual ones. */
export const stepsOf = (key: string): Steps | undefined => unitOf(key)?.[2];
