import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { parseLine } from '../events/line.ts';
import { listJournals } from '../journal/discover.ts';

/** `head.json` as the clients keep it: `attempt` is the one that the last step is of. */
interface Head {
  id: string;
  name?: string | null;
  project?: string | null;
  started_at?: number;
  last_step?: number | null;
  attempt?: string | null;
  /** The run was removed: see `RunHead`. */
  removed?: boolean;
}

/** Bytes at the end of a journal that are looked through, where a job was killed before it noted its last step. */
const TAIL_BYTES = 64 * 1024;

export function readClientHead(folder: string): Head | null {
  try {
    const value: unknown = JSON.parse(readFileSync(join(folder, 'head.json'), 'utf8'));
    return typeof value === 'object' && value !== null && typeof (value as Head).id === 'string'
      ? (value as Head)
      : null;
  } catch {
    return null;
  }
}

/** Notes the greatest step that an attempt has reached. A convenience: never throws. */
export function noteStep(folder: string, step: number, attempt: string | null): void {
  const head = readClientHead(folder);
  if (head === null) return;
  const known = typeof head.last_step === 'number' ? head.last_step : null;
  if (known !== null && known >= step && head.attempt === attempt) return;
  const noted = { ...head, last_step: Math.max(known ?? step, step), attempt };
  const temporary = join(folder, `.head-${randomBytes(6).toString('hex')}`);
  try {
    writeFileSync(temporary, `${JSON.stringify(noted)}\n`);
    renameSync(temporary, join(folder, 'head.json'));
  } catch {
    rmSync(temporary, { force: true });
  }
}

/** The greatest step of earlier attempts than `attempt`; null where they logged none. */
export function lastStep(folder: string, attempt: string | null): number | null {
  const head = readClientHead(folder);
  const steps: number[] = [];
  if (typeof head?.last_step === 'number' && (attempt === null || head.attempt !== attempt))
    steps.push(head.last_step);
  try {
    for (const { path, writer, sealed } of listJournals(folder)) {
      if (!sealed && writer.startsWith('job-')) steps.push(...stepsAtEnd(path, attempt));
    }
  } catch {
    // A journal that cannot be read just now: the head must do.
  }
  return steps.length === 0 ? null : Math.floor(steps.reduce((a, b) => Math.max(a, b)));
}

function stepsAtEnd(path: string, attempt: string | null): number[] {
  const fd = openSync(path, 'r');
  try {
    const chunk = Buffer.alloc(TAIL_BYTES);
    const opening = chunk.toString('utf8', 0, readSync(fd, chunk, 0, 4096, 0)).split('\n')[0] ?? '';
    const opened = parseLine(opening);
    if (
      opened.type === 'event' &&
      opened.event.k === 'open' &&
      attempt !== null &&
      opened.event.attempt === attempt
    ) {
      return [];
    }
    const from = Math.max(0, fstatSync(fd).size - TAIL_BYTES);
    const text = chunk.toString('utf8', 0, readSync(fd, chunk, 0, TAIL_BYTES, from));
    const steps: number[] = [];
    for (const line of text.split('\n')) {
      if (!line.startsWith('{"k":"m"')) continue;
      const parsed = parseLine(line);
      if (parsed.type === 'event' && parsed.event.k === 'm') steps.push(parsed.event.s);
    }
    return steps;
  } finally {
    closeSync(fd);
  }
}
