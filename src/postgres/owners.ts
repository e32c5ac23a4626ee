/** Which project a run is of, as its journals tell. */
import { isRunId } from '../events/ids.ts';
import type { Session } from './database.ts';

/** Of the runs that are here. */
export async function ownersOf(session: Session, runs: readonly string[]): Promise<Map<string, string>> {
  const rows = await session.rows('SELECT run, project FROM owners WHERE run = ANY($1)', [runs]);
  return new Map(rows.map((row) => [String(row.run), String(row.project)]));
}

/** Null where the run is not here. */
export async function ownerOf(session: Session, run: string): Promise<string | null> {
  return isRunId(run) ? ((await ownersOf(session, [run])).get(run) ?? null) : null;
}
