/** The text of a piece in columns again. As `encode-columns.ts`, it is made for millions of lines. */
import { WaddleError } from '../errors/waddle-error.ts';
import {
  AS_IT_IS,
  bytesOf,
  type ColumnHead,
  HALF,
  type Header,
  IN_COLUMNS,
  invalid,
  LITERAL,
  latin1,
  MAX_DIGITS,
  NEWLINE,
  ODD,
  OF_NUMBER,
  readSections,
  TYPES,
} from './journal-columns.ts';

export interface Decoded {
  text: Uint8Array;
  /**
   * Places in the text, by pairs, outside of which there are only metrics' lines as Waddle's own writers put them; undefined where
   * that is not known.
   */
  others: number[] | undefined;
}

/**
 * @param most bytes that the text may have
 * @throws WaddleError `columns-invalid`
 */
export function decodeColumns(body: Uint8Array, most: number): Decoded {
  const form = body[0];
  if (form === AS_IT_IS) {
    const [text, ...more] = readSections(body.subarray(1));
    if (text === undefined || more.length > 0) throw invalid('not one text');
    if (text.length > most) throw invalid(`more than ${most} bytes`);
    return { text, others: undefined };
  }
  if (form !== IN_COLUMNS) throw invalid('a form that is not known');
  const [head, order, literals, ...data] = readSections(body.subarray(1));
  if (head === undefined || order === undefined || literals === undefined)
    throw invalid('a section is missing');
  const header = readHeader(head, data.length);
  const { lines, bytes } = header;
  if (bytes > most) throw invalid(`more than ${most} bytes`);
  if (order.length !== lines || lines > bytes) throw invalid('its lines are not as many as it says');
  return new Text(header, order, literals, data).write();
}

class Text {
  readonly #kinds: Kind[];
  readonly #order: Uint8Array;
  readonly #literals: Column;
  readonly #length: number;
  readonly #out: Uint8Array;
  readonly #view: DataView;
  readonly #others: number[] = [];
  #at = 0;

  constructor(header: Header, order: Uint8Array, literals: Uint8Array, data: readonly Uint8Array[]) {
    const counts = new Uint32Array(LITERAL + 1);
    for (const kind of order) counts[kind] = (counts[kind] as number) + 1;
    let next = 0;
    this.#kinds = header.kinds.map(({ parts, columns }, index) => ({
      parts: parts.map(bytesOf),
      words: parts.map(wordsOf),
      columns: columns.map((each) => openColumn(each, data[next++] as Uint8Array, counts[index] as number)),
      isMetric: isMetric(parts),
    }));
    this.#order = order;
    this.#literals = openColumn({ type: 'text' }, literals, 0);
    this.#length = header.bytes;
    this.#out = new Uint8Array(this.#length);
    this.#view = new DataView(this.#out.buffer);
  }

  write(): Decoded {
    const { length } = this.#order;
    for (let line = 0; line < length; line += 1) this.#next(line);
    if (this.#at !== this.#length) throw invalid('it holds less than it says');
    const known = this.#kinds.every(({ columns }) => columns.every((column) => column.numbers));
    return { text: this.#out, others: known ? this.#others : undefined };
  }

  #next(line: number): void {
    const index = this.#order[line] as number;
    const begin = this.#at;
    let at = begin;
    let other = true;
    if (index === LITERAL) at = writeText(this.#literals, this.#out, at);
    else {
      const kind = this.#kinds[index];
      if (kind === undefined) throw invalid('a line of no kind');
      at = this.#line(kind, at);
      other = !kind.isMetric;
    }
    if (at >= this.#length) throw invalid('it holds more than it says');
    this.#out[at] = NEWLINE;
    this.#at = at + 1;
    if (!other) return;
    const others = this.#others;
    if (others.at(-1) === begin) others[others.length - 1] = this.#at;
    else others.push(begin, this.#at);
  }

  #line({ parts, words, columns }: Kind, from: number): number {
    const out = this.#out;
    const view = this.#view;
    let at = from;
    for (let index = 0; index < parts.length; index += 1) {
      if (index > 0) {
        const column = columns[index - 1] as Column;
        at =
          column.type === TEXT
            ? writeText(column, out, at)
            : column.type === DIGITS
              ? writeDigits(column, out, at)
              : writeDifference(column, out, at);
      }
      const part = parts[index] as Uint8Array;
      const own = words[index] as Int32Array;
      const end = at + part.length;
      if (end > this.#length) throw invalid('it holds more than it says');
      if (at + 4 * own.length > this.#length) out.set(part, at);
      else {
        // What is too much of the last word is written over by what comes next.
        for (let word = 0; word < own.length; word += 1) {
          view.setInt32(at + 4 * word, own[word] as number, true);
        }
      }
      at = end;
    }
    return at;
  }
}

interface Kind {
  parts: readonly Uint8Array[];
  /** The parts, the last word of each perhaps with zeros at its end. */
  words: readonly Int32Array[];
  columns: readonly Column[];
  isMetric: boolean;
}

function wordsOf(text: string): Int32Array {
  const padded = Buffer.alloc(Math.ceil(text.length / 4) * 4);
  padded.write(text, 'latin1');
  return Int32Array.from({ length: padded.length / 4 }, (_, index) => padded.readInt32LE(4 * index));
}

/** Whether lines of these parts are metrics' lines and can be nothing else, whatever their numbers are. */
function isMetric(parts: readonly string[]): boolean {
  const [begin, step, values, ...more] = parts;
  if (begin !== '{"k":"m","t":' || step !== ',"s":' || values === undefined) return false;
  const rest = [values, ...more].join('');
  return /^,"v":\{[^{}\n]*\}\}$/.test(rest);
}

const [TEXT, DIGITS, DIFFERENCES] = [0, 1, 2];

/** A column as it is read, number by number. */
interface Column {
  type: number;
  data: Uint8Array;
  /** Where its next difference or text begins. */
  at: number;
  /** Of differences: the number before, its last eight digits and those before them; where its text stands. */
  lower: number;
  upper: number;
  place: number;
  length: number;
  /** Of thousandths. */
  point: boolean;
  /** All that was read has characters of numbers only. */
  numbers: boolean;
  /** Of digits: which number is next, of all and of those that are not odd, how many of those there are, and how all look. */
  next: number;
  plain: number;
  count: number;
  planes: number;
  shapes: readonly Shape[];
}

/** How a number in digits looks: places are from its beginning. */
interface Shape {
  text: Uint8Array;
  /** Digits. */
  many: number;
  /** Place after the last digit. */
  end: number;
  /** Place of the point among the digits; -1 where there is none. */
  point: number;
  /** It is more than digits and a point. */
  more: boolean;
}

function openColumn({ type, shapes = [] }: ColumnHead, data: Uint8Array, count: number): Column {
  const column: Column = {
    type: type === 'text' ? TEXT : type === 'digits' ? DIGITS : DIFFERENCES,
    data,
    at: 0,
    lower: 0,
    upper: 0,
    place: 0,
    length: 0,
    point: type === 'thousandths',
    numbers: true,
    next: 0,
    plain: 0,
    count: 0,
    planes: count,
    shapes: shapes.map(readShape),
  };
  if (type !== 'digits') return column;
  if (data.length < count) throw invalid('a column that ends too soon');
  for (let index = 0; index < count; index += 1) if (data[index] !== ODD) column.count += 1;
  column.at = count + 8 * column.count;
  if (data.length < column.at) throw invalid('a column that ends too soon');
  return column;
}

const SHAPE = /^-?[0.]*[#.]*(?:[eE][\d+.-]*)?$/;

function readShape(shape: string): Shape {
  const many = shape.replaceAll(/[^#]/g, '').length;
  const point = shape.indexOf('.', Math.max(0, shape.indexOf('#')));
  const within = shape.lastIndexOf('#') > point ? point : -1;
  if (shape === '' || !SHAPE.test(shape) || many > MAX_DIGITS || shape.length > 40)
    throw invalid('a shape of no number');
  return {
    text: bytesOf(shape),
    many,
    end: shape.lastIndexOf('#') + 1,
    point: within,
    more: shape.replaceAll(/[#.]/g, '') !== '' || shape.indexOf('.') !== within,
  };
}

/** The next text of a column; gives the place after it. */
function writeText(column: Column, out: Uint8Array, to: number): number {
  const { data } = column;
  let at = column.at;
  let place = to;
  let numbers = 1;
  for (; at < data.length; at += 1) {
    const byte = data[at] as number;
    if (byte === NEWLINE) {
      if (numbers === 0 || place === to) column.numbers = false;
      column.at = at + 1;
      return place;
    }
    if (place >= out.length) throw invalid('it holds more than it says');
    numbers &= OF_NUMBER[byte] as number;
    out[place++] = byte;
  }
  throw invalid('a column that ends too soon');
}

function writeDigits(column: Column, out: Uint8Array, to: number): number {
  const { data, count, planes, shapes } = column;
  const look = data[column.next++] as number;
  if (look === ODD) return writeText(column, out, to);
  const shape = shapes[look];
  if (shape === undefined) throw invalid('a number of no shape');
  const { text, many, end, point, more } = shape;
  const after = to + text.length;
  if (after > out.length) throw invalid('it holds more than it says');
  const plane = planes + column.plain;
  column.plain += 1;
  let a =
    (data[plane] as number) |
    ((data[plane + count] as number) << 8) |
    ((data[plane + 2 * count] as number) << 16) |
    ((data[plane + 3 * count] as number) << 24);
  let b =
    (data[plane + 4 * count] as number) |
    ((data[plane + 5 * count] as number) << 8) |
    ((data[plane + 6 * count] as number) << 16) |
    ((data[plane + 7 * count] as number) << 24);
  // What a half cannot hold would come out as characters that are no digits.
  if (a >>> 0 >= 1e9 || b >>> 0 >= 1e9) throw invalid('a number that is none');
  if (more) for (let index = 0; index < text.length; index += 1) out[to + index] = text[index] as number;
  let at = to + end;
  const pointAt = point === -1 ? -1 : to + point;
  if (point !== -1) out[pointAt] = 0x2e;
  for (let left = many - HALF; left > 0; left -= 1) {
    at -= 1;
    if (at === pointAt) at -= 1;
    const tenth = (b / 10) | 0;
    out[at] = 0x30 + b - tenth * 10;
    b = tenth;
  }
  for (let left = many < HALF ? many : HALF; left > 0; left -= 1) {
    at -= 1;
    if (at === pointAt) at -= 1;
    const tenth = (a / 10) | 0;
    out[at] = 0x30 + a - tenth * 10;
    a = tenth;
  }
  return after;
}

function writeDifference(column: Column, out: Uint8Array, to: number): number {
  const { data } = column;
  let at = column.at;
  let byte = data[at++] as number;
  let zigzag = byte & 127;
  for (let scale = 128; byte >= 128; scale *= 128) {
    if (at >= data.length || scale > 2 ** 49) throw invalid('a column that ends too soon');
    byte = data[at++] as number;
    zigzag += (byte & 127) * scale;
  }
  if (at > data.length) throw invalid('a column that ends too soon');
  column.at = at;
  const { length } = column;
  if (zigzag === 0 && length > 0) {
    if (to + length > out.length) throw invalid('it holds more than it says');
    const { place } = column;
    for (let index = 0; index < length; index += 1) out[to + index] = out[place + index] as number;
    column.place = to;
    return to + length;
  }
  return writeNumber(column, out, to, zigzag);
}

/** A number as two whole ones: the last eight digits, and those before. */
const LOWER = 1e8;

function writeNumber(column: Column, out: Uint8Array, to: number, zigzag: number): number {
  const difference = zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  let lower = column.lower + difference;
  if (lower < 0 || lower >= LOWER) {
    const value = column.upper * LOWER + lower;
    if (!(value >= 0 && value < 1e16)) throw invalid('a number that is none');
    column.upper = Math.floor(value / LOWER);
    lower = value - column.upper * LOWER;
  }
  column.lower = lower;
  const { upper, point } = column;
  let length = upper > 0 ? 8 + widthOf(upper) : widthOf(lower);
  if (point) length = length < 4 ? 5 : length + 1;
  if (to + length > out.length) throw invalid('it holds more than it says');
  column.place = to;
  column.length = length;
  let place = to + length - 1;
  let rest = lower | 0;
  for (let digit = 0; place >= to; digit += 1) {
    if (digit === 3 && point) out[place--] = 0x2e;
    if (digit === 8) rest = upper | 0;
    const tenth = (rest / 10) | 0;
    out[place--] = 0x30 + rest - tenth * 10;
    rest = tenth;
  }
  return to + length;
}

/** Digits of a whole number under 1e8. */
function widthOf(value: number): number {
  let width = 1;
  for (let bound = 10; value >= bound; bound *= 10) width += 1;
  return width;
}

function readHeader(bytes: Uint8Array, sectionsLeft: number): Header {
  let header: Header;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes)) as Header;
    const { kinds, lines, bytes: plain } = header;
    const columns = kinds.reduce((sum, kind) => {
      if (!kind.parts.every(isPart)) throw invalid('a kind without parts');
      if (!kind.columns.every(isColumnHead)) throw invalid('a column of no type');
      if (kind.columns.length !== kind.parts.length - 1)
        throw invalid('a kind whose columns are not its numbers');
      return sum + kind.columns.length;
    }, 0);
    if (kinds.length > LITERAL || columns !== sectionsLeft || !isCount(lines) || !isCount(plain)) {
      throw invalid('its header is not of its sections');
    }
  } catch (error) {
    throw error instanceof WaddleError ? error : invalid('its header is not understood');
  }
  return header;
}

/** Characters are bytes, and none ends the line: what was cut down to one would hide lines that nobody has looked at. */
function isPart(part: unknown): boolean {
  return typeof part === 'string' && !part.includes('\n') && latin1(bytesOf(part)) === part;
}

function isColumnHead({ type, shapes = [] }: ColumnHead): boolean {
  return TYPES.includes(type) && Array.isArray(shapes) && shapes.every((shape) => typeof shape === 'string');
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
