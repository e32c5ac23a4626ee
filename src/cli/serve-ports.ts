/** Who holds a port: nothing, a Waddle of this project folder, or somebody else. Light, since `waddle run` asks before a job. */
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import type { Layout } from '../journal/layout.ts';
import type { Health } from '../protocol/api.ts';
import { isLoopback } from '../server/access.ts';
import { projectIdentity } from '../server/project-identity.ts';

export const DEFAULT_HOST = '127.0.0.1';
export const DEFAULT_PORT = 8080;
export const DEFAULT_WS_PORT = 8081;

/** Where the token of a server that listens on more than loopback is kept. */
function tokenFile(layout: Layout): string {
  return join(layout.root, 'serve-token');
}

export function readToken(layout: Layout): string | null {
  try {
    return readFileSync(tokenFile(layout), 'utf8').trim() || null;
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}

/**
 * The token that a server on this address asks for; null on loopback. Made once for a project folder, so that a browser
 * that came in stays in; where it cannot be kept, it is good for this once.
 */
export function neededToken(host: string, layout: Layout): string | null {
  if (isLoopback(host)) return null;
  const kept = readToken(layout);
  if (kept !== null) return kept;
  const token = randomBytes(24).toString('base64url');
  try {
    writeFileSync(tokenFile(layout), `${token}\n`, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    // Two began at once: the first one's token counts.
    if (isSystemError(error, 'EEXIST')) return readToken(layout) ?? token;
    if (!isSystemError(error, 'EROFS', 'EACCES', 'EPERM', 'ENOENT', 'ENOSPC')) throw error;
  }
  return token;
}

/** Null where the port can be listened on, else the system's error code. */
export function whyNotFree(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    server.listen({ host, port }, () => server.close(() => resolve(null)));
  });
}

/** What a server says of itself; null where what is there is no Waddle. */
export function askHealth(host: string, port: number): Promise<Health | null> {
  return new Promise((resolve) => {
    const request = get(
      {
        host: reachable(host),
        port,
        path: '/api/health',
        headers: { host: `localhost:${port}` },
        agent: false,
        timeout: 1500,
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
          if (text.length > 10_000) request.destroy();
        });
        response.on('error', () => resolve(null));
        response.on('end', () => {
          try {
            const health = JSON.parse(text) as Health;
            resolve(health.app === 'waddle' ? health : null);
          } catch {
            resolve(null);
          }
        });
      },
    );
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(null));
    request.on('close', () => resolve(null));
  });
}

/** An address to connect to, of one to listen on. */
export function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '::' ? '::1' : host;
}

/** Whether a server is of this project folder. */
export function isOurs(health: Health | null, layout: Layout): health is Health {
  return health !== null && health.project === projectIdentity(layout.project);
}

/** What to tell where a port cannot be had. */
export async function portError(
  host: string,
  port: number,
  code: string,
  layout: Layout,
  flag: '--port' | '--http' | '--ws',
): Promise<WaddleError> {
  const other = `Name another one: ${flag} ${port === 0 ? DEFAULT_PORT : port + 1}`;
  if (code === 'EACCES') {
    return new WaddleError(
      'port-refused',
      `port ${port} may not be used`,
      `Ports below 1024 need rights. ${other}`,
    );
  }
  if (code !== 'EADDRINUSE') {
    return new WaddleError(
      'port-unusable',
      `cannot listen on ${host} port ${port} (${code})`,
      `Check the address. ${other}`,
    );
  }
  const health = await askHealth(host, port);
  if (isOurs(health, layout)) {
    return new WaddleError(
      'port-in-use',
      `a Waddle server of this project folder is already there: http://${inUrl(host)}:${port}/`,
      `Open that page, or end its process (${health.pid}). ${other}`,
    );
  }
  const what = health === null ? 'another program' : 'the Waddle server of another project folder';
  return new WaddleError('port-in-use', `port ${port} is held by ${what}`, other);
}

/** A host as it stands in an address that a person opens. */
export function inUrl(host: string): string {
  const name = reachable(host);
  return name.includes(':') ? `[${name}]` : name;
}
