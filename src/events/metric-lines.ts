/** Most lines of most journals are metrics: seen as such without being parsed. */

const BEGINNING = bytesOf('{"k":"m","t":');
const STEP = bytesOf(',"s":');
const VALUES = bytesOf(',"v":{');
const [NEWLINE, OPENS, CLOSES] = [0x0a, 0x7b, 0x7d];

/** 1 for each character that a number may have. */
const OF_NUMBER = new Uint8Array(256);
for (const byte of bytesOf('0123456789-+.eE')) OF_NUMBER[byte] = 1;

/**
 * Passes over metrics' lines as Waddle's own writers put them, which can be nothing else: gives the place of the first other
 * line. What looks like one without being JSON is passed over too.
 * @param from where a line begins
 * @param to where the bytes end; a line that goes on behind it is another one
 */
export function afterMetrics(bytes: Uint8Array, from: number, to = bytes.length): number {
  let at = from;
  for (;;) {
    const next = afterMetric(bytes, at, to);
    if (next === -1) return at;
    at = next;
  }
}

function afterMetric(bytes: Uint8Array, from: number, to: number): number {
  let at = afterText(bytes, from, to, BEGINNING);
  if (at !== -1) at = afterText(bytes, afterNumber(bytes, at, to), to, STEP);
  if (at !== -1) at = afterText(bytes, afterNumber(bytes, at, to), to, VALUES);
  if (at === -1) return -1;
  // Values are never objects; and no writer puts a brace into the name of a metric that is to be passed over.
  for (; at < to; at += 1) {
    const byte = bytes[at] as number;
    if (byte === CLOSES) break;
    if (byte === OPENS || byte === NEWLINE) return -1;
  }
  return at + 2 < to && bytes[at + 1] === CLOSES && bytes[at + 2] === NEWLINE ? at + 3 : -1;
}

function afterText(bytes: Uint8Array, from: number, to: number, text: Uint8Array): number {
  const { length } = text;
  if (from === -1 || from + length > to) return -1;
  for (let index = 0; index < length; index += 1) if (bytes[from + index] !== text[index]) return -1;
  return from + length;
}

/** -1 where there is none. */
function afterNumber(bytes: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to && OF_NUMBER[bytes[at] as number] === 1) at += 1;
  return at === from ? -1 : at;
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
