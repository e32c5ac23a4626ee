/** Spaces in PostgreSQL and objects. A collector over these keeps nothing: any number of them may serve one team. */
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ObjectStore } from '../blobs/object-store.ts';
import { type ObjectsPlace, openObjects } from '../blobs/objects-place.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { eventTime } from '../events/line.ts';
import type { Event } from '../events/schema.ts';
import { JournalWriter } from '../journal/writer.ts';
import { type Database, openDatabase, openSpaceSchema } from '../postgres/database.ts';
import { readDatabaseUrl, shareConnections } from '../postgres/database-url.ts';
import { PostgresEngine } from '../postgres/engine.ts';
import { GarbageChore } from '../postgres/garbage-chore.ts';
import { Listener } from '../postgres/listener.ts';
import { TeamSpace } from '../postgres/team-space.ts';
import type { PackedPiece, UnpackedPiece } from '../protocol/piece-frames.ts';
import { type App, buildApp } from '../server/app.ts';
import type { BlobSource } from '../server/blob-source.ts';
import type { ChangeLog, Person } from '../server/edits.ts';
import type { CodeSide } from '../server/options.ts';
import { EMPTY_ROOT, JournalHasher } from '../sync/journal-hash.ts';
import type { JournalPiece } from '../sync/space.ts';
import type { Backend, Doors, SpaceHome } from './backend.ts';
import { personOf } from './caller.ts';
import { IntakeThread } from './intake-thread.ts';
import { PostgresRegistry } from './postgres-registry.ts';
import { ProjectApps } from './project-apps.ts';

/** What the collector is given: git and the page are not its business. */
export interface TeamParts {
  version: string;
  /** The folder of the built page. */
  dashboard: string;
  /** The file of the thread that takes in: `src/collector/intake-worker.ts`, or what was built from it. */
  intake: string | URL;
  env: Record<string, string | undefined>;
  /** @param projects of the two sides */
  diff(space: TeamSpace, projects: readonly [string, string], from: CodeSide, to: CodeSide): Promise<string>;
  bug(error: unknown): void;
}

const CHUNK_BYTES = 4 * 1024 * 1024;
/** Greatest body of a request to the application. */
const BODY_BYTES = 4 * 1024 * 1024;
/** How long PostgreSQL is waited for at the start, in milliseconds. */
const START_MS = 60_000;

/** @throws WaddleError `database-unreachable`, `database-denied`, `store-newer` */
export async function openTeamBackend(url: string, place: ObjectsPlace, parts: TeamParts): Promise<Backend> {
  const { answering, takingIn } = shareConnections(readDatabaseUrl(url).connections);
  const database = await reach(url, answering);
  const listener = new Listener(database);
  const registry = new PostgresRegistry(database);
  const objects = await openObjects(place);
  // Of this process alone, and gone with it: git's repositories, made again from the objects.
  const scratch = mkdtempSync(join(tmpdir(), 'waddle-collector-'));
  const intake = new IntakeThread({
    file: parts.intake,
    database: url,
    connections: takingIn,
    listener,
    objects: place,
    failed: parts.bug,
  });
  const known = new Set<string>();
  const know = async (space: string): Promise<void> => {
    if (known.has(space)) return;
    await openSpaceSchema(database, space);
    known.add(space);
    intake.add(space);
  };
  const close = async (): Promise<void> => {
    await intake.close();
    await listener.close();
    await database.close();
    await objects.close?.();
    rmSync(scratch, { recursive: true, force: true });
  };
  try {
    // What others received is taken in too, by whoever is free.
    for (const { name } of await registry.listSpaces()) await know(name);
  } catch (error) {
    await close();
    throw error;
  }
  const chore = new GarbageChore(database, objects, parts.bug);
  return {
    registry,
    open: async (name, doors) => {
      await know(name);
      return new TeamHome({
        name,
        database,
        listener,
        objects,
        intake,
        parts,
        doors,
        scratch: join(scratch, name),
      });
    },
    async check() {
      await database.transaction(null, (session) => session.rows('SELECT 1'));
      if (!intake.alive) throw new Error('the thread that takes in is not there');
    },
    async close() {
      await chore.close();
      await close();
    },
  };
}

/** PostgreSQL may be starting too, or starting again. */
async function reach(url: string, connections: number): Promise<Database> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    try {
      return await openDatabase(url, { connections });
    } catch (error) {
      const passing = error instanceof WaddleError && error.code === 'database-unreachable';
      if (!passing || performance.now() > deadline) throw error;
      await new Promise((wake) => setTimeout(wake, 250));
    }
  }
}

interface HomeOptions {
  name: string;
  database: Database;
  listener: Listener;
  objects: ObjectStore;
  intake: IntakeThread;
  parts: TeamParts;
  doors: Doors;
  scratch: string;
}

class TeamHome implements SpaceHome {
  readonly name: string;
  readonly space: TeamSpace;
  readonly #options: HomeOptions;
  readonly #apps = new ProjectApps((project) => this.#build(project));

  constructor(options: HomeOptions) {
    this.name = options.name;
    this.#options = options;
    const { database, listener, objects, intake, name, scratch, parts } = options;
    const receive = (pieces: readonly JournalPiece[]) => intake.write(name, pieces);
    const { env } = parts;
    this.space = new TeamSpace({ database, listener, objects, space: name, scratch, env, receive });
  }

  projectsOf(runs: readonly string[]): Promise<Map<string, string>> {
    return this.space.projectsOf(runs);
  }

  usage(project: string | null): Promise<{ bytes: number; samples: number }> {
    return this.space.usage(project);
  }

  unpack(pieces: PackedPiece[], most: number): Promise<UnpackedPiece[]> {
    return this.#options.intake.unpack(pieces, most);
  }

  app(project: string | null): Promise<App> {
    return this.#apps.of(project);
  }

  async #build(project: string | null): Promise<App> {
    const { name, database, listener, parts, doors } = this.#options;
    return buildApp({
      version: parts.version,
      identity: createHash('sha256').update(`${name}\0${database.url}`).digest('hex').slice(0, 32),
      folder: name,
      engine: new PostgresEngine({ database, listener, space: name, project }),
      blobs: this.#blobs(project),
      changes: this.#changes(),
      diff: async (from, to) => {
        const projects = await this.projectsOf([from.run, to.run]);
        const both = [projects.get(from.run) ?? '', projects.get(to.run) ?? ''] as const;
        return parts.diff(this.space, both, from, to);
      },
      routes: doors.routes(this, project),
      personOf,
      bodyLimit: BODY_BYTES,
      dashboard: parts.dashboard,
      access: { host: '', allowedHosts: [], token: null, cookie: 'waddle_none', handedIn: true },
      ports: { http: 0, ws: null },
      held: false,
      bug: parts.bug,
    });
  }

  #blobs(project: string | null): BlobSource {
    const { objects } = this.#options;
    const { blobs } = this.space;
    return {
      size: async (sha256) => (await blobs.find(project, sha256))?.size ?? null,
      read: async (sha256, { start, end }) => {
        const object = (await blobs.find(project, sha256))?.object;
        if (object === undefined) return null;
        return Readable.from(
          (async function* () {
            for (let at = start; at <= end; at += CHUNK_BYTES) {
              const bytes = await objects.get(object, at, Math.min(CHUNK_BYTES, end + 1 - at));
              if (bytes === null) throw new Error(`an object is gone: ${sha256}`);
              yield bytes;
            }
          })(),
        );
      },
    };
  }

  /** Each change is a journal of its own, as if it had been pushed. */
  #changes(): ChangeLog {
    const { intake, parts } = this.#options;
    const append = async (run: string | null, events: readonly Event[], user: Person): Promise<void> => {
      const folder = mkdtempSync(join(tmpdir(), 'waddle-change-'));
      let bytes: Buffer;
      let writer: string;
      try {
        const role = run === null ? 'project' : 'edits';
        const journal = JournalWriter.open({
          folder,
          role,
          run,
          client: `waddle-collector ${parts.version}`,
          ...(user === null ? {} : { open: { user } }),
        });
        journal.append(...events);
        journal.close();
        writer = journal.name;
        bytes = readFileSync(journal.path);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
      const root = new JournalHasher().update(bytes).root();
      const piece = { run, writer, offset: 0, before: EMPTY_ROOT, root, bytes, apply: true };
      const [result] = await this.space.writeJournals([piece]);
      if (result?.ok !== true) {
        const message = result?.message ?? 'the database did not take it';
        throw new WaddleError('not-written', `the change could not be written: ${message}`, 'Try again.');
      }
      await intake.now(this.name, run ?? '').catch(parts.bug);
    };
    return {
      append: async (changes, by) => {
        for (const { run, events } of changes) await append(run, events, by);
      },
      // No process of this machine has to do with a run: a pull brings the request to the one that has.
      stop: (run, grace, by) => append(run, [{ k: 'stop', t: eventTime(), grace }], by),
    };
  }

  live(): number {
    return this.#apps.live();
  }

  async close(): Promise<void> {
    await this.#apps.close();
    await this.space.close();
  }
}
