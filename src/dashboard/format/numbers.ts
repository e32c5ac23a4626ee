/** Numbers as the page shows them: four significant digits at most, SI prefixes, tabular. */
import type { MetricNumber } from '../../protocol/api.ts';

const PREFIXES = ['', 'k', 'M', 'G', 'T', 'P', 'E'];

/** The number behind what JSON carries. */
export const toNumber = (value: MetricNumber | null | undefined): number =>
  value === null || value === undefined ? Number.NaN : Number(value);

/** `0.03417`, `12.34k`, `1.2e-7`, `NaN`, `∞`. */
export function formatNumber(value: number, digits = 4): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const size = Math.abs(value);
  const sign = value < 0 ? '−' : '';
  if (size < 1e-4) return sign + exponent(size, digits);
  if (size < 10_000) return sign + trimmed(size, digits);
  const power = Math.floor(Math.log10(size) / 3 + 1e-12);
  if (power >= PREFIXES.length) return sign + exponent(size, digits);
  const scaled = trimmed(size / 1000 ** power, digits);
  if (scaled === '1000' && power + 1 < PREFIXES.length) return `${sign}1${PREFIXES[power + 1]}`;
  return sign + scaled + PREFIXES[power];
}

function trimmed(size: number, digits: number): string {
  const text = Number(size.toPrecision(digits));
  return String(text);
}

function exponent(size: number, digits: number): string {
  const [mantissa = '', power = '0'] = size.toExponential(Math.max(0, Math.min(digits, 3) - 1)).split('e');
  return `${Number(mantissa)}e${Number(power)}`.replace('-', '−');
}

/** All digits, for a hover. */
export const rawNumber = (value: number): string => String(value).replace('-', '−');

/** Labels of an axis: enough digits to tell its ticks apart, one prefix for all. */
export function formatTicks(ticks: readonly (number | null)[]): string[] {
  const values = ticks.filter((tick): tick is number => tick !== null);
  const greatest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  let step = Number.POSITIVE_INFINITY;
  for (let index = 1; index < values.length; index++) {
    step = Math.min(step, Math.abs((values[index] ?? 0) - (values[index - 1] ?? 0)));
  }
  if (!(step > 0) || !Number.isFinite(step) || greatest < 1e-4 || greatest >= 1e21) {
    return ticks.map((tick) => (tick === null ? '' : formatNumber(tick)));
  }
  const power = greatest >= 10_000 ? Math.min(PREFIXES.length - 1, Math.floor(Math.log10(greatest) / 3)) : 0;
  const scale = 1000 ** power;
  const apart = step / scale;
  const first = Math.max(0, Math.min(9, -Math.floor(Math.log10(apart) + 1e-9)));
  // Steps of 2.5 have a digit more than their size tells.
  const places = isWhole(apart * 10 ** first) ? first : first + 1;
  return ticks.map((tick) => {
    if (tick === null) return '';
    if (tick === 0) return '0';
    return (tick / scale).toFixed(places).replace('-', '−') + PREFIXES[power];
  });
}

const isWhole = (value: number): boolean => Math.abs(value - Math.round(value)) < 1e-6 * value;

const BYTES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** `512 B`, `1.5 MiB`. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return formatNumber(bytes);
  const power = Math.min(BYTES.length - 1, bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10));
  return `${trimmed(bytes / 1024 ** power, power === 0 ? 4 : 3)} ${BYTES[power]}`;
}
