/** One request to a collector and its answer: bounded, compressed, and tried again where that can help. */
import type { Agent, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { constants, gunzip, gzip, zstdCompress, zstdDecompress } from 'node:zlib';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';

/**
 * Not imported: that would make all that `node:http` exports, a WebSocket with a client of its own among it, and take longer than
 * all else of a push that has nothing to send. TLS loads where it is used.
 */
const http = process.getBuiltinModule('node:http');
const protocolOf = ({ protocol }: URL) =>
  protocol === 'https:' ? process.getBuiltinModule('node:https') : http;

/** Journals are digits: zstd's first level packs them closer than its third (9.0 against 11.0 bytes a sample), and in half the time. */
const compressors = {
  zstd: (bytes: Uint8Array) =>
    promisify(zstdCompress)(bytes, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  gzip: (bytes: Uint8Array) => promisify(gzip)(bytes, { level: 6 }),
};

export interface RetryRules {
  /** Tries in all. */
  attempts: number;
  /** The longest that the n-th pause may be is `baseMs` * 2^n, and at most `capMs`; how long it is, chance decides. */
  baseMs: number;
  capMs: number;
}

export const PATIENT: RetryRules = { attempts: 9, baseMs: 250, capMs: 20_000 };
/** Who waits for a first answer at a terminal soon wants to know. */
export const BRISK: RetryRules = { attempts: 4, baseMs: 150, capMs: 1000 };

/** A `Retry-After` that asks for more than this is not waited for, in milliseconds. */
const MAX_RETRY_AFTER_MS = 60_000;
/** Nothing was heard or taken for so long: the other end is gone. Checking a large pack is quiet work. */
const IDLE_MS = 120_000;
/** Smaller bodies travel as they are: what a live run brings a second is packed columns, and to begin unpacking costs more. */
const SMALL_BYTES = 2048;

export interface ExchangeOptions {
  /** Address of the collector, with the path that it is mounted at. */
  url: string;
  token: string;
  /** Name and version of the program. */
  userAgent: string;
  signal?: AbortSignal | undefined;
  idleMs?: number | undefined;
  /** Told before each further try. */
  onRetry?: ((retry: { reason: string; waitMs: number; attempt: number }) => void) | undefined;
  /** Told once where the collector's store could not be reached directly, and all goes through the collector. */
  onFallback?: ((reason: string) => void) | undefined;
}

export interface Body {
  type: string;
  bytes: Uint8Array;
  /** Content encoding of the bytes; without one, they are plain and may be packed. */
  encoding?: 'zstd' | 'gzip' | 'identity';
}

export interface Asked {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  body?: Body | undefined;
  /** Called each time when all of the body has left this process. */
  onSent?: (() => void) | undefined;
  headers?: Record<string, string>;
  /** Bytes that the answer may have, plain. */
  maxBytes: number;
  /** Statuses that are answers and no failures, beside 200. */
  accept?: readonly number[];
  retry?: RetryRules;
}

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  /** Plain. */
  body: Buffer;
}

/** Bytes of bodies as they went over the wire, and requests, since it was made. */
export interface Traffic {
  requests: number;
  sent: number;
  received: number;
}

/** Keeps connections for the next request; must be closed. */
export class Exchange {
  readonly traffic: Traffic = { requests: 0, sent: 0, received: 0 };
  /** Content encoding of what is sent. */
  encoding: 'zstd' | 'gzip' | 'identity' = 'zstd';
  readonly #options: ExchangeOptions;
  readonly #base: URL;
  readonly #agent: Agent;

  /** @throws WaddleError `remote-url-invalid` */
  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#base = readAddress(options.url);
    const keep = { keepAlive: true, maxSockets: 8 };
    this.#agent = new (protocolOf(this.#base).Agent)(keep);
  }

  /** Where the collector is, for a person. */
  get place(): string {
    return `${this.#base.origin}${this.#base.pathname.replace(/\/$/, '')}`;
  }

  /** @throws WaddleError of the collector, or `remote-…` where it could not be asked */
  async ask(asked: Asked): Promise<Answer> {
    const packed = asked.body === undefined ? undefined : await this.pack(asked.body);
    const { attempts, baseMs, capMs } = asked.retry ?? PATIENT;
    for (let attempt = 1; ; attempt += 1) {
      let failure: { error: WaddleError; again: boolean; afterMs: number };
      try {
        const answer = await this.#once(asked, packed);
        if (answer.status === 200 || asked.accept?.includes(answer.status) === true) return answer;
        const error = this.#refusal(answer);
        const again =
          answer.status === 408 ||
          answer.status === 429 ||
          (answer.status >= 500 && answer.status !== 501 && answer.status !== 507);
        failure = { error, again, afterMs: retryAfter(answer.headers['retry-after']) };
      } catch (error) {
        if (this.#options.signal?.aborted) throw aborted(this.#options.signal);
        failure = this.#unreached(error);
      }
      if (!failure.again || attempt >= attempts || failure.afterMs > MAX_RETRY_AFTER_MS) throw failure.error;
      const waitMs = Math.max(
        failure.afterMs,
        Math.round(Math.random() * Math.min(capMs, baseMs * 2 ** attempt)),
      );
      this.#options.onRetry?.({ reason: failure.error.message, waitMs, attempt });
      const { signal } = this.#options;
      await wait(waitMs, undefined, signal === undefined ? {} : { signal }).catch(() => {
        throw aborted(signal);
      });
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  /** A body as it goes over the wire. */
  async pack(body: Body): Promise<Required<Body>> {
    const { type, bytes } = body;
    if (body.encoding !== undefined) return { type, bytes, encoding: body.encoding };
    const { encoding } = this;
    if (encoding !== 'identity' && bytes.length >= SMALL_BYTES) {
      const packed = await compressors[encoding](bytes);
      if (packed.length < bytes.length * 0.95) return { type, bytes: packed, encoding };
    }
    return { type, bytes, encoding: 'identity' };
  }

  #once(
    { method, path, headers, maxBytes, onSent }: Asked,
    body: Required<Body> | undefined,
  ): Promise<Answer> {
    const url = new URL(this.#base);
    url.pathname = `${this.#base.pathname.replace(/\/$/, '')}${path.split('?')[0]}`;
    url.search = path.includes('?') ? path.slice(path.indexOf('?')) : '';
    const { token, userAgent, signal } = this.#options;
    return new Promise((resolve, reject) => {
      const request = protocolOf(url).request(url, {
        method,
        agent: this.#agent,
        ...(signal === undefined ? {} : { signal }),
        headers: {
          authorization: `Bearer ${token}`,
          'user-agent': userAgent,
          'accept-encoding': 'zstd, gzip',
          ...headers,
          ...(body === undefined
            ? {}
            : {
                'content-type': body.type,
                'content-length': body.bytes.length,
                ...(body.encoding === 'identity' ? {} : { 'content-encoding': body.encoding }),
              }),
        },
      });
      this.traffic.requests += 1;
      request.setTimeout(this.#options.idleMs ?? IDLE_MS, () =>
        request.destroy(Object.assign(new Error('no answer came in time'), { code: 'ETIMEDOUT' })),
      );
      if (onSent !== undefined) request.once('finish', onSent);
      let answered = false;
      // A refusal may come, and the connection be closed, before all of the body has gone.
      request.on('error', (error) => {
        if (!answered) reject(error);
      });
      request.on('response', (response) => {
        answered = true;
        this.#read(response, maxBytes).then(resolve, reject);
      });
      this.traffic.sent += body?.bytes.length ?? 0;
      request.end(body?.bytes);
    });
  }

  async #read(response: IncomingMessage, maxBytes: number): Promise<Answer> {
    const pieces: Buffer[] = [];
    let length = 0;
    for await (const piece of response as AsyncIterable<Buffer>) {
      length += piece.length;
      if (length > maxBytes) {
        response.destroy();
        throw tooMuch();
      }
      pieces.push(piece);
    }
    this.traffic.received += length;
    // A connection that was cut ends the loop too.
    if (!response.complete)
      throw Object.assign(new Error('the answer was cut short'), { code: 'ECONNRESET' });
    const raw = Buffer.concat(pieces);
    const body = await unpack(raw, response.headers['content-encoding'], maxBytes);
    return { status: response.statusCode ?? 0, headers: response.headers, body };
  }

  /** A refusal in the collector's own words, or in ours where what answers is no collector. */
  #refusal({ status, headers, body }: Answer): WaddleError {
    let said: { code?: unknown; message?: unknown; hint?: unknown } = {};
    if (String(headers['content-type']).startsWith('application/json')) {
      try {
        said = (JSON.parse(body.toString('utf8')) as { error?: typeof said }).error ?? {};
      } catch {
        // Then nothing of it is believed.
      }
    }
    const { code, message, hint } = said;
    if (typeof code === 'string' && typeof message === 'string' && code !== 'route-not-found') {
      if (status === 401) return tokenError(this.place, code, message);
      return new WaddleError(code, message, typeof hint === 'string' ? hint : `${this.place} said so.`);
    }
    if (status >= 500 || status === 408 || status === 429) {
      return new WaddleError(
        'remote-failed',
        `${this.place} answered ${status}`,
        'It may be starting or overloaded: try again; its log says more.',
      );
    }
    return notCollector(this.place, status);
  }

  #unreached(error: unknown): { error: WaddleError; again: boolean; afterMs: number } {
    if (error instanceof WaddleError) return { error, again: false, afterMs: 0 };
    const { code = '', message = String(error) } = error as { code?: string; message?: string };
    const tls = /^(ERR_TLS|CERT_|DEPTH_|SELF_SIGNED|UNABLE_TO|ERR_SSL|EPROTO)/.test(code);
    if (/wrong version number|packet length too long/.test(message)) {
      const told = new WaddleError(
        'remote-no-tls',
        `what answers at ${this.place} does not speak TLS`,
        'Check the port; where it is a collector without TLS, its address begins with http://.',
        { cause: error },
      );
      return { error: told, again: false, afterMs: 0 };
    }
    const why = isSystemError(error, 'ENOTFOUND')
      ? 'there is no such host'
      : isSystemError(error, 'ECONNREFUSED')
        ? 'nothing listens there'
        : message || code;
    const told = new WaddleError(
      tls ? 'remote-untrusted' : 'remote-unreachable',
      tls ? `${this.place} cannot be trusted: ${message}` : `${this.place} cannot be reached: ${why}`,
      tls
        ? 'Check the address; for a certificate of your own, name its authority in NODE_EXTRA_CA_CERTS.'
        : 'Check the address, the network, and that the collector is up: waddle remote test',
      { cause: error },
    );
    return { error: told, again: !tls, afterMs: 0 };
  }
}

function tokenError(place: string, code: string, message: string): WaddleError {
  return code === 'token-missing'
    ? new WaddleError(
        'remote-token-missing',
        `${place} asks for a token, and none is given`,
        'Set WADDLE_TOKEN, or keep it with the remote: waddle remote add NAME URL --force --token TOKEN. Whoever runs the collector makes one: waddle token create',
      )
    : new WaddleError(
        'remote-token-wrong',
        `${place} does not take this token: ${message}`,
        'Whoever runs the collector makes a new one (waddle token create). It goes into WADDLE_TOKEN, or with the remote: waddle remote add NAME URL --force --token TOKEN',
      );
}

export function notCollector(place: string, status: number): WaddleError {
  return new WaddleError(
    'remote-not-collector',
    `what answers at ${place} is not a Waddle collector (status ${status})`,
    'Check the address: it is that of `waddle serve --collector`, without a path behind it.',
  );
}

function readAddress(text: string): URL {
  let url: URL | undefined;
  try {
    url = new URL(text);
  } catch {
    // Told below.
  }
  if (url === undefined || (url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '') {
    throw new WaddleError(
      'remote-url-invalid',
      `"${text}" is not the address of a collector`,
      'Write for example https://waddle.example.com, or http://127.0.0.1:8080; the token goes apart.',
    );
  }
  url.search = '';
  url.hash = '';
  return url;
}

/** Milliseconds that a `Retry-After` (seconds, or a date) asks for; 0 without one. */
function retryAfter(header: string | undefined): number {
  if (header === undefined) return 0;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}

async function unpack(raw: Buffer, encoding: string | undefined, maxBytes: number): Promise<Buffer> {
  if (encoding === undefined || encoding === 'identity' || raw.length === 0) return raw;
  const options = { maxOutputLength: Math.max(1, maxBytes) };
  try {
    if (encoding === 'zstd') return await promisify(zstdDecompress)(raw, options);
    if (encoding === 'gzip') return await promisify(gunzip)(raw, options);
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_BUFFER_TOO_LARGE') throw tooMuch();
    throw Object.assign(new Error('the answer was damaged on its way'), {
      code: 'EPROTO_BODY',
      cause: error,
    });
  }
  throw new WaddleError(
    'remote-answer-invalid',
    `the collector answered in the encoding "${encoding}"`,
    'Update Waddle, or ask who runs the collector.',
  );
}

function tooMuch(): WaddleError {
  return new WaddleError(
    'remote-answer-invalid',
    'the collector answered with more than was asked for',
    'Check that the address is that of a Waddle collector.',
  );
}

function aborted(signal: AbortSignal | undefined): unknown {
  const reason: unknown = signal?.reason;
  return reason instanceof WaddleError
    ? reason
    : new WaddleError(
        'interrupted',
        'the transfer was interrupted',
        'Start it again: it goes on where it stopped.',
        {
          cause: reason,
        },
      );
}
