import { existsSync, globSync, lstatSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { putFile } from '../blobs/blob-store.ts';
import { putFolder } from '../blobs/folder-manifest.ts';
import { eventTime } from '../events/line.ts';
import type { JournalWriter } from '../journal/writer.ts';

/**
 * Logs as artifacts what of an isolated job's files `patterns` (`run.outputs`) name: each file under its path, each folder
 * as one artifact. What is stored is removed from the folder. Gives the names.
 * @param folder where the patterns begin; may be missing
 * @throws the system's error where a file cannot be read or stored; what was not stored stays
 */
export function storeOutputs(options: {
  folder: string;
  patterns: readonly string[];
  blobs: string;
  journal: JournalWriter;
}): string[] {
  const { folder, patterns, blobs, journal } = options;
  if (patterns.length === 0 || !existsSync(folder)) return [];
  const plain = patterns.map((pattern) => pattern.replace(/\/+$/, ''));
  const stored: string[] = [];
  for (const name of [...new Set(globSync(plain, { cwd: folder }))].sort()) {
    if (stored.some((other) => name.startsWith(`${other}/`))) continue;
    const path = join(folder, name);
    const stats = lstatSync(path);
    const event = { k: 'artifact', t: eventTime(), name, kind: 'output' } as const;
    if (stats.isDirectory()) journal.append({ ...event, type: 'folder', ...putFolder(blobs, path) });
    else if (stats.isFile()) journal.append({ ...event, type: 'file', ...putFile(blobs, path) });
    else continue;
    stored.push(name);
    rmSync(path, { recursive: true, force: true });
  }
  return stored;
}
