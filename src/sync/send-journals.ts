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
  /** Bytes that this side has, as of the last reading. */
  length: number;
  /** How often the other side has sent it elsewhere or away: two writers at once, or another order of arrival. */
  turns: number;
}

const MAX_TURNS = 4;

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
  let ready = await lane.read();
  while (ready.length > 0) {
    // Other journals are read while these are being written: no answer can change what that reading is of.
    const [next] = await Promise.all([lane.read(ready), lane.write(ready)]);
    ready = next.length > 0 ? next : await lane.read();
  }
  return refused;
}

function projectJourney(writer: string): Journey {
  return { run: null, writer, offset: 0, root: EMPTY_ROOT, length: 1, turns: 0 };
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
      return done ? [] : [{ run, writer, offset: there.length, root: there.root, length, turns: 0 }];
    });
}

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

  /** The next pieces, at most a body of them, of journals that are not `busy`. */
  async read(busy: Ready = []): Promise<Ready> {
    const taken = new Set(busy.map(({ journey }) => journey));
    const wanted: Journey[] = [];
    let bytes = 0;
    for (const journey of this.#open) {
      if (wanted.length === MAX_PIECES || bytes >= MAX_BODY_BYTES) break;
      if (taken.has(journey)) continue;
      wanted.push(journey);
      bytes += journey.length - journey.offset;
    }
    if (wanted.length === 0) return [];
    const { from } = this.#tally.options;
    const pieces = await from.readJournals(
      wanted.map(({ run, writer, offset }) => ({ run, writer, offset })),
    );
    const named = new Map(wanted.map((journey) => [nameOf(journey), journey]));
    const ready: Ready = [];
    for (const read of pieces) {
      const journey = named.get(nameOf(read));
      if (journey === undefined || journey.offset !== read.offset) continue;
      // A running job's journal grows on: what comes after the question is for the next call.
      journey.length = journey.run === null ? read.length : Math.min(journey.length, read.length);
      if (read.before !== journey.root) {
        this.#end(journey, 'journal-diverged', `the first ${read.offset} bytes are others on the other side`);
      } else if (read.bytes.length === 0) {
        this.#end(journey, 'line-too-long', `its line at byte ${read.offset} is too long to travel`);
      } else ready.push({ journey, read });
    }
    if (pieces.length > 0) return ready.length > 0 ? ready : this.read(busy);
    // None of these has anything more: they were shortened, or are gone.
    for (const journey of wanted) this.#close(journey);
    return this.read(busy);
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
      if (journey.offset >= journey.length) this.#close(journey);
      return;
    }
    const { code, message, length, root } = result;
    journey.turns += 1;
    if (code === 'journal-offset' && journey.turns < MAX_TURNS && length < journey.length) {
      journey.offset = length;
      journey.root = root;
      return;
    }
    // The journal that tells of the run's project may come after this one: once all else is there, it is tried again.
    if (code === 'project-denied' && journey.turns === 1) {
      this.#close(journey);
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
