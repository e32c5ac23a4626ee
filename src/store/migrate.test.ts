import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { takeNotice } from './migrate.ts';
import { openStore, type Store } from './open.ts';
import { MIGRATIONS } from './schema.ts';

const NEXT = 'CREATE INDEX runs_host ON runs (host); ALTER TABLE links ADD COLUMN note TEXT;';
const STEPS = [...MIGRATIONS, NEXT];
const NOW = MIGRATIONS.length;
const BACKUP = new RegExp(`^waddle\\.sqlite\\.v${NOW}-\\d{8}T\\d{6}\\.bak$`);

let folder: string;
let path: string;
const stores: Store[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waddle-migrate-'));
  path = join(folder, 'waddle.sqlite');
  const store = open();
  store.db.exec("INSERT INTO links (name, path, clock, writer, place) VALUES ('main', '/x', 1, 'w', 0)");
});
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
  rmSync(folder, { recursive: true, force: true });
});

function open(steps?: readonly string[], at = path): Store {
  const store = openStore(at, steps === undefined ? {} : { steps });
  stores.push(store);
  return store;
}

const backups = (): string[] => readdirSync(folder).filter((name) => name.includes('.bak'));

it('takes a store to the next version, keeps it as it was, and tells one caller', () => {
  const { epoch } = open();
  const store = open(STEPS);
  expect(store.db.prepare('PRAGMA user_version').get()).toEqual({ user_version: NOW + 1 });
  expect(store.db.prepare('SELECT name, note FROM links').all()).toEqual([{ name: 'main', note: null }]);
  expect(store.epoch).toBe(epoch);
  const [backup = ''] = backups();
  expect(backup).toMatch(BACKUP);
  expect(takeNotice(store.db)).toEqual({ from: NOW, to: NOW + 1, backup, failed: null });
  expect(takeNotice(store.db)).toBeUndefined();

  // The copy is a whole database of the old version.
  const old = open(undefined, join(folder, backup));
  expect(old.epoch).toBe(epoch);
  expect(old.db.prepare('SELECT name FROM links').all()).toEqual([{ name: 'main' }]);
  expect(open(STEPS).epoch).toBe(epoch);
  expect(backups().filter((name) => name.endsWith('.bak'))).toHaveLength(1);
});

it('empties a store whose steps fail, for the journals to fill it again', () => {
  const { db, epoch } = open();
  db.exec("INSERT INTO links SELECT 'other', path, clock, writer, place FROM links");
  const store = open([
    ...MIGRATIONS,
    'CREATE TABLE extra (a); CREATE UNIQUE INDEX links_path ON links (path);',
  ]);
  expect(store.db.prepare('PRAGMA user_version').get()).toEqual({ user_version: NOW + 1 });
  expect(takeNotice(store.db)?.failed).toContain('UNIQUE');
  expect(store.db.prepare('SELECT name FROM links').all()).toEqual([]);
  expect(backups()).toHaveLength(1);
  expect(store.epoch).not.toBe(epoch);
});

it('clears away the half of a copy that a killed process left', () => {
  writeFileSync(join(folder, `waddle.sqlite.v${NOW}-20200101T000000.bak.tmp`), 'half');
  open(STEPS);
  expect(backups()).toHaveLength(1);
  expect(backups()[0]).toMatch(BACKUP);
});

const canMount = spawnSync('unshare', ['-rm', 'true']).status === 0;
it.runIf(canMount)('leaves the store as it was where there is no room for the copy', () => {
  const script = `
    import { readdirSync, rmSync, writeFileSync } from 'node:fs';
    import { openStore } from ${JSON.stringify(join(import.meta.dirname, 'open.ts'))};
    import { MIGRATIONS } from ${JSON.stringify(join(import.meta.dirname, 'schema.ts'))};
    const [folder] = process.argv.slice(1);
    const path = folder + '/waddle.sqlite';
    const steps = [...MIGRATIONS, ${JSON.stringify(NEXT)}];
    const first = openStore(path);
    const said = [first.epoch];
    first.db.exec("INSERT INTO links VALUES ('large', hex(zeroblob(250000)), 1, 'w', 0)");
    first.close();
    // Room for the log that SQLite needs to open a database, and not for a second database.
    writeFileSync(folder + '/filler', Buffer.alloc(1.9e6));
    try { openStore(path, { steps }); } catch (error) { said.push(error.code, ...readdirSync(folder)); }
    rmSync(folder + '/filler');
    for (const options of [{}, { steps }]) {
      const store = openStore(path, options);
      said.push(store.epoch);
      store.close();
    }
    process.stdout.write(JSON.stringify(said));
  `;
  const mounted = 'mount -t tmpfs -o size=3m tmpfs "$1" && exec "$2" --input-type=module -e "$3" "$1"';
  const { stdout, stderr } = spawnSync(
    'unshare',
    ['-rm', 'sh', '-c', mounted, 'sh', mkdtempSync(join(folder, 'small-')), process.execPath, script],
    { encoding: 'utf8' },
  );
  expect(stderr).toBe('');
  const [epoch, ...rest] = JSON.parse(stdout) as string[];
  expect(rest).toEqual(['store-full', 'filler', 'waddle.sqlite', epoch, epoch]);
});

it('keeps the newest three copies', () => {
  for (const year of [2021, 2022, 2023, 2024]) {
    copyFileSync(path, join(folder, `waddle.sqlite.v0-${year}0101T000000.bak`));
  }
  open(STEPS);
  expect(backups().map((name) => name.slice('waddle.sqlite.v0-'.length, -'.bak'.length).slice(0, 4))).toEqual(
    ['2023', '2024', String(new Date().getUTCFullYear())],
  );
});

it('is done once where many processes come at once', async () => {
  const script = `
    import { openStore } from ${JSON.stringify(join(import.meta.dirname, 'open.ts'))};
    import { MIGRATIONS } from ${JSON.stringify(join(import.meta.dirname, 'schema.ts'))};
    import { takeNotice } from ${JSON.stringify(join(import.meta.dirname, 'migrate.ts'))};
    const store = openStore(process.argv[1], { steps: [...MIGRATIONS, ${JSON.stringify(NEXT)}] });
    process.stdout.write(JSON.stringify([store.epoch, takeNotice(store.db) !== undefined]));
    store.close();
  `;
  const said = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script, path], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let out = '';
      child.stdout.on('data', (bytes: Buffer) => {
        out += bytes.toString();
      });
      await once(child, 'close');
      return JSON.parse(out) as [string, boolean];
    }),
  );
  expect(new Set(said.map(([epoch]) => epoch)).size).toBe(1);
  expect(said.filter(([, told]) => told)).toHaveLength(1);
  expect(backups()).toHaveLength(1);
});

it('shuts out an older Waddle that has it open, and one that comes later', () => {
  const older = open();
  older.transaction(() => undefined);
  open(STEPS);
  expect(() => older.transaction(() => undefined)).toThrow('newer Waddle');
  expect(() => open()).toThrow('newer Waddle');
  expect(() => openStore(path, { readOnly: true })).toThrow('newer Waddle');
  const raw = new DatabaseSync(path);
  expect(raw.prepare('SELECT count(*) AS n FROM links').get()).toEqual({ n: 1 });
  raw.close();
});
