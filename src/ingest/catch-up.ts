import { WaddleError } from '../errors/waddle-error.ts';
import { MAX_LINE_BYTES, parseLine } from '../events/line.ts';
import { type Layout, runFolder } from '../journal/layout.ts';
import { judgeLife } from '../journal/process-identity.ts';
import { type LineBatch, openPlainBytes, type PlainBytes, readLines } from '../journal/reader.ts';
import { readReceived } from '../journal/received.ts';
import { type Applied, Applier, type Batch, type BrokenLine } from '../store/apply.ts';
import type { ReaderClock } from '../store/journal-state.ts';
import type { Store } from '../store/open.ts';
import { findWork, journalPath, type Visit, type Work } from './find-work.ts';
import { identityOfRow, isCrashed, type JudgeLife, SYSTEM_CLOCK } from './life.ts';

export interface IngestOptions {
  layout: Layout;
  store: Store;
  /** Only these runs (and the project's own journals). */
  runs?: readonly string[];
  onProgress?: (progress: IngestProgress) => void;
  signal?: AbortSignal;
  /** The reader's clocks; others only in tests. */
  clock?: ReaderClock;
  /** Whether a process lives; another judge only in tests. */
  judge?: JudgeLife;
  /** The longest that one transaction may read before it commits, in milliseconds. */
  batchMs?: number;
}

export interface IngestProgress {
  /** Plain bytes read, and to read in all as far as is known. */
  bytes: number;
  totalBytes: number;
  samples: number;
}

export interface IngestReport {
  /** The database's revision afterwards. */
  revision: number;
  changed: boolean;
  lines: number;
  samples: number;
  bytes: number;
  /** Each broken line once, in the report of whoever read it first. */
  broken: (BrokenLine & { path: string })[];
  /** Runs newly judged crashed. */
  crashed: string[];
  /** Journals that could not be read, now; they are tried again. */
  failed: { path: string; message: string }[];
  /** The signal came before all was read. */
  interrupted: boolean;
  /** Milliseconds that looking for what is new took. */
  lookedMs: number;
}

/** A transaction ends after so many lines or samples: few enough for memory, many enough to fill pages. */
const BATCH_LINES = 16_384;
const BATCH_SAMPLES = 65_536;
const BATCH_MS = 400;
const CHUNK_BYTES = 256 * 1024;

const appliers = new WeakMap<Store, Applier>();

function applierOf(store: Store, clock: ReaderClock | undefined): Applier {
  if (clock !== undefined) return new Applier(store, { clock });
  let applier = appliers.get(store);
  if (applier === undefined) {
    applier = new Applier(store, { clock: SYSTEM_CLOCK });
    appliers.set(store, applier);
  }
  return applier;
}

/**
 * Brings the database up to its journals, and judges the runs that say they run. Any number of processes may do this at
 * once: each event counts once. Throws WaddleError where the database cannot be written; a journal that cannot be read
 * is reported and holds up no other.
 */
export function catchUp(options: IngestOptions): IngestReport {
  const steps = ingestSteps(options);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
    options.onProgress?.(step.value);
  }
}

/** As `catchUp`, but comes up for air after each transaction. */
export function* ingestSteps(options: IngestOptions): Generator<IngestProgress, IngestReport> {
  const { layout, store, signal } = options;
  const clock = options.clock ?? SYSTEM_CLOCK;
  const judge = memoised(options.judge ?? judgeLife);
  const applier = applierOf(store, options.clock);
  const report: IngestReport = {
    revision: 0,
    changed: false,
    lines: 0,
    samples: 0,
    bytes: 0,
    broken: [],
    crashed: [],
    failed: [],
    interrupted: false,
    lookedMs: 0,
  };
  const note = (applied: Applied) => {
    report.changed ||= applied.revision !== null;
    report.lines += applied.lines;
    report.samples += applied.samples;
    for (const line of applied.broken) {
      report.broken.push({ ...line, path: journalPath(layout, line.run, line.writer) });
    }
  };

  const began = performance.now();
  const found = findWork(layout, store, clock.now(), options.runs);
  report.lookedMs = performance.now() - began;
  report.failed.push(...found.failed);
  if (found.gone.length > 0 || found.reset.length > 0) {
    note(
      applier.transact((batch) => {
        for (const runId of [...found.gone, ...found.reset]) batch.purge(runId);
      }),
    );
  }

  const totalBytes = found.work.reduce((sum, work) => sum + work.bytes, 0);
  const reader = new WorkReader(found.work, report);
  try {
    while (!reader.done) {
      if (signal?.aborted) {
        report.interrupted = true;
        break;
      }
      const deadline = performance.now() + (options.batchMs ?? BATCH_MS);
      note(
        applier.transact((batch) => {
          while (reader.readInto(batch)) {
            if (batch.lines >= BATCH_LINES || batch.samples >= BATCH_SAMPLES) break;
            if (performance.now() >= deadline) break;
          }
        }),
      );
      yield { bytes: report.bytes, totalBytes: Math.max(totalBytes, report.bytes), samples: report.samples };
    }
  } finally {
    reader.close();
  }
  if (!report.interrupted) {
    const looked = lookBack(store, found.visits, new Set(found.work.map((work) => work.path)));
    const torn = looked.torn.filter((row) => isGone(row, judge));
    const crashed = runningRuns(store, options.runs).filter(
      ({ num, id }) => isCrashed(store, num, clock, judge) && !cameFromElsewhere(layout, id),
    );
    if (torn.length > 0 || crashed.length > 0) {
      note(
        applier.transact((batch) => {
          for (const row of torn) batch.tear(batch.journal(row.runId, row.writer));
          for (const run of crashed) batch.crash(run.num);
        }),
      );
      report.crashed = crashed.map((run) => run.id);
    }
    rememberFolders(store, looked);
  }
  report.revision = store.revision;
  return report;
}

/** Reads one journal after the other, a chunk at a time, over as many transactions as it takes. */
class WorkReader {
  readonly #work: Work[];
  readonly #report: IngestReport;
  #index = 0;
  #open: { bytes: PlainBytes; batches: Generator<LineBatch>; next: number } | undefined;

  constructor(work: Work[], report: IngestReport) {
    this.#work = work;
    this.#report = report;
  }

  get done(): boolean {
    return this.#index >= this.#work.length;
  }

  close(): void {
    this.#open?.bytes.close();
    this.#open = undefined;
  }

  /** Applies the next chunk of the current journal; false where there is no more work. */
  readInto(batch: Batch): boolean {
    const work = this.#work[this.#index];
    if (work === undefined) return false;
    let chunk: LineBatch | undefined;
    try {
      chunk = this.#nextChunk(work, batch);
    } catch (error) {
      if (error instanceof WaddleError) throw error;
      this.#report.failed.push({
        path: work.path,
        message: error instanceof Error ? error.message : String(error),
      });
    }
    if (chunk === undefined) {
      this.close();
      this.#index += 1;
      return true;
    }
    const from = this.#open?.next ?? 0;
    if (chunk.next === from) return true;
    const journal = batch.journal(work.runId, work.writer);
    for (const { start, text } of chunk.lines) {
      batch.apply(
        journal,
        start,
        text === null ? { type: 'broken', reason: `longer than ${MAX_LINE_BYTES} bytes` } : parseLine(text),
      );
    }
    batch.advance(journal, chunk.next);
    this.#report.bytes += chunk.next - from;
    if (this.#open !== undefined) this.#open.next = chunk.next;
    return true;
  }

  /** Where another process has meanwhile read on, or a transaction was undone, reading begins at the new place. */
  #nextChunk(work: Work, batch: Batch): LineBatch | undefined {
    const offset = batch.offsetOf(work.runId, work.writer);
    if (this.#open !== undefined && this.#open.next !== offset) this.close();
    if (this.#open === undefined) {
      const bytes = openPlainBytes(work.path);
      if (bytes === null) return undefined;
      const size = Math.min(CHUNK_BYTES, Math.max(4096, bytes.length - offset));
      this.#open = { bytes, batches: readLines(bytes, offset, size), next: offset };
    }
    // What is appended from now on is for the next time; else a quick writer would never let go.
    if (this.#open.next >= this.#open.bytes.length) return undefined;
    const step = this.#open.batches.next();
    return step.done ? undefined : step.value;
  }
}

interface Looked {
  folders: { id: string; changed: number; live: boolean }[];
  /** Ids of journals that were found sealed. */
  sealed: number[];
  /** Journals with an unfinished last line that is not yet reported. */
  torn: { runId: string; writer: string; row: Record<string, unknown> }[];
}

/**
 * After reading: which folders need to be opened again, and what was left unfinished.
 * @param grown journals that held more than was known
 */
function lookBack(store: Store, visits: Visit[], grown: ReadonlySet<string>): Looked {
  const looked: Looked = { folders: [], sealed: [], torn: [] };
  for (const { runId, changed, journals } of visits) {
    const rows = new Map(
      store
        .prepare('SELECT * FROM journals WHERE run = (SELECT num FROM runs WHERE id = ?)')
        .all(runId)
        .map((row) => [String(row.writer), row]),
    );
    let live = false;
    for (const { writer, path, sealed } of journals) {
      const row = rows.get(writer);
      if (row === undefined || (!sealed && row.closed !== 1)) live = true;
      if (row === undefined || row.sealed === 1) continue;
      if (sealed) looked.sealed.push(Number(row.id));
      if (row.torn === null && grown.has(path) && endsTorn(path, Number(row.offset)))
        looked.torn.push({ runId, writer, row });
    }
    looked.folders.push({ id: runId, changed, live });
  }
  return looked;
}

/** Whether the rest of the journal is a piece of one line. */
function endsTorn(path: string, offset: number): boolean {
  const bytes = openPlainBytes(path);
  if (bytes === null) return false;
  try {
    if (bytes.length <= offset) return false;
    for (const { lines } of readLines(bytes, offset)) if (lines.length > 0) return false;
    return true;
  } finally {
    bytes.close();
  }
}

function isGone(torn: Looked['torn'][number], judge: JudgeLife): boolean {
  if (torn.row.closed === 1) return true;
  const identity = identityOfRow(torn.row);
  return identity !== null && judge(identity) === 'dead';
}

function rememberFolders(store: Store, looked: Looked): void {
  const before = store.prepare('SELECT changed, live FROM folders WHERE id = ?');
  const fresh = looked.folders.filter((folder) => {
    const row = before.get(folder.id);
    return row === undefined || row.changed !== folder.changed || row.live !== Number(folder.live);
  });
  if (fresh.length === 0 && looked.sealed.length === 0) return;
  store.transaction(() => {
    for (const id of looked.sealed) store.prepare('UPDATE journals SET sealed = 1 WHERE id = ?').run(id);
    for (const { id, changed, live } of fresh) {
      store
        .prepare('INSERT OR REPLACE INTO folders (id, changed, live) VALUES (?, ?, ?)')
        .run(id, changed, Number(live));
    }
  });
}

function runningRuns(store: Store, runs: readonly string[] | undefined): { num: number; id: string }[] {
  const wanted = runs === undefined ? undefined : new Set(runs);
  return store
    .prepare("SELECT num, id FROM runs WHERE status = 'running'")
    .all()
    .map((row) => ({ num: Number(row.num), id: String(row.id) }))
    .filter(({ id }) => wanted === undefined || wanted.has(id));
}

/** Where a run was pulled, or pushed to a collector, its last known status stands: nobody here can judge its life. */
function cameFromElsewhere(layout: Layout, runId: string): boolean {
  const received = readReceived(runFolder(layout, runId));
  return [...received].some((writer) => !writer.startsWith('edits-'));
}

/** The same process is asked about once a round, however many journals and runs it has. */
function memoised(judge: JudgeLife): JudgeLife {
  const verdicts = new Map<string, ReturnType<JudgeLife>>();
  return (identity) => {
    const name = JSON.stringify(identity);
    let verdict = verdicts.get(name);
    if (verdict === undefined) {
      verdict = judge(identity);
      verdicts.set(name, verdict);
    }
    return verdict;
  };
}
