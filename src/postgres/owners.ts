/** Which project a run is of, as its journals tell. */
import { isRunId } from '../events/ids.ts';
import type { Row, Session } from './database.ts';

/** @param prefix of the table's name: its schema and a dot, or nothing within a transaction of a space */
export function ownerSql(prefix: string): string {
  return `SELECT run, project FROM ${prefix}owners WHERE run = ANY($1)`;
}

/** What `ownerSql` gave: of the runs that are here. */
export function projectsIn(rows: readonly Row[]): Map<string, string> {
  return new Map(rows.map((row) => [String(row.run), String(row.project)]));
}

async function ownersOf(session: Session, runs: readonly string[]): Promise<Map<string, string>> {
  return projectsIn(await session.rows(ownerSql(''), [runs]));
}

/** Null where the run is not here. */
export async function ownerOf(session: Session, run: string): Promise<string | null> {
  return isRunId(run) ? ((await ownersOf(session, [run])).get(run) ?? null) : null;
}
