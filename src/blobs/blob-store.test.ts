import { createHash } from 'node:crypto';
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  adoptFile,
  blobPath,
  hasBlob,
  listBlobs,
  putBytes,
  putFile,
  readBlob,
  removeBlob,
} from './blob-store.ts';
import { putFolder, readManifest } from './folder-manifest.ts';

let folder: string;
let blobs: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waddle-blobs-'));
  blobs = join(folder, 'blobs');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const sha256 = (content: string | Buffer) => createHash('sha256').update(content).digest('hex');

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, content);
  return path;
}

describe('a blob', () => {
  it('is a read-only file named by the hash of its bytes', async () => {
    const blob = putFile(blobs, file('a.txt', 'hello'));
    expect(blob).toEqual({ sha256: sha256('hello'), size: 5 });
    const path = blobPath(blobs, blob.sha256);
    expect(path).toBe(join(blobs, 'sha256', blob.sha256.slice(0, 2), blob.sha256));
    expect(statSync(path).mode & 0o777).toBe(0o444);
    expect(await text(readBlob(blobs, blob.sha256))).toBe('hello');
    expect(await text(readBlob(blobs, blob.sha256, { start: 1, end: 2 }))).toBe('el');
  });

  it('is kept once, however often it is put', () => {
    const first = putBytes(blobs, Buffer.from('same'));
    const before = statSync(blobPath(blobs, first.sha256)).ino;
    expect(putFile(blobs, file('b', 'same'))).toEqual(first);
    expect(statSync(blobPath(blobs, first.sha256)).ino).toBe(before);
    expect([...listBlobs(blobs)].map((blob) => blob.sha256)).toEqual([first.sha256]);
    expect(readdirSync(join(blobs, 'incoming'))).toEqual([]);
  });

  it('may be empty, or longer than a chunk', () => {
    expect(putBytes(blobs, Buffer.alloc(0))).toEqual({ sha256: sha256(''), size: 0 });
    const long = Buffer.alloc(2_500_000, 'abc');
    const blob = putFile(blobs, file('long', long));
    expect(blob).toEqual({ sha256: sha256(long), size: long.length });
    expect(readFileSync(blobPath(blobs, blob.sha256)).equals(long)).toBe(true);
  });

  it('that was half written before is written anew', () => {
    const path = blobPath(blobs, sha256('whole'));
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, 'wh');
    putBytes(blobs, Buffer.from('whole'));
    expect(readFileSync(path, 'utf8')).toBe('whole');
  });

  it('can be adopted, removed, and missed', () => {
    adoptFile(blobs, file('download', 'x'), sha256('x'));
    expect(hasBlob(blobs, sha256('x'))).toBe(true);
    removeBlob(blobs, sha256('x'), Date.now() + 60_000);
    expect(hasBlob(blobs, sha256('x'))).toBe(false);
    expect(() => readBlob(blobs, sha256('x'))).toThrow(/not in this project folder/);
    expect(() => blobPath(blobs, '../../etc/passwd')).toThrow(/not a SHA-256/);
  });

  it('of a file that is not there is the system’s error', () => {
    expect(() => putFile(blobs, join(folder, 'none'))).toThrow(/ENOENT/);
  });
});

describe('a folder', () => {
  it('is a manifest sorted by path, with sizes and modes', () => {
    file('data/b.txt', 'bb');
    file('data/a/z.txt', 'z');
    file('data/B.txt', 'B');
    const kept = putFolder(blobs, join(folder, 'data'));
    expect(kept).toMatchObject({ size: 4, files: 3 });
    const manifest = readManifest(blobs, kept.sha256);
    expect(manifest.map(({ path, size }) => [path, size])).toEqual([
      ['B.txt', 1],
      ['a/z.txt', 1],
      ['b.txt', 2],
    ]);
    expect(manifest[2]?.sha256).toBe(sha256('bb'));
  });

  it('that leads back into itself ends', () => {
    file('data/a.txt', 'a');
    symlinkSync('.', join(folder, 'data/again'));
    expect(putFolder(blobs, join(folder, 'data')).files).toBe(1);
  });
});
