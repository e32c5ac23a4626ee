import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { SnapshotRecord } from '../events/schema.ts';
import type { Engine } from '../store/question.ts';
import type { AccessRules } from './access.ts';
import type { BlobSource } from './blob-source.ts';
import type { ChangeLog, Person } from './edits.ts';

/** A side of a code comparison: a run's snapshot, at what it ran or at the commit it began from. */
export interface CodeSide {
  run: string;
  snapshot: SnapshotRecord;
  at: 'tree' | 'base';
}

/** What the server is given. Ingest, git and processes are the business of who starts it. */
export interface ServerOptions {
  version: string;
  /** Tells what it serves from what others serve; tells nothing of where that lies. */
  identity: string;
  /** Its name, for those who may know it. */
  folder: string;
  /** Answers all that is asked; closed with the application. */
  engine: Engine;
  /** Bytes of artifacts. */
  blobs: BlobSource;
  /** Takes what is changed on the page. */
  changes: ChangeLog;
  /**
   * Keeps the engine up to all journals until the signal, and reads all that is there once more before it resolves.
   * Without it somebody else does so.
   */
  follow?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** A unified patch between two snapshots' trees; '' where they are equal. */
  diff(from: CodeSide, to: CodeSide): Promise<string>;
  /** Who sent a request, where that is not whoever the server runs as. */
  personOf?: ((request: IncomingMessage) => Person) | undefined;
  /** Names of what `waddle push` can push to from here. */
  remotes?: (() => string[]) | undefined;
  /** Further routes, such as a collector's. */
  routes?: ((http: FastifyInstance) => void) | undefined;
  /** Bytes of a request's body, plain (default 32 MiB). */
  bodyLimit?: number | undefined;
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
