/** What sync needs to know of one journal, found in one pass and carried on as the journal grows. */
import { isSha256 } from '../blobs/blob-store.ts';
import { MAX_LINE_BYTES, parseLine } from '../events/line.ts';
import { afterMetrics } from '../events/metric-lines.ts';
import type { Event } from '../events/schema.ts';
import type { PlainBytes } from '../journal/reader.ts';
import { BLOCK_BYTES, hashBlock, rootOf } from '../journal/root.ts';
import { EMPTY_ROOT, JournalHasher } from './journal-hash.ts';
import { otherLines } from './piece-lines.ts';
import type { JournalMark, JournalPiece } from './space.ts';

/** A blob that an artifact names. */
export interface NamedBlob {
  sha256: string;
  /** Bytes of the file; of a folder artifact, whose blob is its manifest, of all files together. */
  size: number;
  folder: boolean;
}

/** The code of a snapshot, and where the run's own machine had it. */
export interface NamedCode {
  tree: string;
  /** The tree of the commit that it began from, where that is another. */
  base?: string | null;
  repository: string | null;
  gitDir: string | null;
  nested: { path: string; tree: string }[];
}

/** What the few events say that tell what a run is called and how it goes. */
export interface KeptEvent {
  k: 'start' | 'resume' | 'update' | 'end' | 'edit';
  t: number;
  name?: string | null;
  project?: string | null;
  status?: string;
  field?: string;
  clock?: number;
}

export interface JournalFacts extends JournalMark {
  /** SHA-256 of each block of BLOCK_BYTES, in hex; the last one perhaps of an unfinished block. */
  blocks: string[];
  /** Its last line is a closing one: it will not grow. */
  closed: boolean;
  /** Of the last whole line, epoch seconds; null where that tells none. */
  lastAt: number | null;
  user: string | null;
  host: string | null;
  blobs: NamedBlob[];
  code: NamedCode[];
  kept: KeptEvent[];
  /** Of a project journal: what it removes and brings back. */
  removals: { run: string; removed: boolean; clock: number; place: number; at: number }[];
  /** Of a project journal: it holds nothing else, such as a link, and so may travel. */
  travels: boolean;
  /** Places, by pairs, outside of which there are only metrics' lines; not given where that was not looked for. */
  others?: number[] | undefined;
}

export const NO_FACTS: JournalFacts = {
  length: 0,
  root: EMPTY_ROOT,
  blocks: [],
  closed: false,
  lastAt: null,
  user: null,
  host: null,
  blobs: [],
  code: [],
  kept: [],
  removals: [],
  travels: true,
  others: [],
};

/** The trees that make up code, each once: what ran, what it began from, and the repositories in it. */
export function treesOf(code: readonly NamedCode[]): string[] {
  const all = code.flatMap(({ tree, base, nested }) => [tree, base, ...nested.map((each) => each.tree)]);
  return [...new Set(all.filter((tree) => typeof tree === 'string'))];
}

const OBJECT_ID = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

export function isTreeId(text: string): boolean {
  return OBJECT_ID.test(text);
}

/**
 * Reads on from what is known. Where the bytes before have changed all the same, or are fewer, everything is read again.
 * Memory is one block, but for a line longer than that.
 */
export function scanJournal(bytes: PlainBytes, before: JournalFacts = NO_FACTS): JournalFacts {
  const notes = new Notes(before);
  const block = Buffer.allocUnsafe(BLOCK_BYTES);
  const known = before.length % BLOCK_BYTES;
  const hashes = before.blocks.slice(0, Math.floor(before.length / BLOCK_BYTES));
  let length = before.length;
  let index = hashes.length;
  let line = new LineGatherer(length);
  for (let first = true; ; first = false, index += 1) {
    const filled = fill(bytes, block, index * BLOCK_BYTES);
    let from = 0;
    if (first && known > 0) {
      const same = filled >= known && hashHex(block.subarray(0, known)) === before.blocks[index];
      if (!same) return scanJournal(bytes);
      from = known;
    }
    for (;;) {
      if (line.start === index * BLOCK_BYTES + from) {
        from = afterMetrics(block, from, filled);
        length = Math.max(length, index * BLOCK_BYTES + from);
        line = new LineGatherer(index * BLOCK_BYTES + from);
      }
      const end = block.indexOf(10, from);
      if (end === -1 || end >= filled) break;
      notes.take(line.end(block.subarray(from, end)), line.start);
      from = end + 1;
      length = index * BLOCK_BYTES + from;
      notes.other(line.start, length);
      line = new LineGatherer(length);
    }
    if (filled < BLOCK_BYTES) break;
    line.add(block.subarray(from));
    hashes.push(hashHex(block));
  }
  const whole = Math.floor(length / BLOCK_BYTES);
  const blocks = hashes.slice(0, whole);
  const rest = length % BLOCK_BYTES;
  if (rest > 0) {
    // A long unfinished line may have led the reading on into later blocks.
    if (whole !== index) fill(bytes, block, whole * BLOCK_BYTES);
    blocks.push(hashHex(block.subarray(0, rest)));
  }
  const root = rootOf(blocks.map((hex) => Buffer.from(hex, 'hex')));
  const { lastAt, closed } = length === before.length ? before : lastLine(bytes, length);
  return { ...notes.facts, length, root, blocks, lastAt, closed };
}

/** A line longer than this is not the closing one, and tells no time here. */
const LAST_LINE_BYTES = 64 * 1024;

function lastLine(bytes: PlainBytes, length: number): Pick<JournalFacts, 'lastAt' | 'closed'> {
  const tail = Buffer.allocUnsafe(Math.min(length, LAST_LINE_BYTES));
  fill(bytes, tail, length - tail.length);
  const text = tail.toString('utf8', tail.lastIndexOf(10, tail.length - 2) + 1, tail.length - 1);
  const parsed = parseLine(text);
  if (parsed.type !== 'event') return { lastAt: null, closed: false };
  return { lastAt: parsed.event.t, closed: parsed.event.k === 'close' };
}

/** As `scanJournal`, of whole lines that are about to be appended; `hasher` has taken them in already. */
export function extendFacts(
  before: JournalFacts,
  hasher: JournalHasher,
  piece: Pick<JournalPiece, 'bytes' | 'others'>,
): JournalFacts {
  const { bytes } = piece;
  const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const notes = new Notes(before);
  for (const [from, end] of otherLines(piece)) {
    notes.take(new LineGatherer(before.length + from).end(lines.subarray(from, end)), before.length + from);
    notes.other(before.length + from, before.length + end + 1);
  }
  const last = lines.lastIndexOf(10, lines.length - 2) + 1;
  const parsed = parseLine(lines.toString('utf8', last, Math.max(last, lines.length - 1)));
  return {
    ...notes.facts,
    length: hasher.length,
    root: hasher.root(),
    blocks: hasher.blocks().map((hash) => hash.toString('hex')),
    lastAt: parsed.type === 'event' ? parsed.event.t : null,
    closed: parsed.type === 'event' && parsed.event.k === 'close',
  };
}

/** A hasher that has taken in the first `offset` bytes, which must not be more than the journal has. */
export function hasherAt(bytes: PlainBytes, facts: JournalFacts, offset: number): JournalHasher {
  const full = Math.floor(offset / BLOCK_BYTES);
  const hasher = JournalHasher.from(facts.blocks.slice(0, full).map((hex) => Buffer.from(hex, 'hex')));
  const rest = Buffer.allocUnsafe(offset % BLOCK_BYTES);
  return hasher.update(rest.subarray(0, fill(bytes, rest, full * BLOCK_BYTES)));
}

/** Reads as much of `target` as there is from a plain offset on; returns how many bytes. */
export function fill(bytes: PlainBytes, target: Buffer, offset: number): number {
  let filled = 0;
  while (filled < target.length) {
    const count = bytes.read(target.subarray(filled), offset + filled);
    if (count === 0) break;
    filled += count;
  }
  return filled;
}

function hashHex(bytes: Uint8Array): string {
  return hashBlock(bytes).toString('hex');
}

/** Puts a line together whose pieces lie in several blocks. */
class LineGatherer {
  readonly start: number;
  #pieces: Uint8Array[] = [];
  #length = 0;

  constructor(start: number) {
    this.start = start;
  }

  add(piece: Uint8Array): void {
    this.#length += piece.length;
    if (piece.length === 0 || this.#length > MAX_LINE_BYTES) return;
    this.#pieces.push(new Uint8Array(piece));
  }

  /** The line as text; '' where it is one of the many that tell nothing here, null where it is too long to count. */
  end(piece: Buffer): string | null {
    if (this.#length + piece.length > MAX_LINE_BYTES) return null;
    if (this.#pieces.length === 0) return isPlain(piece) ? '' : piece.toString('utf8');
    return Buffer.concat([...this.#pieces, piece]).toString('utf8');
  }
}

/** A metric, a console line or a heartbeat, as Waddle's own writers put it: most lines of most journals. */
function isPlain(line: Buffer): boolean {
  if (line.length < 8 || line[0] !== 0x7b || line[2] !== 0x6b || line[5] !== 0x22) return false;
  if (line[7] === 0x22) return line[6] === 0x6d || line[6] === 0x63;
  return line.length > 10 && line.toString('latin1', 6, 11) === 'beat"';
}

/** Events of a kind that are kept of one journal: more are no honest writer's. */
const KEPT_LIMIT = 1000;
/** Places of other lines that are kept; what comes after them counts as one. */
const MOST_PLACES = 1000;

/** Gathers what the lines tell. */
class Notes {
  readonly facts: JournalFacts;
  readonly #blobs: Set<string>;

  constructor(before: JournalFacts) {
    this.facts = {
      ...before,
      blobs: [...before.blobs],
      code: [...before.code],
      kept: [...before.kept],
      removals: [...before.removals],
      others: before.others === undefined ? undefined : [...before.others],
    };
    this.#blobs = new Set(before.blobs.map(blobKey));
  }

  /** A line from one place to another is no metric's. */
  other(from: number, to: number): void {
    const { others } = this.facts;
    if (others === undefined) return;
    if (others.at(-1) === from || others.length >= MOST_PLACES) others[others.length - 1] = to;
    else others.push(from, to);
  }

  /** `line` is '' where it is one that tells nothing here, null where it is too long. */
  take(line: string | null, place: number): void {
    if (line === null || line === '') return;
    const { facts } = this;
    const parsed = parseLine(line);
    if (parsed.type !== 'event') {
      facts.travels = false;
      return;
    }
    const { event } = parsed;
    switch (event.k) {
      case 'close':
        return;
      case 'open':
        facts.user = text(event.user);
        facts.host = event.host;
        return;
      case 'remove':
      case 'restore': {
        const { run, clock, t: at } = event;
        facts.removals.push({ run, removed: event.k === 'remove', clock, place, at });
        return;
      }
    }
    facts.travels = false;
    switch (event.k) {
      case 'artifact':
        this.#blob({ sha256: event.sha256, size: event.size, folder: event.type === 'folder' });
        return;
      case 'snapshot':
        if (facts.code.length < KEPT_LIMIT) facts.code.push(...codeOf(event));
        return;
      default: {
        const kept = keptOf(event);
        if (kept === null) return;
        // Of one journal only the last change of a field can win.
        if (kept.k === 'edit') facts.kept = facts.kept.filter((each) => each.field !== kept.field);
        if (facts.kept.length < KEPT_LIMIT) facts.kept.push(kept);
      }
    }
  }

  #blob(blob: NamedBlob): void {
    if (!isSha256(blob.sha256) || this.#blobs.has(blobKey(blob))) return;
    this.#blobs.add(blobKey(blob));
    this.facts.blobs.push(blob);
  }
}

function blobKey(blob: NamedBlob): string {
  return `${blob.sha256}${blob.folder ? '/' : ''}`;
}

function keptOf(event: Event): KeptEvent | null {
  const { t } = event;
  switch (event.k) {
    case 'start':
      return {
        k: 'start',
        t,
        name: text(event.name) ?? text(event.default_name),
        project: text(event.project),
      };
    case 'resume':
      return { k: 'resume', t };
    case 'update':
      return { k: 'update', t, name: text(event.fields.name), project: text(event.fields.project) };
    case 'end':
      return { k: 'end', t, status: event.status };
    case 'edit':
      if (event.field !== 'name' && event.field !== 'archived') return null;
      return { k: 'edit', t, field: event.field, name: text(event.value), clock: event.clock };
    default:
      return null;
  }
}

function text(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function codeOf(event: Extract<Event, { k: 'snapshot' }>): NamedCode[] {
  const { tree, base_tree: baseTree, store, nested, repository, git_dir: gitDir } = event.snapshot;
  // Nothing was kept: what such a record names is HEAD's.
  if (store === 'none' || typeof tree !== 'string' || !isTreeId(tree)) return [];
  const inner = (Array.isArray(nested) ? nested : []).flatMap((each): NamedCode['nested'] => {
    const { path, tree: id } = (each ?? {}) as Record<string, unknown>;
    return typeof path === 'string' && typeof id === 'string' && isTreeId(id) ? [{ path, tree: id }] : [];
  });
  const base =
    typeof baseTree === 'string' && isTreeId(baseTree) && baseTree.length === tree.length ? baseTree : tree;
  const code = { tree, repository: text(repository), gitDir: text(gitDir), nested: inner };
  return [base === tree ? code : { ...code, base }];
}
