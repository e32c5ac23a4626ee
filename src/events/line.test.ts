import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeNumber,
  encodeEvent,
  encodeNumber,
  eventTime,
  parseExactJson,
  parseLine,
  stringifyExactJson,
} from './line.ts';
import type { Event } from './schema.ts';

const golden = new URL('../../test/golden/', import.meta.url);

interface Expected {
  events: Record<string, number>;
  broken: number[];
  unknown: number;
  unfinished: number;
}

describe('a line', () => {
  it('comes back as the event it was made of', () => {
    const event: Event = { k: 'param', t: 1.5, key: 'a "b"\n🦆', value: { deep: [1, null, 'x'] } };
    const line = encodeEvent(event);
    expect(line.endsWith('\n')).toBe(true);
    expect(line.slice(0, -1)).not.toContain('\n');
    expect(parseLine(line.slice(0, -1))).toEqual({ type: 'event', event });
  });

  it.each([
    ['{"k":"m","t":1,"s":0,"v":{"a":1}', 'not JSON'],
    ['[1]', 'not a JSON object'],
    ['"text"', 'not a JSON object'],
    ['null', 'not a JSON object'],
    ['{"t":1}', 'no kind'],
    ['{"k":7,"t":1}', 'no kind'],
    ['{"k":"beat"}', 'no time'],
    ['{"k":"beat","t":"1"}', 'no time'],
    ['{"k":"beat","t":1e999}', 'no time'],
    ['{"k":"m","t":1,"v":{}}', 'a metric without'],
    ['{"k":"m","t":1,"s":1,"v":[1]}', 'a metric without'],
    ['{"k":"tag","t":1,"key":"a"}', '"tag" event without a usable "value"'],
    ['{"k":"param","t":1,"key":"a"}', '"param" event without a usable "value"'],
    ['{"k":"drift","t":1,"files":{}}', '"drift" event without a usable "files"'],
    ['{"k":"beat","t":1}\u0000', 'not JSON'],
  ])('%s is broken', (text, reason) => {
    const parsed = parseLine(text);
    expect(parsed.type).toBe('broken');
    if (reason !== 'not JSON') expect(parsed).toMatchObject({ reason: expect.stringContaining(reason) });
  });

  it('of a kind that a later Waddle knows is skipped, whatever names JavaScript has for it', () => {
    expect(parseLine('{"k":"hologram","t":1}')).toEqual({ type: 'unknown', kind: 'hologram' });
    expect(parseLine('{"k":"toString","t":1}')).toEqual({ type: 'unknown', kind: 'toString' });
    expect(parseLine('{"k":"__proto__","t":1}')).toEqual({ type: 'unknown', kind: '__proto__' });
  });

  it('never makes the reader throw', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary' }), fc.json()), (text) => {
        expect(['event', 'unknown', 'broken']).toContain(parseLine(text).type);
      }),
    );
  });

  it('may be nested deeper than the stack', () => {
    const deep = `{"k":"param","t":1,"key":"a","value":${'['.repeat(200_000)}${']'.repeat(200_000)}}`;
    expect(['event', 'broken']).toContain(parseLine(deep).type);
  });
});

describe('numbers', () => {
  it('that JSON lacks travel by name', () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0.1, -3]) {
      expect(decodeNumber(encodeNumber(value))).toBe(value);
    }
    for (const value of ['nan', '1', null, true, {}]) expect(decodeNumber(value)).toBeUndefined();
  });

  it('that are integers keep all their digits', () => {
    const text =
      '{"a":123456789012345678901234567890,"b":[-9007199254740993],"c":"12345678901234567890","d":1e300}';
    expect(stringifyExactJson(parseExactJson(text))).toBe(text.replace('1e300', '1e+300'));
    expect(parseExactJson('9007199254740993')).toBe(9007199254740993n);
    expect(parseExactJson('40')).toBe(40);
  });

  it('of time have three decimals', () => {
    expect(eventTime(1764000000123.7)).toBe(1764000000.124);
  });
});

describe('nesting', () => {
  const nested = (depth: number, fill = '') =>
    `{"k":"param","t":1,"key":"x","pad":"${'y'.repeat(9000)}${fill}","value":${'['.repeat(depth)}${']'.repeat(depth)}}`;

  it('of a long line has an end: what is deeper is broken, and brackets in texts do not count', () => {
    expect(parseLine(nested(400)).type).toBe('event');
    expect(parseLine(nested(600))).toEqual({ type: 'broken', reason: 'nested more than 500 deep' });
    expect(parseLine(nested(400, '['.repeat(9000))).type).toBe('event');
    expect(parseLine(nested(400, '\\\\"'.replace('"', '\\"') + '['.repeat(600))).type).toBe('event');
    expect(parseLine(nested(400, '\\\\')).type).toBe('event');
    expect(parseLine('['.repeat(2_000_000))).toMatchObject({ type: 'broken' });
    expect(parseLine(`{"k":"${'x'.repeat(9000)}`)).toMatchObject({ type: 'broken' });
  });
});

describe('the golden journals', () => {
  const expected = JSON.parse(readFileSync(new URL('expected.json', golden), 'utf8')) as Record<
    string,
    Expected
  >;
  const names = Object.keys(expected).filter((name) => name.endsWith('.jsonl'));
  it('are there', () => expect(names.length).toBeGreaterThan(0));

  it.each(names)('%s reads as expected', (name) => {
    const bytes = readFileSync(new URL(name, golden));
    const found: Expected = { events: {}, broken: [], unknown: 0, unfinished: 0 };
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      const text = bytes.toString('utf8', start, end);
      if (text !== '') {
        const parsed = parseLine(text);
        if (parsed.type === 'event') found.events[parsed.event.k] = (found.events[parsed.event.k] ?? 0) + 1;
        else if (parsed.type === 'broken') found.broken.push(start);
        else found.unknown += 1;
      }
      start = end + 1;
    }
    found.unfinished = bytes.length - start;
    expect(found).toEqual(expected[name]);
  });
});
