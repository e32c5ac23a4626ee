/** What the journals of a project folder hold, found out once and remembered. */
import { statSync } from 'node:fs';
import { folderChangeTime, type JournalFile, listJournals } from '../journal/discover.ts';
import { openPlainBytes } from '../journal/reader.ts';
import { type JournalFacts, scanJournal } from './journal-facts.ts';
import type { StateCache } from './state-cache.ts';

export interface JournalEntry {
  /** Path of the plain journal, whether or not it is sealed. */
  path: string;
  sealed: boolean;
  /** Size, change time and inode of the file that was read. */
  stamp: string;
  facts: JournalFacts;
}

export interface FolderFacts {
  /** Change time (ms) of the folder as it was looked at; -1 where it is too fresh to tell a further change by. */
  folder: number;
  /** No journal in it will grow. */
  settled: boolean;
  journals: Map<string, JournalEntry>;
  /** Journals that could not be read, and why. */
  failed: { path: string; message: string }[];
}

/** A folder that changed this recently may change again without its change time moving (milliseconds). */
const FRESH_MS = 2000;
/** Folders whose facts stay in memory. */
const KEPT_FOLDERS = 256;

export class RunBook {
  readonly #cache: StateCache;
  readonly #recent = new Map<string, FolderFacts>();

  constructor(cache: StateCache) {
    this.#cache = cache;
  }

  /**
   * The facts of a folder's journals; null where there is no such folder. Reads only what is new since the last time.
   * @param id its row in the cache
   */
  look(id: string, folder: string): FolderFacts | null {
    const changed = folderChangeTime(folder);
    if (changed === null) {
      this.#recent.delete(id);
      return null;
    }
    const before = this.#recent.get(id) ?? this.#remembered(id, folder);
    if (before?.settled && before.folder === changed) return this.#keep(id, before);
    const facts: FolderFacts = { folder: changed, settled: true, journals: new Map(), failed: [] };
    for (const file of listJournals(folder)) {
      try {
        const entry = lookAt(file, before?.journals.get(file.writer));
        if (entry === null) continue;
        facts.journals.set(file.writer, entry);
        if (!entry.sealed && !entry.facts.closed) facts.settled = false;
      } catch (error) {
        facts.settled = false;
        const message = error instanceof Error ? error.message : String(error);
        facts.failed.push({ path: file.path, message });
      }
    }
    if (Date.now() - changed < FRESH_MS) {
      facts.folder = -1;
      facts.settled = false;
    }
    if (!isSame(before, facts)) this.remember(id, facts);
    return this.#keep(id, facts);
  }

  /** Writes down what is known now; `presence` and `digest` where those are known with it. */
  remember(id: string, facts: FolderFacts, presence = '', digest = ''): void {
    const journals = [...facts.journals].map(([writer, { sealed, stamp, facts: known }]) => {
      return [writer, sealed, stamp, known];
    });
    this.#cache.put(id, {
      folder: facts.folder,
      settled: facts.settled,
      presence,
      digest,
      body: JSON.stringify(journals),
    });
  }

  /** A journal was just written by this process: `facts` are of what it holds now. */
  grown(id: string, writer: string, path: string, facts: JournalFacts): void {
    const known = this.#recent.get(id);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (known === undefined || stats === undefined) return;
    known.settled = false;
    known.journals.set(writer, { path, sealed: false, stamp: stampOf(stats), facts });
  }

  #remembered(id: string, folder: string): FolderFacts | undefined {
    const row = this.#cache.get(id);
    if (row === undefined) return undefined;
    try {
      const journals = JSON.parse(row.body) as [string, boolean, string, JournalFacts][];
      return {
        folder: row.folder,
        settled: row.settled,
        journals: new Map(
          journals.map(([writer, sealed, stamp, facts]) => [
            writer,
            { path: `${folder}/${writer}.jsonl`, sealed, stamp, facts },
          ]),
        ),
        failed: [],
      };
    } catch {
      return undefined;
    }
  }

  #keep(id: string, facts: FolderFacts): FolderFacts {
    this.#recent.delete(id);
    this.#recent.set(id, facts);
    if (this.#recent.size > KEPT_FOLDERS) {
      const [oldest] = this.#recent.keys();
      if (oldest !== undefined) this.#recent.delete(oldest);
    }
    return facts;
  }
}

/** Null where it is gone, which may be since it was listed. */
function lookAt(file: JournalFile, before: JournalEntry | undefined): JournalEntry | null {
  const { path } = file;
  for (const sealed of file.sealed ? [true, false] : [false, true]) {
    const stats = statSync(sealed ? `${path}.zst` : path, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    const stamp = stampOf(stats);
    if (before?.stamp === stamp && before.sealed === sealed) return before;
    const bytes = openPlainBytes(path);
    if (bytes === null) continue;
    try {
      // Sealing reads back what it wrote: a sealed journal of the same length is the one that was known.
      const same =
        before !== undefined && bytes.sealed && !before.sealed && sizeIn(before.stamp) === bytes.length;
      const facts = same ? before.facts : scanJournal(bytes, before?.facts);
      return { path, sealed: bytes.sealed, stamp: bytes.sealed === sealed ? stamp : '', facts };
    } finally {
      bytes.close();
    }
  }
  return null;
}

function stampOf(stats: { size: number; mtimeMs: number; ino: number }): string {
  return `${stats.size} ${stats.mtimeMs} ${stats.ino}`;
}

function sizeIn(stamp: string): number {
  return Number(stamp.split(' ')[0]);
}

function isSame(before: FolderFacts | undefined, facts: FolderFacts): boolean {
  if (before === undefined || before.folder !== facts.folder || before.settled !== facts.settled)
    return false;
  if (before.journals.size !== facts.journals.size) return false;
  return [...facts.journals].every(([writer, entry]) => before.journals.get(writer)?.stamp === entry.stamp);
}
