/** What a server needs, of one project folder and its SQLite database. */
import { basename } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { appendWhole } from '../journal/append-whole.ts';
import { amendHead } from '../journal/head.ts';
import { type Layout, runFolder } from '../journal/layout.ts';
import type { Store } from '../store/open.ts';
import { localBlobs } from './blob-source.ts';
import type { ChangeLog, Person } from './edits.ts';
import { LocalEngine } from './local-engine.ts';
import type { ServerOptions } from './options.ts';
import { projectIdentity } from './project-identity.ts';

export interface LocalOptions {
  layout: Layout;
  version: string;
  /** Opens the database; called again where its file was removed or replaced. */
  openStore(): Store;
  /** Brings the database up to the journals of these runs and of the project, at once, where it can be written. */
  catchUp(store: Store, runs: readonly string[]): void;
  /** Sees to it that a job that was asked to stop does so. */
  stop(run: string, graceSeconds: number, by: Person): Promise<void>;
  /** An error that is a bug, for whoever looks at the terminal. */
  bug(error: unknown): void;
}

export type LocalParts = Pick<
  ServerOptions,
  'version' | 'identity' | 'folder' | 'blobs' | 'changes' | 'bug'
> & {
  engine: LocalEngine;
};

export function localParts(options: LocalOptions): LocalParts {
  const { layout, version, bug } = options;
  const engine = new LocalEngine(options.openStore, bug);
  return {
    version,
    identity: projectIdentity(layout.project),
    folder: basename(layout.project),
    engine,
    blobs: localBlobs(layout.blobs),
    changes: journalChanges(options, async (runs) => {
      try {
        options.catchUp(engine.store, runs);
      } catch (error) {
        // A busy store, a full disk: the journals have it.
        if (!(error instanceof WaddleError)) throw error;
      }
      engine.look();
    }),
    bug,
  };
}

/**
 * A person's changes as journals in the project folder.
 * @param applied brings the engine up to these runs and the project, and wakes who listens
 */
export function journalChanges(
  { layout, version, stop }: Pick<LocalOptions, 'layout' | 'version' | 'stop'>,
  applied: (runs: readonly string[]) => Promise<void>,
): ChangeLog {
  const client = `waddle-server ${version}`;
  return {
    append: async (changes, user) => {
      for (const { run, events } of changes) {
        const folder = run === null ? layout.projectJournals : runFolder(layout, run);
        const role = run === null ? 'project' : 'edits';
        // Whoever reads the hint may be elsewhere: it does not tell where the folder lies.
        appendWhole({ folder, role, run, client, user }, events, 'the project folder');
        for (const event of events) {
          if (event.k === 'remove' || event.k === 'restore') {
            amendHead(runFolder(layout, event.run), { removed: event.k === 'remove' });
          }
        }
        const named = events.findLast((event) => event.k === 'edit' && event.field === 'name');
        if (named?.k === 'edit' && typeof named.value === 'string') amendHead(folder, { name: named.value });
      }
      const removed = changes.flatMap(({ events }) =>
        events.flatMap((event) => (event.k === 'remove' || event.k === 'restore' ? [event.run] : [])),
      );
      await applied([...changes.flatMap(({ run }) => run ?? []), ...removed]);
    },
    stop: async (run, grace, by) => {
      await stop(run, grace, by);
      await applied([run]);
    },
  };
}
