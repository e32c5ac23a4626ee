/** Servers for the tests of this room: real files, journals written as a job writes them, read by a stand-in for ingest. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseLine } from '../events/line.ts';
import type { Event } from '../events/schema.ts';
import { listJournals, listRuns } from '../journal/discover.ts';
import { type Layout, layoutOf, runFolder } from '../journal/layout.ts';
import { ensureProjectFolder } from '../journal/project-folder.ts';
import { openPlainBytes, readLines } from '../journal/reader.ts';
import { JournalWriter } from '../journal/writer.ts';
import { Applier } from '../store/apply.ts';
import { openStore, type Store } from '../store/open.ts';
import { type App, buildApp } from './app.ts';
import { type LocalOptions, type LocalParts, localParts } from './local-parts.ts';
import type { ServerOptions } from './options.ts';

export interface Fixture extends App {
  folder: string;
  layout: Layout;
  options: ServerOptions;
  /** Stops that were asked for. */
  stopped: { run: string; grace: number }[];
  /** Bugs that were reported: none, in a test that passes. */
  bugs: unknown[];
  /** A run with a started job journal; the journal stays open. */
  job(id: string, start?: Partial<Extract<Event, { k: 'start' }>>): JournalWriter;
  /** Brings the engine up to the journals; live clients have been woken then, and have read. */
  ingest(): Promise<void>;
  /** Forgets what the revisions up to this one changed. */
  forgetChanges(revision: number): Promise<void>;
  remove(): Promise<void>;
}

/** An engine that the same tests are run against. */
export interface TestEngine {
  /** Parts of a server over the journals in this folder. */
  parts(
    layout: Layout,
    options: Pick<LocalOptions, 'version' | 'stop' | 'bug'>,
  ): Promise<{ parts: EngineParts } & Pick<Fixture, 'ingest' | 'forgetChanges'>>;
}

/** What `localParts` gives, of any engine. */
type EngineParts = Omit<LocalParts, 'engine'> & Pick<ServerOptions, 'engine'>;

let tested: TestEngine | undefined;

/** Whether it is SQLite that is tested. */
export const isLocal = () => tested === undefined;

/** Tests that are defined from now on are of this engine. */
export function testEngine(engine: TestEngine): void {
  tested = engine;
}

export async function startFixture(changes: Partial<ServerOptions> = {}): Promise<Fixture> {
  const folder = mkdtempSync(join(tmpdir(), 'waddle-server-'));
  const layout = layoutOf(folder);
  ensureProjectFolder(layout);
  mkdirSync(join(folder, 'page'));
  const stopped: Fixture['stopped'] = [];
  const bugs: unknown[] = [];
  const { parts, ingest, forgetChanges } = await (tested ?? SQLITE).parts(layout, {
    version: '0.0.0-test',
    stop: async (run, grace) => void stopped.push({ run, grace }),
    bug: (error) => void bugs.push(error),
  });
  const options: ServerOptions = {
    ...parts,
    diff: async () => '',
    dashboard: join(folder, 'page'),
    access: { host: '127.0.0.1', allowedHosts: [], token: null, cookie: 'waddle_test' },
    ports: { http: 8080, ws: null },
    held: false,
    ...changes,
  };
  const app = await buildApp(options);
  return {
    ...app,
    folder,
    layout,
    options,
    stopped,
    bugs,
    job: (id, start = {}) => {
      const journal = JournalWriter.open({
        folder: runFolder(layout, id),
        role: 'job',
        run: id,
        client: 'test',
        attempt: 'self',
      });
      journal.append({
        k: 'start',
        t: 1_764_000_000,
        id,
        attempt: journal.name,
        name: `run ${id}`,
        ...start,
      });
      return journal;
    },
    ingest: async () => {
      await ingest();
      while (app.shared.hub.reading) await new Promise((wake) => setTimeout(wake, 2));
    },
    forgetChanges,
    remove: async () => {
      await app.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

const SQLITE: TestEngine = {
  parts: async (layout, options) => {
    const parts = localParts({
      ...options,
      layout,
      openStore: () => openStore(join(layout.root, 'waddle.sqlite')),
      catchUp: (store) => {
        if (!store.readOnly) readJournals(store, layout);
      },
    });
    const { engine } = parts;
    return {
      parts,
      ingest: async () => {
        readJournals(engine.store, layout);
        engine.look();
      },
      forgetChanges: async (revision) => {
        engine.store.prepare("UPDATE meta SET value = ? WHERE key = 'changes_from'").run(revision);
      },
    };
  },
};

const appliers = new WeakMap<Store, Applier>();

/** Ingest in its simplest form: this room may not import the real one. */
function readJournals(store: Store, layout: Layout): void {
  let applier = appliers.get(store);
  if (applier === undefined) {
    applier = new Applier(store, { clock: { now: () => Date.now(), mono: () => performance.now() } });
    appliers.set(store, applier);
  }
  applier.transact((batch) => {
    const folders: [string | null, string][] = [[null, layout.projectJournals]];
    for (const id of listRuns(layout.runs)) folders.push([id, runFolder(layout, id)]);
    for (const [run, path] of folders) {
      for (const { writer, path: file } of listJournals(path)) {
        const bytes = openPlainBytes(file);
        if (bytes === null) continue;
        for (const { lines, next } of readLines(bytes, batch.offsetOf(run, writer))) {
          if (lines.length === 0) continue;
          const journal = batch.journal(run, writer);
          for (const { start, text } of lines)
            if (text !== null) batch.apply(journal, start, parseLine(text));
          batch.advance(journal, next);
        }
        bytes.close();
      }
    }
  });
}
