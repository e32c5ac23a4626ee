import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a client without Node needs to find and resume a run. A convenience, never the truth. */
export interface RunHead {
  id: string;
  name: string | null;
  project: string | null;
  /** Epoch seconds. */
  started_at: number;
  /** The greatest step logged so far as far as is known, else null. */
  last_step: number | null;
  /** The run was removed, so that a client that has only this does not go on with it. */
  removed?: boolean;
}

/** Replaces the run's `head.json` in one step, so that no reader sees half of one. */
export function writeHead(folder: string, head: RunHead): void {
  const path = join(folder, 'head.json');
  const temporary = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(temporary, `${JSON.stringify(head)}\n`);
    renameSync(temporary, path);
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** Brings what an edit changed into the head. Never throws: the edit's own journal is what counts. */
export function amendHead(folder: string, change: Partial<Pick<RunHead, 'name' | 'removed'>>): void {
  const head = readHead(folder);
  if (head === null) return;
  try {
    writeHead(folder, { ...head, ...change });
  } catch {
    // Then a client without Node finds it by its id, or under its old name.
  }
}

/** The run's head; null where it is missing or unreadable. */
export function readHead(folder: string): RunHead | null {
  try {
    const value: unknown = JSON.parse(readFileSync(join(folder, 'head.json'), 'utf8'));
    if (typeof value !== 'object' || value === null || typeof (value as RunHead).id !== 'string') return null;
    return value as RunHead;
  } catch {
    return null;
  }
}
