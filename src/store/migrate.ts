/**
 * Bringing a database to this Waddle's version. One process does it, under SQLite's write lock; it copies the old database first,
 * and what fails leaves either the old one as it was, or an empty one that is filled from the journals again.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** What was done to an older database. */
export interface Migration {
  from: number;
  to: number;
  /** Where the database as it was is kept: the file's name, beside it. */
  backup: string;
  /** Why the steps did not work, where the database was emptied instead, to be read from the journals anew. */
  failed: string | null;
}

/** Backups that are kept beside a database, the newest. */
const BACKUPS = 3;
/** In `meta`, until somebody has been told. */
const NOTICE = 'migrated';

/**
 * Makes the tables of a new database, or takes an older one to the version that the steps lead to.
 * @param steps SQL from version N to N + 1; others only in tests
 * @returns the version that the database has then: a greater one where a newer Waddle came first
 * @throws what SQLite or the disk throws; the database is then as it was
 */
export function migrate(db: DatabaseSync, path: string, steps: readonly string[]): number {
  db.exec('BEGIN IMMEDIATE');
  try {
    // Others may have come here at once: they find the work done.
    const version = userVersion(db);
    if (version === 0) create(db, steps);
    else if (version < steps.length) {
      const kept = backUp(path, version);
      const failed = tried(db, () => {
        for (const step of steps.slice(version)) db.exec(step);
      });
      if (failed !== null) {
        dropAll(db);
        create(db, steps);
      }
      const done: Migration = { from: version, to: steps.length, backup: kept, failed };
      db.prepare('INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)').run(NOTICE, JSON.stringify(done));
    }
    if (version < steps.length) db.exec(`PRAGMA user_version = ${steps.length}`);
    db.exec('COMMIT');
    return Math.max(version, steps.length);
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** What `migrate` did that nobody has been told of; it is told to one caller only. */
export function takeNotice(db: DatabaseSync): Migration | undefined {
  const find = db.prepare('SELECT value FROM meta WHERE key = ?');
  if (find.get(NOTICE) === undefined) return undefined;
  const taken = db.prepare('DELETE FROM meta WHERE key = ? RETURNING value').get(NOTICE);
  return taken === undefined ? undefined : (JSON.parse(String(taken.value)) as Migration);
}

export function userVersion(db: DatabaseSync): number {
  return Number(db.prepare('PRAGMA user_version').get()?.user_version ?? 0);
}

function create(db: DatabaseSync, steps: readonly string[]): void {
  for (const step of steps) db.exec(step);
  const insert = db.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
  insert.run('epoch', randomBytes(8).toString('hex'));
  insert.run('revision', 0);
  insert.run('clock', 0);
  insert.run('changes_from', 0);
}

/** Runs the work within the open transaction; undoes it and says why, where it does not work. */
function tried(db: DatabaseSync, work: () => void): string | null {
  db.exec('SAVEPOINT attempt');
  try {
    work();
    db.exec('RELEASE attempt');
    return null;
  } catch (error) {
    // Where SQLite has given up the whole transaction (a full disk), nothing else would work either.
    if (!db.isTransaction) throw error;
    db.exec('ROLLBACK TO attempt; RELEASE attempt');
    return error instanceof Error ? error.message : String(error);
  }
}

function dropAll(db: DatabaseSync): void {
  const named = (type: string): string[] =>
    db
      .prepare(`SELECT name FROM sqlite_schema WHERE type = ? AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`)
      .all(type)
      .map(({ name }) => `"${String(name).replaceAll('"', '""')}"`);
  for (const name of named('view')) db.exec(`DROP VIEW ${name}`);
  for (const name of named('table')) db.exec(`DROP TABLE ${name}`);
}

/**
 * Copies the database as it stands (whoever calls holds the write lock) to `waddle.sqlite.v1-20261126T101500.bak`, whole and on the
 * disk before it has that name. Returns the name.
 */
function backUp(path: string, version: number): string {
  const folder = dirname(path);
  const stem = `${basename(path)}.v`;
  const stamp = new Date().toISOString().replace(/[-:]|\..*/g, '');
  const name = `${stem}${version}-${stamp}.bak`;
  const temporary = join(folder, `${name}.tmp`);
  for (const left of readdirSync(folder)) {
    if (left.startsWith(stem) && left.endsWith('.bak.tmp')) rmSync(join(folder, left));
  }
  const reader = new DatabaseSync(path, { readOnly: true });
  try {
    reader.prepare('VACUUM INTO ?').run(temporary);
    sync(temporary);
    renameSync(temporary, join(folder, name));
    sync(folder);
  } finally {
    reader.close();
    rmSync(temporary, { force: true });
  }
  const all = readdirSync(folder).filter((each) => each.startsWith(stem) && each.endsWith('.bak'));
  // By the time in the name, whatever the versions were.
  const byTime = all.sort((a, b) => (timeIn(a) < timeIn(b) ? -1 : 1));
  for (const old of byTime.slice(0, -BACKUPS)) rmSync(join(folder, old), { force: true });
  return name;
}

function timeIn(name: string): string {
  return /-(\d{8}T\d{6})\.bak$/.exec(name)?.[1] ?? '';
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
