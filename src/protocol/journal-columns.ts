/**
 * A piece of a journal turned on its side (docs/remote.md): what metric lines have in common once, and their numbers in columns,
 * as differences or as digits below digits. Packed it is half of what the packed text is. The text comes back byte for byte,
 * whatever it is.
 *
 * A body is a byte and sections, each after its u32 big-endian length. After 0, one: the text as it is. After 1: a JSON header,
 * the order of the lines (a byte each), the lines that are no metrics, and the columns in the order of the header.
 */
import { WaddleError } from '../errors/waddle-error.ts';

/** A line that stands as it is, in the order of the lines. */
const LITERAL = 255;
const BEGINNING = bytesOf('{"k":"m","t":');
const NEWLINE = 10;
/** Fewer metric lines than this gain nothing. */
const FEWEST = 20;

/** `delta`: whole numbers; `thousandths`: numbers with three decimals; `text`: whatever stands there. */
type ColumnType = 'delta' | 'thousandths' | 'text';

interface Header {
  kinds: { parts: string[]; columns: ColumnType[] }[];
  lines: number;
  /** Of the text. */
  bytes: number;
}

const [AS_IT_IS, IN_COLUMNS] = [0, 1];

/** What lines of one kind have in common: the texts between the numbers. Bytes throughout: strings would cost ten times this. */
interface Kind {
  parts: Uint8Array[];
  columns: Column[];
  /** Where the numbers of the line that is looked at begin and end. */
  places: number[];
}

/** Bytes that are added one after the other. */
class Growing {
  #bytes: Uint8Array = new Uint8Array(4096);
  length = 0;

  /** Copies bytes, and a newline after them. */
  line(bytes: Uint8Array, from: number, to: number): void {
    this.#room(to - from + 1);
    const own = this.#bytes;
    let at = this.length;
    for (let index = from; index < to; index += 1) own[at++] = bytes[index] ?? 0;
    own[at++] = NEWLINE;
    this.length = at;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.length++] = value;
  }

  /** A whole number of at least 0, seven bits a byte, the lowest first. */
  varint(value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.byte((rest % 128) + 128);
      rest = Math.floor(rest / 128);
    }
    this.byte(rest);
  }

  done(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  #room(more: number): void {
    if (this.length + more <= this.#bytes.length) return;
    const larger = new Uint8Array(2 * (this.length + more));
    larger.set(this.done());
    this.#bytes = larger;
  }
}

/** The piece in columns, or where that would gain nothing as it is. */
export function encodeColumns(bytes: Uint8Array): Uint8Array {
  return turned(bytes) ?? sections(AS_IT_IS, [bytes]);
}

function turned(bytes: Uint8Array): Uint8Array | null {
  const order = new Growing();
  const literals = new Growing();
  const kinds: Kind[] = [];
  /** The kind that last came after each kind. */
  const follows: number[] = [];
  let last = 0;
  for (let at = 0; at < bytes.length; ) {
    const guess = follows[last] ?? 0;
    let kind = guess;
    let end = matches(kinds[guess], bytes, at);
    for (let other = 0; end === -1 && other < kinds.length; other += 1) {
      kind = other;
      if (other !== guess) end = matches(kinds[other], bytes, at);
    }
    if (end === -1) {
      const newline = bytes.indexOf(NEWLINE, at);
      if (newline === -1) return null;
      if (kinds.length < LITERAL && startsWith(bytes, at, BEGINNING)) {
        kind = kinds.length;
        kinds.push(newKind(bytes.subarray(at, newline)));
        end = matches(kinds[kind], bytes, at);
        if (end === -1) kinds.pop();
      }
      if (end === -1) {
        order.byte(LITERAL);
        literals.line(bytes, at, newline);
        at = newline + 1;
        continue;
      }
    }
    const found = kinds[kind];
    for (let index = 0; found !== undefined && index < found.columns.length; index += 1) {
      found.columns[index]?.add(bytes, found.places[2 * index] ?? 0, found.places[2 * index + 1] ?? 0);
    }
    order.byte(kind);
    follows[last] = kind;
    last = kind;
    at = end + 1;
  }
  if (kinds.length === 0 || order.length < FEWEST) return null;
  const header: Header = {
    kinds: kinds.map(({ parts, columns }) => ({
      parts: parts.map((part) => latin1(part)),
      columns: columns.map(({ type }) => type),
    })),
    lines: order.length,
    bytes: bytes.length,
  };
  return sections(IN_COLUMNS, [
    new TextEncoder().encode(JSON.stringify(header)),
    order.done(),
    literals.done(),
    ...kinds.flatMap(({ columns }) => columns.map((column) => column.data())),
  ]);
}

function startsWith(bytes: Uint8Array, at: number, part: Uint8Array): boolean {
  for (let index = 0; index < part.length; index += 1) if (bytes[at + index] !== part[index]) return false;
  return true;
}

/** The place of the newline of a line that is of a kind, whose numbers' places are noted then; else -1. */
function matches(kind: Kind | undefined, bytes: Uint8Array, from: number): number {
  if (kind === undefined) return -1;
  const { parts, places } = kind;
  let at = from;
  let count = 0;
  for (let index = 0; index < parts.length; index += 1) {
    if (index > 0) {
      places[count++] = at;
      while (isOfNumber(bytes[at] ?? 0)) at += 1;
      if (at === places[count - 1]) return -1;
      places[count++] = at;
    }
    const part = parts[index] as Uint8Array;
    if (!startsWith(bytes, at, part)) return -1;
    at += part.length;
  }
  return bytes[at] === NEWLINE ? at : -1;
}

function isOfNumber(code: number): boolean {
  // 0-9, - . + E e
  return (
    (code >= 0x30 && code <= 0x39) ||
    code === 0x2e ||
    code === 0x2d ||
    code === 0x65 ||
    code === 0x2b ||
    code === 0x45
  );
}

/** The texts between the numbers of a line: a number stands after a colon. */
function newKind(line: Uint8Array): Kind {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = line.indexOf(0x3a); at !== -1; at = line.indexOf(0x3a, at + 1)) {
    let end = at + 1;
    while (end < line.length && isOfNumber(line[end] ?? 0)) end += 1;
    if (end === at + 1) continue;
    parts.push(line.slice(from, at + 1));
    from = end;
    at = end - 1;
  }
  parts.push(line.slice(from));
  return { parts, columns: parts.slice(1).map(() => new Column()), places: [] };
}

/** The numbers at one place of the lines of a kind. What they are is guessed from the first, and given up at the first other. */
class Column {
  type: ColumnType = 'text';
  #out = new Growing();
  /** Of a column of numbers, to write them as text after all. */
  #numbers: number[] = [];
  #before = 0;
  #count = 0;

  add(bytes: Uint8Array, from: number, to: number): void {
    if (this.#count++ === 0) this.type = typeOf(bytes, from, to);
    if (this.type === 'text') {
      this.#out.line(bytes, from, to);
      return;
    }
    const value = readNumber(bytes, from, to, this.type);
    if (value === -1) {
      this.#out = new Growing();
      for (const number of this.#numbers) {
        const text = bytesOf(textOf(number, this.type));
        this.#out.line(text, 0, text.length);
      }
      this.#numbers = [];
      this.type = 'text';
      this.#out.line(bytes, from, to);
      return;
    }
    const difference = value - this.#before;
    this.#before = value;
    this.#numbers.push(value);
    this.#out.varint(difference < 0 ? -2 * difference - 1 : 2 * difference);
  }

  data(): Uint8Array {
    return this.#out.done();
  }
}

function typeOf(bytes: Uint8Array, from: number, to: number): ColumnType {
  if (readNumber(bytes, from, to, 'delta') !== -1) return 'delta';
  return readNumber(bytes, from, to, 'thousandths') === -1 ? 'text' : 'thousandths';
}

/** A number of this type, of thousandths in thousandths; -1 where it is not written as one, or below 0. */
function readNumber(bytes: Uint8Array, from: number, to: number, type: 'delta' | 'thousandths'): number {
  const point = type === 'delta' ? to : to - 4;
  if (point <= from || to - from > 15) return -1;
  if (bytes[from] === 0x30 && point > from + 1) return -1;
  if (type === 'thousandths' && bytes[point] !== 0x2e) return -1;
  let value = 0;
  for (let at = from; at < to; at += 1) {
    if (at === point) continue;
    const digit = (bytes[at] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function textOf(value: number, type: 'delta' | 'thousandths'): string {
  if (type === 'delta') return String(value);
  return `${Math.floor(value / 1000)}.${String(value % 1000).padStart(3, '0')}`;
}

/**
 * The text of a piece again.
 * @param most bytes that it may have
 * @throws WaddleError `columns-invalid`
 */
export function decodeColumns(body: Uint8Array, most: number): Uint8Array {
  const form = body[0];
  if (form === AS_IT_IS) {
    const [text, ...more] = readSections(body.subarray(1));
    if (text === undefined || more.length > 0) throw invalid('not one text');
    if (text.length > most) throw invalid(`more than ${most} bytes`);
    return text;
  }
  if (form !== IN_COLUMNS) throw invalid('a form that is not known');
  const [head, order, literal, ...data] = readSections(body.subarray(1));
  if (head === undefined || order === undefined || literal === undefined)
    throw invalid('a section is missing');
  const { kinds, lines, bytes: plain } = readHeader(head, data.length);
  if (plain > most) throw invalid(`more than ${most} bytes`);
  if (order.length !== lines || lines > plain) throw invalid('its lines are not as many as it says');
  let next = 0;
  const readers = kinds.map(({ parts, columns }) => ({
    parts: parts.map(bytesOf),
    columns: columns.map((type) => new Reader(type, data[next++] ?? new Uint8Array())),
  }));
  const literals = new Reader('text', literal);
  const out = new Writer(plain);
  for (const kind of order) {
    if (kind === LITERAL) literals.next(out);
    else {
      const reader = readers[kind];
      if (reader === undefined) throw invalid('a line of no kind');
      const { parts, columns } = reader;
      for (let index = 0; index < parts.length; index += 1) {
        if (index > 0) columns[index - 1]?.next(out);
        out.bytes(parts[index] as Uint8Array);
      }
    }
    out.byte(NEWLINE);
  }
  return out.done();
}

/** So many bytes, and no more. */
class Writer {
  readonly #out: Uint8Array;
  #at = 0;

  constructor(length: number) {
    this.#out = new Uint8Array(length);
  }

  byte(value: number): void {
    if (this.#at >= this.#out.length) throw invalid('it holds more than it says');
    this.#out[this.#at++] = value;
  }

  bytes(part: Uint8Array): void {
    if (this.#at + part.length > this.#out.length) throw invalid('it holds more than it says');
    for (let index = 0; index < part.length; index += 1) this.#out[this.#at++] = part[index] ?? 0;
  }

  done(): Uint8Array {
    if (this.#at !== this.#out.length) throw invalid('it holds less than it says');
    return this.#out;
  }
}

/** One number, or text, of a column after the other. */
class Reader {
  readonly #type: ColumnType;
  readonly #data: Uint8Array;
  readonly #digits = new Uint8Array(24);
  #at = 0;
  #before = 0;

  constructor(type: ColumnType, data: Uint8Array) {
    this.#type = type;
    this.#data = data;
  }

  next(out: Writer): void {
    if (this.#type !== 'text') {
      this.#number(out);
      return;
    }
    const data = this.#data;
    for (;;) {
      const byte = data[this.#at++];
      if (byte === undefined) throw invalid('a column that ends too soon');
      if (byte === NEWLINE) return;
      out.byte(byte);
    }
  }

  #number(out: Writer): void {
    let zigzag = 0;
    let scale = 1;
    for (;;) {
      const byte = this.#data[this.#at++];
      if (byte === undefined || scale > 2 ** 49) throw invalid('a column that ends too soon');
      zigzag += (byte & 127) * scale;
      if (byte < 128) break;
      scale *= 128;
    }
    this.#before += zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
    let rest = this.#before;
    if (!(rest >= 0 && rest < 1e16)) throw invalid('a number that is none');
    const digits = this.#digits;
    let count = 0;
    const thousandths = this.#type === 'thousandths';
    do {
      if (thousandths && count === 3) digits[count++] = 0x2e;
      const tenth = Math.floor(rest / 10);
      digits[count++] = 0x30 + rest - tenth * 10;
      rest = tenth;
    } while (rest > 0 || (thousandths && count < 5));
    while (count > 0) out.byte(digits[--count] ?? 0);
  }
}

function readHeader(bytes: Uint8Array, sectionsLeft: number): Header {
  let header: Header;
  try {
    header = JSON.parse(new TextDecoder().decode(bytes)) as Header;
    const { kinds, lines, bytes: plain } = header;
    const columns = kinds.reduce((sum, kind) => {
      if (!kind.parts.every((part) => typeof part === 'string')) throw invalid('a kind without parts');
      if (!kind.columns.every((type) => ['delta', 'thousandths', 'text'].includes(type)))
        throw invalid('a column of no type');
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

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function sections(form: number, pieces: readonly Uint8Array[]): Uint8Array {
  const all: Uint8Array[] = [Uint8Array.of(form)];
  for (const piece of pieces) {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, piece.length);
    all.push(length, piece);
  }
  return join(all);
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const out = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    out.set(piece, at);
    at += piece.length;
  }
  return out;
}

function readSections(body: Uint8Array): Uint8Array[] {
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
function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function invalid(what: string): WaddleError {
  return new WaddleError(
    'columns-invalid',
    `a piece in columns is not understood: ${what}`,
    'See docs/remote.md for how columns are laid out; a piece may be sent as it is.',
    { exitCode: 2 },
  );
}
