import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listJournals } from './discover.ts';
import { openPlainBytes } from './reader.ts';
import { sealJournal } from './seal.ts';
import { FRAME_BYTES, SealedFile } from './sealed.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waddle-seal-'));
  path = join(folder, 'job-aaaabbbb.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Lines like a training run's: some megabytes, so that there are several frames. */
function plainText(lines: number): string {
  let text = '';
  for (let step = 0; step < lines; step += 1) {
    text += `{"k":"m","t":${(1764000000 + step * 0.0153).toFixed(3)},"s":${step},"v":{"train/loss":${(1 / (step + 1)).toFixed(9)}}}\n`;
  }
  return text;
}

function readPlain(): Buffer {
  const bytes = openPlainBytes(path);
  if (bytes === null) throw new Error('no journal');
  try {
    const all = Buffer.alloc(bytes.length);
    for (let at = 0; at < all.length; ) at += bytes.read(all.subarray(at), at);
    return all;
  } finally {
    bytes.close();
  }
}

describe('sealing', () => {
  it('keeps every byte, in a third of the room or less, and any zstd reads it', () => {
    const text = plainText(60_000);
    writeFileSync(path, text);
    expect(sealJournal(path)).toBe('sealed');
    expect(readdirSync(folder)).toEqual(['job-aaaabbbb.jsonl.zst']);
    expect(readPlain().equals(Buffer.from(text))).toBe(true);
    expect(readFileSync(`${path}.zst`).length).toBeLessThan(text.length / 3);
    const zstd = spawnSync('zstd', ['-dc', `${path}.zst`], { maxBuffer: 64 * 1024 * 1024 });
    if (zstd.error === undefined) expect(zstd.stdout.equals(Buffer.from(text))).toBe(true);
    expect(sealJournal(path)).toBe('already-sealed');
  });

  it('reads from any place', () => {
    const text = Buffer.from(plainText(40_000));
    writeFileSync(path, text);
    sealJournal(path);
    const sealed = new SealedFile(`${path}.zst`);
    try {
      for (const offset of [
        0,
        1,
        FRAME_BYTES - 1,
        FRAME_BYTES,
        FRAME_BYTES + 7,
        text.length - 3,
        text.length,
      ]) {
        const target = Buffer.alloc(10);
        const count = sealed.read(target, offset);
        expect(target.subarray(0, count).equals(text.subarray(offset, offset + count))).toBe(true);
        expect(count > 0).toBe(offset < text.length);
      }
    } finally {
      sealed.close();
    }
  });

  it('seals an empty journal, and says where there is none', () => {
    expect(sealJournal(path)).toBe('missing');
    writeFileSync(path, '');
    expect(sealJournal(path)).toBe('sealed');
    expect(readPlain().length).toBe(0);
  });

  it('after a crash between swapping in and removing reads the plain one, and seals again', () => {
    const text = plainText(1000);
    writeFileSync(path, text);
    sealJournal(path);
    writeFileSync(path, text);
    expect(listJournals(folder)).toEqual([{ writer: 'job-aaaabbbb', path, sealed: false }]);
    expect(readPlain().toString()).toBe(text);
    expect(sealJournal(path)).toBe('sealed');
    expect(listJournals(folder)).toEqual([{ writer: 'job-aaaabbbb', path, sealed: true }]);
    expect(readPlain().toString()).toBe(text);
  });

  it('finds a damaged or a foreign file out', () => {
    writeFileSync(path, plainText(20_000));
    sealJournal(path);
    const bytes = readFileSync(`${path}.zst`);
    writeFileSync(`${path}.zst`, bytes.subarray(0, bytes.length - 20));
    expect(() => openPlainBytes(path)).toThrow(/seek table/);
    const flipped = Buffer.from(bytes);
    flipped[1000] = (flipped[1000] ?? 0) ^ 0xff;
    writeFileSync(`${path}.zst`, flipped);
    expect(readPlain).toThrow();
    writeFileSync(`${path}.zst`, 'no');
    expect(() => openPlainBytes(path)).toThrow(/not a sealed journal/);
  });

  it('killed at any moment leaves a whole journal behind', async () => {
    const text = plainText(60_000);
    const script = `
      import { sealJournal } from ${JSON.stringify(join(import.meta.dirname, 'seal.ts'))};
      process.stdout.write('ready');
      sealJournal(process.argv[1]);
    `;
    for (const delay of [0, 5, 20, 45, 90]) {
      for (const name of readdirSync(folder)) rmSync(join(folder, name));
      writeFileSync(path, text);
      const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script, path], {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      const exited = new Promise((settle) => child.once('exit', settle));
      await new Promise((settle) => child.stdout.once('data', settle));
      await new Promise((settle) => setTimeout(settle, delay));
      child.kill('SIGKILL');
      await exited;
      expect(readPlain().toString() === text).toBe(true);
      sealJournal(path);
      expect(readPlain().toString() === text).toBe(true);
      expect(existsSync(path)).toBe(false);
    }
  });

  it('keeps an unfinished last line too', () => {
    writeFileSync(path, plainText(10));
    appendFileSync(path, '{"k":"beat"');
    expect(sealJournal(path)).toBe('sealed');
    // What stands after the last newline is part of the journal too.
    expect(readPlain().toString().endsWith('{"k":"beat"')).toBe(true);
  });
});
