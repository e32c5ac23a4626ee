/** The dashboard's own files. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { WaddleError } from '../errors/waddle-error.ts';
import type { ApiError } from '../protocol/api.ts';
import type { Shared } from './shared.ts';

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Waddle</title>
<h1>The dashboard is not built</h1>
<p>This checkout of Waddle has no page yet. Build it with <code>npm run build</code>, then load this page again.</p>
<p>The API is here all the same: <a href="/api/runs">/api/runs</a>, <a href="/api/openapi.json">/api/openapi.json</a>.</p>
</html>
`;

/** What a browser shows where it may not enter. The texts are the server's own. */
export function refusalPage({ error }: ApiError): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Waddle</title>
<h1>${capital(error.message)}</h1>
<p>${capital(error.hint).replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</p>
</html>
`;
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Files that never change: their name carries a hash of what they hold. */
const HASHED = /^assets\/.*[.-][\w-]{8,}\.\w+$/;

export function pageRoutes(http: FastifyInstance, { options }: Shared): void {
  const { dashboard } = options;
  const page = (reply: FastifyReply) => {
    if (!existsSync(join(dashboard, 'index.html'))) {
      return reply.type('text/html; charset=utf-8').header('cache-control', 'no-store').send(NOT_BUILT);
    }
    return reply
      .header('cache-control', 'no-cache')
      .sendFile('index.html', dashboard, { cacheControl: false });
  };
  http.get('/', { schema: { hide: true } }, (_request, reply) => page(reply));
  http.get<{ Params: { '*': string } }>('/*', { schema: { hide: true } }, (request, reply) => {
    const path = request.params['*'];
    const isApi = /^(api|ws)(\/|$)/.test(path);
    if (!isApi && isPlainPath(path) && existsSync(join(dashboard, path)) && path !== '') {
      const cache = HASHED.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache';
      return reply.header('cache-control', cache).sendFile(path, dashboard, { cacheControl: false });
    }
    // Any other address is a view of the page.
    if (!isApi && wantsPage(request)) return page(reply);
    throw new WaddleError(
      'route-not-found',
      `there is no GET /${path}`.slice(0, 300),
      'See /api/openapi.json.',
    );
  });
}

/** Names of files below the folder, and nothing that leads out of it or is hidden. */
function isPlainPath(path: string): boolean {
  return /^[\w@-][\w.@-]*(\/[\w@-][\w.@-]*)*$/.test(path);
}

export function wantsPage(request: FastifyRequest): boolean {
  return (
    (request.method === 'GET' || request.method === 'HEAD') &&
    !/^\/(api|ws)(\/|$)/.test(pathOf(request)) &&
    (request.headers.accept ?? '').includes('text/html')
  );
}

export function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}
