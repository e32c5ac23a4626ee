/**
 * A remote as whoever writes to it again and again sees it: what it acknowledged is remembered, and not asked for the next
 * time. Its memory may be wrong, where others write the same runs: then a piece is refused, or what is there already is sent
 * again, and both are harmless. What it forgets, it asks for.
 */
import type { DirectBlobs } from './direct-blobs.ts';
import { runDigest } from './run-digest.ts';
import type {
  BlobMark,
  BlobPart,
  Comparison,
  JournalMark,
  JournalPiece,
  JournalWant,
  ListQuery,
  PackedJournals,
  PackPart,
  PieceResult,
  RunState,
  Space,
} from './space.ts';

/** After so long all is asked for once: somebody may have removed a run, or brought something. Milliseconds. */
const MEMORY_MS = 60_000;

export class RememberedSpace implements Space {
  readonly #inner: Space;
  readonly #now: () => number;
  readonly #states = new Map<string, RunState>();
  /** Marks of the project journals that the remote was told of last, as text. */
  #project = '';
  #askedAt = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds, of a clock that only goes forward */
  constructor(inner: Space, now: () => number = () => performance.now()) {
    this.#inner = inner;
    this.#now = now;
  }

  async compare(
    runs: ReadonlyMap<string, string>,
    project: ReadonlyMap<string, JournalMark>,
  ): Promise<Comparison> {
    const told = JSON.stringify([...project]);
    const fresh = this.#now() - this.#askedAt < MEMORY_MS && told === this.#project;
    if (fresh && [...runs.keys()].every((run) => this.#states.has(run))) {
      const differ = [...runs].filter(([run, digest]) => this.#digest(run) !== digest).map(([run]) => run);
      return { differ, unknown: [], removed: [], projectMissing: [], removals: [] };
    }
    this.#states.clear();
    const comparison = await this.#inner.compare(runs, project);
    this.#askedAt = this.#now();
    // What it lacks of the project is about to be sent, and asked about until it is there.
    this.#project = comparison.projectMissing.length === 0 ? told : '';
    return comparison;
  }

  #digest(run: string): string | undefined {
    const state = this.#states.get(run);
    return state === undefined ? undefined : runDigest(state);
  }

  async states(runs: readonly string[]): Promise<Map<string, RunState>> {
    const unknown = runs.filter((run) => !this.#states.has(run));
    const asked = unknown.length === 0 ? new Map<string, RunState>() : await this.#inner.states(unknown);
    for (const [run, state] of asked) this.#states.set(run, state);
    return new Map(
      runs.flatMap((run): [string, RunState][] => {
        const state = this.#states.get(run);
        return state === undefined ? [] : [[run, { ...state, journals: new Map(state.journals) }]];
      }),
    );
  }

  async writeJournals(pieces: readonly JournalPiece[]): Promise<PieceResult[]> {
    return this.#note(await this.#try(() => this.#inner.writeJournals(pieces)));
  }

  async packJournals(pieces: readonly JournalPiece[]): Promise<PackedJournals> {
    const packed = await this.#inner.packJournals?.(pieces);
    if (packed === undefined)
      return { send: () => ({ sent: Promise.resolve(), results: this.writeJournals(pieces) }) };
    return {
      send: () => {
        const { sent, results } = packed.send();
        return { sent, results: this.#try(() => results).then((all) => this.#note(all)) };
      },
    };
  }

  #note(results: PieceResult[]): PieceResult[] {
    for (const { run, writer, length, root, ok } of results) {
      if (run === null) continue;
      if (ok) this.#states.get(run)?.journals.set(writer, { length, root });
      else this.#states.delete(run);
    }
    return results;
  }

  /** Of what failed nobody knows what came of it. */
  async #try<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      this.#states.clear();
      throw error;
    }
  }

  #forgetting<T>(runs: Iterable<string>, work: Promise<T>): Promise<T> {
    return work.finally(() => {
      for (const run of runs) this.#states.delete(run);
    });
  }

  list(query: ListQuery) {
    return this.#inner.list(query);
  }

  readJournals(wants: readonly JournalWant[]) {
    return this.#inner.readJournals(wants);
  }

  missingBlobs(run: string, blobs: readonly BlobMark[]) {
    return this.#forgetting([run], this.#inner.missingBlobs(run, blobs));
  }

  writeBlobs(parts: readonly BlobPart[]) {
    return this.#forgetting(new Set(parts.map(({ run }) => run)), this.#inner.writeBlobs(parts));
  }

  readBlob(run: string, sha256: string, offset: number) {
    return this.#inner.readBlob(run, sha256, offset);
  }

  missingTrees(run: string, trees: readonly string[]) {
    return this.#forgetting([run], this.#inner.missingTrees(run, trees));
  }

  writeTrees(parts: readonly PackPart[]) {
    return this.#forgetting(new Set(parts.map(({ run }) => run)), this.#inner.writeTrees(parts));
  }

  readTrees(...asked: Parameters<Space['readTrees']>) {
    return this.#inner.readTrees(...asked);
  }

  /** What goes past the space was asked about before, so that its run is forgotten. */
  get direct(): DirectBlobs | null {
    return this.#inner.direct ?? null;
  }

  close(): Promise<void> {
    return this.#inner.close();
  }
}
