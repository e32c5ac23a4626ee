/** A project folder as a space: the client's own side, and each space of a collector that keeps files. */
import { join } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { isRunId } from '../events/ids.ts';
import type { Environment } from '../git/run-git.ts';
import { folderChangeTime, listRuns } from '../journal/discover.ts';
import { type Layout, runFolder } from '../journal/layout.ts';
import { readReceived } from '../journal/received.ts';
import { refusedPart, takeParts } from './call.ts';
import { FolderBlobs, projectName } from './folder-blobs.ts';
import { FolderJournals } from './folder-journals.ts';
import { readRemovals } from './folder-removals.ts';
import { FolderTrees } from './folder-trees.ts';
import { type NamedBlob, treesOf } from './journal-facts.ts';
import { presenceOf } from './presence.ts';
import { type FolderFacts, RunBook } from './run-book.ts';
import { runDigest } from './run-digest.ts';
import { codeOf, projectOf, summaryOf } from './run-summary.ts';
import {
  type BlobMark,
  type BlobPart,
  type Comparison,
  type JournalMark,
  type JournalPiece,
  type JournalWant,
  type ListedRun,
  type ListQuery,
  MAX_BODY_BYTES,
  type PackPart,
  type PartResult,
  type PieceResult,
  type ReadPiece,
  type Removal,
  type RunState,
  type Space,
} from './space.ts';
import { StateCache } from './state-cache.ts';
import type { WantedCode } from './tree-places.ts';

/** What a store knows of runs, for lists: a filter is put to it, not to journals. */
export interface Catalogue {
  /** A page of runs by id; those that are removed too. */
  list(query: ListQuery): Promise<{ runs: Omit<ListedRun, 'digest'>[]; next: string | null }>;
}

export interface FolderSpaceOptions {
  layout: Layout;
  /** Of the process: git is looked for with it. */
  env: Environment;
  /** The file of what was found out, on a local disk (default: `.waddle/cache/sync.sqlite`). */
  cacheFile?: string | undefined;
  /**
   * Of several projects whose members do not trust each other: bytes and code count for a project only where they were
   * shown in it, and no repository but Waddle's own, one for each project, is looked at.
   */
  isolated?: boolean | undefined;
  catalogue?: Catalogue | undefined;
  /** Greatest blob and pack that are taken, in bytes. */
  maxBlobBytes?: number | undefined;
  maxPackBytes?: number | undefined;
}

const MAX_PACK_BYTES = 4 * 1024 ** 3;
const PAGE = 1000;
const MAX_BASES = 50;

export class FolderSpace implements Space {
  readonly journals: FolderJournals;
  readonly #options: FolderSpaceOptions;
  readonly #layout: Layout;
  readonly #cache: StateCache;
  readonly #book: RunBook;
  readonly #blobs: FolderBlobs;
  readonly #trees = new Map<string, FolderTrees>();

  constructor(options: FolderSpaceOptions) {
    const { layout } = options;
    this.#options = options;
    this.#layout = layout;
    this.#cache = new StateCache(options.cacheFile ?? join(layout.root, 'cache', 'sync.sqlite'));
    this.#book = new RunBook(this.#cache);
    this.journals = new FolderJournals(layout, this.#book);
    this.#blobs = new FolderBlobs(layout, {
      isolated: options.isolated === true,
      maxBlobBytes: options.maxBlobBytes ?? Number.MAX_SAFE_INTEGER,
    });
  }

  /** The code store of a run's project. */
  #treesOf(project: string): FolderTrees {
    const isolated = this.#options.isolated === true;
    const key = isolated ? project : '';
    let trees = this.#trees.get(key);
    if (trees === undefined) {
      trees = new FolderTrees({
        layout: this.#layout,
        env: this.#options.env,
        privateDir: isolated ? isolatedGitDir(this.#layout, project) : this.#layout.privateGit,
        ownRepository: !isolated,
        maxPackBytes: this.#options.maxPackBytes ?? MAX_PACK_BYTES,
      });
      this.#trees.set(key, trees);
    }
    return trees;
  }

  /** Every run that has a folder here and is not removed. */
  runIds(): string[] {
    const removals = readRemovals(this.journals);
    return listRuns(this.#layout.runs)
      .filter((run) => !removals.has(run))
      .sort();
  }

  get env(): Environment {
    return this.#options.env;
  }

  /** The removals that are applied or told here, and the journals that tell of them. */
  removals(): { project: Map<string, JournalMark>; removals: Removal[] } {
    const removals = readRemovals(this.journals);
    return { project: removals.marks, removals: removals.of() };
  }

  /** The trees of a run's code with a git dir that holds each. */
  async codePlaces(run: string): Promise<Map<string, string>> {
    const facts = this.#facts(run);
    if (facts === null) return new Map();
    const { places } = this.#treesOf(projectOf(facts));
    return places.find(await places.ask([this.#codeOf(run, facts)]));
  }

  /** Digests of these runs; those that are not here are left out. One `stat` each where nothing has changed. */
  async digests(runs: readonly string[]): Promise<Map<string, string>> {
    const presence = this.#seen();
    const settled = presence === null ? new Map() : this.#cache.settledDigests(presence);
    const digests = new Map<string, string>();
    const open: string[] = [];
    for (const run of runs) {
      const known = settled.get(run);
      const same = known !== undefined && folderChangeTime(runFolder(this.#layout, run)) === known.folder;
      if (same) digests.set(run, known.digest);
      else open.push(run);
    }
    if (open.length > 0) {
      for (const [run, state] of await this.#states(open)) digests.set(run, runDigest(state));
    }
    return digests;
  }

  /** The state of blobs and pins; null where it is in motion. */
  #seen(): string | null {
    return presenceOf(this.#layout, this.#cache.note('git-dirs')?.split('\n').filter(Boolean) ?? []);
  }

  async compare(
    runs: ReadonlyMap<string, string>,
    project: ReadonlyMap<string, JournalMark>,
  ): Promise<Comparison> {
    const removals = readRemovals(this.journals);
    const ids = [...runs.keys()].filter(isRunId);
    const digests = await this.digests(ids);
    const projectMissing = [...project].filter(([writer, { length }]) => {
      return (removals.marks.get(writer)?.length ?? 0) < length;
    });
    return {
      differ: ids.filter((run) => digests.has(run) && digests.get(run) !== runs.get(run)),
      unknown: ids.filter((run) => !digests.has(run)),
      removed: ids.filter((run) => removals.has(run)),
      projectMissing: projectMissing.map(([writer]) => writer),
      removals: removals.of(ids),
    };
  }

  async list(query: ListQuery): Promise<{
    runs: ListedRun[];
    next: string | null;
    project: Map<string, JournalMark>;
    removals: Removal[];
  }> {
    const removals = readRemovals(this.journals);
    const { runs, next } = await (this.#options.catalogue?.list(query) ?? this.#listJournals(query));
    const digests = await this.digests(runs.map((run) => run.id));
    return {
      runs: runs.flatMap((run) => {
        const digest = digests.get(run.id);
        return digest === undefined ? [] : [{ ...run, digest, removed: removals.has(run.id) }];
      }),
      next,
      project: removals.marks,
      removals: removals.of(),
    };
  }

  #listJournals(query: ListQuery): { runs: Omit<ListedRun, 'digest'>[]; next: string | null } {
    if (query.filter !== undefined) {
      throw new WaddleError('filter-not-here', 'this space cannot filter', 'Ask without a filter.');
    }
    const limit = Math.min(query.limit ?? PAGE, PAGE);
    const runs: Omit<ListedRun, 'digest'>[] = [];
    const ids = listRuns(this.#layout.runs).sort();
    for (const id of ids) {
      if (query.after !== undefined && id <= query.after) continue;
      const facts = this.journals.run(id);
      if (facts === null) continue;
      const { last_at: lastAt, ...summary } = summaryOf(id, facts);
      if (query.project !== undefined && summary.project !== query.project) continue;
      const newest = Math.max(summary.started_at ?? 0, lastAt ?? 0);
      if (query.since !== undefined && newest < query.since) continue;
      if (runs.length === limit) return { runs, next: runs.at(-1)?.id ?? null };
      runs.push({ ...summary, removed: false });
    }
    return { runs, next: null };
  }

  async states(runs: readonly string[]): Promise<Map<string, RunState>> {
    return this.#states(runs.filter(isRunId));
  }

  async #states(runs: readonly string[]): Promise<Map<string, RunState>> {
    const looked: { run: string; project: string; facts: FolderFacts; code: WantedCode }[] = [];
    for (const run of runs) {
      const facts = this.journals.run(run);
      if (facts !== null)
        looked.push({ run, project: projectOf(facts), facts, code: this.#codeOf(run, facts) });
    }
    const stores = [];
    for (const [, group] of Map.groupBy(looked, ({ project }) => (this.#options.isolated ? project : ''))) {
      const wanted = group.map(({ code }) => code).filter(({ code }) => code.length > 0);
      if (wanted.length === 0) continue;
      const { places } = this.#treesOf(group[0]?.project ?? '');
      stores.push({ group, places, asked: await places.ask(wanted) });
    }
    this.#noteDirs(stores.flatMap(({ asked }) => [...asked.keys()]));
    const presence = this.#seen();
    const trees = new Map<string, string[]>();
    for (const { group, places, asked } of stores) {
      const found = await places.find(asked);
      for (const { run, code } of group) {
        trees.set(
          run,
          treesOf(code.code).filter((tree) => found.has(tree)),
        );
      }
    }
    const states = new Map<string, RunState>();
    for (const { run, project, facts } of looked) {
      states.set(run, {
        project,
        journals: new Map(
          [...facts.journals].map(([writer, { facts: known }]) => [
            writer,
            { length: known.length, root: known.root },
          ]),
        ),
        blobs: this.#blobs.stored(project, blobsOf(facts)),
        trees: trees.get(run) ?? [],
      });
    }
    // What came or went while it was looked for is seen the next time.
    const steady = presence !== null && presence === this.#seen();
    this.#cache.together(() => {
      for (const { run, project, facts } of looked) {
        const state = states.get(run);
        if (state === undefined) continue;
        if (facts.settled && steady) this.#book.remember(run, facts, presence, runDigest(state));
        const at = summaryOf(run, facts).started_at ?? 0;
        for (const tree of state.trees) this.#cache.noteTree(project, tree, at);
      }
    });
    return states;
  }

  /** Stores of code that were looked at: their refs are watched from now on. */
  #noteDirs(dirs: readonly string[]): void {
    const known = this.#cache.note('git-dirs') ?? '';
    const all = [...new Set([...known.split('\n').filter(Boolean), ...dirs])].sort().join('\n');
    if (all !== known) this.#cache.setNote('git-dirs', all);
  }

  /** Whether a journal of the run may grow. */
  isOpen(run: string): boolean {
    const journals = [...(this.#facts(run)?.journals.values() ?? [])];
    return journals.some(({ sealed, facts }) => !sealed && !facts.closed);
  }

  #codeOf(run: string, facts: FolderFacts): WantedCode {
    const received = readReceived(runFolder(this.#layout, run));
    // Others' edits of a run that was made here change nothing of that.
    const own = [...received].every((writer) => writer.startsWith('edits-'));
    return { code: codeOf(facts), own };
  }

  async writeJournals(pieces: readonly JournalPiece[]): Promise<PieceResult[]> {
    const removals = readRemovals(this.journals);
    return this.journals.write(pieces, ({ run }) =>
      run !== null && removals.has(run) ? { code: 'run-removed', message: 'the run was removed here' } : null,
    );
  }

  /** Does the work while nobody writes journals of the run. */
  exclusively(run: string, work: () => Promise<void>): Promise<void> {
    return this.journals.exclusively(run, work);
  }

  async readJournals(wants: readonly JournalWant[]): Promise<ReadPiece[]> {
    return this.journals.read(wants);
  }

  #facts(run: string): FolderFacts | null {
    return isRunId(run) ? this.journals.run(run) : null;
  }

  async missingBlobs(
    run: string,
    blobs: readonly BlobMark[],
  ): Promise<{ sha256: string; received: number }[]> {
    const facts = this.#facts(run);
    return this.#blobs.missing(facts === null ? '' : projectOf(facts), blobs);
  }

  async writeBlobs(parts: readonly BlobPart[]): Promise<PartResult[]> {
    const facts = new Map<string, FolderFacts | null>();
    const named = new Map<string, ReturnType<FolderBlobs['named']>>();
    return takeParts(parts, async (part) => {
      const { run } = part;
      if (!facts.has(run)) facts.set(run, this.#facts(run));
      const known = facts.get(run) ?? null;
      const project = known === null ? '' : projectOf(known);
      let sizes = named.get(run);
      if (sizes?.get(part.sha256) === undefined) {
        // A manifest of this very call may have come to name it.
        sizes = this.#blobs.named(project, known === null ? [] : blobsOf(known));
        named.set(run, sizes);
      }
      return this.#blobs.write(project, sizes, part);
    });
  }

  async readBlob(run: string, sha256: string, offset: number): Promise<Uint8Array | null> {
    const facts = this.#facts(run);
    if (facts === null) return null;
    const project = projectOf(facts);
    if (!this.#blobs.named(project, blobsOf(facts)).has(sha256)) return null;
    return this.#blobs.read(project, sha256, offset);
  }

  async missingTrees(run: string, trees: readonly string[]): Promise<{ missing: string[]; bases: string[] }> {
    const facts = this.#facts(run);
    if (facts === null) return { missing: [...trees], bases: [] };
    const project = projectOf(facts);
    const missing = await this.#treesOf(project).missing(this.#codeOf(run, facts), trees);
    return { missing, bases: this.#cache.newestTrees(project, MAX_BASES) };
  }

  async writeTrees(parts: readonly PackPart[]): Promise<PartResult[]> {
    return takeParts(parts, async (part) => {
      const facts = this.#facts(part.run);
      const code = facts === null ? null : this.#codeOf(part.run, facts);
      if (facts === null || code === null || !treesOf(code.code).includes(part.tree)) {
        return refusedPart('tree-not-named', 'the run has no such tree');
      }
      const project = projectOf(facts);
      const result = await this.#treesOf(project).write(part);
      if (result.stored) this.#cache.noteTree(project, part.tree, Date.now() / 1000);
      return result;
    });
  }

  async readTrees(
    run: string,
    trees: readonly string[],
    have: readonly string[],
    from: ReadonlyMap<string, number>,
  ): Promise<PackPart[]> {
    const facts = this.#facts(run);
    if (facts === null) return [];
    const code = this.#codeOf(run, facts);
    const named = treesOf(code.code);
    const store = this.#treesOf(projectOf(facts));
    const parts: PackPart[] = [];
    const known = [...have];
    let room = MAX_BODY_BYTES;
    for (const tree of trees) {
      if (!named.includes(tree) || room === 0) continue;
      const part = await store.read(run, code, tree, known, from.get(tree) ?? 0, room);
      if (part === null) continue;
      parts.push(part);
      room -= part.bytes.length;
      if (part.offset + part.bytes.length < part.size) break;
      known.push(tree);
    }
    return parts;
  }

  async close(): Promise<void> {
    this.#cache.close();
  }
}

/** Where a collector keeps the code of a project. */
export function isolatedGitDir(layout: Layout, project: string): string {
  return join(layout.privateGit, 'projects', projectName(project));
}

function blobsOf(facts: FolderFacts): NamedBlob[] {
  return [...facts.journals.values()].flatMap((entry) => entry.facts.blobs);
}
