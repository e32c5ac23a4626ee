/** Where a tested collector keeps its spaces: in a folder, or in PostgreSQL and S3. The same tests run over both. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openS3Objects } from '../../src/blobs/s3-objects.ts';
import { folderParts } from '../../src/cli/collector-parts.ts';
import { teamParts } from '../../src/cli/collector-team.ts';
import type { Backend } from '../../src/collector/backend.ts';
import { makeCollectorFolder, openFolderBackend, spaceFolder } from '../../src/collector/folder-backend.ts';
import { openTeamBackend } from '../../src/collector/team-backend.ts';
import { openPlainBytes } from '../../src/journal/reader.ts';
import { openDatabase } from '../../src/postgres/database.ts';
import { Listener } from '../../src/postgres/listener.ts';
import { TeamSpace } from '../../src/postgres/team-space.ts';
import type { Cluster } from './postgres.ts';
import { sharedS3 } from './servers.ts';

export interface CollectorHome {
  kind: 'folder' | 'team';
  /** What `waddle serve --collector` and `waddle token` are told: flags, and environment. */
  flags: string[];
  env: Record<string, string>;
  /** For a collector in this process, which closes it. */
  open(given: { bug(error: unknown): void; dashboard?: string | undefined }): Promise<Backend>;
  /** The plain bytes that are kept of a journal of the space, looked at from beside. */
  journal(space: string, run: string, writer: string): Promise<Buffer>;
  /** Paths of files, or keys of objects. */
  names(): Promise<string[]>;
  remove(): Promise<void>;
}

/** A thread's file, which only the bundle has beside the command line. */
export const BUILT_INTAKE = join(import.meta.dirname, '../../dist/intake-worker.js');

let team: Cluster | null = null;

/** Collectors that tests start from now on are over PostgreSQL and S3. */
export function testTeamHomes(postgres: Cluster): void {
  team = postgres;
}

/** Whether it is collectors over folders that are tested. */
export const isFolderHome = () => team === null;

/** An empty one; must be removed. */
export async function makeHome(): Promise<CollectorHome> {
  return team === null ? folderHome() : teamHome(team);
}

function folderHome(): CollectorHome {
  const base = mkdtempSync(join(tmpdir(), 'waddle-collector-'));
  const folder = join(base, 'team');
  return {
    kind: 'folder',
    flags: ['--dir', folder],
    env: {},
    open: async ({ bug, dashboard }) => {
      makeCollectorFolder(folder);
      const parts = folderParts({ env: process.env, bug, warn: bug });
      return openFolderBackend(folder, { ...parts, dashboard: dashboard ?? parts.dashboard });
    },
    journal: async (space, run, writer) => {
      const path = join(spaceFolder(folder, space), '.waddle/runs', run, `${writer}.jsonl`);
      const plain = openPlainBytes(path);
      if (plain === null) throw new Error(`there is no ${path}`);
      try {
        const bytes = Buffer.alloc(plain.length);
        for (let at = 0; at < bytes.length; ) at += plain.read(bytes.subarray(at), at);
        return bytes;
      } finally {
        plain.close();
      }
    },
    names: async () =>
      existsSync(folder) ? readdirSync(folder, { recursive: true }).map((path) => String(path)) : [],
    remove: async () => rmSync(base, { recursive: true, force: true }),
  };
}

/** Paths below a folder of a space that is kept in files. */
export function spaceFiles({ flags }: CollectorHome, space: string, below: string): (name: string) => string {
  const folder = flags[flags.indexOf('--dir') + 1] ?? '';
  return (name) => join(spaceFolder(folder, space), '.waddle', below, name);
}

async function teamHome(postgres: Cluster): Promise<CollectorHome> {
  const url = await postgres.database('collector');
  const s3 = await sharedS3();
  if ('missing' in s3) throw new Error(s3.missing);
  const objects = await openS3Objects(s3.options);
  return {
    kind: 'team',
    flags: [],
    env: { WADDLE_DATABASE: url, WADDLE_BLOBS: s3.url, ...s3.env },
    open: async ({ bug, dashboard }) => {
      const parts = { ...teamParts({ env: process.env, bug }), intake: BUILT_INTAKE };
      return openTeamBackend(url, { s3: s3.options }, { ...parts, dashboard: dashboard ?? parts.dashboard });
    },
    journal: async (space, run, writer) => {
      const database = await openDatabase(url, { connections: 2 });
      const listener = new Listener(database);
      const scratch = mkdtempSync(join(tmpdir(), 'waddle-look-'));
      const opened = new TeamSpace({ database, listener, objects, space, scratch, env: process.env });
      try {
        const pieces: Uint8Array[] = [];
        for (let offset = 0; ; ) {
          const [piece] = await opened.readJournals([{ run, writer, offset }]);
          if (piece === undefined) return Buffer.concat(pieces);
          pieces.push(piece.bytes);
          offset += piece.bytes.length;
        }
      } finally {
        await opened.close();
        await listener.close();
        await database.close();
        rmSync(scratch, { recursive: true, force: true });
      }
    },
    names: async () => {
      const names: string[] = [];
      for await (const { key } of objects.list('')) names.push(key);
      return names;
    },
    remove: () => s3.stop(),
  };
}
