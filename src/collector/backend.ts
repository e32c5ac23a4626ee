/** What a collector asks of the place where its spaces are kept. */
import type { PackedPiece, UnpackedPiece } from '../protocol/piece-frames.ts';
import type { App } from '../server/app.ts';
import type { Space } from '../sync/space.ts';
import type { Registry } from './registry.ts';

/** What a space, or one project of it, holds. */
export interface Usage {
  /** Of journals (plain), blobs and packs; of one project without packs, which projects share. */
  bytes: number;
  samples: number;
}

/** One space that is open. */
export interface SpaceHome {
  readonly name: string;
  readonly space: Space;
  /** Of the runs that are here, each one's project. */
  projectsOf(runs: readonly string[]): Promise<Map<string, string>>;
  usage(project: string | null): Promise<Usage>;
  /** The texts of pieces that came, of `most` bytes together. @throws WaddleError `columns-invalid` */
  unpack(pieces: PackedPiece[], most: number): Promise<UnpackedPiece[]>;
  /** The application over all of the space, or over one project of it; built when first asked for. */
  app(project: string | null): Promise<App>;
  /** Live clients, in all of its applications. */
  live(): number;
  close(): Promise<void>;
}

/** What its routes need of it. */
export type OpenHome = Pick<SpaceHome, 'name' | 'space' | 'projectsOf' | 'usage' | 'unpack'>;

export interface Backend {
  readonly registry: Registry;
  open(name: string, doors: Doors): Promise<SpaceHome>;
  /** Rejects where it cannot serve now. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** What a space is given by the collector that opens it. */
export interface Doors {
  /** The further routes of an application of the space. */
  routes(home: OpenHome, project: string | null): (http: App['http']) => void;
  /** Whether something large is on its way in: what can wait should. */
  busy(): boolean;
}
