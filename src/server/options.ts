import type { FastifyInstance } from 'fastify';
import type { SnapshotRecord } from '../events/schema.ts';
import type { Layout } from '../journal/layout.ts';
import type { Store } from '../store/open.ts';
import type { AccessRules } from './access.ts';

/** A side of a code comparison: a run's snapshot, at what it ran or at the commit it began from. */
export interface CodeSide {
  run: string;
  snapshot: SnapshotRecord;
  at: 'tree' | 'base';
}

/** What the server is given. Ingest, git and processes are the business of who starts it. */
export interface ServerOptions {
  layout: Layout;
  version: string;
  /** Opens the database; called again where its file was removed or replaced. */
  openStore(): Store;
  /** Brings the database up to the journals of these runs and of the project, at once, where it can be written. */
  catchUp(store: Store, runs: readonly string[]): void;
  /**
   * Keeps the database up to all journals until the signal, and reads all that is there once more before it resolves.
   * `applied` is called after each transaction that changed something. Without it somebody else does so.
   */
  follow?:
    | ((options: { store: () => Store; applied: () => void; signal: AbortSignal }) => Promise<void>)
    | undefined;
  /** A unified patch between two snapshots' trees; '' where they are equal. */
  diff(from: CodeSide, to: CodeSide): Promise<string>;
  /** Sees to it that a job that was asked to stop does so. */
  stop(run: string, graceSeconds: number): Promise<void>;
  /** Further routes, such as a collector's. */
  routes?: ((http: FastifyInstance) => void) | undefined;
  /** The folder of the built page. */
  dashboard: string;
  access: AccessRules;
  /** Ports that the page and its WebSocket have; they are known once it listens. */
  ports: { http: number; ws: number | null };
  /** It ends with the last run that holds it. */
  held: boolean;
  /** Told when nobody holds it any more. */
  released?: (() => void) | undefined;
  /** An error that is a bug, for whoever looks at the terminal. */
  bug(error: unknown): void;
}
