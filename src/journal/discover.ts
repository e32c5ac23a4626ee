import { type Dirent, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError } from '../errors/waddle-error.ts';
import { isRunId, isWriterName } from '../events/ids.ts';
import type { Layout } from './layout.ts';

/** One journal, sealed or not. */
export interface JournalFile {
  writer: string;
  /** Path of the plain journal (`….jsonl`), whether or not it is sealed. */
  path: string;
  sealed: boolean;
}

function listFolder(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

/** Ids of the runs that have a folder here, in no order. */
export function listRuns(runs: string): string[] {
  return listFolder(runs)
    .filter((entry) => entry.isDirectory() && isRunId(entry.name))
    .map((entry) => entry.name);
}

/** The journals in a folder, by writer name. Where a journal is there both plain and sealed, the plain one counts. */
export function listJournals(folder: string): JournalFile[] {
  const found = new Map<string, JournalFile>();
  for (const { name } of listFolder(folder)) {
    const sealed = name.endsWith('.jsonl.zst');
    if (!sealed && !name.endsWith('.jsonl')) continue;
    const writer = name.slice(0, sealed ? -'.jsonl.zst'.length : -'.jsonl'.length);
    if (!isWriterName(writer)) continue;
    if (sealed && found.has(writer)) continue;
    found.set(writer, { writer, path: join(folder, `${writer}.jsonl`), sealed });
  }
  return [...found.values()].sort((a, b) => (a.writer < b.writer ? -1 : 1));
}

/** Whether a writer's journal is in a folder, sealed or not. */
export function hasJournal(folder: string, writer: string): boolean {
  return listJournals(folder).some((journal) => journal.writer === writer);
}

/** Whether a project folder holds nothing that could be shown. */
export function isEmpty(layout: Layout): boolean {
  return listRuns(layout.runs).length === 0 && listJournals(layout.projectJournals).length === 0;
}

/** Change time of a folder in milliseconds: it moves when a journal is added, sealed or removed. Null where it is gone. */
export function folderChangeTime(folder: string): number | null {
  try {
    return statSync(folder).mtimeMs;
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}
