import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/**
 * Columns of numbers as bytes: each column the shortest of three ways, then zstd over all of them where that is shorter.
 * Every bit comes back, that of NaN and of -0 too.
 *
 * Layout: a byte (1: zstd follows), the number of columns, a way for each, then the columns one after the other. Their
 * length is not in it: whoever reads them knows it.
 */
const WAY = { deltas: 1, float32: 2, float64: 3 } as const;

const FAST = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** Whole numbers below this have differences of differences that are exact. */
const EXACT = 2 ** 50;
/** Bytes: what is shorter is not worth the time that zstd takes to begin. */
const WORTH_IT = 400;

/** @param columns of one length */
export function encodeColumns(columns: readonly ArrayLike<number>[], length: number): Buffer {
  const out = new Writer(2 + columns.length + length * columns.length * 3);
  out.byte(0);
  out.byte(columns.length);
  const ways = columns.map((column) => wayOf(column, length));
  for (const way of ways) out.byte(way);
  for (const [index, column] of columns.entries()) {
    const way = ways[index];
    if (way === WAY.deltas) writeDeltas(out, column, length);
    else writePlanes(out, column, length, way === WAY.float32);
  }
  const plain = out.bytes();
  if (plain.length < WORTH_IT) return plain;
  const packed = zstdCompressSync(plain.subarray(1), FAST);
  if (packed.length + 1 >= plain.length) return plain;
  return Buffer.concat([Buffer.from([1]), packed]);
}

/** The columns that `encodeColumns` was given. */
export function decodeColumns(body: Uint8Array, length: number): Float64Array[] {
  const rest = body.subarray(1);
  const bytes = body[0] === 1 ? zstdDecompressSync(rest) : rest;
  const columns = bytes[0] ?? 0;
  let at = 1 + columns;
  const found: Float64Array[] = [];
  for (let index = 0; index < columns; index += 1) {
    const column = new Float64Array(length);
    const way = bytes[1 + index];
    if (way === WAY.deltas) at = readDeltas(bytes, at, column);
    else at = readPlanes(bytes, at, column, way === WAY.float32);
    found.push(column);
  }
  return found;
}

class Writer {
  #buffer: Buffer;
  #length = 0;

  constructor(guess: number) {
    this.#buffer = Buffer.allocUnsafe(guess);
  }

  /** Room for so many bytes more, and where they begin. */
  room(bytes: number): { buffer: Buffer; at: number } {
    if (this.#length + bytes > this.#buffer.length) {
      const larger = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + bytes));
      this.#buffer.copy(larger, 0, 0, this.#length);
      this.#buffer = larger;
    }
    return { buffer: this.#buffer, at: this.#length };
  }

  wrote(end: number): void {
    this.#length = end;
  }

  byte(value: number): void {
    const { buffer, at } = this.room(1);
    buffer[at] = value;
    this.#length = at + 1;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
}

function wayOf(column: ArrayLike<number>, length: number): number {
  let [whole, single] = [true, true];
  for (let index = 0; index < length && (whole || single); index += 1) {
    const value = column[index] ?? 0;
    whole &&= Number.isInteger(value) && value < EXACT && value > -EXACT && (value !== 0 || 1 / value > 0);
    single &&= Math.fround(value) === value || Number.isNaN(value);
  }
  if (whole) return WAY.deltas;
  return single ? WAY.float32 : WAY.float64;
}

/** Differences of differences as varints, the sign in the lowest bit: steps and times become zeros. */
function writeDeltas(out: Writer, column: ArrayLike<number>, length: number): void {
  const { buffer, at } = out.room(8 * length);
  let [end, last, delta] = [at, 0, 0];
  for (let index = 0; index < length; index += 1) {
    const value = column[index] ?? 0;
    const change = value - last - delta;
    delta = value - last;
    last = value;
    let rest = change < 0 ? -2 * change - 1 : 2 * change;
    while (rest >= 128) {
      buffer[end++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    buffer[end++] = rest;
  }
  out.wrote(end);
}

function readDeltas(bytes: Uint8Array, from: number, column: Float64Array): number {
  let [at, last, delta] = [from, 0, 0];
  for (let index = 0; index < column.length; index += 1) {
    let byte = bytes[at++] ?? 0;
    let coded = byte % 128;
    for (let scale = 128; byte >= 128; scale *= 128) {
      byte = bytes[at++] ?? 0;
      coded += (byte % 128) * scale;
    }
    delta += coded % 2 === 1 ? -(coded + 1) / 2 : coded / 2;
    last += delta;
    column[index] = last;
  }
  return at;
}

/** All first bytes, then all second bytes, …: signs and exponents of neighbours are alike. */
function writePlanes(out: Writer, column: ArrayLike<number>, length: number, single: boolean): void {
  const numbers = single ? Float32Array.from(column) : Float64Array.from(column);
  const bytes = new Uint8Array(numbers.buffer);
  const width = numbers.BYTES_PER_ELEMENT;
  const { buffer, at } = out.room(width * length);
  let end = at;
  for (let plane = width - 1; plane >= 0; plane -= 1) {
    for (let index = plane; index < bytes.length; index += width) buffer[end++] = bytes[index] ?? 0;
  }
  out.wrote(end);
}

function readPlanes(bytes: Uint8Array, from: number, column: Float64Array, single: boolean): number {
  const numbers = single ? new Float32Array(column.length) : column;
  const own = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  const width = numbers.BYTES_PER_ELEMENT;
  let at = from;
  for (let plane = width - 1; plane >= 0; plane -= 1) {
    for (let index = plane; index < own.length; index += width) own[index] = bytes[at++] ?? 0;
  }
  if (single) column.set(numbers);
  return at;
}
