/** Journals from one space to another: of each only the bytes that are missing there. */
import { EMPTY_ROOT } from './journal-hash.ts';
import {
  type JournalMark,
  type JournalPiece,
  MAX_BODY_BYTES,
  MAX_PIECES,
  type PieceResult,
  type ReadPiece,
} from './space.ts';
import type { RunPair, Tally } from './transfer.ts';

/** A journal on its way. */
interface Journey {
  run: string | null;
  writer: string;
  /** Bytes that the other side has, and their root there. */
  offset: number;
  root: string;
  /** Where the next reading begins: what is on its way there counts as arrived. */
  next: number;
  nextRoot: string;
  /** Bytes that this side has, as of the question. */
  length: number;
  /** How often the other side has sent it elsewhere or away: two writers at once, or another order of arrival. */
  turns: number;
}

const MAX_TURNS = 8;

/**
 * Sends the journals of runs, or with `pairs` null these of the project. Gives the runs that the other side will have
 * nothing of: removed there, or denied.
 */
export async function sendJournals(
  tally: Tally,
  pairs: readonly RunPair[] | null,
  project: readonly string[],
): Promise<Set<string>> {
  const journeys = pairs === null ? project.map(projectJourney) : pairs.flatMap(journeysOf);
  const sizes = journeys.map(({ length, offset }) => Math.max(0, length - offset));
  tally.begin(
    'journals',
    sizes.reduce((sum, size) => sum + size, 0),
  );
  const refused = new Set<string>();
  const lane = new Lane(tally, journeys, refused);
  let writing: Promise<void> | null = null;
  for (;;) {
    const ready = await lane.read().catch(async (error: unknown) => {
      await writing?.catch(() => undefined);
      throw error;
    });
    // Two bodies are on their way at a time: while one is worked on there, the next is packed here.
    const before: Promise<void> | null = writing;
    if (ready.length === 0) {
      if (before === null) break;
      await before;
      writing = null;
      continue;
    }
    const own = lane.write(ready);
    own.catch(() => undefined);
    if (before !== null) {
      await before.catch(async (error: unknown) => {
        await own.catch(() => undefined);
        throw error;
      });
    }
    writing = own;
  }
  return refused;
}

function projectJourney(writer: string): Journey {
  const begin = { offset: 0, root: EMPTY_ROOT, next: 0, nextRoot: EMPTY_ROOT };
  return { run: null, writer, ...begin, length: 1, turns: 0 };
}

/** Who tells of the run first, so that the other side knows whose it is before it takes the rest. */
const ORDER = ['supervisor', 'job', 'helper', 'edits'];

function journeysOf({ run, source, target }: RunPair): Journey[] {
  const rank = (writer: string): number => ORDER.indexOf(writer.slice(0, writer.indexOf('-')));
  return [...source.journals]
    .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1))
    .flatMap(([writer, { length, root }]): Journey[] => {
      const there: JournalMark = target?.journals.get(writer) ?? { length: 0, root: EMPTY_ROOT };
      const done = there.length > length || (there.length === length && there.root === root) || length === 0;
      if (done) return [];
      const begin = { offset: there.length, root: there.root, next: there.length, nextRoot: there.root };
      return [{ run, writer, ...begin, length, turns: 0 }];
    });
}

/** Pieces of one body. */
type Ready = { journey: Journey; read: ReadPiece }[];

class Lane {
  readonly #tally: Tally;
  readonly #refused: Set<string>;
  #open: Journey[];

  constructor(tally: Tally, journeys: Journey[], refused: Set<string>) {
    this.#tally = tally;
    this.#open = journeys;
    this.#refused = refused;
  }

  /** The next pieces, at most a body of them. */
  async read(): Promise<Ready> {
    const wanted: Journey[] = [];
    let bytes = 0;
    for (const journey of this.#open) {
      if (wanted.length === MAX_PIECES || bytes >= MAX_BODY_BYTES) break;
      if (journey.next >= journey.length) continue;
      wanted.push(journey);
      bytes += journey.length - journey.next;
    }
    if (wanted.length === 0) return [];
    const { from } = this.#tally.options;
    const pieces = await from.readJournals(
      wanted.map(({ run, writer, next }) => ({ run, writer, offset: next })),
    );
    const named = new Map(wanted.map((journey) => [nameOf(journey), journey]));
    const ready: Ready = [];
    for (const read of pieces) {
      const journey = named.get(nameOf(read));
      // An answer that came meanwhile may have sent it elsewhere.
      if (journey === undefined || journey.next !== read.offset) continue;
      // A running job's journal grows on: what comes after the question is for the next call.
      journey.length = journey.run === null ? read.length : Math.min(journey.length, read.length);
      if (read.before !== journey.nextRoot) {
        this.#end(journey, 'journal-diverged', `the first ${read.offset} bytes are others on the other side`);
      } else if (read.bytes.length === 0) {
        this.#end(journey, 'line-too-long', `its line at byte ${read.offset} is too long to travel`);
      } else {
        journey.next = read.offset + read.bytes.length;
        journey.nextRoot = read.after;
        ready.push({ journey, read });
      }
    }
    if (pieces.length > 0) return ready.length > 0 ? ready : this.read();
    // None of these has anything more: they were shortened, or are gone.
    for (const journey of wanted) this.#close(journey);
    return this.read();
  }

  async write(ready: Ready): Promise<void> {
    const { to, apply } = this.#tally.options;
    const pieces = ready.map(({ read }): JournalPiece => {
      const { run, writer, offset, before, after, bytes } = read;
      const piece: JournalPiece = { run, writer, offset, before, root: after, bytes };
      return run === null && apply === true ? { ...piece, apply } : piece;
    });
    const results = await to.writeJournals(pieces);
    for (const [index, { journey, read }] of ready.entries()) {
      const result = results[index];
      if (result !== undefined) this.#settle(journey, read, result);
    }
  }

  #settle(journey: Journey, read: ReadPiece, result: PieceResult): void {
    const { report } = this.#tally;
    if (result.ok) {
      journey.offset = read.offset + read.bytes.length;
      journey.root = read.after;
      if (journey.run !== null) report.runs.add(journey.run);
      report.journals.pieces += 1;
      report.journals.bytes += read.bytes.length;
      this.#tally.moved(read.bytes.length);
      if (journey.next < journey.offset) {
        journey.next = journey.offset;
        journey.nextRoot = journey.root;
      }
      if (journey.offset >= journey.length) this.#close(journey);
      return;
    }
    const { code, message, length, root } = result;
    journey.turns += 1;
    if (code === 'journal-offset' && journey.turns < MAX_TURNS && length < journey.length) {
      journey.offset = length;
      journey.root = root;
      journey.next = length;
      journey.nextRoot = root;
      return;
    }
    // The journal that tells of the run's project may come after this one: once all else is there, it is tried again.
    if (code === 'project-denied' && journey.turns === 1) {
      this.#close(journey);
      journey.next = journey.offset;
      journey.nextRoot = journey.root;
      this.#open.push(journey);
      return;
    }
    if (journey.run !== null && (code === 'run-removed' || code === 'project-denied')) {
      this.#refused.add(journey.run);
    }
    this.#end(journey, code, message);
  }

  #end(journey: Journey, code: Parameters<Tally['problem']>[0]['code'], message: string): void {
    this.#tally.problem({ run: journey.run, what: journey.writer, code, message });
    this.#close(journey);
  }

  #close(journey: Journey): void {
    this.#open = this.#open.filter((each) => each !== journey);
  }
}

function nameOf({ run, writer }: { run: string | null; writer: string }): string {
  return `${run ?? ''} ${writer}`;
}
