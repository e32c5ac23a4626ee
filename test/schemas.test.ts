import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { makeSchemas } from '../tools/make-schemas.ts';

it.each(Object.entries(makeSchemas()))('schema/%s is what tools/make-schemas.ts writes', (name, text) => {
  expect(readFileSync(join(import.meta.dirname, '../schema', name), 'utf8')).toBe(text);
});
