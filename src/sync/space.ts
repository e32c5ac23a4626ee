/**
 * A space: runs with their journals, blobs and code, as sync sees them (docs/remote.md). A project folder is one, a
 * collector's is one behind HTTP, a folder on a shared disk is one, and PostgreSQL with S3 holds many. Push and pull copy
 * what one space has and another lacks; they know no more of either than this.
 *
 * Everything that is written is idempotent: told twice, or by two sides at once, it is there once. What a call has
 * resolved to is durable.
 */

import type { DirectBlobs } from './direct-blobs.ts';

/** Plain bytes of whole lines, and the root of them (docs/remote.md): SHA-256, in hex, over the hashes of 1 MiB blocks. */
export interface JournalMark {
  length: number;
  root: string;
}

export interface BlobMark {
  sha256: string;
  /** Bytes. */
  size: number;
}

/** All that a space has of one run. */
export interface RunState {
  project: string;
  /** By writer. */
  journals: Map<string, JournalMark>;
  /** Blobs that are stored: of artifacts, of folder artifacts their manifests and files. */
  blobs: BlobMark[];
  /** Trees of its code that are stored: the snapshot's, and those of nested repositories. */
  trees: string[];
}

/** A run in a list. */
export interface ListedRun {
  id: string;
  /** Of its state (see `runDigest`): equal digests, nothing to move. */
  digest: string;
  project: string;
  name: string;
  status: string;
  user: string | null;
  /** Epoch seconds. */
  started_at: number | null;
  removed: boolean;
}

export interface ListQuery {
  project?: string | undefined;
  /** Epoch seconds: runs that started, or had an event, since then. */
  since?: number | undefined;
  /** The filter language. */
  filter?: string | undefined;
  /** Id of the last run of the page before. */
  after?: string | undefined;
  limit?: number | undefined;
}

/** Somebody removed a run. `applied`: it is removed in this space too; else it is only told. */
export interface Removal {
  run: string;
  /** User and host that removed it, as far as known. */
  by: string | null;
  /** Epoch seconds. */
  at: number;
  applied: boolean;
}

/** What a space answers to the digests of another. */
export interface Comparison {
  /** Runs that it has in another state. */
  differ: string[];
  /** Runs that it has nothing of. */
  unknown: string[];
  /** Runs of the question that are removed here. */
  removed: string[];
  /** Project journals that it lacks or has shorter. */
  projectMissing: string[];
  /** Every removal that it knows of, applied or told, of runs in the question. */
  removals: Removal[];
}

/** A piece of a journal; `run` null is a project journal, which travels only where it holds nothing but removals. */
export interface JournalPiece {
  run: string | null;
  writer: string;
  /** Plain bytes before it. */
  offset: number;
  /** Root of what comes before it. */
  before: string;
  /** Root with it. */
  root: string;
  /** Whole lines. */
  bytes: Uint8Array;
  /** Places in them, by pairs, outside of which there are only metrics' lines: where this side has found that out itself. */
  others?: readonly number[] | undefined;
  /** Of a project journal: its removals take effect in that space, and are not only told. */
  apply?: boolean | undefined;
}

export type PieceCode =
  | 'journal-offset'
  | 'journal-diverged'
  | 'journal-invalid'
  | 'hash-mismatch'
  | 'project-denied'
  | 'quota-exceeded'
  | 'run-removed';

/** What became of a piece. `length` and `root` are what the space has now; where it is not ok, from there it may go on. */
export type PieceResult = { run: string | null; writer: string } & JournalMark &
  ({ ok: true } | { ok: false; code: PieceCode; message: string });

export interface JournalWant {
  run: string | null;
  writer: string;
  offset: number;
}

/** A piece as it is read. `length` and `root` are of the whole journal as of the reading. */
export interface ReadPiece extends JournalMark {
  run: string | null;
  writer: string;
  offset: number;
  /** Root of what comes before it, and with it: whoever takes it can tell that it fits without having all of it. */
  before: string;
  after: string;
  /** Whole lines; none where the next line alone is longer than a call may carry. */
  bytes: Uint8Array;
  /** As of a `JournalPiece`. */
  others?: readonly number[] | undefined;
}

export interface BlobPart extends BlobMark {
  run: string;
  offset: number;
  bytes: Uint8Array;
}

export interface PackPart {
  run: string;
  tree: string;
  /** The tree that the pack's deltas stand on; null where it stands by itself. */
  base: string | null;
  format: 'sha1' | 'sha256';
  /** Bytes of the whole pack. */
  size: number;
  offset: number;
  bytes: Uint8Array;
}

export type PartCode =
  | 'blob-not-named'
  | 'tree-not-named'
  | 'hash-mismatch'
  | 'pack-invalid'
  | 'pack-base-missing'
  | 'part-offset'
  | 'project-denied'
  | 'quota-exceeded';

/** What became of a part. `received`: bytes that are there, from where it goes on; `stored`: it is whole and checked. */
export type PartResult = { received: number; stored: boolean } & (
  | { ok: true }
  | { ok: false; code: PartCode; message: string }
);

/** Greatest plain bytes of one call's pieces, or of one part: memory on both sides is bounded by it. */
export const MAX_BODY_BYTES = 8 * 1024 * 1024;
/** Greatest number of pieces in one call. */
export const MAX_PIECES = 4096;

/** Pieces that are ready to go. */
export interface PackedJournals {
  /** `sent` resolves once they have left this process, or cannot. */
  send(): { sent: Promise<void>; results: Promise<PieceResult[]> };
}

export interface Space {
  /** What differs from these digests (by run id) and project journals. */
  compare(runs: ReadonlyMap<string, string>, project: ReadonlyMap<string, JournalMark>): Promise<Comparison>;
  /** A page of its runs by id, and its project journals that hold removals. `next` is null on the last page. */
  list(query: ListQuery): Promise<{
    runs: ListedRun[];
    next: string | null;
    project: Map<string, JournalMark>;
    removals: Removal[];
  }>;
  /** Runs that it does not have are left out. */
  states(runs: readonly string[]): Promise<Map<string, RunState>>;

  /** In order; at most MAX_PIECES and MAX_BODY_BYTES. One piece that is refused holds up no other. */
  writeJournals(pieces: readonly JournalPiece[]): Promise<PieceResult[]>;
  /** As `writeJournals`, where making pieces ready is work of its own, which can be done while others are on their way. */
  packJournals?(pieces: readonly JournalPiece[]): Promise<PackedJournals>;
  /** As many pieces as fit MAX_BODY_BYTES, in the order of the wants; ask again for what is missing. */
  readJournals(wants: readonly JournalWant[]): Promise<ReadPiece[]>;

  /** Of these blobs of a run, those that it lacks, with the bytes that an unfinished upload has brought. */
  missingBlobs(run: string, blobs: readonly BlobMark[]): Promise<{ sha256: string; received: number }[]>;
  writeBlobs(parts: readonly BlobPart[]): Promise<PartResult[]>;
  /** Bytes of a blob of the run from an offset on: at most MAX_BODY_BYTES. Null where it has none. */
  readBlob(run: string, sha256: string, offset: number): Promise<Uint8Array | null>;

  /** Of these trees of a run, those that it lacks, and trees of the project that it has, the newest first, at most 50. */
  missingTrees(run: string, trees: readonly string[]): Promise<{ missing: string[]; bases: string[] }>;
  /** Notes which of these trees a run has, of those that are there: only where journals are not read for it. */
  nameTrees?(run: string, trees: readonly string[]): Promise<void>;
  /** Parts of packs (docs/remote.md: no history, a carrier commit for each tree); checked and pinned when whole. */
  writeTrees(parts: readonly PackPart[]): Promise<PartResult[]>;
  /**
   * Packs that bring these trees to whoever has `have`, in an order in which each one's base comes before it; of each the
   * bytes from its offset in `from` on, at most MAX_BODY_BYTES in all.
   */
  readTrees(
    run: string,
    trees: readonly string[],
    have: readonly string[],
    from: ReadonlyMap<string, number>,
  ): Promise<PackPart[]>;

  /** Where blobs may go past the space itself. */
  readonly direct?: DirectBlobs | null;

  close(): Promise<void>;
}
