import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { eventTime } from '../events/line.ts';
import { appendWhole } from '../journal/append-whole.ts';
import { type Layout, layoutOf, runFolder } from '../journal/layout.ts';
import { ensureProjectFolder } from '../journal/project-folder.ts';
import { type PackedPiece, type UnpackedPiece, unpackPieces } from '../protocol/piece-frames.ts';
import { type App, buildApp } from '../server/app.ts';
import type { BlobSource } from '../server/blob-source.ts';
import { localParts } from '../server/local-parts.ts';
import type { CodeSide } from '../server/options.ts';
import { openStore, type Store } from '../store/open.ts';
import { narrowToProject } from '../store/project-view.ts';
import type { Space } from '../sync/space.ts';
import type { Doors, SpaceHome, Usage } from './backend.ts';
import { personOf } from './caller.ts';
import { bytesBelow } from './folder-backend.ts';
import { ProjectApps } from './project-apps.ts';

/** A space whose files this process looks after. */
export interface OwnSpace extends Space {
  /** Does the work while nobody writes journals of the run. */
  exclusively(run: string, work: () => Promise<void>): Promise<void>;
}

/** What the collector is given: ingest, queries, git and the page are not its business. */
export interface FolderParts {
  version: string;
  /** The folder of the built page. */
  dashboard: string;
  /** The project folder as a space whose projects do not trust each other. */
  openSpace(layout: Layout, store: () => Store): OwnSpace;
  /** Keeps the database up to all journals until the signal; `applied` is called after each transaction that changed something. */
  follow(options: {
    layout: Layout;
    store: () => Store;
    applied: () => void;
    signal: AbortSignal;
    /** Waited for between two transactions. */
    pause: () => Promise<void>;
  }): Promise<void>;
  /** Compresses the journals of ended runs until the signal. */
  seal(options: {
    layout: Layout;
    store: () => Store;
    exclusively(run: string, work: () => Promise<void>): Promise<void>;
    signal: AbortSignal;
    /** Waited for between two pieces of the work. */
    pause: () => Promise<void>;
  }): Promise<void>;
  catchUp(layout: Layout, store: Store, runs: readonly string[]): void;
  /** @param projects of the two sides */
  diff(layout: Layout, projects: readonly [string, string], from: CodeSide, to: CodeSide): Promise<string>;
  /** Whether a blob was shown by somebody of the project. */
  isShown(layout: Layout, project: string, sha256: string): boolean;
  bug(error: unknown): void;
}

/** Bytes of a request's body but for sync: edits, and questions of charts. */
const BODY_BYTES = 4 * 1024 * 1024;
/** Bytes of blobs and packs are counted anew after so long, in milliseconds; what is written meanwhile is added. */
const COUNT_MS = 30_000;

/** So long at most a transaction of ingest waits for uploads, in milliseconds: a live chart is late by no more. */
const PAUSE_MS = 150;

/** One space as a project folder that is followed. */
export class FolderHome implements SpaceHome {
  readonly name: string;
  readonly space: Space;
  readonly #layout: Layout;
  readonly #parts: FolderParts;
  readonly #doors: Doors;
  readonly #apps = new ProjectApps((project) => this.#build(project));
  readonly #stop = new AbortController();
  readonly #store: Store;
  readonly #working: Promise<unknown>;
  #counted = { at: Number.NEGATIVE_INFINITY, bytes: 0 };

  static async open(name: string, folder: string, parts: FolderParts, doors: Doors): Promise<FolderHome> {
    const layout = layoutOf(folder);
    ensureProjectFolder(layout);
    const store = openStore(join(layout.root, 'waddle.sqlite'));
    try {
      return new FolderHome(name, layout, store, parts, doors);
    } catch (error) {
      store.close();
      throw error;
    }
  }

  private constructor(name: string, layout: Layout, store: Store, parts: FolderParts, doors: Doors) {
    this.name = name;
    this.#layout = layout;
    this.#parts = parts;
    this.#doors = doors;
    this.#store = store;
    const space = parts.openSpace(layout, () => this.#store);
    this.space = space;
    const work = {
      layout,
      store: () => this.#store,
      signal: this.#stop.signal,
      pause: () => this.#pause(),
    };
    this.#working = Promise.all([
      parts.follow({ ...work, applied: () => this.#look() }).catch(parts.bug),
      parts.seal({ ...work, exclusively: (run, task) => space.exclusively(run, task) }).catch(parts.bug),
    ]);
  }

  /** Who pushes goes before who reads what was pushed; but for so long only, so that both get on. */
  async #pause(): Promise<void> {
    const deadline = performance.now() + PAUSE_MS;
    while (this.#doors.busy() && !this.#stop.signal.aborted && performance.now() < deadline) {
      await new Promise((wake) => setTimeout(wake, 5));
    }
  }

  #look(): void {
    for (const app of this.#apps.open) app.shared.engine.look();
  }

  async projectsOf(runs: readonly string[]): Promise<Map<string, string>> {
    const projects = this.#projectsKnown(runs);
    // What was written a moment ago may not have been read yet.
    const fresh = runs.filter((run) => !projects.has(run) && existsSync(runFolder(this.#layout, run)));
    if (fresh.length === 0) return projects;
    this.#parts.catchUp(this.#layout, this.#store, fresh);
    return new Map([...projects, ...this.#projectsKnown(fresh)]);
  }

  #projectsKnown(runs: readonly string[]): Map<string, string> {
    return new Map(
      this.#store
        .prepare('SELECT id, project FROM runs WHERE id IN (SELECT value FROM json_each(?))')
        .all(JSON.stringify(runs))
        .map((row) => [String(row.id), String(row.project)]),
    );
  }

  async usage(project: string | null): Promise<Usage> {
    const row = this.#store
      .prepare(
        `SELECT
           (SELECT coalesce(sum(j.offset), 0) FROM journals j LEFT JOIN runs r ON r.num = j.run
             WHERE ?1 IS NULL OR r.project = ?1) AS journals,
           (SELECT coalesce(sum(s.count), 0) FROM series s JOIN runs r ON r.num = s.run
             WHERE ?1 IS NULL OR r.project = ?1) AS samples,
           (SELECT coalesce(sum(size), 0) FROM (SELECT DISTINCT a.sha256, a.size FROM artifacts a
             JOIN runs r ON r.num = a.run WHERE r.project = ?1)) AS named`,
      )
      .get(project);
    const journals = Number(row?.journals ?? 0);
    const files = project === null ? this.#countFiles() : Number(row?.named ?? 0);
    return { bytes: journals + files, samples: Number(row?.samples ?? 0) };
  }

  async unpack(pieces: PackedPiece[], most: number): Promise<UnpackedPiece[]> {
    return unpackPieces(pieces, most);
  }

  #countFiles(): number {
    const now = performance.now();
    if (now - this.#counted.at > COUNT_MS) {
      const { blobs, privateGit } = this.#layout;
      this.#counted = { at: now, bytes: bytesBelow(blobs) + bytesBelow(privateGit) };
    }
    return this.#counted.bytes;
  }

  app(project: string | null): Promise<App> {
    return this.#apps.of(project);
  }

  async #build(project: string | null): Promise<App> {
    const layout = this.#layout;
    const parts = this.#parts;
    const local = localParts({
      layout,
      version: parts.version,
      openStore: () => {
        const store = openStore(this.#store.path, { readOnly: true });
        if (project !== null) narrowToProject(store, project);
        return store;
      },
      catchUp: (_store, runs) => parts.catchUp(layout, this.#store, runs),
      // No process of this machine has to do with a run: the request is an edit that a pull brings to the one that has.
      stop: async (run, grace, user) => {
        const client = `waddle-collector ${parts.version}`;
        const folder = runFolder(layout, run);
        appendWhole(
          { folder, role: 'edits', run, client, user },
          [{ k: 'stop', t: eventTime(), grace }],
          'the space',
        );
      },
      bug: parts.bug,
    });
    return buildApp({
      ...local,
      blobs:
        project === null
          ? local.blobs
          : shownBlobs(local.blobs, (sha256) => parts.isShown(layout, project, sha256)),
      diff: (from, to) => {
        const projects = this.#projectsKnown([from.run, to.run]);
        return parts.diff(layout, [projects.get(from.run) ?? '', projects.get(to.run) ?? ''], from, to);
      },
      routes: this.#doors.routes(this, project),
      personOf,
      bodyLimit: BODY_BYTES,
      dashboard: parts.dashboard,
      access: { host: '', allowedHosts: [], token: null, cookie: 'waddle_none', handedIn: true },
      ports: { http: 0, ws: null },
      held: false,
    });
  }

  live(): number {
    return this.#apps.live();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#working;
    await this.#apps.close();
    await this.space.close();
    this.#store.close();
  }
}

/** Naming a hash is no right to the bytes: only those that the project's members have shown are given to them. */
function shownBlobs(blobs: BlobSource, isShown: (sha256: string) => boolean): BlobSource {
  return {
    size: async (sha256) => (isShown(sha256) ? blobs.size(sha256) : null),
    read: async (sha256, range) => (isShown(sha256) ? blobs.read(sha256, range) : null),
  };
}
