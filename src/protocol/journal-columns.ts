/**
 * Journal text for the wire: metric lines taken apart into columns, so that a compressor finds what repeats (docs/remote.md).
 * Lossless for any bytes: a line that the columns could not give back to the letter goes verbatim.
 *
 * A body is the byte 1, the templates, then sections, each after its length: runs of lines, times, steps, kinds of values,
 * values, verbatim lines, and what follows the last newline. Numbers are LEB128, signed ones in zigzag.
 */
import { WaddleError } from '../errors/waddle-error.ts';
import { ByteSink, ByteSource } from './byte-columns.ts';

const VERSION = 1;
/** Keys of one line that are taken apart; and templates of one body. */
const MAX_KEYS = 4096;
const MAX_TEMPLATES = 4096;

const LINE = /\{"k":"m","t":[\d.]{1,20},"s":-?\d{1,16},"v":\{([^{}\n]*)\}\}\n/y;
const PAIR = /"((?:[^"\\]|\\.)*)":("NaN"|"Infinity"|"-Infinity"|-?[\d.eE+-]+)(?:,(?=")|$)/y;

/** How a value was written: as JavaScript does, as Python does, or a name that JSON has no number for. */
const [AS_JAVASCRIPT, AS_PYTHON, NAN, INFINITE, NEGATIVE] = [0, 1, 2, 3, 4];
const NAMES = new Map([
  ['"NaN"', NAN],
  ['"Infinity"', INFINITE],
  ['"-Infinity"', NEGATIVE],
]);
const NAMED = new Map([...NAMES].map(([text, kind]) => [kind, text]));

interface Template {
  id: number;
  keys: string[];
  /** What stands before each value. */
  literals: string[];
  values: number[][];
  kinds: number[][];
  lines: number;
  /** Of its last line. */
  step: number;
  /** The template of the line that came after its last one. */
  next: Template | undefined;
}

/** The text in columns. */
export function encodeColumns(bytes: Uint8Array): Uint8Array {
  const plain = latin(bytes);
  const templates = new Map<string, Template>();
  const runs = new ByteSink();
  const times = new ByteSink();
  const steps = new ByteSink();
  const verbatim: Uint8Array[] = [];
  let lastTime = 0;
  let run = { id: -1, length: 0 };
  const line = (id: number): void => {
    if (run.id === id) run.length += 1;
    else {
      if (run.length > 0) runs.number(run.id).number(run.length);
      run = { id, length: 1 };
    }
  };
  let at = 0;
  let from = -1;
  const flush = (end: number): void => {
    if (from !== -1) verbatim.push(bytes.subarray(from, end));
    from = -1;
  };
  const reader = new LineReader(plain, templates);
  while (at < plain.length) {
    const template = reader.read(at);
    if (template !== null) {
      flush(at);
      line(template.id);
      times.signed(reader.time - lastTime);
      lastTime = reader.time;
      steps.signed(reader.step - template.step);
      template.step = reader.step;
      at = reader.end;
      continue;
    }
    const end = plain.indexOf('\n', at);
    if (end === -1) break;
    line(0);
    if (from === -1) from = at;
    at = end + 1;
  }
  flush(at);
  if (run.length > 0) runs.number(run.id).number(run.length);

  const body = new ByteSink();
  body.number(VERSION).number(templates.size);
  const kinds = new ByteSink();
  const values = new ByteSink();
  for (const { keys, values: columns, kinds: columnKinds } of templates.values()) {
    body.number(keys.length);
    for (const key of keys) body.section(fromLatin(key));
    for (const column of columnKinds) kinds.bytes(Uint8Array.from(column));
    for (const column of columns) values.bytes(planesOf(column));
  }
  for (const sink of [runs, times, steps, kinds, values]) body.section(sink.done());
  body.number(verbatim.reduce((sum, piece) => sum + piece.length, 0));
  for (const piece of verbatim) body.bytes(piece);
  body.section(bytes.subarray(at));
  return body.done();
}

const HEAD = '{"k":"m","t":';

/** Reads metric lines, most of which are of the same template as the one before, or as the one after that last time. */
class LineReader {
  /** Of the line that was read last. */
  time = 0;
  step = 0;
  end = 0;
  readonly #plain: string;
  readonly #templates: Map<string, Template>;
  #last: Template | undefined;
  #timeText = '';
  #stamp = 0;

  constructor(plain: string, templates: Map<string, Template>) {
    this.#plain = plain;
    this.#templates = templates;
  }

  /** Puts the line's values into the columns of its template; null where one of its texts would not come back as it was. */
  read(at: number): Template | null {
    if (!this.#plain.startsWith(HEAD, at)) return null;
    const last = this.#last;
    const guess = last?.next ?? last;
    const template = guess !== undefined && this.#readAs(guess, at) ? guess : this.#readAny(at);
    if (template === null) return null;
    if (last !== undefined) last.next = template;
    this.#last = template;
    template.lines += 1;
    return template;
  }

  #readAs(template: Template, at: number): boolean {
    const plain = this.#plain;
    const timeEnd = plain.indexOf(',', at + HEAD.length);
    const { literals, values, kinds } = template;
    if (timeEnd === -1 || timeEnd - at > 40 || !plain.startsWith(',"s":', timeEnd)) return false;
    const stepEnd = plain.indexOf(',', timeEnd + 5);
    if (stepEnd === -1 || stepEnd - timeEnd > 30 || !plain.startsWith(',"v":{', stepEnd)) return false;
    if (!this.#readHead(plain.slice(at + HEAD.length, timeEnd), plain.slice(timeEnd + 5, stepEnd)))
      return false;
    let from = stepEnd + 6;
    let taken = 0;
    for (; taken < literals.length; taken += 1) {
      const literal = literals[taken] ?? '';
      if (!plain.startsWith(literal, from)) break;
      const begin = from + literal.length;
      const end = taken === literals.length - 1 ? plain.indexOf('}', begin) : plain.indexOf(',', begin);
      if (end === -1 || end - begin > 40) break;
      const text = plain.slice(begin, end);
      const number = Number(text);
      if (Number.isFinite(number) && text === String(number)) {
        values[taken]?.push(number);
        kinds[taken]?.push(AS_JAVASCRIPT);
      } else {
        const value = readValue(text);
        if (value === null) break;
        values[taken]?.push(value.number);
        kinds[taken]?.push(value.kind);
      }
      from = end;
    }
    if (taken === literals.length && plain.startsWith('}}\n', from)) {
      this.end = from + 3;
      return true;
    }
    for (let index = 0; index < taken; index += 1) {
      values[index]?.pop();
      kinds[index]?.pop();
    }
    return false;
  }

  #readHead(timeText: string, stepText: string): boolean {
    if (timeText !== this.#timeText) {
      const time = readTime(timeText);
      if (time === null) return false;
      this.#stamp = time;
      this.#timeText = timeText;
    }
    this.time = this.#stamp;
    this.step = Number(stepText);
    // A difference of two must be exact too.
    return Math.abs(this.step) <= 2 ** 51 && String(this.step) === stepText && Number.isInteger(this.step);
  }

  /** A line of a template that it was not thought to be of, or of a new one. */
  #readAny(at: number): Template | null {
    LINE.lastIndex = at;
    const inner = LINE.exec(this.#plain)?.[1];
    if (inner === undefined) return null;
    const keys: string[] = [];
    for (let from = 0; from < inner.length; ) {
      PAIR.lastIndex = from;
      const pair = PAIR.exec(inner);
      if (pair === null || keys.length >= MAX_KEYS) return null;
      keys.push(pair[1] ?? '');
      from = PAIR.lastIndex;
    }
    const name = keys.join('"');
    let template = this.#templates.get(name);
    if (template === undefined) {
      if (this.#templates.size >= MAX_TEMPLATES) return null;
      template = {
        id: this.#templates.size + 1,
        keys,
        literals: keys.map((key, index) => `${index === 0 ? '' : ','}"${key}":`),
        values: keys.map(() => []),
        kinds: keys.map(() => []),
        lines: 0,
        step: 0,
        next: undefined,
      };
      this.#templates.set(name, template);
    }
    return this.#readAs(template, at) ? template : null;
  }
}

/** Milliseconds, doubled; one more where whole seconds were written as Python does. Null where the text is not what it gives. */
function readTime(text: string): number | null {
  const time = Math.round(Number(text) * 1000) * 2;
  if (!(time >= 0 && time <= 2 ** 51)) return null;
  if (timeText(time) === text) return time;
  return timeText(time + 1) === text ? time + 1 : null;
}

function timeText(time: number): string {
  const text = String(Math.floor(time / 2) / 1000);
  return time % 2 === 1 ? `${text}.0` : text;
}

function readValue(text: string): { number: number; kind: number } | null {
  const named = NAMES.get(text);
  if (named !== undefined) return { number: 0, kind: named };
  const number = Number(text);
  if (!Number.isFinite(number)) return null;
  if (valueText(number, AS_JAVASCRIPT) === text) return { number, kind: AS_JAVASCRIPT };
  return valueText(number, AS_PYTHON) === text ? { number, kind: AS_PYTHON } : null;
}

function valueText(number: number, kind: number): string {
  if (kind === AS_JAVASCRIPT) return Object.is(number, -0) ? '-0' : String(number);
  if (kind === AS_PYTHON) return pythonText(number);
  return NAMED.get(kind) ?? '';
}

/** A float as Python's `repr`: a point always, and exponents below 1e-4 and from 1e16 on, of two digits at least. */
function pythonText(number: number): string {
  const size = Math.abs(number);
  if (Object.is(number, -0)) return '-0.0';
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    const [digits = '', exponent = ''] = number.toExponential().split('e');
    return `${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
  }
  const text = String(number);
  return text.includes('.') ? text : `${text}.0`;
}

/**
 * The text again.
 * @param most bytes that it may have
 * @throws WaddleError `columns-invalid` where the body is none, or its text is longer
 */
export function decodeColumns(body: Uint8Array, most: number): Uint8Array {
  const source = new ByteSource(body, invalid);
  if (source.number() !== VERSION) throw invalid('of another version');
  const count = source.number();
  if (count > MAX_TEMPLATES) throw invalid('too many templates');
  const keys: string[][] = [];
  for (let index = 0; index < count; index += 1) {
    const many = source.number();
    if (many > MAX_KEYS) throw invalid('too many keys');
    keys.push(Array.from({ length: many }, () => latin(source.section())));
  }
  const [runs, times, steps] = [source.part(), source.part(), source.part()];
  const [kinds, values, verbatim] = [source.section(), source.section(), source.section()];
  const tail = source.section();
  source.end();

  const lines = readRuns(runs, times.length);
  const columns = columnsOf(keys, lines, kinds, values);
  const out = new ByteSink();
  let pending = '';
  const give = (): void => {
    if (out.length + pending.length > most) throw invalid(`more than ${most} bytes of text`);
    out.latin(pending);
    pending = '';
  };
  const place = keys.map(() => 0);
  const last = keys.map(() => 0);
  let time = 0;
  let raw = 0;
  for (const { id, length } of lines) {
    if (id === 0) {
      give();
      let end = raw;
      for (let index = 0; index < length; index += 1) {
        end = verbatim.indexOf(10, end) + 1;
        if (end === 0) throw invalid('it lacks a line');
      }
      if (out.length + (end - raw) > most) throw invalid(`more than ${most} bytes of text`);
      out.bytes(verbatim.subarray(raw, end));
      raw = end;
      continue;
    }
    const names = keys[id - 1] ?? [];
    const column = columns[id - 1] ?? [];
    for (let index = 0; index < length; index += 1) {
      time += times.signed();
      const step = (last[id - 1] ?? 0) + steps.signed();
      last[id - 1] = step;
      const row = place[id - 1] ?? 0;
      place[id - 1] = row + 1;
      let inner = '';
      for (let key = 0; key < names.length; key += 1) {
        const values = column[key];
        const value = valueText(values?.number[row] ?? 0, values?.kind[row] ?? 0);
        inner += `${key === 0 ? '' : ','}"${names[key]}":${value}`;
      }
      pending += `{"k":"m","t":${timeText(time)},"s":${step},"v":{${inner}}}\n`;
      if (pending.length > 65_536) give();
    }
  }
  give();
  if (raw !== verbatim.length) throw invalid('it has lines that no run names');
  if (out.length + tail.length > most) throw invalid(`more than ${most} bytes of text`);
  return out.bytes(tail).done();
}

interface Column {
  kind: Uint8Array;
  number: Float64Array;
}

function readRuns(runs: ByteSource, mostLines: number): { id: number; length: number }[] {
  const found: { id: number; length: number }[] = [];
  let metrics = 0;
  while (!runs.done) {
    const [id, length] = [runs.number(), runs.number()];
    if (id !== 0) metrics += length;
    // Each takes a byte of the times at least.
    if (metrics > mostLines) throw invalid('it has more lines than times');
    found.push({ id, length });
  }
  return found;
}

function columnsOf(
  keys: readonly string[][],
  runs: readonly { id: number; length: number }[],
  kinds: Uint8Array,
  values: Uint8Array,
): Column[][] {
  const lines = keys.map(() => 0);
  for (const { id, length } of runs) {
    if (id === 0) continue;
    if (id > keys.length) throw invalid('a line of a template that is none');
    lines[id - 1] = (lines[id - 1] ?? 0) + length;
  }
  let kindAt = 0;
  let valueAt = 0;
  const columns = keys.map((names, index) => {
    const many = lines[index] ?? 0;
    return names.map((): Column => {
      const kind = kinds.subarray(kindAt, kindAt + many);
      const planes = values.subarray(valueAt, valueAt + many * 8);
      kindAt += many;
      valueAt += many * 8;
      if (kind.length < many || planes.length < many * 8) throw invalid('a column is too short');
      return { kind, number: doublesOf(planes, many) };
    });
  });
  if (kindAt !== kinds.length || valueAt !== values.length) throw invalid('its columns are too long');
  return columns;
}

/** All first bytes of the doubles, then all second ones, and so on: what they share stands together. */
function planesOf(column: readonly number[]): Uint8Array {
  const doubles = new Uint8Array(Float64Array.from(column).buffer);
  const planes = new Uint8Array(doubles.length);
  const many = column.length;
  for (let plane = 0; plane < 8; plane += 1) {
    for (let row = 0; row < many; row += 1) planes[plane * many + row] = doubles[row * 8 + plane] ?? 0;
  }
  return planes;
}

function doublesOf(planes: Uint8Array, many: number): Float64Array {
  const doubles = new Uint8Array(many * 8);
  for (let plane = 0; plane < 8; plane += 1) {
    for (let row = 0; row < many; row += 1) doubles[row * 8 + plane] = planes[plane * many + row] ?? 0;
  }
  return new Float64Array(doubles.buffer);
}

/** One character a byte, so that places in the text are places in the bytes. */
function latin(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function fromLatin(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

function invalid(what: string): WaddleError {
  return new WaddleError(
    'columns-invalid',
    `a journal in columns is not sound: ${what}`,
    'Send it as plain text.',
  );
}
