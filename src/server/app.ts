/** The application: what is the same for every request, and the routes. It is tested in process, without a port. */
import { createHash } from 'node:crypto';
import type { Socket } from 'node:net';
import compress from '@fastify/compress';
import cookie from '@fastify/cookie';
import rateLimit from '@fastify/rate-limit';
import staticFiles from '@fastify/static';
import swagger from '@fastify/swagger';
import websocket from '@fastify/websocket';
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from 'fastify';
import { WaddleError } from '../errors/waddle-error.ts';
import { isTooDeep, stringifyExactJson } from '../events/line.ts';
import { type Caller, checkHost, checkOrigin, checkToken, cookieValue, foreignOrigin } from './access.ts';
import { Editor } from './edits.ts';
import { holdersOf } from './holders.ts';
import { LiveHub } from './live/hub.ts';
import { documentOptions } from './openapi.ts';
import type { ServerOptions } from './options.ts';
import { pageRoutes, pathOf, refusalPage, wantsPage } from './page.ts';
import { problemOf } from './problems.ts';
import { artifactRoutes } from './routes/artifact-routes.ts';
import { codeRoutes } from './routes/code-routes.ts';
import { editRoutes } from './routes/edit-routes.ts';
import { metaRoutes } from './routes/meta-routes.ts';
import { runRoutes } from './routes/run-routes.ts';
import type { Shared } from './shared.ts';
import { validatorOf } from './validate.ts';

export interface App {
  http: FastifyInstance;
  shared: Shared;
  /** For the WebSocket port of its own. */
  ws(): Promise<FastifyInstance>;
  close(): Promise<void>;
}

const BODY_LIMIT = 32 * 1024 * 1024;
const MESSAGE_LIMIT = 4 * 1024 * 1024;
const HEADER_TIMEOUT_MS = 10_000;

export async function buildApp(options: ServerOptions): Promise<App> {
  const { engine } = options;
  const shared: Shared = {
    options,
    engine,
    hub: new LiveHub(engine, options.bug),
    editor: new Editor(engine, options.changes),
    holders: holdersOf(options),
    startedAt: Date.now() / 1000,
  };
  const http = await newInstance(shared, {});
  await http.register(rateLimit, { global: false });
  await http.register(swagger, documentOptions(options.version));
  await http.register(compress, {
    encodings: ['zstd', 'br', 'gzip'],
    brotliOptions: { params: { 1: 4 } },
    zlibOptions: { level: 4 },
  });
  await http.register(staticFiles, { root: options.dashboard, serve: false });
  http.get('/ws', { websocket: true }, (socket) => shared.hub.add(socket));
  metaRoutes(http, shared);
  runRoutes(http, shared);
  artifactRoutes(http, shared);
  codeRoutes(http, shared);
  editRoutes(http, shared);
  options.routes?.(http);
  pageRoutes(http, shared);
  const instances = [http];
  return {
    http,
    shared,
    async ws() {
      const instance = await newInstance(shared, { ownPort: true });
      instance.get('/*', { websocket: true }, (socket) => shared.hub.add(socket));
      instances.push(instance);
      return instance;
    },
    async close() {
      shared.hub.close();
      shared.holders.close();
      for (const instance of instances) await instance.close();
      await engine.close();
    },
  };
}

async function newInstance(shared: Shared, { ownPort = false }): Promise<FastifyInstance> {
  const { options } = shared;
  const app = Fastify({
    bodyLimit: options.bodyLimit ?? BODY_LIMIT,
    requestTimeout: 120_000,
    forceCloseConnections: true,
    http: { headersTimeout: HEADER_TIMEOUT_MS, connectionsCheckingInterval: 1000 },
    routerOptions: { maxParamLength: 20_000 },
    schemaController: {
      compilersFactory: {
        buildValidator: () => (route: unknown) => {
          const { schema, httpPart } = route as { schema: unknown; httpPart?: string };
          return validatorOf(schema, httpPart ?? 'body') as never;
        },
        buildSerializer: () => () => toJson,
      },
    },
    frameworkErrors: (error, _request, reply) => {
      const { status, body } = problemOf(error);
      void (reply as FastifyReply).code(status).send(body);
    },
    clientErrorHandler,
  });
  // Only JSON: a form of another site cannot send that without being asked whether it may.
  app.removeContentTypeParser(['text/plain', 'application/json']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, body, done) => {
    try {
      const text = String(body);
      if (text === '') throw new SyntaxError('it is empty');
      if (isTooDeep(text)) throw new SyntaxError('it nests too deep');
      done(null, JSON.parse(text));
    } catch (error) {
      done(notJson(error));
    }
  });
  app.setReplySerializer(toJson);
  app.setErrorHandler((error: FastifyError | WaddleError, request, reply) => {
    const { status, body, unforeseen } = problemOf(error);
    if (unforeseen) options.bug(error);
    if (status === 503) reply.header('retry-after', '1');
    if (status === 401) reply.header('www-authenticate', 'Bearer realm="waddle"');
    // What an artifact's headers promised is void.
    for (const name of ['content-length', 'content-disposition', 'etag']) reply.removeHeader(name);
    if ((status === 401 || status === 403) && wantsPage(request)) {
      return reply.code(status).type('text/html; charset=utf-8').send(refusalPage(body));
    }
    return reply.code(status).type('application/json; charset=utf-8').send(body);
  });
  app.setNotFoundHandler((request) => {
    throw new WaddleError(
      'route-not-found',
      `there is no ${request.method} ${pathOf(request)}`,
      'See /api/openapi.json.',
    );
  });
  await app.register(cookie);
  app.addHook('onRequest', async (request, reply) => {
    for (const [name, value] of Object.entries(PAGE_HEADERS)) reply.header(name, value);
    endUnlessUpgraded(request, reply);
    const { access, ports } = options;
    const caller = callerOf(app, request, access.cookie);
    if (access.handedIn !== true) checkHost(access, caller.host);
    checkOrigin(caller, ownPort ? ports.http : undefined);
    checkEmbedding(request);
    if (request.routeOptions.config.open === true || access.handedIn === true) return;
    const proof = checkToken(access, caller);
    if (proof !== 'link' || request.ws) return;
    keepInBrowser(reply, shared);
    // The token moves out of sight: it would stay in the browser's history.
    if (wantsPage(request)) {
      const url = new URL(request.url, 'http://localhost');
      url.searchParams.delete('token');
      return reply.redirect(`${url.pathname.replace(/^\/+/, '/')}${url.search}`, 303);
    }
  });
  app.addHook('onSend', tagged);
  // What became a WebSocket, or half of one, is not the HTTP server's to close.
  const sockets = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  app.addHook('preClose', async () => {
    for (const socket of sockets) socket.destroy();
  });
  await app.register(websocket, {
    options: { maxPayload: MESSAGE_LIMIT },
    errorHandler: (_error, socket) => socket.terminate(),
  });
  return app;
}

function callerOf(app: FastifyInstance, request: FastifyRequest, cookieName: string): Caller {
  const { headers, method } = request;
  const token = (request.query as Record<string, unknown> | null)?.token;
  const cookies = headers.cookie === undefined ? {} : app.parseCookie(headers.cookie);
  return {
    method,
    host: headers.host,
    origin: headers.origin,
    site: textOf(headers['sec-fetch-site']),
    authorization: headers.authorization,
    cookie: cookies[cookieName],
    token: textOf(token),
  };
}

/**
 * Nobody reads HTTP any more on a connection that asked to become a WebSocket: one that is refused ends with the answer, or
 * a proxy would send the next request into it, and wait.
 */
function endUnlessUpgraded(request: FastifyRequest, reply: FastifyReply): void {
  if (request.headers.upgrade === undefined) return;
  reply.header('connection', 'close');
  const { socket } = request.raw;
  reply.raw.once('finish', () => socket.end());
}

/** Pages of other sites may link to this one, and may not load pieces of it: images and scripts carry no Origin. */
function checkEmbedding(request: FastifyRequest): void {
  const site = request.headers['sec-fetch-site'];
  if (site !== 'cross-site' && site !== 'same-site') return;
  if (request.headers['sec-fetch-mode'] === 'navigate' && request.headers['sec-fetch-dest'] === 'document')
    return;
  // A WebSocket carries an Origin, which has been checked.
  if (request.ws || request.headers.upgrade !== undefined) return;
  throw foreignOrigin();
}

function notJson(error: unknown): WaddleError {
  const why = error instanceof Error ? error.message.slice(0, 200) : String(error);
  return new WaddleError('body-invalid', `the body is not understood: ${why}`, 'Send a JSON object.', {
    exitCode: 2,
  });
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function keepInBrowser(reply: FastifyReply, { options }: Shared): void {
  const { token, cookie: name } = options.access;
  if (token === null) return;
  reply.setCookie(name, cookieValue(token), {
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    maxAge: 400 * 24 * 3600,
  });
}

/** The page may load and speak to nothing but its own server, and be shown in no other page. */
const PAGE_HEADERS: Record<string, string> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data: blob:",
    "font-src 'self'",
    "media-src 'self' blob:",
    "connect-src 'self'",
    "worker-src 'self'",
    "manifest-src 'self'",
    "frame-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
};

/** JSON, with integers of any length; nearly all answers have none, and go the fast way. */
function toJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return stringifyExactJson(value);
  }
}

/** An ETag of what an answer says, so that asking again for what has not changed costs no transfer. */
async function tagged(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
  if (typeof payload !== 'string' || reply.statusCode !== 200 || reply.hasHeader('etag')) return payload;
  if (request.method !== 'GET' && request.method !== 'HEAD') return payload;
  const tag = `W/"${createHash('sha1').update(payload).digest('base64url')}"`;
  reply.header('etag', tag);
  if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'private, no-cache');
  const known = request.headers['if-none-match'];
  if (known?.split(',').some((each) => each.trim() === tag) !== true) return payload;
  reply.code(304);
  return '';
}

/** What is not even HTTP gets an answer all the same. */
function clientErrorHandler(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed) return;
  const [status, reason, code] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? [431, 'Request Header Fields Too Large', 'headers-too-large']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? [408, 'Request Timeout', 'request-too-slow']
        : [400, 'Bad Request', 'request-invalid'];
  const body = JSON.stringify({
    error: { code, message: reason.toLowerCase(), hint: 'Send a whole HTTP request.' },
  });
  if (socket.writable) {
    socket.write(
      `HTTP/1.1 ${status} ${reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
    );
  }
  socket.destroySoon();
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answers without a token. */
    open?: boolean;
  }
}
