import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';
import { folderChangeTime, type JournalFile, listJournals, listRuns } from '../journal/discover.ts';
import { type Layout, runFolder } from '../journal/layout.ts';
import { openPlainBytes } from '../journal/reader.ts';
import type { Store } from '../store/open.ts';

/** A journal with something to read. `runId` null is the project's own. */
export interface Work {
  runId: string | null;
  writer: string;
  path: string;
  /** Plain bytes not yet in the database, as far as could be seen. */
  bytes: number;
}

/** A run folder that was opened. */
export interface Visit {
  runId: string;
  /** Its change time, to be remembered; -1 where it is too fresh to tell a further change by. */
  changed: number;
  journals: JournalFile[];
}

export interface Findings {
  work: Work[];
  visits: Visit[];
  /** Runs whose folder is gone. */
  gone: string[];
  /** Runs (null: the project's journals) to be read from the beginning, since a journal is gone or has shrunk. */
  reset: (string | null)[];
  /** Journals that could not be looked at. */
  failed: { path: string; message: string }[];
}

/** A folder that changed this recently may change again without its change time moving (milliseconds). */
const FRESH_MS = 2000;

/**
 * Looks for what is new with as little work as can be: one `stat` for a run that has ended, and its folder is opened only
 * where that has changed; journals still open are looked at each time.
 * @param runs only these runs, and then no run is found to be gone
 */
export function findWork(layout: Layout, store: Store, now: number, runs?: readonly string[]): Findings {
  const findings: Findings = { work: [], visits: [], gone: [], reset: [], failed: [] };
  lookAt(layout, store, findings, null, listJournals(layout.projectJournals));

  const known = new Map<string, { changed: number; live: boolean }>();
  for (const row of store.prepare('SELECT id, changed, live FROM folders').all()) {
    known.set(String(row.id), { changed: Number(row.changed), live: row.live === 1 });
  }
  for (const runId of runs ?? listRuns(layout.runs)) {
    const folder = runFolder(layout, runId);
    const changed = folderChangeTime(folder);
    if (changed === null) continue;
    const before = known.get(runId);
    known.delete(runId);
    if (before !== undefined && !before.live && before.changed === changed) continue;
    const journals = listJournals(folder);
    findings.visits.push({ runId, changed: now - changed < FRESH_MS ? -1 : changed, journals });
    lookAt(layout, store, findings, runId, journals);
  }
  // A whole folder that is missing is more likely not mounted than emptied.
  if (runs === undefined && known.size > 0 && existsSync(layout.runs)) {
    findings.gone = [...known.keys()].filter((runId) => !existsSync(runFolder(layout, runId)));
  }
  return findings;
}

function isGone(path: string): boolean {
  const bytes = openPlainBytes(path);
  bytes?.close();
  return bytes === null;
}

/** The plain journal's path; `runId` null is the project's own. */
export function journalPath(layout: Layout, runId: string | null, writer: string): string {
  return join(runId === null ? layout.projectJournals : runFolder(layout, runId), `${writer}.jsonl`);
}

function lookAt(
  layout: Layout,
  store: Store,
  findings: Findings,
  runId: string | null,
  journals: JournalFile[],
): void {
  const rows = store
    .prepare(
      `SELECT writer, offset, sealed FROM journals
       WHERE run = CASE WHEN ?1 IS NULL THEN 0 ELSE (SELECT num FROM runs WHERE id = ?1) END`,
    )
    .all(runId);
  const known = new Map(
    rows.map((row) => [String(row.writer), { offset: Number(row.offset), sealed: row.sealed === 1 }]),
  );
  let reset = false;
  for (const journal of journals) {
    const { writer, path } = journal;
    const before = known.get(writer);
    known.delete(writer);
    if (before?.sealed && journal.sealed) continue;
    try {
      const length = plainLength(journal);
      if (length === null) continue;
      const bytes = length - (before?.offset ?? 0);
      if (bytes < 0) reset = true;
      else if (bytes > 0) findings.work.push({ runId, writer, path, bytes });
    } catch (error) {
      findings.failed.push({ path, message: error instanceof Error ? error.message : String(error) });
    }
  }
  // A listing beside a sealing may miss both of its files: the disk has the last word.
  for (const writer of known.keys()) if (isGone(journalPath(layout, runId, writer))) reset = true;
  if (!reset) return;
  findings.reset.push(runId);
  // Everything of it is read again.
  findings.work = findings.work.filter((work) => work.runId !== runId);
  for (const { writer, path } of journals) findings.work.push({ runId, writer, path, bytes: 0 });
}

/** Null where it is gone, which may be since it was listed. */
function plainLength(journal: JournalFile): number | null {
  if (!journal.sealed) {
    try {
      return statSync(journal.path).size;
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error;
    }
  }
  const bytes = openPlainBytes(journal.path);
  if (bytes === null) return null;
  bytes.close();
  return bytes.length;
}
