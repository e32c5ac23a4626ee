/**
 * Every request to a collector: who sent it, what it may, and which space it is for. What passes is handed to that space's
 * application, which knows of one space (or one project of it) and no other.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { WaddleError } from '../errors/waddle-error.ts';
import { checkHost, checkOrigin, isLoopback } from '../server/access.ts';
import { problemOf } from '../server/problems.ts';
import type { Backend } from './backend.ts';
import { needScope, noteCaller } from './caller.ts';
import type { Gate } from './gate.ts';
import { RateLimit } from './limits.ts';
import type { Log } from './log.ts';
import { loginPage, ownPath } from './login-page.ts';
import type { Metrics } from './metrics.ts';
import type { FoundToken, Registry, TokenRecord } from './registry.ts';
import type { Spaces } from './spaces.ts';
import { checkCookie, checkToken, cookieOf } from './tokens.ts';

/** Requests a second on and on, and at once. */
export interface Rates {
  perSecond: number;
  burst: number;
}

export interface FrontDoorOptions {
  backend: Backend;
  spaces: Spaces;
  metrics: Metrics;
  gate: Gate;
  rates?: Rates | undefined;
  /** How often it is looked whether tokens still hold of those that are at it, in milliseconds. */
  recheckMs?: number | undefined;
  log: Log;
  /** Names that the Host header may carry; empty: any. */
  allowedHosts: readonly string[];
  /** The proxy in front says where a request comes from, and by which scheme. */
  behindProxy: boolean;
  tls: boolean;
  bug(error: unknown): void;
}

/** Of one token: a page of many charts asks for much in a moment, and a team may share one. */
const RATES: Rates = { perSecond: 500, burst: 5000 };
/** A body that says it is no longer than this needs no place at the gate. */
const SMALL_BYTES = 64 * 1024;
/** Wrong tokens from one address. */
const WRONG_PER_SECOND = 1;
const WRONG_BURST = 30;
/** Live clients and running transfers of a token that was revoked are cut off after so long, in milliseconds. */
const RECHECK_MS = 10_000;
const LOGIN_BYTES = 4096;
const COOKIE_DAYS = 400;

interface Entered {
  token: FoundToken;
  how: 'bearer' | 'link' | 'cookie';
}

export class FrontDoor {
  readonly #options: FrontDoorOptions;
  readonly #registry: Registry;
  readonly #asks: RateLimit;
  readonly #wrongs = new RateLimit(WRONG_PER_SECOND, WRONG_BURST);
  /** By token, the connections of its live clients and of requests that are being served. */
  readonly #held = new Map<string, Set<Duplex>>();
  readonly #recheck: NodeJS.Timeout;
  #secret: Promise<Buffer> | undefined;
  #inFlight = 0;
  /** It is ending: what is in flight is finished, and no more is asked for. */
  ending = false;

  constructor(options: FrontDoorOptions) {
    this.#options = options;
    const { perSecond, burst } = options.rates ?? RATES;
    this.#asks = new RateLimit(perSecond, burst);
    this.#registry = options.backend.registry;
    const every = options.recheckMs ?? RECHECK_MS;
    this.#recheck = setInterval(() => void this.#letGo().catch(options.bug), every);
    this.#recheck.unref();
  }

  /** Resolves when no request is in flight, or after so many milliseconds. */
  async quiet(ms: number): Promise<void> {
    const deadline = performance.now() + ms;
    while (this.#inFlight > 0 && performance.now() < deadline)
      await new Promise((wake) => setTimeout(wake, 10));
  }

  close(): void {
    clearInterval(this.#recheck);
    for (const sockets of this.#held.values()) for (const socket of sockets) socket.destroy();
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const begun = performance.now();
    const id = requestIdOf(request);
    response.setHeader('x-request-id', id);
    if (this.ending) response.setHeader('connection', 'close');
    const about: { token?: TokenRecord } = {};
    this.#inFlight += 1;
    response.once('close', () => {
      this.#inFlight -= 1;
      const seconds = (performance.now() - begun) / 1000;
      const status = response.writableFinished ? response.statusCode : 499;
      const path = pathOf(request);
      this.#options.metrics.request(kindOf(path), methodOf(request), status, seconds);
      this.#options.metrics.wire(Number(request.headers['content-length'] ?? 0));
      if (path === '/healthz' || path === '/readyz') return;
      this.#options.log({
        level: status >= 500 ? 'error' : 'info',
        message: `${request.method} ${path.slice(0, 200)} ${status}`,
        ms: Math.round(seconds * 1000),
        request: id,
        from: this.#addressOf(request),
        token: about.token?.id,
        space: about.token?.space,
        project: about.token?.project,
      });
    });
    this.#serve(request, response, id, about).catch((error) => this.#refuse(request, response, error));
  }

  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on('error', () => socket.destroy());
    this.#join(request, socket, head).catch((error) => {
      const { status, body, unforeseen } = problemOf(error);
      if (unforeseen) this.#options.bug(error);
      const text = JSON.stringify(body);
      if (socket.writable) {
        socket.end(
          `HTTP/1.1 ${status} Refused\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\nConnection: close\r\n\r\n${text}`,
        );
      }
    });
  }

  async #serve(
    request: IncomingMessage,
    response: ServerResponse,
    requestId: string,
    about: { token?: TokenRecord },
  ): Promise<void> {
    const path = pathOf(request);
    if (path === '/healthz') return send(response, 200, 'text/plain', 'ok\n');
    if (path === '/readyz') return this.#ready(response);
    this.#checkHost(request);
    if (path === '/metrics') return this.#metrics(request, response);
    if (path === '/login') return this.#login(request, response);
    if (path === '/logout') return this.#logout(request, response);
    const { token, how } = await this.#enter(request);
    about.token = token;
    response.once('close', this.#hold(token, request.socket));
    const url = new URL(request.url ?? '/', 'http://localhost');
    if (how === 'link' && wantsPage(request)) {
      // The token moves out of sight: it would stay in the browser's history.
      url.searchParams.delete('token');
      response.setHeader('set-cookie', await this.#cookie(token, request));
      response.writeHead(303, {
        location: ownPath(`${url.pathname}${url.search}`),
        'cache-control': 'no-store',
      });
      response.end();
      return;
    }
    if (!isReading(request, path)) needScope(token, 'write');
    if (hasLargeBody(request)) {
      const leave = await this.#options.gate.enter(token.id);
      response.once('close', leave);
      if (response.destroyed) leave();
    }
    const { home, release } = await this.#options.spaces.hold(token.space);
    response.once('close', release);
    if (response.destroyed) release();
    const app = await home.app(token.project);
    noteCaller(request, { token, requestId });
    app.http.server.emit('request', request, response);
  }

  async #join(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    if (this.ending) {
      throw new WaddleError('server-ending', 'the collector is ending', 'Come again in a moment.');
    }
    this.#checkHost(request);
    const { token } = await this.#enter(request);
    const { home, release } = await this.#options.spaces.hold(token.space);
    socket.once('close', release);
    if (socket.destroyed) release();
    const app = await home.app(token.project);
    noteCaller(request, { token, requestId: requestIdOf(request) });
    socket.once('close', this.#hold(token, socket));
    app.http.server.emit('upgrade', request, socket, head);
  }

  /** @returns what is to be called once the connection does nothing more with the token */
  #hold({ id }: TokenRecord, socket: Duplex): () => void {
    const sockets = this.#held.get(id) ?? new Set();
    this.#held.set(id, sockets.add(socket));
    return () => {
      sockets.delete(socket);
      if (sockets.size === 0 && this.#held.get(id) === sockets) this.#held.delete(id);
    };
  }

  /** Those whose token was revoked, or has expired, since they came. */
  async #letGo(): Promise<void> {
    for (const [id, sockets] of this.#held) {
      const token = await this.#registry.findToken(id);
      const now = Date.now() / 1000;
      const gone =
        token === null || token.revokedAt !== null || (token.expiresAt !== null && token.expiresAt <= now);
      if (gone) for (const socket of sockets) socket.destroy();
    }
  }

  /** @throws WaddleError `token-missing`, `token-wrong`, `token-expired`, `token-revoked`, `too-many-requests` */
  async #enter(request: IncomingMessage): Promise<Entered> {
    const entered = await this.#check(request).catch((error: unknown) => {
      if (error instanceof WaddleError) this.#options.metrics.refused(error.code);
      // Whoever guesses is slowed down; whoever has no token at all is told so as often as it likes.
      const guessed = error instanceof WaddleError && error.code === 'token-wrong';
      const wait = guessed ? this.#wrongs.take(this.#addressOf(request)) : 0;
      throw wait > 0 ? tooMany(wait) : error;
    });
    const wait = this.#asks.take(entered.token.id);
    if (wait > 0) {
      this.#options.metrics.refused('too-many-requests');
      throw tooMany(wait);
    }
    await this.#registry.tokenUsed(entered.token, Date.now() / 1000);
    return entered;
  }

  async #check(request: IncomingMessage): Promise<Entered> {
    const now = Date.now() / 1000;
    const bearer = /^Bearer +(\S+)\s*$/i.exec(request.headers.authorization ?? '')?.[1];
    if (bearer !== undefined) {
      return { token: await checkToken(this.#registry, bearer, now), how: 'bearer' };
    }
    const link = new URL(request.url ?? '/', 'http://localhost').searchParams.get('token');
    if (link !== null) return { token: await checkToken(this.#registry, link, now), how: 'link' };
    const secret = await this.#signing();
    const cookie = cookieIn(request, cookieName(secret));
    if (cookie !== undefined) {
      return { token: await checkCookie(this.#registry, cookie, secret, now), how: 'cookie' };
    }
    throw new WaddleError(
      'token-missing',
      'this collector asks for a token',
      'Send the header "Authorization: Bearer TOKEN", or open the link with ?token=TOKEN in a browser.',
    );
  }

  async #ready(response: ServerResponse): Promise<void> {
    if (this.ending) return send(response, 503, 'text/plain', 'ending\n');
    try {
      await this.#options.backend.check();
    } catch {
      return send(response, 503, 'text/plain', 'not ready\n');
    }
    send(response, 200, 'text/plain', 'ready\n');
  }

  /** For an admin token, and for a program of this machine that comes by no proxy. */
  async #metrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { headers, socket, httpVersion } = request;
    const proxied =
      this.#options.behindProxy ||
      httpVersion === '1.0' ||
      ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip'].some((name) => headers[name] !== undefined);
    if (proxied || !isLoopback(socket.remoteAddress ?? '') || headers.authorization !== undefined) {
      const { token } = await this.#enter(request);
      needScope(token, 'admin');
      // What is counted is counted over all spaces.
      if (token.project !== null) {
        throw new WaddleError(
          'scope-denied',
          'the figures are of all projects',
          'Use an admin token of a space.',
        );
      }
    }
    send(response, 200, 'text/plain; version=0.0.4; charset=utf-8', this.#options.metrics.text());
  }

  async #login(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'POST') {
      const next = new URL(request.url ?? '/', 'http://localhost').searchParams.get('next');
      return showPage(response, 200, null, ownPath(next));
    }
    this.#checkOrigin(request);
    const form = new URLSearchParams(await readShort(request));
    const next = ownPath(form.get('next'));
    try {
      const wait = this.#wrongs.take(this.#addressOf(request));
      if (wait > 0) throw tooMany(wait);
      const token = await checkToken(this.#registry, (form.get('token') ?? '').trim(), Date.now() / 1000);
      response.setHeader('set-cookie', await this.#cookie(token, request));
      response.writeHead(303, { location: next, 'cache-control': 'no-store' });
      response.end();
    } catch (error) {
      if (!(error instanceof WaddleError)) throw error;
      showPage(response, problemOf(error).status, `${capital(error.message)}.`, next);
    }
  }

  async #logout(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.#checkOrigin(request);
    const name = cookieName(await this.#signing());
    response.writeHead(303, { 'set-cookie': `${name}=; Path=/; HttpOnly; Max-Age=0`, location: '/login' });
    response.end();
  }

  #refuse(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const { status, body, unforeseen } = problemOf(error);
    if (unforeseen) this.#options.bug(error);
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    if (status === 401 && wantsPage(request)) {
      const tried = error instanceof WaddleError && error.code !== 'token-missing';
      showPage(response, 401, tried ? `${capital(body.error.message)}.` : null, ownPath(request.url ?? '/'));
      return;
    }
    if (status === 401) response.setHeader('www-authenticate', 'Bearer realm="waddle"');
    const after = (error as { retryAfter?: unknown }).retryAfter;
    if (typeof after === 'number') response.setHeader('retry-after', String(after));
    // A body that is still on its way is not read.
    if (!request.complete) response.setHeader('connection', 'close');
    send(response, status, 'application/json; charset=utf-8', JSON.stringify(body));
  }

  #checkHost(request: IncomingMessage): void {
    const { allowedHosts } = this.#options;
    checkHost({ host: '', allowedHosts, token: 'asked', cookie: '' }, request.headers.host);
  }

  #checkOrigin(request: IncomingMessage): void {
    const { host, origin } = request.headers;
    checkOrigin({
      method: request.method ?? 'GET',
      host,
      origin,
      site: textOf(request.headers['sec-fetch-site']),
      authorization: undefined,
      cookie: undefined,
      token: undefined,
    });
  }

  #signing(): Promise<Buffer> {
    this.#secret ??= this.#registry.secret();
    return this.#secret;
  }

  async #cookie(token: TokenRecord, request: IncomingMessage): Promise<string> {
    const secret = await this.#signing();
    const forwarded = this.#options.behindProxy && request.headers['x-forwarded-proto'] === 'https';
    const left = token.expiresAt === null ? Number.POSITIVE_INFINITY : token.expiresAt - Date.now() / 1000;
    const age = Math.round(Math.min(COOKIE_DAYS * 86_400, left));
    return [
      `${cookieName(secret)}=${cookieOf(token, secret)}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${age}`,
      ...(this.#options.tls || forwarded ? ['Secure'] : []),
    ].join('; ');
  }

  #addressOf(request: IncomingMessage): string {
    const forwarded = textOf(request.headers['x-forwarded-for'])?.split(',').at(-1)?.trim();
    if (this.#options.behindProxy && forwarded !== undefined && forwarded !== '') return forwarded;
    return request.socket.remoteAddress ?? '';
  }
}

/** Whether a request changes nothing: reading is all that a token for reading may. */
function isReading({ method }: IncomingMessage, path: string): boolean {
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') return true;
  // Questions whose text is too long for an address. What a sync route may, it judges itself.
  return method === 'POST' && (path === '/api/series' || path.startsWith('/api/sync/v1/'));
}

/** Whether a body may take much memory: it is long, or does not say how long it is, plain. */
function hasLargeBody({ method, headers }: IncomingMessage): boolean {
  if (method === 'GET' || method === 'HEAD' || method === 'OPTIONS' || method === 'DELETE') return false;
  if (headers['content-encoding'] !== undefined || headers['transfer-encoding'] !== undefined) return true;
  return Number(headers['content-length'] ?? 0) > SMALL_BYTES;
}

/** Cookies of collectors on other ports of this host lie in the same jar. */
function cookieName(secret: Buffer): string {
  return `waddle_${createHash('sha256').update(secret).digest('hex').slice(0, 8)}`;
}

function cookieIn(request: IncomingMessage, name: string): string | undefined {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const [key = '', ...value] = part.split('=');
    if (key.trim() === name) return value.join('=').trim();
  }
  return undefined;
}

function requestIdOf(request: IncomingMessage): string {
  const given = textOf(request.headers['x-request-id']);
  return given !== undefined && /^[\w.-]{1,64}$/.test(given) ? given : randomBytes(9).toString('base64url');
}

/** Without what stands behind it: there may be a token. */
function pathOf({ url = '/' }: IncomingMessage): string {
  return url.split(/[?#]/, 1)[0] ?? '/';
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

function methodOf({ method = '' }: IncomingMessage): string {
  return METHODS.has(method) ? method : 'other';
}

function kindOf(path: string): string {
  if (path.startsWith('/api/sync/v1')) {
    return `sync${path.slice('/api/sync/v1'.length).replace(/^\/runs\/.*/, '/blob')}`
      .slice(0, 40)
      .replace(/[^\w/]/g, '');
  }
  if (path.startsWith('/api/runs')) return 'runs';
  const known = /^\/(api\/\w+|healthz|readyz|metrics|login|logout|ws|assets)/.exec(path)?.[1];
  return known !== undefined && known.length < 20 ? known : 'page';
}

function wantsPage({ method, headers }: IncomingMessage): boolean {
  return method === 'GET' && (headers.accept ?? '').includes('text/html');
}

function textOf(value: string | string[] | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function tooMany(seconds: number): WaddleError {
  const error = new WaddleError('too-many-requests', 'too many requests', `Wait ${seconds} s and try again.`);
  return Object.assign(error, { retryAfter: seconds });
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(body);
}

function showPage(response: ServerResponse, status: number, said: string | null, next: string): void {
  const { headers, body } = loginPage(said, next);
  response.writeHead(status, headers);
  response.end(body);
}

/** A short body as text. @throws WaddleError `body-too-large` */
async function readShort(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  let length = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length;
    if (length > LOGIN_BYTES)
      throw new WaddleError('body-too-large', 'the form is too long', 'Send the token alone.');
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
