/** Journals in a bucket: segments, each an object of its own. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { ObjectStore } from '../blobs/object-store.ts';
import { longestChain, markOf, readSegment, type Segment, segmentName } from './bucket-keys.ts';
import { refusedPiece, takenPiece } from './call.ts';
import { faultOf, hasValidNames } from './journal-check.ts';
import { extendFacts, type JournalFacts, NO_FACTS } from './journal-facts.ts';
import { EMPTY_ROOT, JournalHasher } from './journal-hash.ts';
import type { FolderFacts } from './run-book.ts';
import {
  type JournalMark,
  type JournalPiece,
  MAX_BODY_BYTES,
  type PieceCode,
  type PieceResult,
  type ReadPiece,
} from './space.ts';

/** Running hashes that are kept: of journals that are being appended to. */
const KEPT_HASHERS = 512;

export class BucketJournals {
  readonly #objects: ObjectStore;
  readonly #hashers = new Map<string, JournalHasher>();

  constructor(objects: ObjectStore) {
    this.#objects = objects;
  }

  async chain(prefix: string): Promise<Segment[]> {
    const segments: Segment[] = [];
    for await (const { key } of this.#objects.list(`${prefix}/`)) {
      const segment = readSegment(key);
      if (segment !== null) segments.push(segment);
    }
    return longestChain(segments);
  }

  async #content(segment: Segment): Promise<Buffer> {
    const packed = await this.#objects.get(segment.key);
    const plain =
      packed === null ? null : zstdDecompressSync(packed, { maxOutputLength: MAX_BODY_BYTES + 1 });
    if (plain === null || plain.length !== segment.length) throw new Error(`${segment.key} is damaged`);
    return plain;
  }

  /** Bytes of the chain from `offset` on, segment by segment. */
  async *bytes(
    chain: readonly Segment[],
    offset: number,
  ): AsyncGenerator<{ bytes: Buffer; after: string; end: number }> {
    for (const segment of chain) {
      const end = segment.offset + segment.length;
      if (end <= offset) continue;
      const content = await this.#content(segment);
      yield { bytes: content.subarray(Math.max(0, offset - segment.offset)), after: segment.root, end };
    }
  }

  /** What a whole journal tells. */
  async facts(chain: readonly Segment[]): Promise<JournalFacts> {
    const hasher = new JournalHasher();
    let facts = NO_FACTS;
    for await (const { bytes } of this.bytes(chain, 0))
      facts = extendFacts(facts, hasher.update(bytes), { bytes });
    return facts;
  }

  /** What the journals below a folder tell, by writer. */
  async folder(journals: ReadonlyMap<string, readonly Segment[]>): Promise<Pick<FolderFacts, 'journals'>> {
    const found: FolderFacts['journals'] = new Map();
    for (const [writer, segments] of journals) {
      const facts = await this.facts(longestChain(segments));
      found.set(writer, { path: '', sealed: false, stamp: '', facts });
    }
    return { journals: found };
  }

  /** The root of the first `offset` bytes. */
  async #rootAt(chain: readonly Segment[], offset: number): Promise<string> {
    if (offset === 0) return EMPTY_ROOT;
    const edge = chain.find((segment) => segment.offset + segment.length === offset);
    if (edge !== undefined) return edge.root;
    const hasher = new JournalHasher();
    for await (const { bytes } of this.bytes(chain, 0)) {
      hasher.update(bytes.subarray(0, Math.max(0, offset - hasher.length)));
      if (hasher.length >= offset) break;
    }
    return hasher.root();
  }

  async write(prefix: string, piece: JournalPiece): Promise<PieceResult> {
    const { offset, bytes } = piece;
    const fault = faultOf(piece);
    const chain = hasValidNames(piece) ? await this.chain(prefix) : [];
    const mark: JournalMark = markOf(chain);
    const no = (code: PieceCode, message: string) => refusedPiece(piece, code, message, mark);
    if (fault !== null) return no('journal-invalid', fault);
    if (offset > mark.length) return no('journal-offset', `it goes on from ${mark.length}`);
    if ((await this.#rootAt(chain, offset)) !== piece.before) {
      return no('journal-diverged', `the first ${offset} bytes there are others`);
    }
    const shared = Math.min(bytes.length, mark.length - offset);
    let at = 0;
    for await (const { bytes: there } of this.bytes(chain, offset)) {
      if (at >= shared) break;
      const piece = there.subarray(0, shared - at);
      if (!piece.equals(bytes.subarray(at, at + piece.length))) {
        return no('journal-diverged', `the first ${mark.length} bytes there are others`);
      }
      at += piece.length;
    }
    const fresh = bytes.subarray(shared);
    if (fresh.length === 0) return takenPiece(piece, mark);
    const hasher = this.#hasherAt(prefix, mark)?.update(fresh);
    if (hasher !== undefined && hasher.root() !== piece.root) {
      return no('hash-mismatch', 'its root is not that of its bytes');
    }
    const key = `${prefix}/${segmentName(mark.length, fresh.length, piece.root)}`;
    await this.#objects.putIfAbsent(key, zstdCompressSync(fresh));
    if (hasher !== undefined) this.#remember(prefix, hasher);
    return takenPiece(piece, { length: mark.length + fresh.length, root: piece.root });
  }

  /** Of what this process has written; of the rest it would take reading all of it back, and the segments say their roots. */
  #hasherAt(prefix: string, { length, root }: JournalMark): JournalHasher | undefined {
    if (length === 0) return new JournalHasher();
    const kept = this.#hashers.get(prefix);
    return kept?.length === length && kept.root() === root ? kept.copy() : undefined;
  }

  #remember(prefix: string, hasher: JournalHasher): void {
    this.#hashers.delete(prefix);
    this.#hashers.set(prefix, hasher);
    const [oldest] = this.#hashers.keys();
    if (this.#hashers.size > KEPT_HASHERS && oldest !== undefined) this.#hashers.delete(oldest);
  }

  /** Whole segments, as many as fit; the first alone always does. */
  async read(
    chain: readonly Segment[],
    want: { run: string | null; writer: string; offset: number },
    room: number,
  ): Promise<ReadPiece | null> {
    const mark = markOf(chain);
    if (want.offset >= mark.length) return null;
    const pieces: Buffer[] = [];
    let length = 0;
    let after = EMPTY_ROOT;
    for await (const { bytes, after: root } of this.bytes(chain, want.offset)) {
      if (length + bytes.length > room) break;
      pieces.push(bytes);
      length += bytes.length;
      after = root;
    }
    if (pieces.length === 0) return null;
    const before = await this.#rootAt(chain, want.offset);
    return { ...want, before, after, ...mark, bytes: Buffer.concat(pieces) };
  }
}
