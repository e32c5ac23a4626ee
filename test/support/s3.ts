/** moto's server: S3 over the network, with authentication on. From PyPI into a cache of the checkout. */
import { execFile, spawn } from 'node:child_process';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { AwsClient } from 'aws4fetch';
import type { S3Options } from '../../src/blobs/s3-objects.ts';
import { freePort } from './sandbox.ts';

/** Not `moto[server]`, which brings what all of Amazon's services need. */
const VERSION = '5.2.5';
const PACKAGES = [`moto[s3]==${VERSION}`, 'flask', 'flask-cors'];

/** Where moto's server is, installed first where it is missing; else why there is none. */
export async function findMoto(): Promise<{ path: string } | { missing: string }> {
  const home = join(import.meta.dirname, '../../node_modules/.cache', `waddle-moto-s3-${VERSION}`);
  const path = join(home, 'bin', 'moto_server');
  if (existsSync(path)) return { path };
  const temporary = `${home}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(home), { recursive: true });
    const install = promisify(execFile);
    const options = { timeout: 300_000 };
    await install('python3', ['-m', 'venv', temporary], options);
    const pip = [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--no-compile',
      '--disable-pip-version-check',
      ...PACKAGES,
    ];
    await install(join(temporary, 'bin', 'python'), pip, options);
    // Its scripts name the folder they were made in: they are started by its Python instead.
    renameSync(temporary, home);
  } catch (error) {
    if (existsSync(path)) return { path };
    const said = error instanceof Error ? error.message : error;
    return { missing: `moto could not be installed from PyPI: ${said}` };
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return { path };
}

/** What a test does to a request instead of passing it on; undefined passes it on. */
export type Meddle = (
  request: IncomingMessage,
  response: ServerResponse,
) => 'answered' | Promise<void> | undefined;

/** A running server with one bucket; must be stopped. */
export interface Moto {
  port: number;
  credentials: S3Options['credentials'];
  stop(): Promise<void>;
}

const BUCKET = 'waddle-team';
const REGION = 'us-east-1';

/** A prefix of the bucket, behind a proxy that counts and may meddle; must be stopped. */
export class TestS3 {
  /** Put between the clients and the server. */
  meddle: Meddle = () => undefined;
  requests = 0;
  readonly options: S3Options;
  readonly #proxy: Server;

  private constructor(proxy: Server, options: S3Options) {
    this.#proxy = proxy;
    this.options = options;
  }

  static async over({ port, credentials }: Pick<Moto, 'port' | 'credentials'>): Promise<TestS3> {
    const proxy = createServer();
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const endpoint = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const prefix = randomBytes(4).toString('hex');
    const options = { bucket: BUCKET, prefix, endpoint, direct: false, region: REGION, credentials };
    const s3 = new TestS3(proxy, options);
    proxy.on('request', (incoming: IncomingMessage, response: ServerResponse) => {
      s3.requests += 1;
      const done = s3.meddle(incoming, response);
      if (done === 'answered') {
        incoming.resume();
        return;
      }
      const pass = () => forward(incoming, response, s3, port);
      if (done === undefined) pass();
      else void done.then(pass);
    });
    return s3;
  }

  /** As `--blobs` takes it. */
  get url(): string {
    const { bucket, prefix, endpoint, region } = this.options;
    return `s3://${bucket}/${prefix}?endpoint=${encodeURIComponent(endpoint ?? '')}&region=${region}`;
  }

  get env(): Record<string, string> {
    const { accessKeyId, secretAccessKey } = this.options.credentials;
    return { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  }

  async stop(): Promise<void> {
    this.#proxy.closeAllConnections();
    await new Promise((resolve) => this.#proxy.close(resolve));
  }
}

export async function startMoto(): Promise<Moto | { missing: string }> {
  const found = await findMoto();
  if ('missing' in found) return found;
  const port = await freePort();
  const python = join(dirname(found.path), 'python');
  const death = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL'] : [];
  const [program = '', ...args] = [
    ...death,
    python,
    '-m',
    'moto.server',
    '-H',
    '127.0.0.1',
    '-p',
    String(port),
  ];
  // The first three requests make a user; from then on all must be signed by one.
  const env = { ...process.env, INITIAL_NO_AUTH_ACTION_COUNT: '3' };
  const server = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'ignore'] });
  const at = `http://127.0.0.1:${port}`;
  for (;;) {
    if (server.exitCode !== null) throw new Error(`moto ended with ${server.exitCode}`);
    try {
      await fetch(`${at}/moto-api/data.json`);
      break;
    } catch {
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }
  const credentials = await makeUser(at);
  const client = new AwsClient({ ...credentials, region: REGION, service: 's3', retries: 0 });
  const made = await client.fetch(`${at}/${BUCKET}`, { method: 'PUT' });
  if (!made.ok) throw new Error(`no bucket: ${await made.text()}`);
  return {
    port,
    credentials,
    stop: async () => {
      const gone = new Promise((resolve) => server.once('exit', resolve));
      if (server.exitCode === null && server.signalCode === null) {
        server.kill('SIGKILL');
        await gone;
      }
    },
  };
}

function forward(incoming: IncomingMessage, response: ServerResponse, s3: TestS3, port: number): void {
  const at = new URL(incoming.url ?? '/', `http://${incoming.headers.host}`);
  const presigned = at.searchParams.has('X-Amz-Signature');
  if (presigned || at.searchParams.get('prefix')?.includes('/')) {
    void gate(incoming, response, at, s3, port);
    return;
  }
  const { method, url, headers } = incoming;
  const onward = request({ host: '127.0.0.1', port, method, path: url, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.destroy());
  incoming.pipe(onward);
}

/**
 * With authentication on, moto knows neither presigned URLs nor a slash in a query. These two are checked here, by the
 * rules of the documentation (signature, expiry, checksum), and signed anew.
 */
async function gate(incoming: IncomingMessage, response: ServerResponse, at: URL, s3: TestS3, port: number) {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks);
  const refuse = (code: string) => response.writeHead(403).end(`<Error><Code>${code}</Code></Error>`);
  if (!isSigned(incoming, at, s3.options.credentials)) return refuse('SignatureDoesNotMatch');
  const checksum = incoming.headers['x-amz-checksum-sha256'];
  if (checksum !== undefined && checksum !== createHash('sha256').update(body).digest('base64')) {
    return refuse('BadDigest');
  }
  const onward = new URL(at.pathname, `http://127.0.0.1:${port}`);
  if (at.searchParams.has('X-Amz-Signature')) {
    for (const name of ['partNumber', 'uploadId']) {
      const value = at.searchParams.get(name);
      if (value !== null) onward.searchParams.set(name, value);
    }
  } else {
    // moto reads it without its escapes.
    for (const [key, value] of at.searchParams) if (key !== 'prefix') onward.searchParams.set(key, value);
    const prefix = at.searchParams.get('prefix') ?? '';
    onward.searchParams.set('prefix', prefix.slice(0, prefix.indexOf('/')));
  }
  const { method = 'GET', headers } = incoming;
  const { accessKeyId, secretAccessKey } = s3.options.credentials;
  const client = new AwsClient({
    accessKeyId,
    secretAccessKey,
    region: REGION,
    service: 's3',
    retries: 0,
  });
  const answer = await client.fetch(onward.href, {
    method,
    headers: headers.range === undefined ? {} : { range: headers.range },
    ...(method === 'PUT' ? { body } : {}),
  });
  let bytes = Buffer.from(await answer.arrayBuffer());
  const prefix = at.searchParams.get('prefix');
  if (prefix !== null) {
    const outside = (entry: string, key: string) => (decodeURIComponent(key).startsWith(prefix) ? entry : '');
    const text = bytes.toString().replaceAll(/<Contents>\s*<Key>([^<]*)<\/Key>.*?<\/Contents>/gs, outside);
    bytes = Buffer.from(text);
  }
  const told: Record<string, string | number> = { 'content-length': bytes.length };
  for (const name of ['etag', 'content-range']) {
    const value = answer.headers.get(name);
    if (value !== null) told[name] = value;
  }
  return response.writeHead(answer.status, told).end(bytes);
}

/** Signature Version 4, of a presigned URL or of a header. */
function isSigned(
  { method, headers }: IncomingMessage,
  at: URL,
  credentials: { accessKeyId: string; secretAccessKey: string },
): boolean {
  const query = at.searchParams.has('X-Amz-Signature');
  const field = (name: string) =>
    query
      ? at.searchParams.get(`X-Amz-${name}`)
      : new RegExp(`${name}=([^,]+)`).exec(headers.authorization ?? '')?.[1];
  const [key, ...scope] = (field('Credential') ?? '').split('/');
  const date = query ? at.searchParams.get('X-Amz-Date') : headers['x-amz-date'];
  if (key !== credentials.accessKeyId || typeof date !== 'string') return false;
  const began = Date.parse(date.replace(/(....)(..)(..)T(..)(..)(..)Z/, '$1-$2-$3T$4:$5:$6Z'));
  if (Date.now() > began + Number(query ? at.searchParams.get('X-Amz-Expires') : 900) * 1000) return false;
  const encode = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const parameters = [...at.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${encode(name)}=${encode(value)}`);
  const names = (field('SignedHeaders') ?? '').split(';');
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const canonical = [
    method,
    at.pathname,
    parameters.sort().join('&'),
    ...names.map((name) => `${name}:${String(headers[name] ?? '').trim()}`),
    '',
    names.join(';'),
    query ? 'UNSIGNED-PAYLOAD' : headers['x-amz-content-sha256'],
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', date, scope.join('/'), sha256(canonical)].join('\n');
  const hmac = (secret: string | Buffer, data: string) => createHmac('sha256', secret).update(data).digest();
  const signingKey = scope.reduce<string | Buffer>(hmac, `AWS4${credentials.secretAccessKey}`);
  return hmac(signingKey, text).toString('hex') === field('Signature');
}

async function makeUser(at: string): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  const admin = new AwsClient({
    accessKeyId: 'none',
    secretAccessKey: 'none',
    region: REGION,
    service: 'iam',
  });
  const ask = async (fields: Record<string, string>): Promise<string> => {
    const body = new URLSearchParams({ Version: '2010-05-08', UserName: 'collector', ...fields }).toString();
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const answer = await admin.fetch(`${at}/`, { method: 'POST', headers, body });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`moto refuses ${fields.Action}: ${text}`);
    return text;
  };
  await ask({ Action: 'CreateUser' });
  const statement = { Effect: 'Allow', Action: 's3:*', Resource: '*' };
  const document = JSON.stringify({ Version: '2012-10-17', Statement: [statement] });
  await ask({ Action: 'PutUserPolicy', PolicyName: 's3', PolicyDocument: document });
  const key = await ask({ Action: 'CreateAccessKey' });
  const field = (name: string): string => new RegExp(`<${name}>([^<]+)</${name}>`).exec(key)?.[1] ?? '';
  return { accessKeyId: field('AccessKeyId'), secretAccessKey: field('SecretAccessKey') };
}
