import { filterError, type Span } from './filter-error.ts';

/** A dotted name: its pieces in order; a piece in backticks is taken as it is. */
export interface PathPart {
  text: string;
  quoted: boolean;
}

export type Operator = '=' | '!=' | '<' | '<=' | '>' | '>=';

export type Token = Span &
  (
    | { type: 'path'; parts: PathPart[] }
    | { type: 'number'; value: number | bigint }
    | { type: 'text'; value: string }
    | { type: 'operator'; value: Operator | '~' }
    | { type: '(' | ')' | ',' | 'end' }
  );

/** Longest filter that is read, in UTF-16 units: a filter also comes in a link, from anybody. */
const MAX_LENGTH = 64 * 1024;

const SPACE = /\s+/uy;
const NUMBER = /[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/uy;
/** What a name may hold without backticks: enough for `train/loss`, `learning-rate`, `acc@5`, `layers[0]`. */
const BARE = /[\p{L}\p{M}\p{N}_./:@$#%+[\]-]+/uy;
const PATH_START = /[\p{L}_]/uy;
const OPERATOR = /!=|<>|<=|>=|==|=|<|>|~/uy;
const HINT = "write for example: params.lr > 0.001 and tags.model = 'linear'";

function matchAt(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** The tokens of a filter, the last one of type `end`. Throws `filter-invalid`. */
export function readTokens(text: string): Token[] {
  if (text.length > MAX_LENGTH) {
    throw filterError(
      text,
      { start: MAX_LENGTH, end: MAX_LENGTH + 1 },
      `it is longer than ${MAX_LENGTH} characters`,
      'filter by fewer values',
    );
  }
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const space = matchAt(SPACE, text, at);
    if (space !== undefined) {
      at += space.length;
      continue;
    }
    const token = readToken(text, at);
    tokens.push(token);
    at = token.end;
  }
  tokens.push({ type: 'end', start: text.length, end: text.length });
  return tokens;
}

function readToken(text: string, start: number): Token {
  const character = text[start] ?? '';
  if (character === '(' || character === ')' || character === ',') {
    return { type: character, start, end: start + 1 };
  }
  if (character === "'") {
    const { value, end } = readQuoted(text, start, "'", 'the text');
    return { type: 'text', value, start, end };
  }
  if (character === '"') {
    const close = text.indexOf('"', start + 1);
    const span = { start, end: close < 0 ? text.length : close + 1 };
    throw filterError(
      text,
      span,
      'double quotes mean nothing here',
      "text stands in single quotes ('it''s'), odd keys in backticks",
    );
  }
  if (character === '`' || matchAt(PATH_START, text, start) !== undefined) return readPath(text, start);
  const number = matchAt(NUMBER, text, start);
  if (number !== undefined) {
    const end = start + number.length;
    const rest = matchAt(BARE, text, end);
    if (rest !== undefined) {
      const word = number + rest;
      throw filterError(
        text,
        { start, end: end + rest.length },
        `"${word}" is no number`,
        `text stands in single quotes: '${word}'`,
      );
    }
    return { type: 'number', value: readNumber(number), start, end };
  }
  const operator = matchAt(OPERATOR, text, start);
  if (operator !== undefined) {
    const value = operator === '==' ? '=' : operator === '<>' ? '!=' : (operator as Operator | '~');
    return { type: 'operator', value, start, end: start + operator.length };
  }
  const end = start + String.fromCodePoint(text.codePointAt(start) ?? 0).length;
  const hint =
    character === '&' || character === '|'
      ? 'write "and" or "or"'
      : character === '!'
        ? 'write "not", or "!=" for not equal'
        : HINT;
  throw filterError(text, { start, end }, 'this character has no place here', hint);
}

/** An integer beyond 2^53 keeps its digits: a seed of 64 bits must be found by all of them. */
function readNumber(text: string): number | bigint {
  const value = Number(text);
  return /^[+-]?\d+$/.test(text) && !Number.isSafeInteger(value) ? BigInt(text.replace('+', '')) : value;
}

function readPath(text: string, start: number): Token {
  const parts: PathPart[] = [];
  let end = start;
  for (;;) {
    if (text[end] === '`') {
      const quoted = readQuoted(text, end, '`', 'the key');
      parts.push({ text: quoted.value, quoted: true });
      end = quoted.end;
      continue;
    }
    const bare = matchAt(BARE, text, end);
    if (bare === undefined) return { type: 'path', parts, start, end };
    parts.push({ text: bare, quoted: false });
    end += bare.length;
  }
}

/** Reads from the opening quote on; a doubled quote stands for one. */
function readQuoted(
  text: string,
  start: number,
  quote: "'" | '`',
  what: string,
): { value: string; end: number } {
  let value = '';
  let from = start + 1;
  for (;;) {
    const close = text.indexOf(quote, from);
    if (close < 0) {
      const name = quote === "'" ? 'single quote' : 'backtick';
      throw filterError(
        text,
        { start, end: text.length },
        `${what} is not closed`,
        `close it with a ${name}; inside it, a ${name} is written twice`,
      );
    }
    value += text.slice(from, close);
    if (text[close + 1] !== quote) return { value, end: close + 1 };
    value += quote;
    from = close + 2;
  }
}

/** The path as one bare word (a keyword or an own field), lower-case; undefined where it has backticks. */
export function bareWord(token: Token): string | undefined {
  if (token.type !== 'path') return undefined;
  const [first, ...more] = token.parts;
  return first !== undefined && more.length === 0 && !first.quoted ? first.text.toLowerCase() : undefined;
}
