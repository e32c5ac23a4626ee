import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/**
 * Sealed journals: standard zstd files of independent frames, with the seek table of zstd's seekable format at the end
 * (facebook/zstd, contrib/seekable_format/zstd_seekable_compression_format.md), so that plain offset N is found by
 * reading one frame. `zstd -d` reads them too: the table is a skippable frame.
 */
const SKIPPABLE_MAGIC = 0x184d2a5e;
const SEEKABLE_MAGIC = 0x8f92eab1;
const FOOTER_BYTES = 9;
const ENTRY_BYTES = 8;

/** Plain bytes in one frame: what a reader holds in memory at a time. */
export const FRAME_BYTES = 1024 * 1024;

/** Compresses one frame of at most FRAME_BYTES, with zstd's own checksum of its content. */
export function compressFrame(plain: Uint8Array): Buffer {
  return zstdCompressSync(plain, {
    params: {
      [constants.ZSTD_c_compressionLevel]: 6,
      [constants.ZSTD_c_checksumFlag]: 1,
      [constants.ZSTD_c_contentSizeFlag]: 1,
    },
  });
}

export interface FrameSize {
  compressed: number;
  plain: number;
}

/** The seek table as a skippable frame, to be written after the last frame. */
export function encodeSeekTable(frames: readonly FrameSize[]): Buffer {
  const body = frames.length * ENTRY_BYTES + FOOTER_BYTES;
  const table = Buffer.alloc(8 + body);
  table.writeUInt32LE(SKIPPABLE_MAGIC, 0);
  table.writeUInt32LE(body, 4);
  let at = 8;
  for (const frame of frames) {
    at = table.writeUInt32LE(frame.compressed, at);
    at = table.writeUInt32LE(frame.plain, at);
  }
  at = table.writeUInt32LE(frames.length, at);
  at = table.writeUInt8(0, at);
  table.writeUInt32LE(SEEKABLE_MAGIC, at);
  return table;
}

/** Random access to the plain bytes of a sealed journal; must be closed. */
export class SealedFile {
  readonly path: string;
  /** Plain bytes in all. */
  readonly length: number;
  #fd: number;
  #frames: { at: number; compressed: number; plainAt: number; plain: number }[];
  #cached: { index: number; bytes: Buffer } | undefined;

  /** Throws a plain Error naming the file where it is not a sealed journal, and the system's error where it is not there. */
  constructor(path: string) {
    this.path = path;
    this.#fd = openSync(path, 'r');
    try {
      this.#frames = this.#readTable();
    } catch (error) {
      closeSync(this.#fd);
      throw error;
    }
    const last = this.#frames.at(-1);
    this.length = last === undefined ? 0 : last.plainAt + last.plain;
  }

  #readAt(position: number, length: number): Buffer {
    const bytes = Buffer.alloc(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.#fd, bytes, done, length - done, position + done);
      if (count === 0) throw new Error(`sealed journal ${this.path} is cut short at byte ${position + done}`);
      done += count;
    }
    return bytes;
  }

  #readTable() {
    const size = fstatSync(this.#fd).size;
    if (size < 8 + FOOTER_BYTES) throw new Error(`${this.path} is not a sealed journal: no seek table`);
    const footer = this.#readAt(size - FOOTER_BYTES, FOOTER_BYTES);
    if (footer.readUInt32LE(5) !== SEEKABLE_MAGIC || (footer.readUInt8(4) & 0x80) !== 0) {
      throw new Error(`${this.path} is not a sealed journal: no seek table`);
    }
    const count = footer.readUInt32LE(0);
    const tableAt = size - FOOTER_BYTES - count * ENTRY_BYTES;
    if (tableAt < 8) throw new Error(`${this.path} has a seek table that does not fit`);
    const entries = this.#readAt(tableAt, count * ENTRY_BYTES);
    const frames = [];
    let at = 0;
    let plainAt = 0;
    for (let index = 0; index < count; index += 1) {
      const compressed = entries.readUInt32LE(index * ENTRY_BYTES);
      const plain = entries.readUInt32LE(index * ENTRY_BYTES + 4);
      frames.push({ at, compressed, plainAt, plain });
      at += compressed;
      plainAt += plain;
    }
    if (at !== tableAt - 8) throw new Error(`${this.path} has a seek table that does not fit`);
    return frames;
  }

  /** Copies plain bytes from `offset` into `target`; returns how many, 0 at the end. Holds one frame at a time. */
  read(target: Buffer, offset: number): number {
    const index = this.#frameAt(offset);
    const frame = this.#frames[index];
    if (frame === undefined) return 0;
    if (this.#cached?.index !== index) {
      if (frame.plain > 4 * FRAME_BYTES) throw new Error(`${this.path} has a frame of ${frame.plain} bytes`);
      const bytes = zstdDecompressSync(this.#readAt(frame.at, frame.compressed), {
        maxOutputLength: Math.max(1, frame.plain),
      });
      if (bytes.length !== frame.plain) throw new Error(`${this.path} has a frame of a wrong length`);
      this.#cached = { index, bytes };
    }
    return this.#cached.bytes.copy(target, 0, offset - frame.plainAt);
  }

  /** Index of the frame that holds plain offset; the number of frames where it is past the end. */
  #frameAt(offset: number): number {
    let low = 0;
    let high = this.#frames.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const frame = this.#frames[middle];
      if (frame !== undefined && frame.plainAt + frame.plain <= offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  close(): void {
    closeSync(this.#fd);
  }
}
