/**
 * A collector's folder, copied while it runs and back. What a space holds only grows, and what names something is copied
 * before what it names, so that a copy taken meanwhile is whole: journals, then blobs; refs, then objects. Databases that can
 * be built from these (the store, caches) stay out.
 */
import { createHash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { ensureFolder } from '../journal/folder.ts';
import { isCollectorFolder, lockFolder, REGISTRY_FILE } from './folder-backend.ts';

export interface BackupReport {
  spaces: number;
  /** Copied now, and those that an earlier backup had already. */
  files: number;
  kept: number;
  /** Copied now. */
  bytes: number;
}

const MARK = 'waddle-backup.json';
const FORMAT = 1;
const CHUNK_BYTES = 1024 * 1024;
/** A folder whose files go while they are copied (a repack) is gone through again, so often at most. */
const PASSES = 20;

/**
 * Copies the collector of `folder` into `target`: an empty folder, or an earlier backup of it, which is brought up to date.
 * @throws WaddleError `backup-elsewhere` where something else is there
 */
export function backupCollector(folder: string, target: string): BackupReport {
  beginBackup(target);
  const report: BackupReport = { spaces: 0, files: 0, kept: 0, bytes: 0 };
  // Tokens first: whoever could write at the time can read what it wrote.
  const registry = join(target, `${REGISTRY_FILE}.new`);
  rmSync(registry, { force: true });
  const db = new DatabaseSync(join(folder, REGISTRY_FILE), { readOnly: true, timeout: 10_000 });
  try {
    db.prepare('VACUUM INTO ?').run(registry);
  } finally {
    db.close();
  }
  renameSync(registry, join(target, REGISTRY_FILE));
  for (const space of namesIn(join(folder, 'spaces'))) {
    const from = join(folder, 'spaces', space, '.waddle');
    const to = join(target, 'spaces', space, '.waddle');
    // A name that is copied early names what is copied later.
    for (const part of PARTS) copyTree(join(from, part), join(to, part), report);
    copyGit(join(from, 'git'), join(to, 'git'), report);
    report.spaces += 1;
  }
  endBackup(target);
  return report;
}

/**
 * Takes an empty folder, or an earlier backup.
 * @throws WaddleError `backup-elsewhere`
 */
export function beginBackup(target: string): void {
  const mark = join(target, MARK);
  if (existsSync(target) && readdirSync(target).length > 0 && !existsSync(mark)) {
    throw new WaddleError(
      'backup-elsewhere',
      `${target} holds something that is no backup`,
      'Name an empty folder, or an earlier backup.',
    );
  }
  ensureFolder(target, 0o700);
  if (!existsSync(mark))
    writeDurably(mark, `${JSON.stringify({ app: 'waddle', format: FORMAT, whole: false })}\n`);
}

/** From now on it is whole, whatever becomes of a later one into the same folder. */
export function endBackup(target: string): void {
  writeDurably(
    join(target, MARK),
    `${JSON.stringify({ app: 'waddle', format: FORMAT, whole: true, at: Date.now() / 1000 })}\n`,
  );
}

/** Folders of a space, in the order in which one names what is in the next. */
const PARTS = ['project', 'announced', 'runs', 'owned', 'blobs'] as const;
/** What is in the making, or can be made again. */
const LEFT_OUT = /(^|\/)(incoming|partial|condemned|cache|quarantine)(\/|$)|\.(tmp|lock)$/;

function copyTree(from: string, to: string, report: BackupReport, root = from): void {
  const journals = new Set<string>();
  for (const name of namesIn(from)) {
    const source = join(from, name);
    if (LEFT_OUT.test(relative(root, source).split(sep).join('/'))) continue;
    const journal = JOURNAL.exec(name)?.[1];
    if (journal !== undefined) {
      if (!journals.has(journal)) copyJournal(from, to, journal, report);
      journals.add(journal);
      continue;
    }
    const stats = statSync(source, { throwIfNoEntry: false });
    if (stats?.isDirectory()) copyTree(source, join(to, name), report, root);
    else if (stats?.isFile()) copyFile(source, join(to, name), report);
  }
}

/** A journal, sealed or not. */
const JOURNAL = /^(.+\.jsonl)(?:\.zst)?$/;

/**
 * In whichever form it is at the moment; where it is in both, the plain one counts. Of an earlier backup the other form goes: a
 * plain one would go on counting, without what has come since.
 */
function copyJournal(from: string, to: string, name: string, report: BackupReport): void {
  for (let pass = 0; pass < PASSES; pass += 1) {
    // Between two looks it may be sealed, or unsealed.
    for (const [form, other] of [
      [name, `${name}.zst`],
      [`${name}.zst`, name],
    ] as const) {
      if (!copyFile(join(from, form), join(to, form), report)) continue;
      rmSync(join(to, other), { force: true });
      return;
    }
    if (!existsSync(join(from, name)) && !existsSync(join(from, `${name}.zst`))) return;
  }
  throw new Error(`${join(from, name)} changes too fast`);
}

/** A file as it is now; false where it is gone. What has the same length and date is there already. */
function copyFile(source: string, target: string, report: BackupReport): boolean {
  const stats = statSync(source, { throwIfNoEntry: false });
  if (stats === undefined) return false;
  const there = statSync(target, { throwIfNoEntry: false });
  if (there !== undefined && there.size === stats.size && Math.abs(there.mtimeMs - stats.mtimeMs) < 1) {
    report.kept += 1;
    return true;
  }
  mkdirSync(dirname(target), { recursive: true });
  const temporary = `${target}.tmp`;
  try {
    report.bytes += copyBytes(source, temporary, stats.size);
    utimesSync(temporary, stats.atime, stats.mtime);
    renameSync(temporary, target);
    report.files += 1;
    return true;
  } catch (error) {
    rmSync(temporary, { force: true });
    if (!isSystemError(error, 'ENOENT')) throw error;
    return false;
  }
}

/** The first `length` bytes: what is appended meanwhile is for the next backup. */
function copyBytes(source: string, target: string, length: number): number {
  const input = openSync(source, 'r');
  try {
    const output = openSync(target, 'w', 0o600);
    try {
      const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      let done = 0;
      while (done < length) {
        const count = readSync(input, chunk, 0, Math.min(chunk.length, length - done), done);
        if (count === 0) break;
        for (let at = 0; at < count; ) at += writeSync(output, chunk, at, count - at);
        done += count;
      }
      fsyncSync(output);
      return done;
    } finally {
      closeSync(output);
    }
  } finally {
    closeSync(input);
  }
}

/** Bare repositories at any depth: refs before objects, and objects until none went while they were copied. */
function copyGit(from: string, to: string, report: BackupReport): void {
  const names = namesIn(from);
  if (names.includes('objects') && names.includes('HEAD')) {
    for (const name of names) {
      if (name === 'objects' || LEFT_OUT.test(name)) continue;
      const source = join(from, name);
      if (statSync(source, { throwIfNoEntry: false })?.isDirectory())
        copyTree(source, join(to, name), report);
      else copyFile(source, join(to, name), report);
    }
    for (let pass = 0; pass < PASSES; pass += 1) {
      const before = listing(join(from, 'objects'));
      copyTree(join(from, 'objects'), join(to, 'objects'), report);
      if (listing(join(from, 'objects')) === before) return;
    }
    return;
  }
  for (const name of names) {
    const source = join(from, name);
    if (statSync(source, { throwIfNoEntry: false })?.isDirectory()) copyGit(source, join(to, name), report);
  }
}

function listing(folder: string): string {
  return namesIn(folder)
    .map((name) => `${name}:${namesIn(join(folder, name)).join(' ')}`)
    .join('\n');
}

/**
 * Makes a collector's folder of a backup, after checking every blob's hash.
 * @throws WaddleError `backup-missing`, `backup-damaged`, `restore-elsewhere`, `collector-runs`
 */
export async function restoreCollector(backup: string, folder: string): Promise<BackupReport> {
  checkBackup(backup);
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new WaddleError(
      'restore-elsewhere',
      `${folder} is not empty`,
      'Name a new folder with --dir: nothing that is there is ever overwritten.',
    );
  }
  const damaged = await damagedBlobs(backup);
  if (damaged.length > 0) {
    throw new WaddleError(
      'backup-damaged',
      `${damaged.length} blobs of the backup are not what their names say, such as ${damaged[0]}`,
      'Take an older backup; or restore by copying the folder, and push again from whoever has the runs.',
    );
  }
  ensureFolder(folder, 0o700);
  const unlock = lockFolder(folder);
  try {
    const report: BackupReport = { spaces: 0, files: 0, kept: 0, bytes: 0 };
    for (const space of namesIn(join(backup, 'spaces'))) {
      copyAll(join(backup, 'spaces', space), join(folder, 'spaces', space), report);
      report.spaces += 1;
    }
    // Last: without it, the folder is no collector's yet.
    copyFile(join(backup, REGISTRY_FILE), join(folder, REGISTRY_FILE), report);
    return report;
  } finally {
    unlock();
  }
}

/** @throws WaddleError `backup-missing`, `backup-damaged` */
export function checkBackup(backup: string): void {
  const mark = readMark(backup);
  if (mark === null || !isCollectorFolder(backup)) {
    throw new WaddleError(
      'backup-missing',
      `there is no backup in ${backup}`,
      'Name a folder that `waddle collector backup` wrote.',
    );
  }
  if (!mark.whole) {
    throw new WaddleError(
      'backup-damaged',
      `the backup in ${backup} was never finished`,
      'Make it anew, or take an older one.',
    );
  }
}

function copyAll(from: string, to: string, report: BackupReport): void {
  mkdirSync(to, { recursive: true });
  for (const name of namesIn(from)) {
    const source = join(from, name);
    if (statSync(source).isDirectory()) copyAll(source, join(to, name), report);
    else copyFile(source, join(to, name), report);
  }
}

function readMark(backup: string): { whole: boolean } | null {
  try {
    const mark = JSON.parse(readFileSync(join(backup, MARK), 'utf8')) as {
      app?: string;
      format?: number;
      whole?: boolean;
    };
    if (mark.app !== 'waddle' || mark.format !== FORMAT) return null;
    return { whole: mark.whole === true };
  } catch {
    return null;
  }
}

async function damagedBlobs(backup: string): Promise<string[]> {
  const damaged: string[] = [];
  for (const space of namesIn(join(backup, 'spaces'))) {
    const blobs = join(backup, 'spaces', space, '.waddle', 'blobs', 'sha256');
    for (const prefix of namesIn(blobs)) {
      for (const sha256 of namesIn(join(blobs, prefix))) {
        const hash = createHash('sha256');
        for await (const chunk of createReadStream(join(blobs, prefix, sha256))) hash.update(chunk as Buffer);
        if (hash.digest('hex') !== sha256) damaged.push(sha256);
      }
    }
  }
  return damaged;
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}

function writeDurably(path: string, text: string): void {
  const temporary = `${path}.tmp`;
  writeFileSync(temporary, text, { mode: 0o600, flush: true });
  renameSync(temporary, path);
}
