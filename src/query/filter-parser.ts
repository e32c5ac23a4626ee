import { RE2JS } from 're2js';
import { readNumberText } from '../store/number-text.ts';
import { type Field, fieldText, type OwnField, readField } from './fields.ts';
import { filterError, type Span } from './filter-error.ts';
import { bareWord, type Operator, readTokens, type Token } from './filter-tokens.ts';
import { readDuration, readTime, type TimeRange } from './filter-values.ts';

/** A value that a filter compares with; a bigint is an integer beyond 2^53. */
export type Literal = number | bigint | string | boolean;

/** What is left of one comparison after the field: always true or false, for a run that lacks the key too. */
export type Test =
  | { type: 'compare'; operator: Operator; value: Literal }
  | { type: 'in'; values: (Literal | TimeRange)[] }
  | { type: 'like'; pattern: string }
  | { type: 'match'; pattern: string }
  | { type: 'null' };

/** A filter, understood. `and` and `or` have at least two items. */
export type Filter =
  | { type: 'and' | 'or'; items: Filter[] }
  | { type: 'not'; item: Filter }
  | { type: 'test'; field: Field; test: Test };

/** Parentheses and `not` inside each other; SQLite's own limit is 1,000 of its expressions. */
const MAX_DEPTH = 100;
/** Values in one filter: SQLite binds at most 32,766, and takes 0.2 s to understand so many of ours. */
const MAX_VALUES = 1000;
/** Comparisons in one filter: SQLite takes 0.2 s to understand so many, and 8 s for six times as many. */
const MAX_TESTS = 500;

/** SQLite refuses patterns of 50,000 bytes. */
const MAX_PATTERN = 10_000;

const KEYWORDS = new Set(['and', 'or', 'not', 'in', 'like', 'is', 'null', 'true', 'false']);
const HINT = "write for example: params.lr > 0.001 and tags.model = 'linear'";
const NUMERIC_OWN = new Set<OwnField>(['started_at', 'ended_at', 'duration']);

/**
 * Understands a filter (SPEC.md, section 1). `not` binds tighter than `and`, `and` tighter than `or`.
 *
 * Values are checked against the field here, so that the error can point at them: a metric compares with numbers (also
 * `'NaN'`, `'Infinity'`), a time with epoch seconds or an ISO text, `duration` with seconds or `'90s'`, `'2h'`. A date
 * or time without a zone is local. `=` with an ISO text means "within it": `started_at = '2026-11-23'` is that day.
 *
 * What a run lacks matches only `is null` and `!=`; a param that is JSON's null counts as lacking. NaN is a value that is
 * neither less, equal nor more than any number: it matches `!=`, `is not null` and `= 'NaN'`. `.min`, `.max` and `.mean`
 * are null where every sample is NaN. Texts compare by code point; with a number, a text that holds one compares as that.
 *
 * Throws `filter-invalid` whose message shows the line with a mark under the bad token.
 */
export function parseFilter(text: string): Filter {
  const tokens = readTokens(text);
  let at = 0;
  let depth = 0;
  let values = 0;
  let tests = 0;

  const peek = (): Token => tokens[at] ?? { type: 'end', start: text.length, end: text.length };
  const next = (): Token => {
    const token = peek();
    at = Math.min(at + 1, tokens.length - 1);
    return token;
  };
  const fail = (span: Span, problem: string, hint = HINT): never => {
    throw filterError(text, span, problem, hint);
  };
  const isWord = (word: string): boolean => bareWord(peek()) === word;
  const skipWord = (word: string): boolean => {
    if (!isWord(word)) return false;
    next();
    return true;
  };
  const found = (token: Token): string =>
    token.type === 'end' ? 'the filter ends' : `found ${excerpt(text.slice(token.start, token.end))}`;

  const deeper = (token: Token, read: () => Filter): Filter => {
    if (++depth > MAX_DEPTH) fail(token, `it is nested more than ${MAX_DEPTH} deep`, 'use fewer parentheses');
    const filter = read();
    depth--;
    return filter;
  };

  const readOr = (): Filter => readChain('or', readAnd);
  const readAnd = (): Filter => readChain('and', readNot);
  const readChain = (type: 'and' | 'or', read: () => Filter): Filter => {
    const first = read();
    if (!isWord(type)) return first;
    const items = [first];
    while (skipWord(type)) items.push(read());
    return { type, items };
  };
  const readNot = (): Filter => {
    const token = peek();
    if (!skipWord('not')) return readPrimary();
    return { type: 'not', item: deeper(token, readNot) };
  };
  const readPrimary = (): Filter => {
    const token = peek();
    if (token.type !== '(') return readTest();
    next();
    const inner = deeper(token, readOr);
    const close = next();
    if (close.type !== ')')
      fail(close, `expected "and", "or" or ")" here, ${found(close)}`, closeHint(close));
    return inner;
  };
  const closeHint = (token: Token): string =>
    token.type === 'end' ? 'close the parenthesis with ")"' : HINT;

  const readTest = (): Filter => {
    const token = next();
    if (token.type !== 'path' || KEYWORDS.has(bareWord(token) ?? '')) {
      return fail(token, `expected a field here, ${found(token)}`);
    }
    if (++tests > MAX_TESTS) {
      return fail(
        token,
        `it has more than ${MAX_TESTS} comparisons`,
        "many values of one field: name in ('a', 'b', …)",
      );
    }
    const result = readField(token.parts);
    if (!('field' in result)) return fail(token, result.problem, result.hint);
    return readOperator(result.field);
  };

  const readOperator = (field: Field): Filter => {
    const token = next();
    const word = bareWord(token);
    if (token.type === 'operator') {
      if (token.value === '~') return { type: 'test', field, test: readPattern(field, token, 'match') };
      return comparison(field, token.value, text.slice(token.start, token.end));
    }
    if (word === 'is') {
      const negated = skipWord('not');
      const after = next();
      if (bareWord(after) !== 'null') fail(after, `expected "null" after "is", ${found(after)}`);
      return negate(negated, { type: 'test', field, test: { type: 'null' } });
    }
    const negated = word === 'not';
    const operator = negated ? next() : token;
    if (bareWord(operator) === 'in') {
      return negate(negated, { type: 'test', field, test: readList(field) });
    }
    if (bareWord(operator) === 'like') {
      return negate(negated, { type: 'test', field, test: readPattern(field, operator, 'like') });
    }
    return fail(
      operator,
      negated
        ? `expected "in" or "like" after "not", ${found(operator)}`
        : `expected = != < <= > >= ~ in, like or is after ${excerpt(fieldText(field))}, ${found(operator)}`,
    );
  };

  const readList = (field: Field): Test => {
    const open = next();
    if (open.type !== '(')
      fail(
        open,
        `expected "(" after "in", ${found(open)}`,
        "write for example: status in ('failed', 'aborted')",
      );
    const list: (Literal | TimeRange)[] = [];
    for (;;) {
      list.push(readValue(field, list.length === 0 ? 'in (' : ','));
      const token = next();
      if (token.type === ')') return { type: 'in', values: list };
      if (token.type !== ',') fail(token, `expected "," or ")" here, ${found(token)}`);
    }
  };

  const readPattern = (field: Field, operator: Token, type: 'like' | 'match'): Test => {
    const name = type === 'match' ? '~' : 'like';
    if (field.of === 'metric' || (field.of === 'run' && NUMERIC_OWN.has(field.name))) {
      fail(
        operator,
        `${fieldText(field)} is a number, and "${name}" reads text`,
        'compare it with = != < <= > >=',
      );
    }
    const token = next();
    if (token.type !== 'text') {
      return fail(token, `expected a pattern in single quotes after "${name}", ${found(token)}`);
    }
    if (token.value.length > MAX_PATTERN) {
      fail(token, `the pattern is longer than ${MAX_PATTERN} characters`, 'use a shorter one');
    }
    if (type === 'like') return { type, pattern: token.value };
    try {
      RE2JS.compile(token.value);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      fail(
        token,
        `the regular expression is wrong: ${reason}`,
        'RE2 syntax: no look-around, no back-references',
      );
    }
    return { type, pattern: token.value };
  };

  const comparison = (field: Field, operator: Operator, sign: string): Filter => {
    const at = peek();
    const value = readValue(field, sign);
    const equality = operator === '=' || operator === '!=';
    if (typeof value === 'object') {
      if (!equality) return { type: 'test', field, test: { type: 'compare', operator, value: value.from } };
      return negate(operator === '!=', { type: 'test', field, test: { type: 'in', values: [value] } });
    }
    if (typeof value === 'boolean' && !equality) {
      fail(at, 'true and false are neither more nor less', 'compare them with = or !=');
    }
    return { type: 'test', field, test: { type: 'compare', operator, value } };
  };

  const readValue = (field: Field, sign: string): Literal | TimeRange => {
    const token = next();
    if (++values > MAX_VALUES) fail(token, `it has more than ${MAX_VALUES} values`, 'filter by fewer values');
    const word = bareWord(token);
    if (token.type === 'number' || token.type === 'text') return literalOf(field, token.value, token);
    if (word === 'true' || word === 'false') return literalOf(field, word === 'true', token);
    if (word === 'null') return fail(token, 'nothing compares with null', 'write "is null" or "is not null"');
    const raw = text.slice(token.start, token.end);
    const quote = token.type === 'path' && !KEYWORDS.has(word ?? '');
    return fail(
      token,
      `expected a value after "${sign}", ${found(token)}`,
      quote ? `text stands in single quotes: '${raw.replaceAll("'", "''")}'` : HINT,
    );
  };

  const literalOf = (field: Field, value: Literal, span: Span): Literal | TimeRange => {
    if (field.of === 'metric') {
      const number = typeof value === 'string' ? readNumberText(value) : value;
      if (typeof number === 'number' || typeof number === 'bigint') return Number(number);
      return fail(
        span,
        `${fieldText(field)} is a number`,
        "compare it with a number such as 0.1, or with 'NaN'",
      );
    }
    if (field.of !== 'run' || !NUMERIC_OWN.has(field.name)) return value;
    if (typeof value === 'number' || typeof value === 'bigint') return Number(value);
    if (field.name === 'duration') {
      const seconds = typeof value === 'string' ? readDuration(value) : undefined;
      if (seconds !== undefined) return seconds;
      return fail(
        span,
        'duration is a number of seconds',
        "write seconds, or a text such as '90s', '15m', '2h', '1d'",
      );
    }
    const time = typeof value === 'string' ? readTime(value) : undefined;
    if (time !== undefined) return time;
    return fail(
      span,
      `${field.name} is a time`,
      "write epoch seconds, or a text such as '2026-11-23' or '2026-11-23 14:30'",
    );
  };

  const filter = readOr();
  const rest = peek();
  if (rest.type !== 'end') {
    fail(rest, rest.type === ')' ? 'this ")" closes nothing' : `expected "and" or "or" here, ${found(rest)}`);
  }
  return filter;
}

function negate(negated: boolean, item: Filter): Filter {
  return negated ? { type: 'not', item } : item;
}

function excerpt(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_C}]/gu, '\ufffd');
  return `"${line.length > 40 ? `${line.slice(0, 40)}…` : line}"`;
}
