/**
 * Turning a piece of a journal into columns. Millions of lines go through here: bytes throughout, no string and no call for
 * each of them, and never a read behind the end of an array, which would make all of them slow.
 */
import {
  AS_IT_IS,
  bytesOf,
  type ColumnHead,
  HALF,
  type Header,
  IN_COLUMNS,
  joinSections,
  LITERAL,
  latin1,
  MAX_DIGITS,
  NEWLINE,
  ODD,
  OF_NUMBER,
} from './journal-columns.ts';

const BEGINNING = bytesOf('{"k":"m","t":');
/** Fewer lines than this gain nothing. */
const FEWEST = 20;

/** The piece in columns, or where that would gain nothing as it is. */
export function encodeColumns(bytes: Uint8Array): Uint8Array {
  return turned(bytes) ?? joinSections(AS_IT_IS, [[bytes]]);
}

/** What lines of one kind have in common: the texts between the numbers. */
class Kind {
  readonly parts: readonly Uint8Array[];
  /** Where the numbers of its lines begin and end, line by line. */
  places = new Int32Array(1024);
  /** Places that are of lines of this kind; those of the line that is looked at come after them. */
  count = 0;
  readonly #words: readonly Int32Array[];

  constructor(parts: readonly Uint8Array[]) {
    this.parts = parts;
    this.#words = parts.map(wordsOf);
  }

  /** The place of the newline of a line that is of this kind; else -1. */
  match(bytes: Uint8Array, view: DataView, from: number): number {
    const { parts } = this;
    if (this.count + 2 * parts.length > this.places.length) {
      const larger = new Int32Array(2 * this.places.length + 2 * parts.length);
      larger.set(this.places);
      this.places = larger;
    }
    const words = this.#words;
    const { places } = this;
    const limit = bytes.length;
    let count = this.count;
    let at = from;
    for (let index = 0; index < parts.length; index += 1) {
      if (index > 0) {
        const begin = at;
        // The last byte of all is a newline.
        while (OF_NUMBER[bytes[at] as number] === 1) at += 1;
        if (at === begin) return -1;
        places[count++] = begin;
        places[count++] = at;
      }
      const part = parts[index] as Uint8Array;
      const own = words[index] as Int32Array;
      const end = at + part.length;
      if (end >= limit) return -1;
      for (let word = 0; word < own.length; word += 1, at += 4) {
        if (view.getInt32(at, true) !== own[word]) return -1;
      }
      for (; at < end; at += 1) if (bytes[at] !== part[at - end + part.length]) return -1;
    }
    return bytes[at] === NEWLINE ? at : -1;
  }

  /** The line that matched is of this kind. */
  take(): void {
    this.count += 2 * (this.parts.length - 1);
  }
}

/** As many whole words as it has, the lowest byte first. */
function wordsOf(part: Uint8Array): Int32Array {
  const view = new DataView(part.buffer, part.byteOffset, part.byteLength);
  return Int32Array.from({ length: part.length >> 2 }, (_, index) => view.getInt32(4 * index, true));
}

function turned(bytes: Uint8Array): Uint8Array | null {
  if (bytes[bytes.length - 1] !== NEWLINE) return null;
  const lines = new Lines(bytes);
  for (let at = 0; at < bytes.length; ) at = lines.take(at);
  const { kinds, order, literals } = lines;
  if (kinds.length === 0 || order.length < FEWEST) return null;
  const columns = kinds.map(({ parts, places, count: end }) => {
    const stride = 2 * (parts.length - 1);
    return Array.from({ length: parts.length - 1 }, (_, index) =>
      columnOf({ bytes, places, first: 2 * index, end, stride }),
    );
  });
  const header: Header = {
    kinds: kinds.map(({ parts }, index) => ({
      parts: parts.map(latin1),
      columns: (columns[index] ?? []).map(({ head }) => head),
    })),
    lines: order.length,
    bytes: bytes.length,
  };
  return joinSections(IN_COLUMNS, [
    [new TextEncoder().encode(JSON.stringify(header))],
    [order.done()],
    [literals.done()],
    ...columns.flatMap((each) => each.map(({ data }) => data)),
  ]);
}

/** Tells line by line of which kind it is. */
class Lines {
  readonly kinds: Kind[] = [];
  readonly order = new Growing();
  readonly literals = new Growing();
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The kind that last came after each kind. */
  readonly #follows = new Uint8Array(LITERAL + 1);
  #last = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The line at a place; gives the place of the next. */
  take(at: number): number {
    const guess = this.#follows[this.#last] as number;
    const kind = this.kinds[guess];
    const end = kind === undefined ? -1 : kind.match(this.#bytes, this.#view, at);
    if (kind === undefined || end === -1) return this.#search(at, guess);
    kind.take();
    this.order.byte(guess);
    this.#last = guess;
    return end + 1;
  }

  #search(at: number, guess: number): number {
    const { kinds } = this;
    for (const [index, kind] of kinds.entries()) {
      const end = index === guess ? -1 : kind.match(this.#bytes, this.#view, at);
      if (end !== -1) return this.#found(kind, index, end);
    }
    const bytes = this.#bytes;
    const newline = bytes.indexOf(NEWLINE, at);
    if (kinds.length < LITERAL && startsWith(bytes, at, BEGINNING)) {
      const fresh = new Kind(partsOf(bytes.subarray(at, newline)));
      const end = fresh.match(bytes, this.#view, at);
      if (end !== -1) return this.#found(fresh, kinds.push(fresh) - 1, end);
    }
    this.order.byte(LITERAL);
    this.literals.line(bytes, at, newline);
    return newline + 1;
  }

  #found(kind: Kind, index: number, end: number): number {
    kind.take();
    this.order.byte(index);
    this.#follows[this.#last] = index;
    this.#last = index;
    return end + 1;
  }
}

function startsWith(bytes: Uint8Array, at: number, part: Uint8Array): boolean {
  if (at + part.length > bytes.length) return false;
  for (let index = 0; index < part.length; index += 1) if (bytes[at + index] !== part[index]) return false;
  return true;
}

/** The texts between the numbers of a line: a number stands after a colon. */
function partsOf(line: Uint8Array): Uint8Array[] {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = line.indexOf(0x3a); at !== -1; at = line.indexOf(0x3a, at + 1)) {
    let end = at + 1;
    while (end < line.length && OF_NUMBER[line[end] as number] === 1) end += 1;
    if (end === at + 1) continue;
    parts.push(line.slice(from, at + 1));
    from = end;
    at = end - 1;
  }
  parts.push(line.slice(from));
  return parts;
}

/** The numbers at one place of the lines of a kind: where each begins and ends in the text, every `stride` places. */
interface Numbers {
  bytes: Uint8Array;
  places: Int32Array;
  first: number;
  end: number;
  stride: number;
}

interface Column {
  head: ColumnHead;
  /** In pieces. */
  data: Uint8Array[];
}

function columnOf(numbers: Numbers): Column {
  const delta = differences(numbers, false);
  if (delta !== null) return { head: { type: 'delta' }, data: [delta] };
  const thousandths = differences(numbers, true);
  if (thousandths !== null) return { head: { type: 'thousandths' }, data: [thousandths] };
  return digits(numbers) ?? { head: { type: 'text' }, data: [texts(numbers)] };
}

function texts({ bytes, places, first, end, stride }: Numbers): Uint8Array {
  const out = new Growing();
  for (let index = first; index < end; index += stride) {
    out.line(bytes, places[index] as number, places[index + 1] as number);
  }
  return out.done();
}

/** Whole numbers, or thousandths of numbers with exactly three decimals, as differences; null where one is not written so. */
function differences(
  { bytes, places, first, end, stride }: Numbers,
  thousandths: boolean,
): Uint8Array | null {
  const out = new Differences(thousandths);
  for (let index = first; index < end; index += stride) {
    if (!out.add(bytes, places[index] as number, places[index + 1] as number)) return null;
  }
  return out.done();
}

class Differences {
  readonly #decimals: number;
  readonly #out = new Growing();
  #before = 0;

  constructor(thousandths: boolean) {
    this.#decimals = thousandths ? 4 : 0;
  }

  add(bytes: Uint8Array, from: number, to: number): boolean {
    const point = to - this.#decimals;
    if (point <= from || to - from > 15) return false;
    if (bytes[from] === 0x30 && point > from + 1) return false;
    if (point < to && bytes[point] !== POINT) return false;
    let value = 0;
    for (let at = from; at < to; at += 1) {
      if (at === point) continue;
      const digit = (bytes[at] as number) - 0x30;
      if (digit < 0 || digit > 9) return false;
      value = value * 10 + digit;
    }
    const difference = value - this.#before;
    this.#before = value;
    this.#out.varint(difference < 0 ? -2 * difference - 1 : 2 * difference);
    return true;
  }

  done(): Uint8Array {
    return this.#out.done();
  }
}

/**
 * How each number looks, a byte each; the digits as two whole numbers, of the first nine and of the next nine, byte below byte
 * (the lowest bytes of all numbers, then the next); and what is no such number as text. Null where most are none.
 */
function digits({ bytes, places, first, end, stride }: Numbers): Column | null {
  const out = new Digits(Math.ceil((end - first) / stride));
  for (let index = first; index < end; index += stride) {
    if (!out.add(bytes, places[index] as number, places[index + 1] as number)) return null;
  }
  return { head: { type: 'digits', shapes: out.shapes.texts }, data: out.done() };
}

class Digits {
  readonly shapes = new Shapes();
  readonly #most: number;
  readonly #looks: Uint8Array;
  readonly #planes: Uint8Array;
  readonly #odd = new Growing();
  #count = 0;
  #plain = 0;

  constructor(most: number) {
    this.#most = most;
    this.#looks = new Uint8Array(most);
    this.#planes = new Uint8Array(8 * most);
  }

  /** False where most of the numbers are odd. */
  add(bytes: Uint8Array, from: number, to: number): boolean {
    const minus = bytes[from] === MINUS ? 1 : 0;
    // Zeros in front, digits from the first other one on, and characters behind the sign up to and with the point.
    let zeros = 0;
    let many = 0;
    let point = 0;
    let at = from + minus;
    for (; at < to; at += 1) {
      const code = bytes[at] as number;
      if (code === POINT && point === 0) point = at - from - minus + 1;
      else if (code === ZERO) zeros += 1;
      else break;
    }
    let a = 0;
    let b = 0;
    for (; at < to; at += 1) {
      const digit = (bytes[at] as number) - ZERO;
      if (digit >= 0 && digit <= 9) {
        if (many === HALF) break;
        a = (a * 10 + digit) | 0;
        many += 1;
      } else if (digit === POINT - ZERO && point === 0) point = at - from - minus + 1;
      else break;
    }
    for (; at < to; at += 1) {
      const digit = (bytes[at] as number) - ZERO;
      if (digit >= 0 && digit <= 9) {
        if (many === MAX_DIGITS) break;
        b = (b * 10 + digit) | 0;
        many += 1;
      } else if (digit === POINT - ZERO && point === 0) point = at - from - minus + 1;
      else break;
    }
    let look = ODD;
    if (zeros <= MOST_ZEROS && many + zeros > 0) {
      const key = (point << 9) | (many << 4) | (zeros << 1) | minus;
      if (at === to) look = this.shapes.simple[key] as number;
      if (look === ODD) look = this.shapes.look(key, bytes, from, at, to);
    }
    const most = this.#most;
    this.#looks[this.#count++] = look;
    if (look === ODD) {
      this.#odd.line(bytes, from, to);
      return 2 * (this.#count - this.#plain) <= most;
    }
    const planes = this.#planes;
    const plane = this.#plain;
    planes[plane] = a;
    planes[plane + most] = a >> 8;
    planes[plane + 2 * most] = a >> 16;
    planes[plane + 3 * most] = a >> 24;
    planes[plane + 4 * most] = b;
    planes[plane + 5 * most] = b >> 8;
    planes[plane + 6 * most] = b >> 16;
    planes[plane + 7 * most] = b >> 24;
    this.#plain = plane + 1;
    return true;
  }

  done(): Uint8Array[] {
    const [most, plain] = [this.#most, this.#plain];
    const planes = Array.from({ length: 8 }, (_, plane) =>
      this.#planes.subarray(plane * most, plane * most + plain),
    );
    return [this.#looks, ...planes, this.#odd.done()];
  }
}

const [MINUS, POINT, ZERO] = [0x2d, 0x2e, 0x30];
/** Zeros before the first other digit: JavaScript and Python write more as a power of ten. */
const MOST_ZEROS = 7;

/** The shapes of a column. A key says all of a number but its digits and its power of ten. */
class Shapes {
  readonly texts: string[] = [];
  /** By key, of numbers without a power of ten. */
  readonly simple = new Uint8Array(32 << 9).fill(ODD);
  readonly #powers = new Map<string, number>();

  /** The shape of the number between two places, whose power of ten begins at `power`; ODD where it can have none. */
  look(key: number, bytes: Uint8Array, from: number, power: number, to: number): number {
    const tail = latin1(bytes.subarray(power, to));
    if (!/^(?:[eE][\d+.-]{0,4})?$/.test(tail)) return ODD;
    const name = `${key}${tail}`;
    const known = this.#powers.get(name);
    if (known !== undefined) return known;
    const look = this.texts.length;
    if (look === ODD) return ODD;
    const text = latin1(bytes.subarray(from, power));
    const front = /^-?[0.]*/.exec(text)?.[0] ?? '';
    this.texts.push(front + text.slice(front.length).replaceAll(/\d/g, '#') + tail);
    if (tail === '') this.simple[key] = look;
    else this.#powers.set(name, look);
    return look;
  }
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
    for (let index = from; index < to; index += 1) own[at++] = bytes[index] as number;
    own[at++] = NEWLINE;
    this.length = at;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.length++] = value;
  }

  /** A whole number of at least 0, seven bits a byte, the lowest first. */
  varint(value: number): void {
    this.#room(8);
    const own = this.#bytes;
    let rest = value;
    while (rest >= 2 ** 31) {
      own[this.length++] = (rest % 128) + 128;
      rest = Math.floor(rest / 128);
    }
    while (rest >= 128) {
      own[this.length++] = (rest & 127) | 128;
      rest >>>= 7;
    }
    own[this.length++] = rest;
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
