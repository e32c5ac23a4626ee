/** A metric's value for a person: about five significant digits, no trailing zeros; `NaN`, `inf` and `-inf` as such. */
export function formatNumber(value: number | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf';
  const size = Math.abs(value);
  if (value === 0 || (Number.isInteger(value) && size < 1e12)) return String(value);
  if (size < 1e-4 || size >= 1e9) return trimZeros(value.toExponential(3));
  const wholeDigits = Math.max(0, Math.floor(Math.log10(size)) + 1);
  const leadingZeros = size < 1 ? -Math.floor(Math.log10(size)) - 1 : 0;
  return trimZeros(value.toFixed(Math.max(0, 5 - wholeDigits + leadingZeros)));
}

function trimZeros(text: string): string {
  const [mantissa = '', exponent] = text.split('e');
  const trimmed = mantissa.includes('.') ? mantissa.replace(/\.?0+$/, '') : mantissa;
  return exponent === undefined ? trimmed : `${trimmed}e${exponent.replace('+', '')}`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Bytes for a person, in powers of 1,000: `0 B`, `1.2 kB`, `34 MB`. */
export function formatBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 9.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** `1 run`, `2 runs`; thousands are grouped. */
export function count(number: number, one: string, many = `${one}s`): string {
  // `toLocaleString` would load all that is known of languages for a comma.
  return `${String(number).replace(/\B(?=(?:\d{3})+$)/g, ',')} ${number === 1 ? one : many}`;
}
