/** `waddle serve --collector`: the team's server over a folder, or over PostgreSQL and S3. */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import type { Backend } from '../collector/backend.ts';
import { startCollector } from '../collector/collector.ts';
import { makeCollectorFolder, openFolderBackend } from '../collector/folder-backend.ts';
import { type LogFormat, makeLog } from '../collector/log.ts';
import type { Registry } from '../collector/registry.ts';
import { createFirstToken } from '../collector/tokens.ts';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';
import { collectorFolder } from './collector-folder.ts';
import { folderParts } from './collector-parts.ts';
import { teamOf } from './collector-place.ts';
import type { Context } from './context.ts';
import { hangupWasIgnored } from './hangup.ts';
import { inert } from './inert.ts';
import { DEFAULT_HOST, DEFAULT_PORT, inUrl } from './serve-ports.ts';
import { VERSION } from './version.ts';

export interface CollectorFlags {
  host?: string | undefined;
  port?: number | undefined;
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  log?: LogFormat | undefined;
  behindProxy?: boolean | undefined;
  database?: string | undefined;
  blobs?: string | undefined;
  direct?: boolean | undefined;
  allowHost?: string[] | undefined;
}

const MAX_CONNECTIONS = 10_000;
/** The space that the first start makes. */
const FIRST_SPACE = 'default';
/** Of its token, before the host that told it. */
const FIRST_NAME = 'first, told on ';

export async function serveCollector(context: Context, flags: CollectorFlags): Promise<void> {
  const tls = readTls(context, flags);
  const log = makeLog(flags.log ?? (context.progress ? 'text' : 'json'), (line) => {
    if (!context.quiet) context.warn(line);
  });
  const bug = (error: unknown) => {
    log({ level: 'error', message: error instanceof Error ? error.message : String(error) });
    if (context.env.WADDLE_DEBUG) console.error(error);
  };
  const { backend, place } = await openBackend(context, flags, bug, (text) =>
    log({ level: 'warn', message: text.trim() }),
  );
  const host = flags.host ?? DEFAULT_HOST;
  const port = flags.port ?? DEFAULT_PORT;
  let server: Awaited<ReturnType<typeof startCollector>>;
  try {
    server = await startCollector({
      backend,
      version: VERSION,
      host,
      port,
      allowedHosts: flags.allowHost ?? [],
      maxConnections: MAX_CONNECTIONS,
      behindProxy: flags.behindProxy === true,
      tls,
      log,
      bug,
    });
  } catch (error) {
    await backend.close();
    throw listenError(error, host, port);
  }
  let first: FirstToken;
  try {
    first = await firstToken(context, backend.registry);
  } catch (error) {
    await server.end();
    throw error;
  }
  announce(context, { host, port: server.port, tls: tls !== null, place, first });
  await asked(context);
  log({ level: 'info', message: 'ending' });
  await server.end();
}

/** What opens the collector at first: its text, told to one of those that start at once, or who was told. */
type FirstToken = { text: string } | { toldBy: string; at: Date } | null;

async function firstToken(context: Context, registry: Registry): Promise<FirstToken> {
  const tokens = await registry.listTokens();
  if (tokens.length === 0) {
    const asked = { space: FIRST_SPACE, scope: 'admin', name: `${FIRST_NAME}${hostname()}` } as const;
    const made = await createFirstToken(registry, asked, context.now() / 1000);
    if (made !== null) return made;
    return firstToken(context, registry);
  }
  const [only] = tokens;
  if (tokens.length > 1 || only?.lastUsedAt !== null || !only.name?.startsWith(FIRST_NAME)) return null;
  return { toldBy: only.name.slice(FIRST_NAME.length), at: new Date(only.createdAt * 1000) };
}

/** A folder's, or a team's over PostgreSQL and objects. `place` is what it is called. */
async function openBackend(
  context: Context,
  flags: CollectorFlags,
  bug: (error: unknown) => void,
  warn: (text: string) => void,
): Promise<{ backend: Backend; place: string }> {
  const team = await teamOf(context, flags);
  if (team !== null) {
    const { openTeamBackend } = await import('../collector/team-backend.ts');
    const { teamParts } = await import('./collector-team.ts');
    return {
      backend: await openTeamBackend(team.database, team.objects, teamParts({ env: context.env, bug })),
      place: `PostgreSQL (${new URL(team.database).host})`,
    };
  }
  const folder = collectorFolder(context);
  makeCollectorFolder(folder);
  return {
    backend: openFolderBackend(folder, folderParts({ env: context.env, bug, warn })),
    place: folder,
  };
}

function readTls(
  context: Context,
  { tlsCert, tlsKey }: CollectorFlags,
): { cert: Buffer; key: Buffer } | null {
  if (tlsCert === undefined && tlsKey === undefined) return null;
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new WaddleError(
      'tls-incomplete',
      'a certificate and its key go together',
      'Give both: --tls-cert FILE --tls-key FILE',
      { exitCode: 2 },
    );
  }
  const read = (file: string) => {
    const path = resolve(context.cwd, file);
    try {
      return readFileSync(path);
    } catch (error) {
      throw new WaddleError(
        'tls-unreadable',
        `${inert(path)} cannot be read`,
        'Name the PEM files of the certificate (with its chain) and of its key.',
        { cause: error },
      );
    }
  };
  return { cert: read(tlsCert), key: read(tlsKey) };
}

function listenError(error: unknown, host: string, port: number): unknown {
  if (isSystemError(error, 'EADDRINUSE')) {
    return new WaddleError(
      'port-in-use',
      `port ${port} is held by another program`,
      'Name another one: --port N',
    );
  }
  if (isSystemError(error, 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND')) {
    return new WaddleError(
      'port-unusable',
      `cannot listen on ${host} port ${port} (${error.code})`,
      'Check the address; ports below 1024 need rights.',
    );
  }
  const code = (error as { code?: unknown }).code;
  if (typeof code === 'string' && /^ERR_(OSSL|SSL|TLS)/.test(code)) {
    return new WaddleError(
      'tls-invalid',
      'the certificate and the key do not go together, or are not PEM',
      'Check the files that --tls-cert and --tls-key name.',
      { cause: error },
    );
  }
  return error;
}

function announce(
  context: Context,
  {
    host,
    port,
    tls,
    place,
    first,
  }: { host: string; port: number; tls: boolean; place: string; first: FirstToken },
): void {
  const scheme = tls ? 'https' : 'http';
  const anyHost = host === '0.0.0.0' || host === '::';
  const url = `${scheme}://${anyHost ? hostname() : inUrl(host)}:${port}`;
  context.say(`Waddle collects at ${url}/ in ${inert(place)}\n`);
  if (first !== null && 'toldBy' in first) {
    context.say(
      `Its first token was told on ${inert(first.toldBy)} at ${first.at.toISOString()}, and nobody has used it yet: ` +
        'look at what that collector printed, or make another: waddle token create --scope admin\n',
    );
  }
  if (first !== null && 'text' in first) {
    const { text } = first;
    context.say(
      `Its first token, an admin's of the space "${FIRST_SPACE}", is told this once:\n\n  ${text}\n\n` +
        `In a browser: ${url}/?token=${text}\nOn each machine: waddle remote add team ${url} --token TOKEN\n`,
    );
  }
  context.say('Ctrl-C ends it.\n');
}

function asked(context: Context): Promise<void> {
  return new Promise((resolve) => {
    // Once: a second Ctrl-C ends it as it stands.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve());
    // What `nohup` started outlives the terminal.
    if (hangupWasIgnored(context.env)) process.on('SIGHUP', () => undefined);
    else process.once('SIGHUP', () => resolve());
  });
}
