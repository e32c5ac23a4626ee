/** Journals from one space to another: of each only the bytes that are missing there. */
import { EMPTY_ROOT } from './journal-hash.ts';
import {
  type JournalMark,
  type JournalPiece,
  MAX_BODY_BYTES,
  MAX_PIECES,
  type PackedJournals,
  type PieceResult,
  type ReadPiece,
} from './space.ts';
import type { RunPair, Tally } from './transfer.ts';

/** A journal on its way. */
interface Journey {
  run: string | null;
  writer: string;
  /** What the other side has. */
  there: JournalMark;
  /** What it will have once it has taken what was read to be sent. */
  read: JournalMark;
  /** Bytes that are to go over, as of the last reading. */
  length: number;
  /** What this side had when it was asked; null of the project's, of which all goes over. */
  here: JournalMark | null;
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
  const sizes = journeys.map(({ length, there }) => Math.max(0, length - there.length));
  tally.begin(
    'journals',
    sizes.reduce((sum, size) => sum + size, 0),
  );
  const lane = new Lane(tally, journeys);
  await lane.run();
  return lane.refused;
}

function projectJourney(writer: string): Journey {
  return newJourney(null, writer, { length: 0, root: EMPTY_ROOT }, null);
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
      return done ? [] : [newJourney(run, writer, there, { length, root })];
    });
}

function newJourney(
  run: string | null,
  writer: string,
  there: JournalMark,
  here: JournalMark | null,
): Journey {
  return { run, writer, there, read: there, length: here?.length ?? 1, here, turns: 0 };
}

/** No line that came after the question. */
function cut(read: ReadPiece, here: JournalMark | null): ReadPiece {
  if (here === null || read.offset + read.bytes.length <= here.length) return read;
  const bytes = read.bytes.subarray(0, here.length - read.offset);
  return { ...read, bytes, after: here.root, others: undefined };
}

/** A body of pieces. */
type Ready = { journey: Journey; read: ReadPiece }[];

/** A body on its way: its last byte has left, its answer has come and is settled. */
interface Flight {
  sent: Promise<void>;
  settled: Promise<void>;
}

class Lane {
  /** Runs that the other side wants nothing of. */
  readonly refused = new Set<string>();
  readonly #tally: Tally;
  #open: Journey[];

  constructor(tally: Tally, journeys: Journey[]) {
    this.#tally = tally;
    this.#open = journeys;
  }

  /** While a body is on its way, the next one is read and packed, as if the answer could only be yes. */
  async run(): Promise<void> {
    let flight: Flight | null = null;
    for (;;) {
      const ready = await this.#read();
      if (ready.length === 0) {
        if (flight === null) return;
        await flight.settled;
        flight = null;
        continue;
      }
      const send = await this.#pack(ready);
      await flight?.settled;
      if (ready.every(({ journey, read }) => this.#goesOn(journey, read))) {
        flight = this.#send(ready, send);
        // Packing would keep this thread from sending.
        await flight.sent;
      } else {
        // The answer was another: this body is of what is not there.
        for (const { journey } of ready) journey.read = journey.there;
        flight = null;
      }
    }
  }

  /** The next pieces, at most a body of them. */
  async #read(): Promise<Ready> {
    const wanted: Journey[] = [];
    let bytes = 0;
    for (const journey of this.#open) {
      if (wanted.length === MAX_PIECES || bytes >= MAX_BODY_BYTES) break;
      if (journey.read.length >= journey.length) continue;
      wanted.push(journey);
      bytes += journey.length - journey.read.length;
    }
    if (wanted.length === 0) return [];
    const { from } = this.#tally.options;
    const pieces = await from.readJournals(
      wanted.map(({ run, writer, read }) => ({ run, writer, offset: read.length })),
    );
    const named = new Map(wanted.map((journey) => [nameOf(journey), journey]));
    const ready: Ready = [];
    for (const piece of pieces) {
      const journey = named.get(nameOf(piece));
      if (journey === undefined || journey.read.length !== piece.offset) continue;
      const read = cut(piece, journey.here);
      // A running job's journal grows on: what comes after the question is for the next call.
      journey.length = journey.run === null ? read.length : Math.min(journey.length, read.length);
      if (read.before !== journey.read.root) {
        this.#end(journey, 'journal-diverged', `the first ${read.offset} bytes are others on the other side`);
      } else if (read.bytes.length === 0) {
        this.#end(journey, 'line-too-long', `its line at byte ${read.offset} is too long to travel`);
      } else {
        journey.read = { length: read.offset + read.bytes.length, root: read.after };
        ready.push({ journey, read });
      }
    }
    if (pieces.length > 0) return ready.length > 0 ? ready : this.#read();
    // None of these has anything more: they were shortened, or are gone.
    for (const journey of wanted) this.#close(journey);
    return this.#read();
  }

  async #pack(ready: Ready): Promise<() => ReturnType<PackedJournals['send']>> {
    const { to, apply } = this.#tally.options;
    const pieces = ready.map(({ read }): JournalPiece => {
      const { run, writer, offset, before, after, bytes, others } = read;
      const piece: JournalPiece = { run, writer, offset, before, root: after, bytes, others };
      return run === null && apply === true ? { ...piece, apply } : piece;
    });
    const packed = await to.packJournals?.(pieces);
    if (packed !== undefined) return () => packed.send();
    return () => ({ sent: Promise.resolve(), results: to.writeJournals(pieces) });
  }

  #send(ready: Ready, send: () => ReturnType<PackedJournals['send']>): Flight {
    const { sent, results } = send();
    const settled = results.then((all) => {
      for (const [index, { journey, read }] of ready.entries()) {
        const result = all[index];
        if (result !== undefined) this.#settle(journey, read, result);
      }
    });
    // Whoever waits for it next hears of a failure.
    settled.catch(() => undefined);
    return { sent, settled };
  }

  /** Whether the piece begins where the other side is. */
  #goesOn(journey: Journey, read: ReadPiece): boolean {
    return this.#open.includes(journey) && journey.there.length === read.offset;
  }

  #settle(journey: Journey, read: ReadPiece, result: PieceResult): void {
    const { report } = this.#tally;
    if (result.ok) {
      journey.there = { length: read.offset + read.bytes.length, root: read.after };
      if (journey.run !== null) report.runs.add(journey.run);
      report.journals.pieces += 1;
      report.journals.bytes += read.bytes.length;
      if (journey.there.length >= journey.length) this.#close(journey);
      this.#tally.moved(read.bytes.length);
      return;
    }
    const { code, message, length, root } = result;
    journey.turns += 1;
    if (code === 'journal-offset' && journey.turns < MAX_TURNS && length < journey.length) {
      journey.there = { length, root };
      journey.read = journey.there;
      return;
    }
    journey.read = journey.there;
    // The journal that tells of the run's project may come after this one: once all else is there, it is tried again.
    if (code === 'project-denied' && journey.turns === 1) {
      this.#close(journey);
      this.#open.push(journey);
      return;
    }
    if (journey.run !== null && (code === 'run-removed' || code === 'project-denied')) {
      this.refused.add(journey.run);
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
