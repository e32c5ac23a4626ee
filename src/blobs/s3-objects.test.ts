import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AwsClient } from 'aws4fetch';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import type { TestS3 } from '../../test/support/s3.ts';
import { sharedS3 } from '../../test/support/servers.ts';
import {
  objectUrl,
  openS3Objects,
  presign,
  readS3Url,
  type S3Objects,
  type S3Options,
} from './s3-objects.ts';

describe('signing', () => {
  // The example of "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)" in the S3 documentation.
  it('presigns as the published example does', async () => {
    const client = new AwsClient({
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      region: 'us-east-1',
      service: 's3',
    });
    const at = new URL('https://examplebucket.s3.amazonaws.com/test.txt');
    const signed = await presign(client, at, { method: 'GET', seconds: 86400, datetime: '20130524T000000Z' });
    expect(new URL(signed).searchParams.get('X-Amz-Signature')).toBe(
      'aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404',
    );
  });

  // "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk", GET Object and PUT Object.
  it('signs requests as the published examples do', async () => {
    const client = new AwsClient({
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
      region: 'us-east-1',
      service: 's3',
    });
    const sign = async (url: string, init: RequestInit) => {
      const aws = { datetime: '20130524T000000Z', allHeaders: true };
      const request = await client.sign(url, { ...init, aws });
      return request.headers.get('authorization')?.split('Signature=')[1];
    };
    const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
    expect(
      await sign('https://examplebucket.s3.amazonaws.com/test.txt', {
        headers: { Range: 'bytes=0-9', 'x-amz-content-sha256': sha256('') },
      }),
    ).toBe('f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41');
    expect(
      await sign('https://examplebucket.s3.amazonaws.com/test%24file.text', {
        method: 'PUT',
        headers: {
          Date: 'Fri, 24 May 2013 00:00:00 GMT',
          'x-amz-storage-class': 'REDUCED_REDUNDANCY',
          'x-amz-content-sha256': sha256('Welcome to Amazon S3.'),
        },
      }),
    ).toBe('98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd');
  });

  it('reads what --blobs says, and says what is wrong with it', () => {
    const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' };
    expect(readS3Url('s3://team/some/where?endpoint=http://minio:9000&region=eu-west-1', env)).toMatchObject({
      bucket: 'team',
      prefix: 'some/where',
      endpoint: 'http://minio:9000',
      region: 'eu-west-1',
      direct: false,
    });
    const direct = (text: string) => readS3Url(`s3://team?${text}`, env).direct;
    expect(direct('')).toBe(true);
    expect(direct('direct=off')).toBe(false);
    expect(direct('endpoint=https://s3.example.com')).toBe(true);
    expect(direct('endpoint=http://minio:9000&direct=https://s3.example.com')).toEqual({
      endpoint: 'https://s3.example.com',
    });
    expect(() => direct('direct=perhaps')).toThrow(/not understood/);
    expect(() => readS3Url('s3://', env)).toThrow(/names no bucket/);
    expect(() => readS3Url('s3://team', {})).toThrow(/no credentials/);
  });
});

const started = await sharedS3();
const missing = 'missing' in started ? started.missing : null;
const s3 = started as TestS3;

describe.skipIf(missing !== null)(`objects in S3${missing === null ? '' : ` (${missing})`}`, () => {
  let objects: S3Objects | undefined;
  const open = async (more: Partial<S3Options> = {}) => {
    objects = await openS3Objects({ ...s3.options, direct: true, ...more });
    return objects;
  };
  afterEach(async () => {
    s3.meddle = () => undefined;
    await objects?.close();
  });
  afterAll(() => s3.stop());

  it('are put once, read whole and in part, listed and removed', async () => {
    const store = await open();
    const bytes = randomBytes(10_000);
    expect(await store.putIfAbsent('runs/a/b.zst', bytes)).toBe(true);
    expect(await store.putIfAbsent('runs/a/b.zst', Buffer.from('other'))).toBe(false);
    expect(await store.putIfAbsent('runs/a/c+d', Buffer.from('second')).catch((error) => error.code)).toBe(
      'key-invalid',
    );
    expect(await store.putIfAbsent('runs/b', Buffer.alloc(0))).toBe(true);
    expect((await store.get('runs/a/b.zst'))?.equals(bytes)).toBe(true);
    expect((await store.get('runs/a/b.zst', 9_990, 100))?.equals(bytes.subarray(9_990))).toBe(true);
    expect((await store.get('runs/a/b.zst', 5, 10))?.equals(bytes.subarray(5, 15))).toBe(true);
    expect((await store.get('runs/a/b.zst', 20_000))?.length).toBe(0);
    expect(await store.get('runs/none')).toBeNull();
    expect(await store.head('runs/a/b.zst')).toBe(10_000);
    expect(await store.head('runs/none')).toBeNull();
    const { accessKeyId, secretAccessKey } = s3.options.credentials;
    const credentials = { accessKeyId, secretAccessKey };
    // A folder that a console has made, and a file of somebody's own.
    const stranger = new AwsClient({ ...credentials, region: s3.options.region, service: 's3' });
    for (const name of ['runs/', 'runs/a/.hidden']) {
      expect((await stranger.fetch(objectUrl(s3.options, name), { method: 'PUT', body: '' })).status).toBe(
        200,
      );
    }
    const listed = await Array.fromAsync(store.list('runs/'));
    expect(listed).toEqual([
      { key: 'runs/a/b.zst', size: 10_000, modified: expect.any(Number) },
      { key: 'runs/b', size: 0, modified: expect.any(Number) },
    ]);
    for (const { modified } of listed) expect(Math.abs(Date.now() - modified)).toBeLessThan(60_000);
    await store.delete('runs/b');
    await store.delete('runs/b');
    expect(await store.head('runs/b')).toBeNull();
  });

  it('are put in parts where they are large', async () => {
    const store = await open();
    const folder = mkdtempSync(join(tmpdir(), 'waddle-s3-'));
    try {
      const file = join(folder, 'large');
      const bytes = randomBytes(17 * 1024 * 1024);
      writeFileSync(file, bytes);
      expect(await store.putIfAbsent('blobs/large', { file })).toBe(true);
      expect(await store.putIfAbsent('blobs/large', { file })).toBe(false);
      expect(await store.head('blobs/large')).toBe(bytes.length);
      expect(
        (await store.get('blobs/large', 16 * 1024 * 1024))?.equals(bytes.subarray(16 * 1024 * 1024)),
      ).toBe(true);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('are read by whoever holds a presigned address, and by nobody else', async () => {
    const store = await open();
    const bytes = Buffer.from('shown to one who may');
    await store.putIfAbsent('blobs/direct', bytes);
    await store.putIfAbsent('blobs/other', bytes);
    const reading = (await store.direct?.reading('blobs/direct', 60)) ?? '';
    expect(await (await fetch(reading)).text()).toBe(bytes.toString());
    const part = await fetch(reading, { headers: { range: 'bytes=6-9' } });
    expect([part.status, await part.text()]).toEqual([206, 'to o']);
    const status = async (url: string, init: RequestInit = {}) => (await fetch(url, init)).status;
    expect(await status(reading.replace('direct', 'other'))).toBe(403);
    expect(await status(reading.replace('Expires=60', 'Expires=6000'))).toBe(403);
    expect(await status(reading, { method: 'PUT', body: 'mine' })).toBe(403);
    expect(await status(reading.split('?')[0] ?? '')).toBe(403);
    const late = (await store.direct?.reading('blobs/direct', 0)) ?? '';
    await new Promise((wake) => setTimeout(wake, 1100));
    expect(await status(late)).toBe(403);
    expect((await open({ direct: false })).direct).toBeNull();
    const elsewhere = await open({ direct: { endpoint: 'https://s3.example.com' } });
    expect(await elsewhere.direct?.reading('blobs/direct', 60)).toMatch(/^https:\/\/s3\.example\.com\//);
  });

  it('are uploaded in parts by presigned addresses, each for its own bytes', async () => {
    const { direct } = await open();
    if (direct === null) throw new Error('none');
    const bytes = randomBytes(5 * 1024 * 1024 + 1000);
    const parts = [bytes.subarray(0, 5 * 1024 * 1024), bytes.subarray(5 * 1024 * 1024)];
    const session = await direct.begin('blobs/parts');
    const put = async (number: number, body: Uint8Array, told = body) => {
      const sha256 = createHash('sha256').update(told).digest('hex');
      const asked = { number, sha256, size: told.length };
      const { url, headers } = await direct.part('blobs/parts', session, asked, 60);
      // fetch says how long a body is, and nothing else.
      delete headers['content-length'];
      return (await fetch(url, { method: 'PUT', headers, body: Buffer.from(body) })).status;
    };
    expect(await put(1, Buffer.from('shorter'), parts[0])).toBe(403);
    expect(await put(2, parts[1] ?? bytes, randomBytes(1000))).toBe(403);
    expect(await put(2, parts[1] ?? bytes)).toBe(200);
    expect(await direct.parts('blobs/parts', session)).toMatchObject([{ number: 2, size: 1000 }]);
    expect(await put(1, parts[0] ?? bytes)).toBe(200);
    const come = await direct.parts('blobs/parts', session);
    await direct.complete('blobs/parts', session, come ?? []);
    expect((await objects?.get('blobs/parts'))?.equals(bytes)).toBe(true);
    // What is complete nobody changes any more.
    expect(await put(1, randomBytes(1000))).not.toBe(200);
    expect((await objects?.get('blobs/parts'))?.equals(bytes)).toBe(true);
    expect(await direct.parts('blobs/parts', session)).toBeNull();
    const second = await direct.begin('blobs/none');
    await direct.abort('blobs/none', second);
    expect(await direct.parts('blobs/none', second)).toBeNull();
  });

  it('survive a server that is broken, busy, slow or cut off for a while', async () => {
    const store = await open({ timeoutMs: 300 });
    const faults = [
      (response: import('node:http').ServerResponse) => response.writeHead(500).end(),
      (response: import('node:http').ServerResponse) =>
        response.writeHead(503).end('<Error><Code>SlowDown</Code></Error>'),
      (response: import('node:http').ServerResponse) => response.destroy(),
      () => {}, // never answers
    ];
    for (const fault of faults) {
      let left = 2;
      s3.meddle = (_, response) => {
        if (left-- <= 0) return undefined;
        fault(response);
        return 'answered';
      };
      const name = `fault/${randomBytes(4).toString('hex')}`;
      await store.putIfAbsent(name, Buffer.from('kept'));
      left = 1;
      expect((await store.get(name))?.toString()).toBe('kept');
    }
  });

  it('say what is wrong where it does not pass', async () => {
    s3.meddle = (_, response) => {
      response.writeHead(503).end();
      return 'answered';
    };
    await expect((await open({ tries: 2 })).get('a')).rejects.toMatchObject({ code: 'blobs-unreachable' });
    s3.meddle = () => undefined;
    const credentials = { ...s3.options.credentials, secretAccessKey: 'wrong' };
    const stranger = await openS3Objects({ ...s3.options, credentials });
    await expect(stranger.get('a')).rejects.toMatchObject({ code: 'blobs-denied' });
    await stranger.close();
  });
});
