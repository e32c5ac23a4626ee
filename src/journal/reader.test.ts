import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_LINE_BYTES } from '../events/line.ts';
import { type JournalLine, openPlainBytes, type PlainBytes, readLines } from './reader.ts';
import { sealJournal } from './seal.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'waddle-reader-'));
  path = join(folder, 'job-aaaabbbb.jsonl');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function readAll(offset = 0, chunkBytes?: number): { lines: JournalLine[]; next: number } {
  const bytes = openPlainBytes(path);
  if (bytes === null) throw new Error('no journal');
  try {
    const lines: JournalLine[] = [];
    let next = offset;
    for (const batch of readLines(bytes, offset, chunkBytes)) {
      lines.push(...batch.lines);
      next = batch.next;
    }
    return { lines, next };
  } finally {
    bytes.close();
  }
}

const texts = (lines: JournalLine[]) => lines.map((line) => line.text);

describe('reading', () => {
  it('goes on where it stopped, and waits for an unfinished last line', () => {
    writeFileSync(path, 'one\ntw');
    const first = readAll();
    expect(first).toEqual({ lines: [{ start: 0, end: 4, text: 'one' }], next: 4 });
    expect(readAll(first.next)).toEqual({ lines: [], next: 4 });
    appendFileSync(path, 'o\nthree\n');
    expect(readAll(first.next)).toEqual({
      lines: [
        { start: 4, end: 8, text: 'two' },
        { start: 8, end: 14, text: 'three' },
      ],
      next: 14,
    });
  });

  it('passes over empty lines, also those that close off a torn one', () => {
    writeFileSync(path, '\n\na\n\n\nb\n\n');
    const { lines, next } = readAll();
    expect(lines).toEqual([
      { start: 2, end: 4, text: 'a' },
      { start: 6, end: 8, text: 'b' },
    ]);
    expect(next).toBe(9);
  });

  it('keeps NUL bytes and bytes that are not UTF-8 within their line', () => {
    writeFileSync(path, Buffer.from([0x61, 0, 0x62, 10, 0xff, 0xfe, 10, 0x63, 10]));
    expect(texts(readAll().lines)).toEqual(['a\0b', '\ufffd\ufffd', 'c']);
  });

  it('gives the same lines whatever the size of its chunks, sealed or not', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.string({ unit: 'grapheme', maxLength: 30 }).map((text) => text.replaceAll('\n', ' ')),
          {
            maxLength: 20,
          },
        ),
        fc.boolean(),
        fc.integer({ min: 1, max: 50 }),
        (content, finished, chunkBytes) => {
          rmSync(`${path}.zst`, { force: true });
          writeFileSync(path, content.join('\n') + (finished && content.length > 0 ? '\n' : ''));
          const whole = readAll();
          expect(readAll(0, chunkBytes)).toEqual(whole);
          for (const line of whole.lines) expect(readAll(line.start, chunkBytes).lines[0]).toEqual(line);
          sealJournal(path);
          expect(readAll(0, chunkBytes)).toEqual(whole);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reads a line of 10 MB', () => {
    const long = 'x'.repeat(10 * 1024 * 1024);
    writeFileSync(path, `before\n${long}\nafter\n`);
    const { lines } = readAll();
    expect(lines.map((line) => line.text?.length)).toEqual([6, long.length, 5]);
    expect(lines[1]?.text === long).toBe(true);
  });

  it('holds no line over the limit in memory, and reads on after it', () => {
    const length = MAX_LINE_BYTES + 5;
    const bytes: PlainBytes = {
      length: length + 7,
      sealed: false,
      read(target, offset) {
        const count = Math.min(target.length, this.length - offset);
        target.fill(0x78, 0, count);
        for (const newline of [length, length + 6]) {
          if (newline >= offset && newline < offset + count) target[newline - offset] = 10;
        }
        return count;
      },
      close() {},
    };
    const before = process.memoryUsage().arrayBuffers;
    const lines: JournalLine[] = [];
    let most = 0;
    for (const batch of readLines(bytes, 0)) {
      lines.push(...batch.lines);
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(lines).toEqual([
      { start: 0, end: length + 1, text: null },
      { start: length + 1, end: length + 7, text: 'xxxxx' },
    ]);
    expect(most).toBeLessThan(2.5 * MAX_LINE_BYTES);
  });

  it('says where there is no journal', () => {
    expect(openPlainBytes(path)).toBeNull();
  });

  it('takes the plain journal where both are there', () => {
    writeFileSync(path, 'old\n');
    sealJournal(path);
    const sealed = readFileSync(`${path}.zst`);
    writeFileSync(path, 'old\nnew\n');
    writeFileSync(`${path}.zst`, sealed);
    expect(texts(readAll().lines)).toEqual(['old', 'new']);
  });
});
