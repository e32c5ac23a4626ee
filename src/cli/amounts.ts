/** Amounts as people write them on the command line. */
import { InvalidArgumentError } from 'commander';

const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 365 * 86_400 };
const BYTES: Record<string, number> = {
  '': 1,
  k: 1e3,
  m: 1e6,
  g: 1e9,
  t: 1e12,
  ki: 2 ** 10,
  mi: 2 ** 20,
  gi: 2 ** 30,
  ti: 2 ** 40,
};

/** Seconds of `30d`, `12h`, `90m`, `45s`, `2w` or `1y`. */
export function readSpan(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([smhdwy])$/.exec(text.trim());
  const unit = SECONDS[match?.[2] ?? ''];
  const seconds = Number(match?.[1]) * (unit ?? Number.NaN);
  if (Number.isFinite(seconds) && seconds > 0) return seconds;
  throw new InvalidArgumentError('Write a span of time such as 30d, 12h or 1y.');
}

/** Bytes of `500M`, `10G` (powers of 1000) or `10GiB` (of 1024). */
export function readBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]?i?)b?$/i.exec(text.trim());
  const bytes = Math.round(Number(match?.[1]) * (BYTES[(match?.[2] ?? '').toLowerCase()] ?? Number.NaN));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new InvalidArgumentError('Write a number of bytes such as 500M, 10G or 10GiB.');
}

/** A count: `1000000`, `10M` or `1G`. */
export function readCount(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([kmg]?)$/i.exec(text.trim());
  const count = Math.round(Number(match?.[1]) * (BYTES[(match?.[2] ?? '').toLowerCase()] ?? Number.NaN));
  if (Number.isSafeInteger(count)) return count;
  throw new InvalidArgumentError('Write a number such as 1000000, 10M or 1G.');
}
