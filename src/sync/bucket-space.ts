/** A folder on a shared disk, the target of an rsync, or a mounted bucket, as a space: objects and no server (docs/remote.md). */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isSha256 } from '../blobs/blob-store.ts';
import { FolderObjects } from '../blobs/folder-objects.ts';
import type { ObjectStore } from '../blobs/object-store.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { isRunId } from '../events/ids.ts';
import type { Environment } from '../git/run-git.ts';
import type { Layout } from '../journal/layout.ts';
import { BucketJournals } from './bucket-journals.ts';
import {
  type BucketRun,
  longestChain,
  markOf,
  noteKey,
  projectKey,
  readSegment,
  type Segment,
} from './bucket-keys.ts';
import { BucketTrees } from './bucket-trees.ts';
import { checkCall, refusedPart, refusedPiece, takeParts } from './call.ts';
import { readRemovals } from './folder-removals.ts';
import { extendFacts, NO_FACTS } from './journal-facts.ts';
import { JournalHasher } from './journal-hash.ts';
import { PartialFile } from './partial-file.ts';
import { runDigest } from './run-digest.ts';
import { projectOf, type RunSummary, summaryOf } from './run-summary.ts';
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
  MAX_PIECES,
  type PackPart,
  type PartResult,
  type PieceResult,
  type ReadPiece,
  type RunState,
  type Space,
} from './space.ts';
import { StateCache } from './state-cache.ts';

const MARKER = 'waddle-remote.json';
const FORMAT = 1;
const PAGE = 1000;

/** @throws WaddleError where the folder is not there, or is something else */
export async function openFolderRemote(options: {
  folder: string;
  env: Environment;
  layout: Layout;
}): Promise<BucketSpace> {
  const { folder, env, layout } = options;
  if (!existsSync(folder)) {
    throw new WaddleError(
      'remote-not-there',
      `there is no folder ${folder}`,
      'Make it, or mount what it lies on; Waddle makes none, since an unmounted disk looks the same.',
    );
  }
  const objects = new FolderObjects(folder);
  const known = await objects.get(MARKER);
  if (known !== null) checkMarker(folder, known);
  const name = createHash('sha256').update(folder).digest('hex').slice(0, 16);
  return new BucketSpace({ objects, env, scratch: join(layout.root, 'cache', 'remotes', name) });
}

function checkMarker(folder: string, content: Uint8Array): void {
  let format: unknown;
  try {
    format = (JSON.parse(Buffer.from(content).toString()) as { format?: unknown }).format;
  } catch {
    // Told below.
  }
  if (format === FORMAT) return;
  throw new WaddleError(
    'remote-version',
    `${folder} is a remote of another version of Waddle`,
    'Update Waddle, or name another folder.',
  );
}

export class BucketSpace implements Space {
  readonly #objects: ObjectStore;
  readonly #journals: BucketJournals;
  readonly #trees: BucketTrees;
  readonly #scratch: string;
  readonly #cache: StateCache;

  /** @param options.scratch a folder of this machine's own: unfinished uploads, and what can be found out again */
  constructor(options: { objects: ObjectStore; env: Environment; scratch: string }) {
    const { objects, env, scratch } = options;
    this.#objects = objects;
    this.#scratch = scratch;
    this.#journals = new BucketJournals(objects);
    this.#trees = new BucketTrees(objects, scratch, env);
    this.#cache = new StateCache(join(scratch, 'state.sqlite'));
  }

  async #look(prefix: string): Promise<Map<string, BucketRun>> {
    const runs = new Map<string, BucketRun>();
    for await (const { key } of this.#objects.list(prefix)) noteKey(runs, key);
    return runs;
  }

  async #run(run: string): Promise<BucketRun | undefined> {
    return isRunId(run) ? (await this.#look(`runs/${run}/`)).get(run) : undefined;
  }

  async #removals() {
    const read = async (folder: string) => {
      const journals = new Map<string, Segment[]>();
      for await (const { key } of this.#objects.list(`${folder}/`)) {
        const segment = readSegment(key);
        const writer = key.split('/')[1] ?? '';
        if (segment !== null) journals.set(writer, [...(journals.get(writer) ?? []), segment]);
      }
      return this.#journals.folder(journals);
    };
    const [applied, announced] = [await read('project'), await read('announced')];
    return readRemovals({ project: (kind) => (kind === 'applied' ? applied : announced) });
  }

  async compare(
    runs: ReadonlyMap<string, string>,
    project: ReadonlyMap<string, JournalMark>,
  ): Promise<Comparison> {
    const [known, removals] = [await this.#look('runs/'), await this.#removals()];
    const digests = new Map([...known].map(([run, state]) => [run, runDigest(stateOf(state))]));
    const ids = [...runs.keys()];
    return {
      differ: ids.filter((run) => digests.has(run) && digests.get(run) !== runs.get(run)),
      unknown: ids.filter((run) => !digests.has(run)),
      removed: ids.filter((run) => removals.has(run)),
      projectMissing: [...project]
        .filter(([writer, { length }]) => (removals.marks.get(writer)?.length ?? 0) < length)
        .map(([writer]) => writer),
      removals: removals.of(ids),
    };
  }

  async list(query: ListQuery) {
    if (query.filter !== undefined) {
      throw new WaddleError(
        'filter-not-here',
        'a shared folder has no database that could filter',
        'Name runs, a project (--project) or a time (--since); waddle ls --filter filters what is here.',
      );
    }
    const [known, removals] = [await this.#look('runs/'), await this.#removals()];
    const limit = Math.min(query.limit ?? PAGE, PAGE);
    const runs: ListedRun[] = [];
    let next: string | null = null;
    for (const id of [...known.keys()].sort()) {
      const state = known.get(id);
      if (state === undefined || (query.after !== undefined && id <= query.after)) continue;
      if (query.project !== undefined && state.project !== query.project) continue;
      const digest = runDigest(stateOf(state));
      const { last_at: lastAt, ...summary } = await this.#summary(id, state, digest);
      if (query.since !== undefined && Math.max(summary.started_at ?? 0, lastAt ?? 0) < query.since) continue;
      if (runs.length === limit) {
        next = runs.at(-1)?.id ?? null;
        break;
      }
      runs.push({ ...summary, digest, removed: removals.has(id) });
    }
    return { runs, next, project: removals.marks, removals: removals.of() };
  }

  /** What a run is called and how it goes takes reading its journals: once for each state of them. */
  async #summary(id: string, state: BucketRun, digest: string): Promise<RunSummary> {
    const known = this.#cache.get(id);
    if (known?.digest === digest) return JSON.parse(known.body) as RunSummary;
    const summary = summaryOf(id, await this.#journals.folder(state.journals));
    this.#cache.put(id, { folder: 0, settled: true, presence: '', digest, body: JSON.stringify(summary) });
    return summary;
  }

  async states(runs: readonly string[]): Promise<Map<string, RunState>> {
    const states = new Map<string, RunState>();
    for (const run of runs) {
      const state = await this.#run(run);
      if (state !== undefined && state.journals.size > 0) states.set(run, stateOf(state));
    }
    return states;
  }

  async writeJournals(pieces: readonly JournalPiece[]): Promise<PieceResult[]> {
    checkCall(pieces);
    await this.#objects.putIfAbsent(MARKER, Buffer.from(`${JSON.stringify({ format: FORMAT })}\n`));
    const removals = await this.#removals();
    const results: PieceResult[] = [];
    for (const piece of pieces) {
      const { run, writer } = piece;
      if (run !== null && removals.has(run)) {
        results.push(refusedPiece(piece, 'run-removed', 'the run was removed there', NO_FACTS));
        continue;
      }
      const applied = piece.apply === true || removals.applied.has(writer);
      const prefix =
        run === null ? `${applied ? 'project' : 'announced'}/${writer}` : `runs/${run}/j/${writer}`;
      const result = await this.#journals.write(prefix, piece);
      results.push(result);
      if (result.ok && run !== null) await this.#noteProject(run, piece);
    }
    return results;
  }

  async #noteProject(run: string, piece: JournalPiece): Promise<void> {
    const facts = extendFacts(NO_FACTS, new JournalHasher(), piece);
    const journals = new Map([[piece.writer, { path: '', sealed: false, stamp: '', facts }]]);
    const project = projectOf({ journals });
    if (project !== '')
      await this.#objects.putIfAbsent(`runs/${run}/p/${projectKey(project)}`, new Uint8Array());
  }

  async readJournals(wants: readonly JournalWant[]): Promise<ReadPiece[]> {
    const pieces: ReadPiece[] = [];
    let room = MAX_BODY_BYTES;
    for (const { run, writer, offset } of wants.slice(0, MAX_PIECES)) {
      if (room <= 0) break;
      const chain = await this.#chain(run, writer);
      const piece = await this.#journals.read(chain, { run, writer, offset }, room);
      if (piece === null) {
        if (offset < markOf(chain).length) break;
        continue;
      }
      pieces.push(piece);
      room -= piece.bytes.length;
    }
    return pieces;
  }

  async #chain(run: string | null, writer: string): Promise<Segment[]> {
    if (run !== null) return this.#journals.chain(`runs/${run}/j/${writer}`);
    const applied = await this.#journals.chain(`project/${writer}`);
    return applied.length > 0 ? applied : this.#journals.chain(`announced/${writer}`);
  }

  async missingBlobs(run: string, blobs: readonly BlobMark[]) {
    const missing: { sha256: string; received: number }[] = [];
    const there = new Set((await this.#run(run))?.blobs.map(({ sha256 }) => sha256));
    for (const blob of blobs) {
      if (there.has(blob.sha256)) continue;
      missing.push({ sha256: blob.sha256, received: this.#incoming(blob).received });
    }
    return missing;
  }

  #incoming({ sha256, size }: BlobMark): PartialFile {
    return new PartialFile(join(this.#scratch, 'incoming', `${sha256}.${size}.part`), size);
  }

  writeBlobs(parts: readonly BlobPart[]): Promise<PartResult[]> {
    return takeParts(parts, (part) => this.#writeBlob(part));
  }

  async #writeBlob(part: BlobPart): Promise<PartResult> {
    const { run, sha256, size, offset, bytes } = part;
    if (!isSha256(sha256) || !isRunId(run)) return refusedPart('blob-not-named', 'its name is none');
    const key = blobKey(sha256);
    const stored = async (): Promise<PartResult> => {
      await this.#objects.putIfAbsent(`runs/${run}/b/${sha256}-${size}`, new Uint8Array());
      return { ok: true, received: size, stored: true };
    };
    if ((await this.#objects.head(key)) === size) return stored();
    const file = this.#incoming(part);
    const placed = await file.put(offset, bytes);
    if (!placed.ok) return refusedPart('part-offset', placed.message, placed.received);
    if (placed.received < size) return { ok: true, received: placed.received, stored: false };
    try {
      if ((await file.sha256()) !== sha256)
        return refusedPart('hash-mismatch', 'its bytes have another hash');
      await this.#objects.putIfAbsent(key, { file: file.path });
      return await stored();
    } finally {
      file.remove();
    }
  }

  async readBlob(_run: string, sha256: string, offset: number): Promise<Uint8Array | null> {
    return isSha256(sha256) ? this.#objects.get(blobKey(sha256), offset, MAX_BODY_BYTES) : null;
  }

  async missingTrees(run: string, trees: readonly string[]) {
    const state = await this.#run(run);
    const project = state?.project ?? '';
    const missing: string[] = [];
    for (const tree of trees) {
      if (state?.trees.includes(tree) === true) continue;
      if (await this.#trees.has(project, tree)) await this.#nameTree(run, tree);
      else missing.push(tree);
    }
    return { missing, bases: missing.length === 0 ? [] : await this.#trees.bases(project) };
  }

  async nameTrees(run: string, trees: readonly string[]): Promise<void> {
    await this.missingTrees(run, trees);
  }

  async #nameTree(run: string, tree: string): Promise<void> {
    await this.#objects.putIfAbsent(`runs/${run}/t/${tree}`, new Uint8Array());
  }

  writeTrees(parts: readonly PackPart[]): Promise<PartResult[]> {
    return takeParts(parts, async (part) => {
      const project = (await this.#run(part.run))?.project ?? '';
      const there = await this.#trees.has(project, part.tree);
      const result: PartResult = there
        ? { ok: true, received: part.size, stored: true }
        : await this.#trees.write(project, part);
      if (result.stored) await this.#nameTree(part.run, part.tree);
      return result;
    });
  }

  async readTrees(
    run: string,
    trees: readonly string[],
    have: readonly string[],
    from: ReadonlyMap<string, number>,
  ): Promise<PackPart[]> {
    const project = (await this.#run(run))?.project ?? '';
    const [tree] = trees;
    if (tree === undefined) return [];
    const part = await this.#trees.read(run, project, tree, have, from.get(tree) ?? 0);
    return part === null ? [] : [part];
  }

  async close(): Promise<void> {
    this.#cache.close();
  }
}

function blobKey(sha256: string): string {
  return `blobs/sha256/${sha256.slice(0, 2)}/${sha256}`;
}

function stateOf({ project, journals, blobs, trees }: BucketRun): RunState {
  const marks = [...journals].map(([writer, segments]): [string, JournalMark] => [
    writer,
    markOf(longestChain(segments)),
  ]);
  return { project, journals: new Map(marks), blobs, trees };
}
