import { WaddleError } from '../errors/waddle-error.ts';
import { rootOf } from '../journal/root.ts';
import type { DirectBlobs } from '../sync/direct-blobs.ts';
import type {
  BlobPart,
  Comparison,
  JournalMark,
  JournalPiece,
  JournalWant,
  ListQuery,
  PackPart,
  PartResult,
  PieceResult,
  Removal,
  Space,
} from '../sync/space.ts';
import type { SpaceHome } from './backend.ts';
import { projectsIn, removedRuns } from './piece-lines.ts';

/** The label of runs that say none. */
const DEFAULT_PROJECT = 'default';
/** Root of a journal of which nothing is told. */
const EMPTY_ROOT = rootOf([]);

type Home = Pick<SpaceHome, 'space' | 'projectsOf'>;

/**
 * The runs of one project of a space. Whatever the space is made of, nothing of another project passes here: knowing the id of a
 * run, a SHA-256 or a tree is no right to it.
 */
export class ProjectSpace implements Space {
  readonly #home: Home;
  readonly #inner: Space;
  readonly #project: string;

  constructor(home: Home, project: string) {
    this.#home = home;
    this.#inner = home.space;
    this.#project = project;
  }

  async compare(
    runs: ReadonlyMap<string, string>,
    project: ReadonlyMap<string, JournalMark>,
  ): Promise<Comparison> {
    const projects = await this.#home.projectsOf([...runs.keys()]);
    const own = new Map([...runs].filter(([run]) => projects.get(run) === this.#project));
    // What is of another project is as unknown as what is not there at all.
    const unknown = [...runs.keys()].filter((run) => !own.has(run));
    const comparison = await this.#inner.compare(own, new Map());
    return {
      ...comparison,
      unknown: [...comparison.unknown, ...unknown],
      projectMissing: await this.#missingRemovals(project),
    };
  }

  async list(query: ListQuery) {
    const nothing = query.project !== undefined && query.project !== this.#project;
    if (nothing) return { runs: [], next: null, project: new Map<string, JournalMark>(), removals: [] };
    const page = await this.#inner.list({ ...query, project: this.#project });
    return {
      runs: page.runs.filter((run) => run.project === this.#project),
      next: page.next,
      project: new Map(await this.#ownRemovals(page.project)),
      removals: await this.#own(page.removals, (removal: Removal) => removal.run),
    };
  }

  async states(runs: readonly string[]) {
    return this.#inner.states(await this.#own(runs, (run) => run));
  }

  async writeJournals(pieces: readonly JournalPiece[]): Promise<PieceResult[]> {
    const runs = [...new Set(pieces.flatMap(({ run }) => run ?? []))];
    const known = await this.#home.projectsOf(runs);
    const results: PieceResult[] = [];
    const verdicts = pieces.map((piece) => this.#verdict(piece, pieces, known));
    const passed = pieces.filter((_, index) => verdicts[index]);
    const written = passed.length === 0 ? [] : await this.#inner.writeJournals(passed);
    let next = 0;
    for (const [index, { run, writer }] of pieces.entries()) {
      const result = verdicts[index] ? written[next++] : undefined;
      results.push(
        result ?? {
          run,
          writer,
          length: 0,
          root: EMPTY_ROOT,
          ok: false,
          code: 'project-denied',
          message: `this token writes runs of the project ${this.#project} only`,
        },
      );
    }
    return results;
  }

  /** A run begins with the piece that says its project; from then on no line may say another. */
  #verdict(piece: JournalPiece, all: readonly JournalPiece[], known: ReadonlyMap<string, string>): boolean {
    if (piece.run === null) {
      const removed = removedRuns(piece.bytes);
      return removed?.every((run) => known.get(run) === this.#project || this.#begins(run, all)) === true;
    }
    const there = known.get(piece.run);
    const said = projectsIn(piece);
    if (there !== undefined) {
      return there === this.#project && said.every((each) => each === null || each === this.#project);
    }
    return this.#begins(piece.run, all) && said.every((each) => each === null || each === this.#project);
  }

  #begins(run: string, all: readonly JournalPiece[]): boolean {
    const said = all.filter((piece) => piece.run === run).flatMap((piece) => projectsIn(piece));
    if (said.length === 0) return false;
    return (said.find((each) => each !== null) ?? DEFAULT_PROJECT) === this.#project;
  }

  async readJournals(wants: readonly JournalWant[]) {
    const runs = [...new Set(wants.flatMap(({ run }) => run ?? []))];
    const projects = await this.#home.projectsOf(runs);
    const own: JournalWant[] = [];
    for (const want of wants) {
      if (
        want.run === null ? await this.#ownsRemovals(want.writer) : projects.get(want.run) === this.#project
      )
        own.push(want);
    }
    return this.#inner.readJournals(own);
  }

  async missingBlobs(run: string, blobs: Parameters<Space['missingBlobs']>[1]) {
    await this.#need(run);
    return this.#inner.missingBlobs(run, blobs);
  }

  async writeBlobs(parts: readonly BlobPart[]): Promise<PartResult[]> {
    return this.#parts(parts, (own) => this.#inner.writeBlobs(own));
  }

  async readBlob(run: string, sha256: string, offset: number) {
    if ((await this.#own([run], (each) => each)).length === 0) return null;
    return this.#inner.readBlob(run, sha256, offset);
  }

  async missingTrees(run: string, trees: readonly string[]) {
    await this.#need(run);
    return this.#inner.missingTrees(run, trees);
  }

  async writeTrees(parts: readonly PackPart[]): Promise<PartResult[]> {
    return this.#parts(parts, (own) => this.#inner.writeTrees(own));
  }

  async readTrees(...asked: Parameters<Space['readTrees']>) {
    await this.#need(asked[0]);
    return this.#inner.readTrees(...asked);
  }

  get direct(): DirectBlobs | null {
    const { direct } = this.#inner;
    if (!direct) return null;
    return {
      address: async (run, sha256) =>
        (await this.#own([run], (each) => each)).length === 0 ? null : direct.address(run, sha256),
      begin: async (run, blob) => {
        await this.#need(run);
        return direct.begin(run, blob);
      },
      part: async (run, ...asked) => {
        await this.#need(run);
        return direct.part(run, ...asked);
      },
      finish: async (run, upload) => {
        await this.#need(run);
        return direct.finish(run, upload);
      },
      drop: async (run, upload) => {
        await this.#need(run);
        return direct.drop(run, upload);
      },
    };
  }

  /** It is not this one's to close. */
  async close(): Promise<void> {}

  async #own<T>(items: readonly T[], runOf: (item: T) => string): Promise<T[]> {
    const projects = await this.#home.projectsOf([...new Set(items.map(runOf))]);
    return items.filter((item) => projects.get(runOf(item)) === this.#project);
  }

  async #need(run: string): Promise<void> {
    if ((await this.#own([run], (each) => each)).length > 0) return;
    throw new WaddleError('run-not-found', `there is no run ${run}`, 'Send its journals first.');
  }

  async #parts<T extends BlobPart | PackPart>(
    parts: readonly T[],
    write: (own: readonly T[]) => Promise<PartResult[]>,
  ): Promise<PartResult[]> {
    const own = new Set(await this.#own(parts, (part) => part.run));
    const written = own.size === 0 ? [] : await write(parts.filter((part) => own.has(part)));
    let next = 0;
    return parts.map((part) => {
      const result = own.has(part) ? written[next++] : undefined;
      return (
        result ?? {
          received: 0,
          stored: false,
          ok: false,
          code: 'project-denied',
          message: `this token writes runs of the project ${this.#project} only`,
        }
      );
    });
  }

  /** Of the journals of removals that the asker has, those that are lacking here and that it may write. */
  async #missingRemovals(project: ReadonlyMap<string, JournalMark>): Promise<string[]> {
    if (project.size === 0) return [];
    return (await this.#inner.compare(new Map(), project)).projectMissing;
  }

  async #ownRemovals(marks: ReadonlyMap<string, JournalMark>): Promise<[string, JournalMark][]> {
    const own: [string, JournalMark][] = [];
    for (const entry of marks) if (await this.#ownsRemovals(entry[0])) own.push(entry);
    return own;
  }

  /** A journal of removals is shown where every run in it is of the project. */
  async #ownsRemovals(writer: string): Promise<boolean> {
    const runs: string[] = [];
    for (let offset = 0; ; ) {
      const [piece] = await this.#inner.readJournals([{ run: null, writer, offset }]);
      if (piece === undefined || piece.bytes.length === 0) break;
      const removed = removedRuns(piece.bytes);
      if (removed === null) return false;
      runs.push(...removed);
      offset += piece.bytes.length;
      if (offset >= piece.length) break;
    }
    return (
      runs.length > 0 && (await this.#own([...new Set(runs)], (run) => run)).length === new Set(runs).size
    );
  }
}
