/**
 * Copying what one space has and another lacks: journals first, so that edits and metrics are seen at once, then blobs, then
 * code. Nothing is overwritten; whatever is cut off is gone on with by the next call. Memory is a few bodies.
 */
import { sendBlobs } from './send-blobs.ts';
import { sendJournals } from './send-journals.ts';
import { sendTrees } from './send-trees.ts';
import type { PartCode, PieceCode, RunState, Space } from './space.ts';

export interface TransferOptions {
  from: Space;
  to: Space;
  /** Runs to bring into step; those that `from` lacks are passed over. */
  runs: readonly string[];
  /** Of these runs no more than that: `from` may have come to have more. */
  states?: ReadonlyMap<string, RunState> | undefined;
  /** Project journals to bring over. */
  project?: readonly string[] | undefined;
  /** Removals take effect there. */
  apply?: boolean | undefined;
  /** Default true. */
  artifacts?: boolean | undefined;
  code?: boolean | undefined;
  onProgress?: ((progress: TransferProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface TransferProgress {
  phase: 'journals' | 'artifacts' | 'code';
  /** Plain bytes that went over, and that are to go over in all as far as is known. */
  bytes: number;
  totalBytes: number;
}

/** Something that did not come over, and why; the rest did. */
export interface TransferProblem {
  /** Null where it is the project's. */
  run: string | null;
  /** The journal, the blob's SHA-256 or the tree. */
  what: string;
  code: PieceCode | PartCode | 'line-too-long' | 'blob-missing' | 'tree-missing' | 'code-failed';
  message: string;
}

/** What moved. Bytes are plain, those of packs as packed. */
export interface TransferReport {
  runs: Set<string>;
  journals: { pieces: number; bytes: number };
  blobs: { count: number; bytes: number };
  trees: { count: number; bytes: number };
  problems: TransferProblem[];
}

/** Runs whose states are held at a time. */
const RUNS_AT_ONCE = 200;

export class Tally {
  readonly report: TransferReport = {
    runs: new Set(),
    journals: { pieces: 0, bytes: 0 },
    blobs: { count: 0, bytes: 0 },
    trees: { count: 0, bytes: 0 },
    problems: [],
  };
  readonly options: TransferOptions;
  #phase: TransferProgress['phase'] = 'journals';
  #bytes = 0;
  #total = 0;

  constructor(options: TransferOptions) {
    this.options = options;
  }

  /** A phase begins, of about so many bytes more. */
  begin(phase: TransferProgress['phase'], bytes: number): void {
    this.#phase = phase;
    this.#total += bytes;
    this.moved(0);
  }

  moved(bytes: number): void {
    this.#bytes += bytes;
    const totalBytes = Math.max(this.#total, this.#bytes);
    this.options.onProgress?.({ phase: this.#phase, bytes: this.#bytes, totalBytes });
    this.options.signal?.throwIfAborted();
  }

  problem(problem: TransferProblem): void {
    const same = this.report.problems.some((each) => each.what === problem.what && each.run === problem.run);
    if (!same) this.report.problems.push(problem);
  }
}

/**
 * Brings `to` up to what `from` has of these runs. Safe to call again, beside others, and beside a running job.
 * @throws whatever the spaces throw (no connection, a full disk): what came over until then is kept
 */
export async function transfer(options: TransferOptions): Promise<TransferReport> {
  const { from, to, runs, signal } = options;
  const tally = new Tally(options);
  if (options.project !== undefined && options.project.length > 0) {
    await sendJournals(tally, null, options.project);
  }
  for (let at = 0; at < runs.length; at += RUNS_AT_ONCE) {
    signal?.throwIfAborted();
    const batch = runs.slice(at, at + RUNS_AT_ONCE);
    const [here, there] = await Promise.all([from.states(batch), to.states(batch)]);
    const pairs = batch.flatMap((run): RunPair[] => {
      const source = options.states?.get(run) ?? here.get(run);
      return source === undefined ? [] : [{ run, source, target: there.get(run) ?? null }];
    });
    const refused = await sendJournals(tally, pairs, []);
    const taken = pairs.filter(({ run }) => !refused.has(run));
    if (options.artifacts !== false) await sendBlobs(tally, taken);
    if (options.code !== false) await sendTrees(tally, taken);
  }
  return tally.report;
}

/** A run as both sides have it. */
export interface RunPair {
  run: string;
  source: RunState;
  /** Null where the other side has nothing of it. */
  target: RunState | null;
}
