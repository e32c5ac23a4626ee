/**
 * Who may speak to the server (SPEC.md, section 6). A page of another site, whatever name it gives this machine, is kept
 * out by Host (DNS rebinding) and Origin; another machine by a token.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { isIP } from 'node:net';
import { WaddleError } from '../errors/waddle-error.ts';

export interface AccessRules {
  /** The address that it listens on. */
  host: string;
  /** Further names that the Host header may carry; `*.example.com` stands for all below. */
  allowedHosts: readonly string[];
  /** Asked of everybody; null on loopback. */
  token: string | null;
  /** Name of the browser's cookie: servers on other ports of this host share the jar. */
  cookie: string;
  /** A collector hands the requests in, and has checked their host and token. */
  handedIn?: boolean | undefined;
}

/** The parts of a request that count. */
export interface Caller {
  method: string;
  host: string | undefined;
  origin: string | undefined;
  /** `Sec-Fetch-Site` */
  site: string | undefined;
  authorization: string | undefined;
  cookie: string | undefined;
  /** `?token=` */
  token: string | undefined;
}

export function isLoopback(address: string): boolean {
  const name = address.toLowerCase().replace(/^\[(.*)\]$/, '$1');
  if (name === 'localhost' || name === '::1') return true;
  if (isIP(name) === 4) return name.startsWith('127.');
  return isIP(name) === 6 && /^::ffff:127\./.test(name);
}

interface HostName {
  name: string;
  port: string;
}

/** A Host header's name, in lower case and without brackets, and port. Undefined where it is no host. */
function readHost(header: string | undefined): HostName | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/?#@[\]\\]+))(?::(\d{1,5}))?$/i.exec(header ?? '');
  if (match === null) return undefined;
  const name = (match[1] ?? match[2] ?? '').toLowerCase().replace(/\.$/, '');
  return { name, port: match[3] ?? '' };
}

const LOCAL_NAMES = new Set(['localhost', '127.0.0.1', '::1']);

/** @throws WaddleError `host-not-allowed` */
export function checkHost(rules: AccessRules, header: string | undefined): void {
  const host = readHost(header);
  if (host !== undefined) {
    if (LOCAL_NAMES.has(host.name)) return;
    if (isLoopback(rules.host) && host.name === rules.host.toLowerCase()) return;
    if (rules.token !== null && rules.allowedHosts.length === 0) return;
    if (rules.allowedHosts.some((allowed) => fitsHost(allowed.toLowerCase(), host.name))) return;
  }
  throw new WaddleError(
    'host-not-allowed',
    'this server does not answer to that host name',
    'Open it as localhost or 127.0.0.1, or name the host in waddle.json: "serve": {"allowed_hosts": ["…"]}',
  );
}

function fitsHost(allowed: string, name: string): boolean {
  const bare = readHost(allowed)?.name ?? allowed;
  return bare.startsWith('*.')
    ? name.endsWith(bare.slice(1)) && name.length > bare.length - 1
    : bare === name;
}

const DEFAULT_PORTS: Record<string, string> = { 'http:': '80', 'https:': '443', 'ws:': '80', 'wss:': '443' };

/**
 * @param pagePort on a WebSocket port of its own: the port of the page, which may speak to it too
 * @throws WaddleError `origin-not-allowed`
 */
export function checkOrigin(caller: Caller, pagePort?: number): void {
  const { origin, host: header, method, site } = caller;
  const reading = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
  if (origin === undefined) {
    // A browser says where a request comes from even where it gives no Origin.
    if (!reading && site !== undefined && site !== 'same-origin' && site !== 'none') throw foreignOrigin();
    return;
  }
  const host = readHost(header);
  let url: URL;
  try {
    url = new URL(origin);
  } catch {
    throw foreignOrigin();
  }
  const defaultPort = DEFAULT_PORTS[url.protocol];
  if (host === undefined || defaultPort === undefined) throw foreignOrigin();
  const name = url.hostname.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const port = url.port || defaultPort;
  if (name !== host.name) throw foreignOrigin();
  if (port === (host.port || defaultPort)) return;
  if (pagePort !== undefined && port === String(pagePort)) return;
  throw foreignOrigin();
}

export function foreignOrigin(): WaddleError {
  return new WaddleError(
    'origin-not-allowed',
    'a page of another site may not speak to this server',
    'Use the dashboard’s own address.',
  );
}

/** How a caller proved itself: `link` is the token in the address, which a browser gets a cookie for. */
export type Proof = 'none-needed' | 'bearer' | 'cookie' | 'link';

/** @throws WaddleError `token-missing`, `token-wrong` */
export function checkToken(rules: AccessRules, caller: Caller): Proof {
  const { token } = rules;
  if (token === null) return 'none-needed';
  const bearer = /^Bearer +(\S+)\s*$/i.exec(caller.authorization ?? '')?.[1];
  if (bearer !== undefined && equal(bearer, token)) return 'bearer';
  if (caller.token !== undefined && equal(caller.token, token)) return 'link';
  if (caller.cookie !== undefined && equal(caller.cookie, cookieValue(token))) return 'cookie';
  const tried = bearer ?? caller.token;
  throw tried === undefined
    ? new WaddleError(
        'token-missing',
        'this server asks for a token',
        'Open the link that `waddle serve` printed, or send the header "Authorization: Bearer TOKEN".',
      )
    : new WaddleError(
        'token-wrong',
        'the token is not the right one',
        'Copy it from the terminal of `waddle serve`.',
      );
}

/** Takes as long for a wrong guess as for a right one. */
function equal(a: string, b: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(a), hash(b));
}

/** What the browser keeps: it opens this server, and does not tell the token. */
export function cookieValue(token: string): string {
  return createHmac('sha256', token).update('waddle-cookie').digest('base64url');
}
