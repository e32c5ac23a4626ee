/**
 * A piece of a journal turned on its side (docs/remote.md): what metric lines have in common once, and their numbers in columns,
 * as differences or as digits below digits. Packed it is half of what the packed text is. The text comes back byte for byte,
 * whatever it is.
 *
 * A body is a byte and sections, each after its u32 big-endian length. After 0, one: the text as it is. After 1: a JSON header,
 * the order of the lines (a byte each), the lines that are no metrics, and the columns in the order of the header.
 */
import { WaddleError } from '../errors/waddle-error.ts';

export const [AS_IT_IS, IN_COLUMNS] = [0, 1];

/** A line that stands as it is, in the order of the lines. */
export const LITERAL = 255;
export const NEWLINE = 10;

/** The types of columns. */
export const TYPES = ['delta', 'thousandths', 'digits', 'text'] as const;
type ColumnType = (typeof TYPES)[number];

/**
 * `delta`: whole numbers; `thousandths`: numbers with three decimals; `digits`: decimal numbers; `text`: whatever stands there.
 */
export interface ColumnHead {
  type: ColumnType;
  /** Of `digits`: how numbers look, with a `#` for each digit from the first that is not 0 on. */
  shapes?: string[];
}

export interface Header {
  kinds: { parts: string[]; columns: ColumnHead[] }[];
  lines: number;
  /** Of the text. */
  bytes: number;
}

/** Of a number in digits: the shape that says that it stands as text after the digits. */
export const ODD = 255;
/** Digits of a number in `digits` at most, and those of them in each of its two halves. */
export const MAX_DIGITS = 18;
export const HALF = 9;

/** 1 for each character that a number may have. */
export const OF_NUMBER = new Uint8Array(256);
for (const character of '0123456789-+.eE') OF_NUMBER[character.charCodeAt(0)] = 1;

/** @param sections in pieces */
export function joinSections(form: number, sections: readonly (readonly Uint8Array[])[]): Uint8Array {
  const lengths = sections.map((pieces) => pieces.reduce((sum, { length }) => sum + length, 0));
  const out = new Uint8Array(1 + lengths.reduce((sum, length) => sum + 4 + length, 0));
  const view = new DataView(out.buffer);
  out[0] = form;
  let at = 1;
  for (const [index, pieces] of sections.entries()) {
    view.setUint32(at, lengths[index] ?? 0);
    at += 4;
    for (const piece of pieces) {
      out.set(piece, at);
      at += piece.length;
    }
  }
  return out;
}

/** @throws WaddleError `columns-invalid` */
export function readSections(body: Uint8Array): Uint8Array[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < body.length; ) {
    if (body.length - at < 4) throw invalid('it ends in a length');
    const length = view.getUint32(at);
    at += 4;
    if (length > body.length - at) throw invalid('it ends in a section');
    pieces.push(body.subarray(at, at + length));
    at += length;
  }
  return pieces;
}

/** One character a byte: names of metrics need not be ASCII. */
export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

export function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

export function invalid(what: string): WaddleError {
  return new WaddleError(
    'columns-invalid',
    `a piece in columns is not understood: ${what}`,
    'See docs/remote.md for how they are laid out.',
    { exitCode: 2 },
  );
}
