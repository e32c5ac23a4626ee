import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { parseLine } from '../events/line.ts';
import { Applier } from './apply.ts';
import { openStore } from './open.ts';
import { narrowToProject } from './project-view.ts';

const folder = mkdtempSync(join(tmpdir(), 'waddle-narrow-'));
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('a narrowed connection sees one project, in every table and view that there is', () => {
  const path = join(folder, 'waddle.sqlite');
  const store = openStore(path);
  const applier = new Applier(store, { clock: { now: () => Date.now(), mono: () => 0 } });
  const projects = ["it's mine", 'theirs'];
  applier.transact((batch) => {
    for (const [index, project] of projects.entries()) {
      const id = 'ab'[index]?.repeat(12) ?? '';
      const writer = `job-${id.slice(0, 8)}`;
      const journal = batch.journal(id, writer);
      const events: object[] = [
        {
          k: 'open',
          format: 1,
          writer,
          role: 'job',
          run: id,
          host: 'h',
          pid: 1,
          client: 'c',
          attempt: writer,
        },
        { k: 'start', id, attempt: writer, project, tags: { a: 'x' } },
        { k: 'param', key: `p${index}`, value: 1 },
        { k: 'tag', key: `t${index}`, value: 'x' },
        { k: 'm', s: 0, v: { [`m${index}`]: 1 } },
        { k: 'c', o: 1, n: 0, x: `line ${index}`, a: writer },
        { k: 'artifact', name: 'f', type: 'file', sha256: String(index).repeat(64), size: 1 },
        { k: 'warning', code: 'c', message: 'm' },
        { k: 'env', environment: {} },
        { k: 'edit', clock: 1, field: 'tag', key: 'e', value: 'v' },
      ];
      for (const [place, event] of events.entries()) {
        batch.apply(journal, place, parseLine(JSON.stringify({ t: 1, ...event })));
      }
      batch.apply(journal, 99, { type: 'broken', reason: 'torn' });
      batch.advance(journal, 100);
    }
  });
  const narrowed = openStore(path, { readOnly: true });
  narrowToProject(narrowed, projects[0] ?? '');
  const names = store
    .prepare("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'")
    .all()
    .map(({ name }) => String(name));
  const count = (of: typeof store, name: string) =>
    of.prepare(`SELECT count(*) AS n FROM "${name}"`).get()?.n;
  // What holds rows of both has half of them now; a table that nobody thought of would have none.
  const halved = names.filter(
    (name) => Number(count(store, name)) > 0 && !['meta', 'samples'].includes(name),
  );
  expect(halved).toContain('runs');
  expect(halved).toContain('metrics');
  expect(halved).toContain('changes');
  for (const name of halved)
    expect([name, count(narrowed, name)]).toEqual([name, Number(count(store, name)) / 2]);
  expect(narrowed.prepare('SELECT name FROM projects').all()).toEqual([{ name: "it's mine" }]);
  expect(narrowed.prepare('SELECT key FROM params').all()).toEqual([{ key: 'p0' }]);
  expect(narrowed.revision).toBe(store.revision);
  narrowed.close();
  store.close();
});
