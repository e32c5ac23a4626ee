/**
 * Writes the published JSON Schemas into `schema/` from the schemas that the code itself uses: `waddle.json` for editors and
 * the journal's events for other programs. A test fails where the committed files are not what this would write.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { WaddleJson } from '../src/config/schema.ts';
import { EVENT_SCHEMAS } from '../src/events/schema.ts';

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';

/** The files of `schema/`, by name, as text. */
export function makeSchemas(): Record<string, string> {
  const journal = {
    $schema: DRAFT,
    title: 'An event of a Waddle journal',
    description: 'One line of a journal (docs/journal.md). Unknown kinds and fields are to be skipped.',
    oneOf: Object.keys(EVENT_SCHEMAS).map((kind) => ({ $ref: `#/$defs/${kind}` })),
    $defs: EVENT_SCHEMAS,
  };
  const text = (schema: unknown) => `${JSON.stringify(schema, null, 2)}\n`;
  return { 'waddle.schema.json': text(WaddleJson), 'journal.schema.json': text(journal) };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  for (const [name, text] of Object.entries(makeSchemas())) {
    writeFileSync(join(import.meta.dirname, '..', 'schema', name), text);
  }
}
