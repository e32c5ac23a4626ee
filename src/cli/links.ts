import { parseLine } from '../events/line.ts';
import type { EventOf } from '../events/schema.ts';
import { listJournals } from '../journal/discover.ts';
import type { Layout } from '../journal/layout.ts';
import { openPlainBytes, readLines } from '../journal/reader.ts';

/**
 * The folder of the repository that is linked under a name; null where there is none. Read from the project's own
 * journals, which are small, so that `waddle run` need not open the store before its job starts.
 */
export function findLink(layout: Layout, name: string): string | null {
  let newest: { link: EventOf<'link'>; writer: string } | null = null;
  for (const { path, writer } of listJournals(layout.projectJournals)) {
    const bytes = openPlainBytes(path);
    if (bytes === null) continue;
    try {
      for (const { lines } of readLines(bytes, 0)) {
        for (const { text } of lines) {
          if (text === null) continue;
          const parsed = parseLine(text);
          if (parsed.type !== 'event' || parsed.event.k !== 'link' || parsed.event.name !== name) continue;
          const link = parsed.event;
          const after =
            newest === null ||
            link.clock > newest.link.clock ||
            (link.clock === newest.link.clock && writer >= newest.writer);
          if (after) newest = { link, writer };
        }
      }
    } finally {
      bytes.close();
    }
  }
  return newest?.link.path ?? null;
}
