import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { AwsClient } from 'aws4fetch';
import { WaddleError } from '../errors/waddle-error.ts';
import type { DirectAccess } from './direct-access.ts';
import { isKey, type ListedObject, type ObjectStore } from './object-store.ts';
import { S3Uploads, type UploadedPart } from './s3-uploads.ts';
import { unescapeXml } from './xml-text.ts';

export interface S3Options {
  bucket: string;
  /** Before every name, without a slash at its end; '' is none. */
  prefix: string;
  /** Of a server that is not Amazon's; the bucket then stands in the path. */
  endpoint: string | null;
  /** Whether clients may be sent to the bucket themselves, and where they find it if not at `endpoint`. */
  direct: boolean | { endpoint: string };
  region: string;
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string | undefined };
  /** How often a request is tried that failed for a reason that may pass. */
  tries?: number;
  /** Longest that a try may take, in milliseconds. */
  timeoutMs?: number;
}

/** Bytes of a part of a multipart upload: Amazon takes 5 MiB at least, and 10,000 parts. */
const PART_BYTES = 16 * 1024 * 1024;
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 4000;

/**
 * `s3://bucket/prefix?endpoint=https://…&region=…&direct=…`. Throws `blobs-invalid`.
 * @param env where the credentials are looked for: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
 *   `AWS_REGION`, `AWS_ENDPOINT_URL_S3`
 */
export function readS3Url(text: string, env: Readonly<Record<string, string | undefined>>): S3Options {
  const url = URL.canParse(text) ? new URL(text) : null;
  const bucket = url?.hostname ?? '';
  if (url === null || url.protocol !== 's3:' || !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(bucket)) {
    throw new WaddleError(
      'blobs-invalid',
      `"${text}" names no bucket`,
      'Write s3://bucket/prefix, and for a server that is not Amazon’s ?endpoint=https://host.',
      { exitCode: 2 },
    );
  }
  const accessKeyId = env.AWS_ACCESS_KEY_ID;
  const secretAccessKey = env.AWS_SECRET_ACCESS_KEY;
  if (!accessKeyId || !secretAccessKey) {
    throw new WaddleError(
      'blobs-invalid',
      'there are no credentials for S3',
      'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for the collector.',
      { exitCode: 2 },
    );
  }
  const endpoint =
    url.searchParams.get('endpoint') ?? env.AWS_ENDPOINT_URL_S3 ?? env.AWS_ENDPOINT_URL ?? null;
  return {
    bucket,
    prefix: decodeURIComponent(url.pathname).replace(/^\/+|\/+$/g, ''),
    endpoint,
    direct: readDirect(url.searchParams.get('direct'), endpoint),
    region: url.searchParams.get('region') ?? env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? 'us-east-1',
    credentials: { accessKeyId, secretAccessKey, sessionToken: env.AWS_SESSION_TOKEN },
  };
}

/** Where nothing is said: an endpoint without TLS is one that only the collectors reach. */
function readDirect(text: string | null, endpoint: string | null): S3Options['direct'] {
  if (text === null) return endpoint === null || endpoint.startsWith('https:');
  if (text === 'on' || text === 'off') return text === 'on';
  if (URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)) return { endpoint: text };
  throw new WaddleError(
    'blobs-invalid',
    `direct=${text} is not understood`,
    'Write direct=on, direct=off, or direct=https://host where clients find the bucket there.',
    { exitCode: 2 },
  );
}

export async function openS3Objects(options: S3Options): Promise<S3Objects> {
  const { AwsClient } = await import('aws4fetch');
  const { accessKeyId, secretAccessKey, sessionToken } = options.credentials;
  return new S3Objects(
    options,
    new AwsClient({
      accessKeyId,
      secretAccessKey,
      ...(sessionToken === undefined ? {} : { sessionToken }),
      region: options.region,
      service: 's3',
      retries: 0,
    }),
  );
}

interface Sent {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  headers?: Record<string, string>;
  body?: Uint8Array | string;
  query?: Record<string, string>;
  /** Statuses that are answers. */
  accept: readonly number[];
}

/** Must be closed: that ends what is on its way. */
export class S3Objects implements ObjectStore {
  /** Null where clients are not sent here. */
  readonly direct: DirectAccess | null;
  readonly #options: S3Options;
  readonly #uploads: S3Uploads;
  readonly #client: AwsClient;
  readonly #closing = new AbortController();
  /** The server knows `If-None-Match` of a PUT. */
  #conditional = true;

  constructor(options: S3Options, client: AwsClient) {
    this.#options = options;
    this.#client = client;
    this.#uploads = new S3Uploads((key, sent) => this.#send(key, sent));
    this.direct = options.direct === false ? null : this.#access(options.direct);
  }

  #access(where: true | { endpoint: string }): DirectAccess {
    const uploads = this.#uploads;
    const at = (key: string) => {
      const { endpoint } = where === true ? this.#options : where;
      return objectUrl({ ...this.#options, endpoint }, checkKey(key));
    };
    return {
      reading: async (key, seconds) => presign(this.#client, at(key), { method: 'GET', seconds }),
      begin: (key) => uploads.begin(key, true),
      part: async (key, session, { number, sha256, size }, seconds) => {
        const headers = {
          'x-amz-checksum-sha256': Buffer.from(sha256, 'hex').toString('base64'),
          'content-length': String(size),
        };
        const url = at(key);
        url.searchParams.set('partNumber', String(number));
        url.searchParams.set('uploadId', session);
        return { url: await presign(this.#client, url, { method: 'PUT', seconds, headers }), headers };
      },
      parts: (key, session) => uploads.parts(key, session),
      complete: async (key, session, parts) => void (await uploads.complete(key, session, parts, false)),
      abort: (key, session) => uploads.abort(key, session),
    };
  }

  #url(key: string): URL {
    return objectUrl(this.#options, checkKey(key));
  }

  async get(key: string, start = 0, length = Number.MAX_SAFE_INTEGER): Promise<Buffer | null> {
    const whole = start === 0 && length === Number.MAX_SAFE_INTEGER;
    if (length <= 0) return (await this.head(key)) === null ? null : Buffer.alloc(0);
    const end = length === Number.MAX_SAFE_INTEGER ? '' : String(start + length - 1);
    const headers: Record<string, string> = whole ? {} : { range: `bytes=${start}-${end}` };
    // 416: the object ends before.
    const answer = await this.#send(key, { method: 'GET', headers, accept: [200, 206, 404, 416] });
    if (answer.status === 404) return null;
    return answer.status === 416 ? Buffer.alloc(0) : answer.body;
  }

  async head(name: string): Promise<number | null> {
    const answer = await this.#send(name, { method: 'HEAD', accept: [200, 404] });
    return answer.status === 404 ? null : Number(answer.headers.get('content-length'));
  }

  async putIfAbsent(key: string, content: Uint8Array | { file: string }): Promise<boolean> {
    if (content instanceof Uint8Array) return this.#put(key, content);
    if ((await this.head(key)) !== null) return false;
    const { size } = await stat(content.file);
    if (size > PART_BYTES) return this.#putParts(key, content.file);
    const pieces: Buffer[] = [];
    for await (const piece of createReadStream(content.file)) pieces.push(piece as Buffer);
    return this.#put(key, Buffer.concat(pieces));
  }

  async #put(key: string, bytes: Uint8Array): Promise<boolean> {
    if (!this.#conditional && (await this.head(key)) !== null) return false;
    const headers: Record<string, string> = {
      'x-amz-checksum-sha256': createHash('sha256').update(bytes).digest('base64'),
    };
    if (this.#conditional) headers['if-none-match'] = '*';
    const answer = await this.#send(key, { method: 'PUT', headers, body: bytes, accept: [200, 412, 501] });
    if (answer.status !== 501) return answer.status === 200;
    if (!this.#conditional) throw refusal(501, answer.body, this.#options.bucket);
    this.#conditional = false;
    return this.#put(key, bytes);
  }

  async #putParts(key: string, file: string): Promise<boolean> {
    const session = await this.#uploads.begin(key, false);
    try {
      const parts: UploadedPart[] = [];
      for await (const piece of createReadStream(file, { highWaterMark: PART_BYTES })) {
        parts.push(await this.#uploads.put(key, session, parts.length + 1, piece as Buffer));
      }
      if (await this.#uploads.complete(key, session, parts, this.#conditional)) return true;
      // Another was quicker; or this one was, and its answer got lost.
      if ((await this.head(key)) !== null) return false;
      throw new Error('S3 has lost the parts of an upload');
    } catch (error) {
      await this.#uploads.abort(key, session).catch(() => undefined);
      throw error;
    }
  }

  async *list(prefix: string): AsyncGenerator<ListedObject> {
    const before = this.#options.prefix === '' ? '' : `${this.#options.prefix}/`;
    for (let token: string | undefined; ; ) {
      const query: Record<string, string> = {
        'list-type': '2',
        'encoding-type': 'url',
        prefix: before + prefix,
        ...(token === undefined ? {} : { 'continuation-token': token }),
      };
      const text = (await this.#send(null, { method: 'GET', query, accept: [200] })).body.toString();
      for (const [, entry = ''] of text.matchAll(/<Contents>(.*?)<\/Contents>/gs)) {
        const key = /<Key>([^<]*)<\/Key>/.exec(entry)?.[1] ?? '';
        const size = /<Size>(\d+)<\/Size>/.exec(entry)?.[1];
        const name = decodeURIComponent(unescapeXml(key).replaceAll('+', ' '));
        const modified = Date.parse(/<LastModified>([^<]+)<\/LastModified>/.exec(entry)?.[1] ?? '');
        // What others have put there is not ours, such as the folders that a console makes.
        if (isKey(name.slice(before.length))) {
          yield { key: name.slice(before.length), size: Number(size), modified };
        }
      }
      const next = /<NextContinuationToken>([^<]+)<\/NextContinuationToken>/.exec(text)?.[1];
      if (next === undefined) return;
      token = unescapeXml(next);
    }
  }

  async delete(key: string): Promise<void> {
    await this.#send(key, { method: 'DELETE', accept: [200, 204, 404] });
  }

  async close(): Promise<void> {
    this.#closing.abort();
  }

  /** With backoff and full jitter while the reason may pass. Throws `blobs-unreachable`, `blobs-denied`. */
  async #send(name: string | null, sent: Sent): Promise<{ status: number; headers: Headers; body: Buffer }> {
    const url = name === null ? bucketUrl(this.#options) : this.#url(name);
    for (const [key, value] of Object.entries(sent.query ?? {})) url.searchParams.set(key, value);
    const { tries = 7, timeoutMs = 30_000 } = this.#options;
    let why: unknown;
    for (let attempt = 0; attempt < tries; attempt += 1) {
      if (attempt > 0)
        await this.#pause(Math.random() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** attempt));
      try {
        const request = await this.#client.sign(url, {
          method: sent.method,
          headers: { ...sent.headers, 'x-amz-content-sha256': sha256Hex(sent.body ?? '') },
          ...(sent.body === undefined ? {} : { body: sent.body as NonNullable<RequestInit['body']> }),
        });
        const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(timeoutMs)]);
        const response = await fetch(request, { signal });
        const body = Buffer.from(await response.arrayBuffer());
        if (sent.accept.includes(response.status))
          return { status: response.status, headers: response.headers, body };
        why = refusal(response.status, body, this.#options.bucket);
        if (!isPassing(response.status)) throw why;
      } catch (error) {
        if (error instanceof WaddleError || this.#closing.signal.aborted) throw error;
        why = error;
      }
    }
    throw new WaddleError(
      'blobs-unreachable',
      `S3 did not answer ${tries} times (${why instanceof Error ? why.message : why})`,
      'Waddle tries again by itself; check the endpoint and the network of the collector.',
      { cause: why },
    );
  }

  async #pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      setTimeout(resolve, ms);
      this.#closing.signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }
}

/** A URL that opens one object for a while, without credentials. */
export async function presign(
  client: AwsClient,
  at: URL,
  options: { method: 'GET' | 'PUT'; seconds: number; headers?: Record<string, string>; datetime?: string },
): Promise<string> {
  const url = new URL(at);
  url.searchParams.set('X-Amz-Expires', String(options.seconds));
  const request = await client.sign(url, {
    method: options.method,
    headers: options.headers ?? {},
    aws: {
      signQuery: true,
      allHeaders: true,
      ...(options.datetime === undefined ? {} : { datetime: options.datetime }),
    },
  });
  return request.url;
}

function checkKey(key: string): string {
  if (isKey(key)) return key;
  throw new WaddleError('key-invalid', `"${key}" is no key`, 'It is a bug in Waddle.');
}

function bucketUrl({ bucket, endpoint, region }: Pick<S3Options, 'bucket' | 'endpoint' | 'region'>): URL {
  if (endpoint !== null) return new URL(`${endpoint.replace(/\/+$/, '')}/${bucket}`);
  const host = region === 'us-east-1' ? 's3.amazonaws.com' : `s3.${region}.amazonaws.com`;
  // A name with dots would not fit the certificate.
  return new URL(bucket.includes('.') ? `https://${host}/${bucket}` : `https://${bucket}.${host}/`);
}

export function objectUrl(
  options: Pick<S3Options, 'bucket' | 'prefix' | 'endpoint' | 'region'>,
  name: string,
): URL {
  const url = bucketUrl(options);
  const key = options.prefix === '' ? name : `${options.prefix}/${name}`;
  const path = key.split('/').map((part) => encodeURIComponent(part).replace(/[!'()*]/g, hexEscape));
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${path.join('/')}`;
  return url;
}

function hexEscape(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}

function sha256Hex(body: Uint8Array | string): string {
  return createHash('sha256').update(body).digest('hex');
}

/** Slow down, busy, broken for now; 409: another is writing the same. */
function isPassing(status: number): boolean {
  return status === 408 || status === 409 || status === 429 || (status >= 500 && status !== 501);
}

function refusal(status: number, body: Buffer, bucket: string): Error {
  const code = /<Code>([^<]+)<\/Code>/.exec(body.toString('utf8', 0, 4096))?.[1] ?? `status ${status}`;
  if (isPassing(status)) return new Error(code);
  return new WaddleError(
    status === 401 || status === 403 || status === 404 ? 'blobs-denied' : 'blobs-refused',
    `S3 refuses (${code}, bucket ${bucket})`,
    'Check the bucket, its region and the credentials of the collector.',
  );
}
