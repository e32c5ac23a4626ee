/** The journals of a project folder, as a space reads and writes them. */
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';
import { parseLine } from '../events/line.ts';
import type { Layout } from '../journal/layout.ts';
import { runFolder } from '../journal/layout.ts';
import { judgeLife } from '../journal/process-identity.ts';
import { openPlainBytes, type PlainBytes } from '../journal/reader.ts';
import { noteReceived, readReceived } from '../journal/received.ts';
import { checkCall, refusedPiece, takenPiece } from './call.ts';
import { diskError } from './disk-error.ts';
import { withFolderLock } from './folder-lock.ts';
import { faultOf, hasValidNames } from './journal-check.ts';
import { extendFacts, fill, hasherAt, type JournalFacts, NO_FACTS } from './journal-facts.ts';
import { JournalHasher } from './journal-hash.ts';
import type { FolderFacts, JournalEntry, RunBook } from './run-book.ts';
import {
  type JournalPiece,
  type JournalWant,
  MAX_BODY_BYTES,
  MAX_PIECES,
  type PieceCode,
  type PieceResult,
  type ReadPiece,
} from './space.ts';
import { PROJECT_ROW } from './state-cache.ts';

/** The cache's row of removals that are told and not applied. */
const ANNOUNCED_ROW = '~announced';
/** Journals whose running hash stays in memory: those that are being appended to. */
const KEPT_HASHERS = 512;
const COPY_BYTES = 1024 * 1024;

/** Where a piece goes: a folder of journals. */
interface Place {
  row: string;
  folder: string;
}

export class FolderJournals {
  readonly announced: string;
  readonly #layout: Layout;
  readonly #book: RunBook;
  readonly #locks: string;
  readonly #hashers = new Map<string, JournalHasher>();
  /** By folder, the writers whose journals came from elsewhere. */
  readonly #received = new Map<string, Set<string>>();

  constructor(layout: Layout, book: RunBook) {
    this.#layout = layout;
    this.#book = book;
    this.announced = join(layout.root, 'announced');
    this.#locks = join(layout.root, 'cache', 'locks');
  }

  /** What a run's journals hold; null where there are none. */
  run(id: string): FolderFacts | null {
    const facts = this.#book.look(id, runFolder(this.#layout, id));
    return facts === null || facts.journals.size === 0 ? null : facts;
  }

  /** The journals that are told of and not applied are `announced`. */
  project(kind: 'applied' | 'announced'): FolderFacts | null {
    const { row, folder } = kind === 'applied' ? this.#project() : this.#told();
    return this.#book.look(row, folder);
  }

  #project(): Place {
    return { row: PROJECT_ROW, folder: this.#layout.projectJournals };
  }

  #told(): Place {
    return { row: ANNOUNCED_ROW, folder: this.announced };
  }

  /** Every piece is checked and, where it is right, on the disk itself when this resolves. */
  async write(
    pieces: readonly JournalPiece[],
    refuse: (piece: JournalPiece) => { code: PieceCode; message: string } | null,
  ): Promise<PieceResult[]> {
    checkCall(pieces);
    const results: PieceResult[] = [];
    const written = new Set<string>();
    const folders = new Set<string>();
    const groups = Map.groupBy(pieces.keys(), (index) => pieces[index]?.run ?? null);
    for (const [run, indexes] of groups) {
      const valid = run !== null && hasValidNames({ run, writer: 'job-aaaaaaaa' });
      await this.exclusively(valid ? run : null, () => {
        for (const index of indexes) {
          const piece = pieces[index] as JournalPiece;
          results[index] = this.#writeOne(piece, refuse, written, folders);
        }
      });
    }
    await syncAll([...written], [...folders]);
    return results;
  }

  /** Does the work while no other process or call writes journals of the run (null: of the project). */
  exclusively<T>(run: string | null, work: () => T | Promise<T>): Promise<T> {
    return withFolderLock(join(this.#locks, run ?? 'project'), work);
  }

  #writeOne(
    piece: JournalPiece,
    refuse: (piece: JournalPiece) => { code: PieceCode; message: string } | null,
    written: Set<string>,
    folders: Set<string>,
  ): PieceResult {
    const { run, writer } = piece;
    const no = (code: PieceCode, message: string, at: JournalFacts = NO_FACTS) =>
      refusedPiece(piece, code, message, at);
    const fault = faultOf(piece);
    if (fault !== null) return no('journal-invalid', fault);
    const refused = refuse(piece);
    if (refused !== null) return no(refused.code, refused.message);

    const place = this.#placeOf(piece);
    const known = this.#book.look(place.row, place.folder);
    const entry = known?.journals.get(writer);
    const facts = entry?.facts ?? NO_FACTS;
    const path = join(place.folder, `${writer}.jsonl`);
    if (known?.failed.some((each) => each.path === path)) {
      return no('journal-diverged', 'the copy that is here cannot be read');
    }
    const end = piece.offset + piece.bytes.length;
    if (piece.offset > facts.length) {
      return no('journal-offset', `it goes on from ${facts.length}`, facts);
    }
    const overlap = this.#overlap(piece, entry, facts);
    if (overlap !== null) return no(overlap.code, overlap.message, facts);
    if (end <= facts.length) {
      if (entry !== undefined && !entry.sealed) written.add(path);
      return takenPiece(piece, facts);
    }

    const fresh = piece.bytes.subarray(facts.length - piece.offset);
    const hasher = this.#hasher(path, entry, facts);
    if (hasher === null) return no('journal-diverged', 'the copy that is here cannot be read', facts);
    hasher.update(fresh);
    if (hasher.root() !== piece.root) return no('hash-mismatch', 'its root is not that of its bytes', facts);
    if (!this.#isReceived(place.folder, writer)) {
      if (entry !== undefined && mayBeWritten(entry.path)) {
        return no('journal-diverged', 'its own writer may be writing it here', facts);
      }
      written.add(noteReceived(place.folder, writer));
      this.#received.get(place.folder)?.add(writer);
      folders.add(dirname(place.folder));
    }
    const now = extendFacts(facts, hasher, {
      bytes: fresh,
      others: fresh.length === piece.bytes.length ? piece.others : undefined,
    });
    if (entry?.sealed === true) unseal(entry.path, facts.length, fresh);
    else appendAt(path, facts.length, fresh);
    this.#book.grown(place.row, writer, path, now);
    this.#remember(path, hasher);
    written.add(path);
    folders.add(place.folder);
    if (piece.apply === true && run === null) {
      rmSync(join(this.announced, `${writer}.jsonl`), { force: true });
    }
    return takenPiece(piece, now);
  }

  #isReceived(folder: string, writer: string): boolean {
    let received = this.#received.get(folder);
    if (received === undefined) {
      received = readReceived(folder);
      this.#received.set(folder, received);
      if (this.#received.size > KEPT_HASHERS) this.#received.clear();
    }
    return received.has(writer);
  }

  /** A removal is told beside, unless it is to be applied or was already. */
  #placeOf(piece: JournalPiece): Place {
    const { run, writer } = piece;
    if (run !== null) return { row: run, folder: runFolder(this.#layout, run) };
    if (piece.apply === true || this.project('applied')?.journals.has(writer)) return this.#project();
    return this.#told();
  }

  /** Whether what the piece says of bytes that are here already is true of them. */
  #overlap(
    piece: JournalPiece,
    entry: JournalEntry | undefined,
    facts: JournalFacts,
  ): { code: PieceCode; message: string } | null {
    const different = {
      code: 'journal-diverged' as const,
      message: `the first ${Math.min(facts.length, piece.offset + piece.bytes.length)} bytes here are others`,
    };
    if (piece.offset === facts.length) return piece.before === facts.root ? null : different;
    const bytes = entry === undefined ? null : openPlainBytes(entry.path);
    if (bytes === null) return different;
    try {
      if (hasherAt(bytes, facts, piece.offset).root() !== piece.before) return different;
      const shared = Math.min(facts.length - piece.offset, piece.bytes.length);
      const here = Buffer.allocUnsafe(shared);
      if (fill(bytes, here, piece.offset) < shared) return different;
      return here.equals(piece.bytes.subarray(0, shared)) ? null : different;
    } finally {
      bytes.close();
    }
  }

  #hasher(path: string, entry: JournalEntry | undefined, facts: JournalFacts): JournalHasher | null {
    const kept = this.#hashers.get(path);
    if (kept !== undefined && kept.length === facts.length && kept.root() === facts.root) return kept.copy();
    if (entry === undefined || facts.length === 0) return new JournalHasher();
    const bytes = openPlainBytes(entry.path);
    if (bytes === null) return null;
    try {
      const hasher = hasherAt(bytes, facts, facts.length);
      return hasher.root() === facts.root ? hasher : null;
    } finally {
      bytes.close();
    }
  }

  #remember(path: string, hasher: JournalHasher): void {
    this.#hashers.delete(path);
    this.#hashers.set(path, hasher);
    if (this.#hashers.size <= KEPT_HASHERS) return;
    const [oldest] = this.#hashers.keys();
    if (oldest !== undefined) this.#hashers.delete(oldest);
  }

  /**
   * Whole lines, as many as fit. A journal whose next line alone is longer than a call may carry gives a piece without
   * bytes: it cannot travel further.
   */
  read(wants: readonly JournalWant[]): ReadPiece[] {
    const pieces: ReadPiece[] = [];
    let room = MAX_BODY_BYTES;
    for (const { run, writer, offset } of wants.slice(0, MAX_PIECES)) {
      if (!hasValidNames({ run, writer }) || !Number.isSafeInteger(offset) || offset < 0) continue;
      const facts = this.#entryOf(run, writer)?.facts;
      const path = this.#entryOf(run, writer)?.path;
      if (facts === undefined || path === undefined || offset >= facts.length) continue;
      const bytes = openPlainBytes(path);
      if (bytes === null) continue;
      try {
        const { length, root } = facts;
        const read = readLinesAt(bytes, offset, Math.min(room, length - offset));
        if (read.length === 0 && room < MAX_BODY_BYTES) break;
        const before = hasherAt(bytes, facts, offset).root();
        const after = hasherAt(bytes, facts, offset + read.length).root();
        pieces.push({ run, writer, offset, before, after, length, root, bytes: read });
        room -= read.length;
        if (room === 0 || offset + read.length < length) break;
      } finally {
        bytes.close();
      }
    }
    return pieces;
  }

  /**
   * The text of a run's journal from a plain offset on, without what is known to be metrics' lines: whole lines, a few at a time.
   * A line that no call may carry ends it.
   */
  *text(run: string, writer: string, from: number): Generator<Buffer> {
    const entry = this.#entryOf(run, writer);
    const bytes = entry === undefined ? null : openPlainBytes(entry.path);
    if (entry === undefined || bytes === null) return;
    try {
      const { length, others = [0, length] } = entry.facts;
      for (let index = 0; index < others.length; index += 2) {
        const to = others[index + 1] ?? length;
        for (let at = Math.max(from, others[index] ?? 0); at < to; ) {
          const read = readLinesAt(bytes, at, Math.min(MAX_BODY_BYTES, to - at));
          if (read.length === 0) return;
          yield read;
          at += read.length;
        }
      }
    } finally {
      bytes.close();
    }
  }

  #entryOf(run: string | null, writer: string): JournalEntry | undefined {
    if (run !== null) return this.run(run)?.journals.get(writer);
    const entry =
      this.project('applied')?.journals.get(writer) ?? this.project('announced')?.journals.get(writer);
    return entry === undefined || !entry.facts.travels ? undefined : entry;
  }
}

/** Whole lines from `offset` on, at most `most` bytes. */
function readLinesAt(bytes: PlainBytes, offset: number, most: number): Buffer {
  const buffer = Buffer.allocUnsafe(most);
  const filled = fill(bytes, buffer, offset);
  return buffer.subarray(0, buffer.subarray(0, filled).lastIndexOf(10) + 1);
}

/** A journal of another host that has not grown for so long (ms) is not being written. */
const QUIET_MS = 3_600_000;

/** Whether the process that began this journal lives, or may: then nobody else appends to it. */
function mayBeWritten(path: string): boolean {
  const bytes = openPlainBytes(path);
  if (bytes === null) return false;
  try {
    const head = Buffer.alloc(8192);
    const text = head.toString('utf8', 0, fill(bytes, head, 0));
    const parsed = parseLine(text.slice(0, text.indexOf('\n')));
    if (parsed.type !== 'event' || parsed.event.k !== 'open') return true;
    const { host, pid, boot = null, pidns = null, started = null } = parsed.event;
    const life = judgeLife({ host, pid, boot, pidns, started });
    if (life !== 'unknown') return life === 'alive';
    const grown = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    return Date.now() - grown < QUIET_MS;
  } finally {
    bytes.close();
  }
}

/**
 * Appends at a plain offset: what a killed process left half written behind it is cut off first. What a full disk did not
 * take whole is taken back.
 */
function appendAt(path: string, offset: number, bytes: Uint8Array): void {
  const fd = openSync(path, 'a', 0o644);
  try {
    if (fstatSync(fd).size > offset) ftruncateSync(fd, offset);
    try {
      writeWhole(fd, bytes);
    } catch (error) {
      ftruncateSync(fd, offset);
      throw diskError(error, path);
    }
  } finally {
    closeSync(fd);
  }
}

/** A sealed journal goes on: its plain form with the new lines takes its place in one step. */
function unseal(path: string, length: number, fresh: Uint8Array): void {
  const temporary = `${path}.${process.pid}.tmp`;
  const bytes = openPlainBytes(path);
  if (bytes === null) throw new Error(`${path} is gone`);
  try {
    const fd = openSync(temporary, 'w', 0o644);
    try {
      const chunk = Buffer.allocUnsafe(COPY_BYTES);
      for (let at = 0; at < length; ) {
        const count = fill(bytes, chunk.subarray(0, Math.min(COPY_BYTES, length - at)), at);
        if (count === 0) throw new Error(`${path} is cut short`);
        writeWhole(fd, chunk.subarray(0, count));
        at += count;
      }
      writeWhole(fd, fresh);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
    rmSync(`${path}.zst`, { force: true });
  } catch (error) {
    throw diskError(error, path);
  } finally {
    bytes.close();
    rmSync(temporary, { force: true });
  }
}

function writeWhole(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

/** Several at a time: the disk then writes them in one go. */
async function syncAll(files: readonly string[], folders: readonly string[]): Promise<void> {
  const paths = [...files, ...folders];
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let path = paths[next++]; path !== undefined; path = paths[next++]) await syncPath(path);
  };
  await Promise.all(Array.from({ length: 4 }, worker));
}

async function syncPath(path: string): Promise<void> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    // It was sealed or moved meanwhile, by somebody who has synced it.
    if (isSystemError(error, 'ENOENT')) return;
    throw error;
  }
  try {
    await handle.sync();
  } catch (error) {
    // Some file systems refuse to sync a folder.
    if (!isSystemError(error, 'EINVAL', 'EISDIR', 'EBADF')) throw error;
  } finally {
    await handle.close();
  }
}
