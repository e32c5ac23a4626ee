import type { Store } from './open.ts';

/** How each table tells which run a row is of, as SQL that is true for rows of the project's runs. */
const RUN = (column: string) =>
  `EXISTS (SELECT 1 FROM main.runs own WHERE own.num = it.${column} AND own.project = $project)`;
const RULES: Record<string, string> = {
  runs: 'it.project = $project',
  params: RUN('run'),
  param_leaves: RUN('run'),
  tags: RUN('run'),
  tag_facts: RUN('run'),
  edits: RUN('run'),
  series: RUN('run'),
  metric_summaries: RUN('run'),
  artifacts: RUN('run'),
  console: RUN('run'),
  warnings: RUN('run'),
  attempts: RUN('run'),
  kept_events: RUN('run'),
  snapshots: RUN('run'),
  environments: RUN('run'),
  run_texts: RUN('run'),
  journals: RUN('run'),
  console_changes: RUN('run'),
  tombstones: 'EXISTS (SELECT 1 FROM main.runs own WHERE own.id = it.run AND own.project = $project)',
  folders: 'EXISTS (SELECT 1 FROM main.runs own WHERE own.id = it.id AND own.project = $project)',
  broken_lines: `EXISTS (SELECT 1 FROM main.journals j JOIN main.runs own ON own.num = j.run
    WHERE j.id = it.journal AND own.project = $project)`,
  changes: `EXISTS (SELECT 1 FROM main.series s JOIN main.runs own ON own.num = s.run
    WHERE s.id = it.series AND own.project = $project)`,
  links: 'false',
  leases: 'false',
};
/** Tables without a view: facts about the database, and what is only ever reached by way of a row of `series`. */
const OPEN = new Set(['meta', 'samples', 'rollups']);

/**
 * From now on this connection sees only runs of one project, whatever is asked: each table that tells of runs is hidden behind a
 * temporary view of the same name. So no query need know of it, and none can forget it. The connection must be one that only
 * reads, opened for this.
 */
export function narrowToProject(store: Store, project: string): void {
  if (!store.readOnly) throw new Error('only a connection that reads can be narrowed to a project');
  const { db } = store;
  const name = `'${project.replaceAll("'", "''")}'`;
  const things = db
    .prepare("SELECT type, name, sql FROM main.sqlite_schema WHERE type IN ('table', 'view') ORDER BY rowid")
    .all();
  for (const { type, name: thing, sql } of things) {
    const table = String(thing);
    if (type === 'view') {
      // A view of the file means the file's tables: the same text as a temporary view means the narrowed ones.
      db.exec(String(sql).replace(/^CREATE VIEW/i, 'CREATE TEMP VIEW'));
      continue;
    }
    if (OPEN.has(table) || table.startsWith('sqlite_')) continue;
    const rule = RULES[table];
    // A table that nobody thought of here tells nothing.
    const condition = rule === undefined ? 'false' : rule.replaceAll('$project', () => name);
    db.exec(`CREATE TEMP VIEW "${table}" AS SELECT it.* FROM main."${table}" it WHERE ${condition}`);
  }
}
