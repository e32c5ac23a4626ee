/** A file that comes in parts and survives being cut off anywhere. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream, mkdirSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname } from 'node:path';
import { diskError } from './disk-error.ts';

/** Running hashes of files that are coming in, by path: a long one need not be read again at its end. */
const running = new Map<string, { hash: Hash; length: number }>();
const KEPT_HASHES = 64;

export class PartialFile {
  readonly path: string;
  /** Bytes that it will have. */
  readonly size: number;

  constructor(path: string, size: number) {
    this.path = path;
    this.size = size;
  }

  /** Bytes that are there. */
  get received(): number {
    return Math.min(statSync(this.path, { throwIfNoEntry: false })?.size ?? 0, this.size);
  }

  /**
   * Puts a part where it belongs: at the end of what is there, or over a beginning that is the same. On the disk itself
   * when this resolves. The caller holds a lock on the file.
   */
  async put(offset: number, bytes: Uint8Array): Promise<{ ok: boolean; received: number; message: string }> {
    const { path, size } = this;
    let { received } = this;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + bytes.length > size) {
      return { ok: false, received, message: 'it lies outside of what it is a part of' };
    }
    if (offset > received) return { ok: false, received, message: `it goes on from ${received}` };
    mkdirSync(dirname(path), { recursive: true });
    const handle = await open(path, received === 0 ? 'w+' : 'r+', 0o644);
    try {
      if (offset < received) {
        const shared = Buffer.allocUnsafe(Math.min(bytes.length, received - offset));
        await handle.read(shared, 0, shared.length, offset);
        if (!shared.equals(bytes.subarray(0, shared.length))) {
          // Another attempt of the same: it begins anew from here.
          await handle.truncate(offset);
          running.delete(path);
          received = offset;
        }
      }
      const fresh = bytes.subarray(received - offset);
      if (fresh.length > 0) {
        try {
          await writeWhole(handle, fresh, received);
        } catch (error) {
          await handle.truncate(received);
          throw diskError(error, path);
        }
        this.#hash(received, fresh);
        received += fresh.length;
      }
      await handle.sync();
      return { ok: true, received, message: '' };
    } finally {
      await handle.close();
    }
  }

  #hash(at: number, bytes: Uint8Array): void {
    const known = running.get(this.path) ?? { hash: createHash('sha256'), length: 0 };
    if (known.length !== at) {
      running.delete(this.path);
      return;
    }
    known.hash.update(bytes);
    known.length += bytes.length;
    running.delete(this.path);
    running.set(this.path, known);
    if (running.size <= KEPT_HASHES) return;
    const [oldest] = running.keys();
    if (oldest !== undefined) running.delete(oldest);
  }

  /** SHA-256 of all of it, in hex. */
  async sha256(): Promise<string> {
    const known = running.get(this.path);
    running.delete(this.path);
    if (known?.length === this.received) return known.hash.digest('hex');
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(this.path, { highWaterMark: 1024 * 1024 })) {
      hash.update(chunk as Buffer);
    }
    return hash.digest('hex');
  }

  remove(): void {
    running.delete(this.path);
    rmSync(this.path, { force: true });
  }
}

async function writeWhole(
  handle: Awaited<ReturnType<typeof open>>,
  bytes: Uint8Array,
  position: number,
): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.length - at, position + at);
    at += bytesWritten;
  }
}
