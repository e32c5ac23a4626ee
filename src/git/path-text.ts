/** Paths are bytes; records are JSON. Bytes that are not UTF-8 are written `\xNN`. */
import { isUtf8 } from 'node:buffer';

export function pathText(path: Buffer): string {
  if (isUtf8(path)) return path.toString('utf8');
  let text = '';
  for (let at = 0; at < path.length; ) {
    const length = characterLength(path, at);
    if (length > 0) {
      text += path.toString('utf8', at, at + length);
      at += length;
    } else {
      text += `\\x${(path[at] ?? 0).toString(16).padStart(2, '0')}`;
      at += 1;
    }
  }
  return text;
}

/** The bytes of the UTF-8 character at `at`, or 0 where none is. */
function characterLength(bytes: Buffer, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length += 1) {
    if (isUtf8(bytes.subarray(at, at + length))) return length;
  }
  return 0;
}

/** The inverse of `pathText`. A name that holds the four characters `\xNN` itself, with NN from 80 on, reads as a byte. */
export function pathBytes(text: string): Buffer {
  if (!/\\x[89a-f][0-9a-f]/.test(text)) return Buffer.from(text);
  return Buffer.concat(
    text
      .split(/(\\x[89a-f][0-9a-f])/)
      .map((part, index) => (index % 2 === 1 ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part))),
  );
}

/** The parts of `bytes` that end in NUL. */
export function splitNul(bytes: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(0, at);
    const stop = end < 0 ? bytes.length : end;
    parts.push(bytes.subarray(at, stop));
    at = stop + 1;
  }
  return parts;
}

const nul = Buffer.from([0]);

/** The inverse of `splitNul`. */
export function joinNul(parts: readonly Buffer[]): Buffer {
  return Buffer.concat(parts.flatMap((part) => [part, nul]));
}

/** `path` below the folder `top`, as bytes: a name need not be UTF-8. */
export function below(top: string, path: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${top}/`), path]);
}
