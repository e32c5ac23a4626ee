/** A team's spaces for a command, beside the collectors that may serve them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ObjectsPlace, openObjects } from '../blobs/objects-place.ts';
import { openDatabase } from '../postgres/database.ts';
import { Listener } from '../postgres/listener.ts';
import { TeamSpace } from '../postgres/team-space.ts';
import { PostgresRegistry } from './postgres-registry.ts';
import type { Registry } from './registry.ts';

export interface TeamSpaces {
  readonly registry: Registry;
  readonly env: Record<string, string | undefined>;
  /** One that the registry has; must be closed. */
  open(name: string): TeamSpace;
  close(): Promise<void>;
}

/** Must be closed. @throws WaddleError as `openDatabase` */
export async function openTeamSpaces(
  url: string,
  place: ObjectsPlace,
  env: Record<string, string | undefined>,
): Promise<TeamSpaces> {
  const database = await openDatabase(url, { connections: 4 });
  const objects = await openObjects(place);
  const listener = new Listener(database);
  const scratch = mkdtempSync(join(tmpdir(), 'waddle-spaces-'));
  return {
    registry: new PostgresRegistry(database),
    env,
    open: (space) =>
      new TeamSpace({ database, listener, objects, space, scratch: join(scratch, space), env }),
    async close() {
      await listener.close();
      await database.close();
      await objects.close?.();
      rmSync(scratch, { recursive: true, force: true });
    },
  };
}
