/**
 * A collector's blobs by the addresses that it tells, past the collector. Where that fails, it says so, and they go through
 * the collector: an object store that only the collectors can reach is no error.
 */
import { createHash } from 'node:crypto';
import { WaddleError } from '../errors/waddle-error.ts';
import type { AddressAnswer, AddressOfPart, BeginAnswer, PartResult } from '../protocol/sync-schemas.ts';
import { askDirectly, DirectFailure, type DirectTraffic } from './direct-exchange.ts';
import { PATIENT, type RetryRules } from './http-exchange.ts';
import { type BlobPart, MAX_BODY_BYTES, type PartResult as SpaceResult } from './space.ts';

/** A refusal of S3 is a page of XML. */
const MAX_ANSWER_BYTES = 64 * 1024;
/** Whether clients can reach the store at all is soon known. */
const FIRST: RetryRules = { attempts: 2, baseMs: 150, capMs: 1000 };
/** An address is not used in its last seconds, in milliseconds. */
const MARGIN_MS = 30_000;

export interface HttpDirectOptions {
  /** Asks the collector. */
  ask<T>(path: string, value: unknown): Promise<T>;
  /** Addresses without TLS are followed only from a collector that has none either. */
  secure: boolean;
  traffic: DirectTraffic;
  /** Once the store was reached. */
  retry?: RetryRules | undefined;
  signal?: AbortSignal | undefined;
  /** From now on all goes through the collector. */
  onFallback?: ((reason: string) => void) | undefined;
}

interface Upload {
  id: string;
  partBytes: number;
  received: number;
}

export class HttpDirect {
  readonly #options: HttpDirectOptions;
  readonly #addresses = new Map<string, { url: string; until: number }>();
  readonly #uploads = new Map<string, Upload>();
  #on = true;
  /** It has answered before: what fails then may pass. */
  #reached = false;

  constructor(options: HttpDirectOptions) {
    this.#options = options;
  }

  get on(): boolean {
    return this.#on;
  }

  get #retry(): RetryRules {
    return this.#reached ? (this.#options.retry ?? PATIENT) : FIRST;
  }

  /** Null: ask the collector. */
  async read(run: string, sha256: string, offset: number): Promise<Uint8Array | null> {
    try {
      const url = await this.#addressOf(run, sha256);
      const answer = await askDirectly(
        {
          url,
          method: 'GET',
          headers: { range: `bytes=${offset}-${offset + MAX_BODY_BYTES - 1}` },
          maxBytes: MAX_BODY_BYTES,
          accept: [206, 416],
          retry: this.#retry,
          signal: this.#options.signal,
        },
        this.#options.traffic,
      );
      this.#reached = true;
      if (answer.status === 416) return new Uint8Array();
      if (!answer.headers.get('content-range')?.startsWith(`bytes ${offset}-`)) {
        throw new DirectFailure('another range was answered than was asked for');
      }
      return answer.body;
    } catch (error) {
      return this.#fallBack(error);
    }
  }

  async #addressOf(run: string, sha256: string): Promise<string> {
    const key = `${run} ${sha256}`;
    const known = this.#addresses.get(key);
    if (known !== undefined && performance.now() < known.until) return known.url;
    const { url, seconds } = await this.#options.ask<AddressAnswer>('/blobs/address', { run, sha256 });
    this.#check(url);
    this.#addresses.clear();
    this.#addresses.set(key, { url, until: performance.now() + seconds * 1000 - MARGIN_MS });
    return url;
  }

  #check(url: string): void {
    const { protocol } = URL.canParse(url) ? new URL(url) : { protocol: '' };
    if (protocol === 'https:' || (protocol === 'http:' && !this.#options.secure)) return;
    throw new DirectFailure('the collector told an address without TLS');
  }

  /** Null: send the part to the collector. */
  async write(part: BlobPart): Promise<SpaceResult | null> {
    const key = `${part.run} ${part.sha256} ${part.size}`;
    try {
      const upload = this.#uploads.get(key) ?? (part.offset === 0 ? await this.#begin(part) : null);
      if (upload === null) return null;
      if ('stored' in upload) return upload;
      this.#uploads.set(key, upload);
      if (part.offset !== upload.received) {
        if (upload.received < part.size) return goOn(upload);
        return await this.#finish(part.run, upload, key);
      }
      const rest = part.size - part.offset;
      if (part.offset % upload.partBytes !== 0 || part.bytes.length !== Math.min(upload.partBytes, rest)) {
        return null;
      }
      await this.#put(part, upload);
      upload.received += part.bytes.length;
      if (upload.received < part.size) return { ok: true, received: upload.received, stored: false };
      return await this.#finish(part.run, upload, key);
    } catch (error) {
      const upload = this.#uploads.get(key);
      this.#uploads.delete(key);
      this.#fallBack(error);
      // What has come stays for the next try; of nothing, nothing is kept that counts against a quota.
      if (upload?.received === 0) await this.#drop(part.run, upload);
      return part.offset === 0 ? null : refuse('part-offset', 'it goes through the collector', 0);
    }
  }

  async #begin({ run, sha256, size }: BlobPart): Promise<Upload | SpaceResult | null> {
    const begun = await this.#options.ask<BeginAnswer>('/blobs/uploads/begin', { run, sha256, size });
    const { ok, upload, part_bytes: partBytes, received } = begun;
    // Its own way says what is wrong, or takes it.
    if (!ok) return null;
    if (upload === null) return { ok: true, received: size, stored: true };
    if (received > 0) this.#reached = true;
    return { id: upload, partBytes, received };
  }

  /** Where that fails, it is forgotten in time. */
  async #drop(run: string, { id }: Upload): Promise<void> {
    await this.#options.ask('/blobs/uploads/drop', { run, upload: id }).catch(() => undefined);
  }

  async #put({ run, bytes }: BlobPart, upload: Upload): Promise<void> {
    const asked = {
      run,
      upload: upload.id,
      number: upload.received / upload.partBytes + 1,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    };
    const { url, headers } = await this.#options.ask<AddressOfPart>('/blobs/uploads/part', asked);
    this.#check(url);
    await askDirectly(
      {
        url,
        method: 'PUT',
        headers,
        body: bytes,
        maxBytes: MAX_ANSWER_BYTES,
        accept: [200],
        retry: this.#retry,
        signal: this.#options.signal,
      },
      this.#options.traffic,
    );
    this.#reached = true;
  }

  async #finish(run: string, upload: Upload, key: string): Promise<SpaceResult> {
    for (;;) {
      const result = await this.#options.ask<PartResult>('/blobs/uploads/finish', { run, upload: upload.id });
      this.#options.signal?.throwIfAborted();
      if (result.ok && !result.stored) continue;
      this.#uploads.delete(key);
      return result as SpaceResult;
    }
  }

  #fallBack(error: unknown): null {
    const code = error instanceof WaddleError ? error.code : '';
    // It was given up meanwhile, or another collector does it another way: asked the other way, the collector tells.
    if (code === 'upload-missing' || code === 'blob-missing') return null;
    const failed = error instanceof DirectFailure;
    if (!failed && code !== 'direct-off') throw error;
    this.#on = false;
    this.#options.onFallback?.(failed ? error.message : 'this collector sends nobody to its store');
    return null;
  }
}

function goOn({ received }: Upload): SpaceResult {
  return refuse('part-offset', `it goes on from ${received}`, received);
}

function refuse(code: 'part-offset', message: string, received: number): SpaceResult {
  return { ok: false, code, message, received, stored: false };
}
