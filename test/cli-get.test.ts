import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { blobPath } from '../src/blobs/blob-store.ts';
import { putFolder } from '../src/blobs/folder-manifest.ts';
import type { Event } from '../src/events/schema.ts';
import type { Layout } from '../src/journal/layout.ts';
import { newProject, START, temporaryFolder, waddle, writeBlob, writeRun } from './cli-fixture.ts';

let layout: Layout;
let here: string;
beforeEach(() => {
  layout = newProject();
  here = temporaryFolder();
});

const get = (...argv: string[]) => waddle(here, ['get', '--dir', layout.project, ...argv]);

/** A folder artifact whose manifest says what it likes. */
function folderEvent(manifest: unknown): Event {
  const bytes = Buffer.from(JSON.stringify(manifest));
  const sha256 = writeBlob(layout, bytes);
  return { k: 'artifact', t: START, name: 'folder', type: 'folder', sha256, size: 1, files: 1 };
}

describe('get', () => {
  test('brings a file back here, into a folder, to a name, to stdout', async () => {
    writeRun(layout, { name: 'r', artifacts: [{ name: 'models/weights.bin', bytes: 'binary\u0000bytes' }] });
    expect(await get('r', 'models/weights.bin')).toEqual({ code: 0, out: '', err: 'weights.bin (12 B)\n' });
    expect(readFileSync(join(here, 'weights.bin'), 'utf8')).toBe('binary\u0000bytes');
    mkdirSync(join(here, 'sub'));
    await get('r', 'models/weights.bin', 'sub');
    await get('r', 'models/weights.bin', 'sub/other.bin');
    expect(readdirSync(join(here, 'sub')).sort()).toEqual(['other.bin', 'weights.bin']);
    expect((await get('r', 'models/weights.bin', '-')).out).toBe('binary\u0000bytes');
    expect((await get('r', 'models/weights.bin', 'nowhere/x')).err).toContain('there is no folder');
  });

  test('never over a file without --force', async () => {
    writeRun(layout, { name: 'r', artifacts: [{ name: 'a.txt', bytes: 'new' }] });
    writeFileSync(join(here, 'a.txt'), 'mine');
    const said = await get('r', 'a.txt');
    expect(said.code).toBe(1);
    expect(said.err).toContain('--force');
    expect(readFileSync(join(here, 'a.txt'), 'utf8')).toBe('mine');
    expect((await get('r', 'a.txt', '--force')).code).toBe(0);
    expect(readFileSync(join(here, 'a.txt'), 'utf8')).toBe('new');
    expect(readdirSync(here)).toEqual(['a.txt']);
  });

  test('inline bytes, the newest of a name, an empty file', async () => {
    writeRun(layout, {
      name: 'r',
      artifacts: [
        { name: 'x.json', bytes: '{"v":1}', inline: true },
        { name: 'x.json', bytes: '{"v":2}', inline: true },
        { name: 'empty', bytes: '' },
      ],
    });
    expect((await get('r', 'x.json', '-')).out).toBe('{"v":2}');
    await get('r', 'empty');
    expect(statSync(join(here, 'empty')).size).toBe(0);
  });

  test('damaged or missing bytes are refused, and nothing half is left', async () => {
    const id = writeRun(layout, {
      artifacts: [
        { name: 'a', bytes: 'abc' },
        { name: 'b', bytes: 'bcd' },
      ],
    });
    const sha = (text: string) => createHash('sha256').update(text).digest('hex');
    chmodSync(blobPath(layout.blobs, sha('abc')), 0o644);
    writeFileSync(blobPath(layout.blobs, sha('abc')), 'xyz');
    writeFileSync(blobPath(layout.blobs, sha('bcd')), '');
    for (const dest of [[], ['-']]) {
      const said = await get(id, 'a', ...dest);
      expect(said.code).toBe(1);
      expect(said.out).toBe('');
      expect(said.err).toContain('not the ones that were logged');
    }
    expect((await get(id, 'c')).err).toContain('It has: a, b');
    expect(readdirSync(here)).toEqual([]);
  });

  test('a folder comes back with its executables, and beside what is there', async () => {
    const source = temporaryFolder();
    mkdirSync(join(source, 'deep'));
    writeFileSync(join(source, 'deep/run.sh'), '#!/bin/sh\n', { mode: 0o755 });
    writeFileSync(join(source, 'a.txt'), 'a');
    const folder = putFolder(layout.blobs, source);
    writeRun(layout, {
      name: 'r',
      events: [{ k: 'artifact', t: START, name: 'ckpt', type: 'folder', ...folder }],
    });
    expect((await get('r', 'ckpt')).err).toBe('ckpt (2 files, 11 B)\n');
    expect(statSync(join(here, 'ckpt/deep/run.sh')).mode & 0o111).not.toBe(0);
    expect((await get('r', 'ckpt', '-')).code).toBe(2);
    const again = await get('r', 'ckpt');
    expect(again.code).toBe(1);
    writeFileSync(join(here, 'ckpt/a.txt'), 'changed');
    writeFileSync(join(here, 'ckpt/mine'), 'mine');
    expect((await get('r', 'ckpt', '--force')).code).toBe(0);
    expect(readFileSync(join(here, 'ckpt/a.txt'), 'utf8')).toBe('a');
    expect(existsSync(join(here, 'ckpt/mine'))).toBe(true);
  });

  test.skipIf(process.platform === 'win32')('a folder of odd names comes back whole', async () => {
    const source = temporaryFolder();
    mkdirSync(join(source, 'q"u\\ote'));
    for (const name of ['q"u\\ote/C:x', 'line\nbreak', '\u{1f986}']) writeFileSync(join(source, name), name);
    writeFileSync(Buffer.concat([Buffer.from(`${source}/nöt-`), Buffer.from([0xff, 0x41])]), 'bytes');
    const folder = putFolder(layout.blobs, source);
    writeRun(layout, {
      name: 'r',
      events: [{ k: 'artifact', t: START, name: 'odd', type: 'folder', ...folder }],
    });
    const got = await get('r', 'odd');
    expect(got, got.err).toMatchObject({ code: 0 });
    expect(readFileSync(join(here, 'odd/q"u\\ote/C:x'), 'utf8')).toBe('q"u\\ote/C:x');
    // Records are JSON, which holds no bytes: a name that is not UTF-8 comes back as it is shown.
    expect(readFileSync(join(here, 'odd/nöt-\\xffA'), 'utf8')).toBe('bytes');
    expect(readdirSync(join(here, 'odd'), { recursive: true })).toHaveLength(5);
  });

  test('a hostile manifest writes nothing', async () => {
    const sha256 = writeBlob(layout, Buffer.from('evil'));
    const file = { size: 4, sha256, mode: 0o644 };
    for (const [index, paths] of [
      ['../evil'],
      ['/tmp/evil'],
      ['a/../../evil'],
      ['a//b'],
      ['.'],
      [''],
      ['a\u0000b'],
      ['good', 'good'],
      ['a', 'a/b'],
      ['a/b', 'a'],
      ['ok', '..'],
    ].entries()) {
      const id = writeRun(layout, {
        at: index,
        events: [folderEvent(paths.map((path) => ({ ...file, path })))],
      });
      const said = await get(id, 'folder');
      expect([paths, said.code]).toEqual([paths, 1]);
      expect(said.err).toContain('cannot be trusted');
    }
    for (const manifest of [{}, [1], [{ path: 'a', size: 1, sha256: '../../x' }]]) {
      const id = writeRun(layout, { events: [folderEvent(manifest)] });
      expect((await get(id, 'folder')).code).toBe(1);
    }
    expect(readdirSync(here)).toEqual([]);
  });

  test('a link in the destination does not lead out of it', async () => {
    const outside = temporaryFolder();
    const sha256 = writeBlob(layout, Buffer.from('evil'));
    const id = writeRun(layout, {
      events: [folderEvent([{ path: 'sub/evil', size: 4, sha256, mode: 0o644 }])],
    });
    mkdirSync(join(here, 'folder'));
    symlinkSync(outside, join(here, 'folder/sub'));
    for (const force of [[], ['--force']]) {
      const said = await get(id, 'folder', ...force);
      expect(said.code).toBe(1);
      expect(said.err).toContain('is in the way');
    }
    expect(readdirSync(outside)).toEqual([]);
  });

  test('a name that is no file name needs a destination', async () => {
    const id = writeRun(layout, { artifacts: [{ name: '../..', bytes: 'x' }] });
    expect((await get(id, '../..')).err).toContain('cannot be the name of a file');
    expect((await get(id, '../..', 'safe')).code).toBe(0);
    expect(readdirSync(here)).toEqual(['safe']);
  });
});
