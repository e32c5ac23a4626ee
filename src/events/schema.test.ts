import { readFileSync } from 'node:fs';
import { Value } from 'typebox/value';
import { expect, it } from 'vitest';
import { parseLine } from './line.ts';
import { EVENT_SCHEMAS, type EventKind } from './schema.ts';

const golden = new URL('../../test/golden/', import.meta.url);
const expected = JSON.parse(readFileSync(new URL('expected.json', golden), 'utf8')) as Record<
  string,
  unknown
>;

it('describes every event that the golden journals hold, and the quick check agrees with it', () => {
  const seen = new Set<string>();
  for (const name of Object.keys(expected).filter((file) => file.endsWith('.jsonl'))) {
    for (const text of readFileSync(new URL(name, golden), 'utf8').split('\n').slice(0, -1)) {
      const parsed = parseLine(text);
      if (parsed.type !== 'event') continue;
      seen.add(parsed.event.k);
      // Big integers come as bigint, which JSON Schema does not know.
      const plain: unknown = JSON.parse(text);
      const errors = Value.Errors(EVENT_SCHEMAS[parsed.event.k], plain);
      expect(errors, `${name}: ${text.slice(0, 200)}`).toEqual([]);
    }
  }
  expect([...seen].sort()).toEqual(Object.keys(EVENT_SCHEMAS).sort());
});

it('demands nothing that the quick check lets pass, of the fields that readers cannot do without', () => {
  for (const kind of Object.keys(EVENT_SCHEMAS) as EventKind[]) {
    const parsed = parseLine(JSON.stringify({ k: kind, t: 1 }));
    const complete = Value.Check(EVENT_SCHEMAS[kind], { k: kind, t: 1 });
    expect(parsed.type, kind).toBe(complete ? 'event' : 'broken');
  }
});
