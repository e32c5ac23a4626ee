import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WaddleError } from '../errors/waddle-error.ts';
import { openStore } from './open.ts';
import { SCHEMA_VERSION } from './schema.ts';

/** util-linux's: a mount namespace of one's own. */
const UNSHARE = 'unshare';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waddle-store-'));
  path = join(folder, 'deeper', 'waddle.sqlite');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function errorOf(work: () => unknown): WaddleError {
  try {
    work();
  } catch (error) {
    if (error instanceof WaddleError) return error;
    throw error;
  }
  throw new Error('no error');
}

describe('opening', () => {
  it('makes the database, and finds it again', () => {
    const made = openStore(path);
    const { epoch } = made;
    expect(epoch).toMatch(/^[0-9a-f]{16}$/);
    expect(made.revision).toBe(0);
    expect(made.db.prepare('PRAGMA journal_mode').get()?.journal_mode).toBe('wal');
    expect(made.db.prepare('PRAGMA user_version').get()?.user_version).toBe(SCHEMA_VERSION);
    made.close();
    made.close();
    const again = openStore(path);
    expect(again.epoch).toBe(epoch);
    again.close();
    const reading = openStore(path, { readOnly: true });
    expect(reading.epoch).toBe(epoch);
    expect(errorOf(() => reading.transaction(() => undefined)).code).toBe('store-read-only');
    reading.close();
  });

  it('may happen in many processes at once', async () => {
    const script = `
      import { openStore } from ${JSON.stringify(join(import.meta.dirname, 'open.ts'))};
      const store = openStore(process.argv[1]);
      process.stdout.write(store.epoch);
      store.close();
    `;
    const epochs = await Promise.all(
      Array.from({ length: 6 }, async () => {
        const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script, path], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let text = '';
        for await (const piece of child.stdout.setEncoding('utf8')) text += piece;
        return text;
      }),
    );
    expect(epochs[0]).toMatch(/^[0-9a-f]{16}$/);
    expect(new Set(epochs).size).toBe(1);
  });

  it.each([false, true])('refuses a newer database and leaves it as it is (read-only: %s)', (readOnly) => {
    openStore(path).close();
    const db = new DatabaseSync(path);
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}; PRAGMA wal_checkpoint(TRUNCATE)`);
    db.close();
    const before = readFileSync(path);
    const error = errorOf(() => openStore(path, { readOnly }));
    expect(error.code).toBe('store-newer');
    expect(error.message).toContain(path);
    expect(error.hint).not.toBe('');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  it.each([false, true])('refuses what is no database and leaves it as it is (read-only: %s)', (readOnly) => {
    openStore(path).close();
    const text = 'These are my notes, not a database.\n'.repeat(200);
    writeFileSync(path, text);
    expect(errorOf(() => openStore(path, { readOnly })).code).toBe('store-corrupt');
    expect(readFileSync(path, 'utf8')).toBe(text);
  });

  it('refuses a damaged database and leaves it as it is', () => {
    openStore(path).close();
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 100, 4096);
    writeFileSync(path, bytes);
    expect(errorOf(() => openStore(path)).code).toBe('store-corrupt');
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  it('refuses another program’s database', () => {
    openStore(path).close();
    rmSync(path);
    const db = new DatabaseSync(path);
    db.exec('CREATE TABLE birds (name TEXT)');
    db.close();
    expect(errorOf(() => openStore(path)).code).toBe('store-corrupt');
    expect(errorOf(() => openStore(path, { readOnly: true })).code).toBe('store-corrupt');
    const after = new DatabaseSync(path);
    expect(after.prepare('SELECT name FROM sqlite_schema').all()).toEqual([{ name: 'birds' }]);
    after.close();
  });

  it('says where there is nothing to read', () => {
    expect(errorOf(() => openStore(path, { readOnly: true })).code).toBe('store-missing');
    expect(existsSync(path)).toBe(false);
    writeFileSync(join(folder, 'file'), '');
    expect(errorOf(() => openStore(join(folder, 'file', 'waddle.sqlite'))).code).toBe('store-unusable');
    expect(errorOf(() => openStore(folder)).code).toBe('store-unusable');
  });
});

describe('in the folder of another user', () => {
  it.runIf(process.getuid?.() === 0)('reads what is there', () => {
    const store = openStore(path);
    const { epoch } = store;
    store.close();
    chmodSync(folder, 0o755);
    const script = `
      import { openStore } from ${JSON.stringify(join(import.meta.dirname, 'open.ts'))};
      // Once its modules are loaded: the checkout may lie where only root may look.
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      const reading = openStore(process.argv[1], { readOnly: true });
      process.stdout.write(reading.epoch);
      try { openStore(process.argv[1]); } catch (error) { process.stdout.write(' ' + error.code); }
    `;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module-typescript', '-e', script, path],
      { encoding: 'utf8', cwd: '/' },
    );
    expect(stderr).toBe('');
    expect(stdout).toBe(`${epoch} store-read-only`);
  });
});

describe('on a read-only disk', () => {
  const canMount = spawnSync(UNSHARE, ['-rm', 'true']).status === 0;
  it.runIf(canMount)('reads what is there, and says why it cannot write', () => {
    const store = openStore(path);
    const { epoch } = store;
    store.close();
    const script = `
      import { openStore } from ${JSON.stringify(join(import.meta.dirname, 'open.ts'))};
      const path = process.argv[1];
      const reading = openStore(path, { readOnly: true });
      const found = { epoch: reading.epoch };
      reading.close();
      for (const name of [path, path + '.new', path + '-folder/waddle.sqlite']) {
        try { openStore(name).close(); found[name] = 'opened'; } catch (error) { found[name] = error.code; }
      }
      process.stdout.write(JSON.stringify(found));
    `;
    chmodSync(folder, 0o755);
    const { stdout, stderr } = spawnSync(
      UNSHARE,
      [
        '-rm',
        'sh',
        '-c',
        'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && exec "$2" --input-type=module-typescript -e "$3" "$4"',
        'sh',
        folder,
        process.execPath,
        script,
        path,
      ],
      { encoding: 'utf8' },
    );
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual({
      epoch,
      [path]: 'store-read-only',
      [`${path}.new`]: 'store-read-only',
      [`${path}-folder/waddle.sqlite`]: 'store-read-only',
    });
  });
});
