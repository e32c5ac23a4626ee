import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, it } from 'vitest';
import { dumpLogical } from '../store/dump-logical.ts';
import { catchUp } from './catch-up.ts';
import { everybodyLives, TestProject } from './ingest-fixture.ts';

const RUN = 'abcdefghij23';
const golden = (name: string): URL => new URL(`../../test/${name}`, import.meta.url);

/** What the first published version made of the golden journals. Later versions get a file of their own; none is ever made anew. */
it.each(['v1'])('a store of %s opens, and says what its journals say', (version) => {
  const project = new TestProject();
  try {
    cpSync(golden('golden'), join(project.layout.runs, RUN), {
      recursive: true,
      filter: (file) => !file.endsWith('.json'),
    });
    mkdirSync(project.layout.projectJournals);
    const links = project.path(null, 'project-nnnnpppp');
    renameSync(join(project.layout.runs, RUN, 'project-nnnnpppp.jsonl'), links);
    writeFileSync(project.database, gunzipSync(readFileSync(golden(`golden-store/${version}.sqlite.gz`))));

    const old = project.open();
    catchUp({ layout: project.layout, store: old, judge: everybodyLives });
    const fresh = project.open(join(project.layout.root, 'fresh.sqlite'));
    catchUp({ layout: project.layout, store: fresh, judge: everybodyLives });
    expect(dumpLogical(old)).toBe(dumpLogical(fresh));
    expect(Number(fresh.db.prepare('SELECT count(*) AS n FROM samples').get()?.n)).toBeGreaterThan(0);
  } finally {
    project.remove();
  }
});
