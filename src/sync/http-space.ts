/** A collector's space behind HTTP (docs/remote.md). */
import { WaddleError } from '../errors/waddle-error.ts';
import { decodeFrames, encodeFrames, FRAMES_TYPE, type Frame } from '../protocol/frames.ts';
import { COLUMNS, packPiece, unpackPiece } from '../protocol/piece-frames.ts';
import { MAX_COMPARED, MAX_NAMED, MAX_STATES, SYNC_PREFIX, SYNC_PROTOCOL } from '../protocol/sync-limits.ts';
import type {
  BlobsAnswer,
  CompareAnswer,
  Hello,
  JournalResults,
  ListAnswer,
  PartResults,
  StatesAnswer,
  TreesAnswer,
} from '../protocol/sync-schemas.ts';
import { HttpDirect } from './http-direct.ts';
import {
  type Body,
  BRISK,
  Exchange,
  type ExchangeOptions,
  notCollector,
  type RetryRules,
  type Traffic,
} from './http-exchange.ts';
import {
  type BlobMark,
  type BlobPart,
  type Comparison,
  type JournalMark,
  type JournalPiece,
  type JournalWant,
  type ListQuery,
  MAX_BODY_BYTES,
  type PackedJournals,
  type PackPart,
  type PartResult,
  type PieceResult,
  type ReadPiece,
  type RunState,
  type Space,
} from './space.ts';

/** Plain bytes of an answer in JSON, and of one in frames. */
const MAX_JSON_BYTES = 64 * 1024 * 1024;
const MAX_FRAMES_BYTES = 2 * MAX_BODY_BYTES;
/** Smaller parts than this no collector can want. */
const MIN_PART_BYTES = 64 * 1024;

export interface HttpSpaceOptions extends ExchangeOptions {
  /** Of every request but the first. */
  retry?: RetryRules | undefined;
}

/** Asks the collector who it is. @throws WaddleError `remote-…` */
export async function openHttpSpace(options: HttpSpaceOptions): Promise<HttpSpace> {
  const exchange = new Exchange(options);
  try {
    const answer = await exchange.ask({
      method: 'GET',
      path: SYNC_PREFIX,
      maxBytes: 1024 * 1024,
      retry: BRISK,
    });
    const hello = readHello(answer.body, exchange.place);
    const known = (['zstd', 'gzip'] as const).find((each) => hello.encodings.includes(each));
    exchange.encoding = known ?? 'identity';
    return new HttpSpace(exchange, hello, options);
  } catch (error) {
    exchange.close();
    throw error;
  }
}

function readHello(body: Buffer, place: string): Hello {
  let hello: Partial<Hello> = {};
  try {
    hello = JSON.parse(body.toString('utf8')) as Partial<Hello>;
  } catch {
    // Told below.
  }
  if (typeof hello?.protocol !== 'number' || !Array.isArray(hello.encodings)) throw notCollector(place, 200);
  if (hello.protocol !== SYNC_PROTOCOL) {
    throw new WaddleError(
      'remote-version',
      `${place} speaks version ${hello.protocol} of the sync protocol, this Waddle version ${SYNC_PROTOCOL}`,
      hello.protocol > SYNC_PROTOCOL ? 'Update Waddle here.' : 'Ask who runs the collector to update it.',
    );
  }
  return hello as Hello;
}

export class HttpSpace implements Space {
  readonly hello: Hello;
  readonly #exchange: Exchange;
  readonly #retry: RetryRules | undefined;
  readonly #direct: HttpDirect | null;

  constructor(exchange: Exchange, hello: Hello, options: HttpSpaceOptions) {
    this.#exchange = exchange;
    this.hello = hello;
    this.#retry = options.retry;
    this.#direct = hello.direct
      ? new HttpDirect({
          ask: (path, value) => this.#json(path, value),
          secure: new URL(options.url).protocol === 'https:',
          traffic: exchange.traffic,
          ...options,
        })
      : null;
  }

  get #columns(): boolean {
    return this.hello.encodings.includes(COLUMNS);
  }

  get traffic(): Readonly<Traffic> {
    return this.#exchange.traffic;
  }

  async compare(
    runs: ReadonlyMap<string, string>,
    project: ReadonlyMap<string, JournalMark>,
  ): Promise<Comparison> {
    const all: Comparison = { differ: [], unknown: [], removed: [], projectMissing: [], removals: [] };
    const pieces = slices([...runs], MAX_COMPARED);
    for (const [index, piece] of (pieces.length === 0 ? [[]] : pieces).entries()) {
      const answer = await this.#json<CompareAnswer>('/compare', {
        runs: Object.fromEntries(piece),
        project: index === 0 ? marksOf(project) : {},
      });
      all.differ.push(...answer.differ);
      all.unknown.push(...answer.unknown);
      all.removed.push(...answer.removed);
      all.removals.push(...answer.project.removals);
      if (index === 0) all.projectMissing = answer.project.missing;
    }
    return all;
  }

  async list(query: ListQuery) {
    const { runs, next, project, removals } = await this.#json<ListAnswer>('/list', query);
    return { runs, next, project: new Map(readMarks(project)), removals };
  }

  async states(runs: readonly string[]): Promise<Map<string, RunState>> {
    const states = new Map<string, RunState>();
    for (const piece of slices(runs, MAX_STATES)) {
      const answer = await this.#json<StatesAnswer>('/states', { runs: piece });
      for (const [id, { project, journals, blobs, trees }] of Object.entries(answer.runs)) {
        states.set(id, {
          project,
          journals: new Map(readMarks(journals)),
          blobs: blobs.map(([sha256, size]) => ({ sha256, size })),
          trees,
        });
      }
    }
    return states;
  }

  async writeJournals(pieces: readonly JournalPiece[]): Promise<PieceResult[]> {
    return (await this.packJournals(pieces)).send().results;
  }

  async packJournals(pieces: readonly JournalPiece[]): Promise<PackedJournals> {
    const frames = pieces.map(({ bytes, others: _, ...header }) => packPiece(header, bytes, this.#columns));
    const body = await this.#exchange.pack(framed(frames));
    const post = async (onSent: () => void): Promise<PieceResult[]> => {
      const { results } = await this.#post<JournalResults>('/journals', body, onSent);
      this.#sameNumber(results, pieces);
      return results as PieceResult[];
    };
    return {
      send() {
        const { promise: sent, resolve } = Promise.withResolvers<void>();
        const results = post(resolve);
        results.then(
          () => resolve(),
          () => resolve(),
        );
        return { sent, results };
      },
    };
  }

  async readJournals(wants: readonly JournalWant[]): Promise<ReadPiece[]> {
    const frames = await this.#read('/journals/read', {
      wants,
      ...(this.#columns ? { encodings: [COLUMNS] } : {}),
    });
    return frames.map(({ header, payload }) => {
      const { run, writer, offset, before, after, length, root } = header as unknown as Omit<
        ReadPiece,
        'bytes'
      >;
      const unpacked = unpackPiece({ header, payload }, MAX_FRAMES_BYTES);
      return { run, writer, offset, before, after, length, root, ...unpacked };
    });
  }

  async missingBlobs(run: string, blobs: readonly BlobMark[]) {
    const missing: { sha256: string; received: number }[] = [];
    for (const piece of slices(blobs, MAX_NAMED)) {
      const answer = await this.#json<BlobsAnswer>('/blobs/compare', {
        run,
        blobs: piece.map(({ sha256, size }) => [sha256, size]),
      });
      for (const [sha256, received] of answer.missing) missing.push({ sha256, received });
    }
    return missing;
  }

  async writeBlobs(parts: readonly BlobPart[]): Promise<PartResult[]> {
    const results: (PartResult | null)[] = [];
    for (const part of parts) results.push(await this.#writeDirectly(part));
    const rest = await this.#writeThrough(parts.filter((_, index) => results[index] === null));
    return results.map((result) => result ?? (rest.shift() as PartResult));
  }

  /** Null: it is to go through the collector. What fits one request needs no addresses. */
  async #writeDirectly(part: BlobPart): Promise<PartResult | null> {
    return part.size > MAX_BODY_BYTES && this.#direct?.on ? this.#direct.write(part) : null;
  }

  async #writeThrough(parts: readonly BlobPart[]): Promise<PartResult[]> {
    if (parts.length === 0) return [];
    const most = Math.max(MIN_PART_BYTES, this.hello.limits.part_bytes);
    const split = parts.map((part) => {
      const pieces = [part.bytes.subarray(0, most)];
      for (let at = most; at < part.bytes.length; at += most) pieces.push(part.bytes.subarray(at, at + most));
      return pieces.map((bytes, index): BlobPart => ({ ...part, offset: part.offset + index * most, bytes }));
    });
    const results = await this.#parts('/blobs', split.flat());
    // Of a part that went in several pieces, what the last one came to.
    let last = -1;
    return split.map((pieces) => {
      last += pieces.length;
      return results[last] as PartResult;
    });
  }

  async readBlob(run: string, sha256: string, offset: number): Promise<Uint8Array | null> {
    // Most blobs are no longer than their first piece, and need no address.
    if (offset > 0 && this.#direct?.on) {
      const bytes = await this.#direct.read(run, sha256, offset);
      if (bytes !== null) return bytes;
    }
    const { status, body } = await this.#exchange.ask({
      method: 'GET',
      path: `${SYNC_PREFIX}/runs/${run}/blobs/${sha256}`,
      headers: { range: `bytes=${offset}-${offset + MAX_BODY_BYTES - 1}`, 'accept-encoding': 'identity' },
      maxBytes: MAX_BODY_BYTES,
      accept: [206, 404, 416],
      ...this.#rules(),
    });
    if (status === 404) return null;
    return status === 416 ? new Uint8Array() : body;
  }

  async missingTrees(run: string, trees: readonly string[]) {
    return this.#json<TreesAnswer>('/trees/compare', { run, trees });
  }

  async writeTrees(parts: readonly PackPart[]): Promise<PartResult[]> {
    return this.#parts('/trees', parts);
  }

  async readTrees(
    run: string,
    trees: readonly string[],
    have: readonly string[],
    from: ReadonlyMap<string, number>,
  ): Promise<PackPart[]> {
    const frames = await this.#read('/trees/read', { run, trees, have, from: Object.fromEntries(from) });
    return frames.map(({ header, payload }) => {
      const { tree, base, format, size, offset } = header as unknown as Omit<PackPart, 'bytes'>;
      return { run, tree, base, format, size, offset, bytes: payload };
    });
  }

  async close(): Promise<void> {
    this.#exchange.close();
  }

  #rules(): { retry?: RetryRules } {
    return this.#retry === undefined ? {} : { retry: this.#retry };
  }

  async #parts(path: string, parts: readonly (BlobPart | PackPart)[]): Promise<PartResult[]> {
    const frames = parts.map(({ bytes, ...header }) => ({ header, payload: bytes }));
    const { results } = await this.#post<PartResults>(path, framed(frames));
    this.#sameNumber(results, parts);
    return results as PartResult[];
  }

  async #json<T>(path: string, value: unknown): Promise<T> {
    return this.#post(path, { type: 'application/json', bytes: Buffer.from(JSON.stringify(value), 'utf8') });
  }

  async #post<T>(path: string, body: Body, onSent?: () => void): Promise<T> {
    const answer = await this.#exchange.ask({
      method: 'POST',
      path: SYNC_PREFIX + path,
      body,
      onSent,
      maxBytes: MAX_JSON_BYTES,
      ...this.#rules(),
    });
    try {
      return JSON.parse(answer.body.toString('utf8')) as T;
    } catch (error) {
      throw this.#nonsense(error);
    }
  }

  async #read(path: string, value: unknown): Promise<Frame[]> {
    const { body } = await this.#exchange.ask({
      method: 'POST',
      path: SYNC_PREFIX + path,
      body: { type: 'application/json', bytes: Buffer.from(JSON.stringify(value), 'utf8') },
      maxBytes: MAX_FRAMES_BYTES,
      ...this.#rules(),
    });
    try {
      return decodeFrames(body);
    } catch (error) {
      throw this.#nonsense(error);
    }
  }

  #sameNumber(results: unknown, asked: readonly unknown[]): void {
    if (!Array.isArray(results) || results.length !== asked.length) throw this.#nonsense(undefined);
  }

  #nonsense(cause: unknown): WaddleError {
    return new WaddleError(
      'remote-answer-invalid',
      `${this.#exchange.place} answered what is not understood`,
      'Try again; if it stays so, see that both ends are of the same version of Waddle.',
      { cause },
    );
  }
}

function framed(frames: Frame<object>[]): Body {
  return { type: FRAMES_TYPE, bytes: Buffer.concat(encodeFrames(frames)) };
}

function slices<T>(items: readonly T[], size: number): T[][] {
  const all: T[][] = [];
  for (let from = 0; from < items.length; from += size) all.push(items.slice(from, from + size));
  return all;
}

function marksOf(marks: ReadonlyMap<string, JournalMark>): Record<string, [number, string]> {
  return Object.fromEntries([...marks].map(([writer, { length, root }]) => [writer, [length, root]]));
}

function* readMarks(marks: Record<string, [number, string]>): Generator<[string, JournalMark]> {
  for (const [writer, [length, root]] of Object.entries(marks)) yield [writer, { length, root }];
}
