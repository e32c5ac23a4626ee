/** Uploads in parts: nothing is seen of one until it is complete, and from then on no address of a part of it opens anything. */
import { unescapeXml } from './xml-text.ts';

/** How a request gets to the bucket: signed, tried again, its answer whole. */
export type SendToS3 = (
  key: string,
  sent: {
    method: 'GET' | 'PUT' | 'POST' | 'DELETE';
    headers?: Record<string, string>;
    body?: Uint8Array | string;
    query: Record<string, string>;
    accept: readonly number[];
  },
) => Promise<{ status: number; headers: Headers; body: Buffer }>;

export interface UploadedPart {
  /** From 1 on. */
  number: number;
  /** Bytes. */
  size: number;
  tag: string;
  /** SHA-256 as S3 writes it, where the part came with one. */
  checksum: string | null;
}

export class S3Uploads {
  readonly #send: SendToS3;

  constructor(send: SendToS3) {
    this.#send = send;
  }

  /** @param checked each part will come with its SHA-256 */
  async begin(key: string, checked: boolean): Promise<string> {
    const answer = await this.#send(key, {
      method: 'POST',
      query: { uploads: '' },
      headers: checked ? { 'x-amz-checksum-algorithm': 'SHA256' } : {},
      accept: [200],
    });
    const session = /<UploadId>([^<]+)<\/UploadId>/.exec(answer.body.toString())?.[1];
    if (session === undefined) throw new Error('S3 began no upload');
    return unescapeXml(session);
  }

  async put(key: string, session: string, number: number, body: Uint8Array): Promise<UploadedPart> {
    const query = { partNumber: String(number), uploadId: session };
    const answer = await this.#send(key, { method: 'PUT', query, body, accept: [200] });
    return { number, size: body.length, tag: answer.headers.get('etag') ?? '', checksum: null };
  }

  /** Those that have come, in order; null where there is no such upload, or no longer. */
  async parts(key: string, session: string): Promise<UploadedPart[] | null> {
    const parts: UploadedPart[] = [];
    for (let marker: string | undefined; ; ) {
      const query = { uploadId: session, ...(marker === undefined ? {} : { 'part-number-marker': marker }) };
      const answer = await this.#send(key, { method: 'GET', query, accept: [200, 404] });
      if (answer.status === 404) return null;
      const text = answer.body.toString();
      for (const [, entry = ''] of text.matchAll(/<Part>(.*?)<\/Part>/gs)) {
        const field = (name: string) => new RegExp(`<${name}>([^<]*)</${name}>`).exec(entry)?.[1];
        parts.push({
          number: Number(field('PartNumber')),
          size: Number(field('Size')),
          tag: unescapeXml(field('ETag') ?? ''),
          checksum: field('ChecksumSHA256') ?? null,
        });
      }
      const next = /<NextPartNumberMarker>(\d+)<\/NextPartNumberMarker>/.exec(text)?.[1];
      if (!/<IsTruncated>true<\/IsTruncated>/.test(text) || next === undefined || next === marker) break;
      marker = next;
    }
    return parts.sort((a, b) => a.number - b.number);
  }

  /** @param onlyIfAbsent nothing is put where there is an object of that key; then false */
  async complete(
    key: string,
    session: string,
    parts: readonly UploadedPart[],
    onlyIfAbsent: boolean,
  ): Promise<boolean> {
    const list = parts.map(({ number, tag, checksum }) => {
      const sum = checksum === null ? '' : `<ChecksumSHA256>${checksum}</ChecksumSHA256>`;
      return `<Part><PartNumber>${number}</PartNumber><ETag>${tag}</ETag>${sum}</Part>`;
    });
    const answer = await this.#send(key, {
      method: 'POST',
      query: { uploadId: session },
      headers: { 'content-type': 'application/xml', ...(onlyIfAbsent ? { 'if-none-match': '*' } : {}) },
      body: `<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`,
      accept: [200, 404, 412],
    });
    // It may fail after it began to answer.
    if (answer.status === 200 && /<Error>/.test(answer.body.toString('utf8', 0, 4096))) {
      throw new Error('S3 could not put the parts together');
    }
    return answer.status === 200;
  }

  async abort(key: string, session: string): Promise<void> {
    await this.#send(key, { method: 'DELETE', query: { uploadId: session }, accept: [200, 204, 404] });
  }
}
