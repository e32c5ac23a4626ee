/** What the collectors of a team stand on: a database with its spaces, and a folder of objects. */
import { join } from 'node:path';
import { FolderObjects } from '../../src/blobs/folder-objects.ts';
import { type Database, openDatabase, openSpaceSchema } from '../../src/postgres/database.ts';
import { Listener } from '../../src/postgres/listener.ts';
import type { Cluster } from './postgres.ts';

export interface TeamStore {
  url: string;
  database: Database;
  listener: Listener;
  /** The folder of the objects. */
  folder: string;
  objects: FolderObjects;
  /** What was opened over it, in order: closed before it, the last first. */
  opened: { close(): Promise<void> }[];
  close(): Promise<void>;
}

/** A database of its own. The objects lie below `root`, which stays. */
export async function openTeamStore(
  postgres: Cluster,
  { root, name, spaces, connections }: { root: string; name: string; spaces: string[]; connections: number },
): Promise<TeamStore> {
  const url = await postgres.database(name);
  const database = await openDatabase(url, { connections });
  for (const space of spaces) await openSpaceSchema(database, space);
  const listener = new Listener(database);
  const folder = join(root, 'objects');
  const opened: TeamStore['opened'] = [];
  const close = async (): Promise<void> => {
    for (const each of opened.splice(0).reverse()) await each.close();
    await listener.close();
    await database.close();
  };
  return { url, database, listener, folder, objects: new FolderObjects(folder), opened, close };
}
