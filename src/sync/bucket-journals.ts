/** Journals in a bucket: segments, each an object of its own. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import type { ObjectStore } from '../blobs/object-store.ts';
import { longestChain, markOf, readSegment, type Segment, segmentName } from './bucket-keys.ts';
import { faultOf, hasValidNames } from './journal-check.ts';
import { extendFacts, type JournalFacts, NO_FACTS } from './journal-facts.ts';
import { EMPTY_ROOT, JournalHasher } from './journal-hash.ts';
import type { FolderFacts } from './run-book.ts';
import {
  type JournalMark,
  type JournalPiece,
  MAX_BODY_BYTES,
  type PieceResult,
  type ReadPiece,
} from './space.ts';

export class BucketJournals {
  readonly #objects: ObjectStore;

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
      facts = extendFacts(facts, hasher.update(bytes), bytes);
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
    const { run, writer, offset, bytes } = piece;
    const fault = faultOf(piece);
    const chain = hasValidNames(piece) ? await this.chain(prefix) : [];
    const mark: JournalMark = markOf(chain);
    const no = (
      code: 'journal-invalid' | 'journal-offset' | 'journal-diverged',
      message: string,
    ): PieceResult => {
      return { run, writer, ...mark, ok: false, code, message };
    };
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
    if (fresh.length === 0) return { run, writer, ...mark, ok: true };
    const key = `${prefix}/${segmentName(mark.length, fresh.length, piece.root)}`;
    await this.#objects.putIfAbsent(key, zstdCompressSync(fresh));
    return { run, writer, length: mark.length + fresh.length, root: piece.root, ok: true };
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
