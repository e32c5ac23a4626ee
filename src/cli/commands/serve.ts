import { spawn } from 'node:child_process';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { isSystemError, WaddleError } from '../../errors/waddle-error.ts';
import { catchUp, ingestSteps } from '../../ingest/catch-up.ts';
import type { Layout } from '../../journal/layout.ts';
import { ensureProjectFolder } from '../../journal/project-folder.ts';
import { localParts } from '../../server/local-parts.ts';
import { type RunningServer, startServer } from '../../server/start.ts';
import { openStore, type Store } from '../../store/open.ts';
import { type Context, openProject, type Project, storeFile } from '../context.ts';
import { hangupWasIgnored } from '../hangup.ts';
import { example } from '../help.ts';
import { inert } from '../inert.ts';
import { sayMigration } from '../migration-notice.ts';
import { readPort } from '../port.ts';
import { CLI_FILE, DASHBOARD_FOLDER } from '../program-files.ts';
import { listRemotes } from '../remotes.ts';
import { codeDiff } from '../serve-code.ts';
import { followForServer } from '../serve-follow.ts';
import { DEFAULT_HOST, DEFAULT_PORT, inUrl, neededToken, portError } from '../serve-ports.ts';
import { VERSION } from '../version.ts';

interface Options {
  host?: string;
  port?: number;
  ws?: number;
  open?: boolean;
  held?: boolean;
  collector?: boolean;
  tlsCert?: string;
  tlsKey?: string;
  log?: 'json' | 'text';
  direct?: boolean;
  behindProxy?: boolean;
  allowHost?: string[];
}

const MAX_CONNECTIONS = 1000;
/** What is new since last time is read before the first answer, but not for longer than this (milliseconds). */
const FIRST_READ_MS = 150;

export function define(command: Command, context: Context): void {
  command
    .description('Serves the dashboard, the HTTP API and the live stream until it is stopped.')
    .option(
      '--host <address>',
      `listen on this address (default ${DEFAULT_HOST}; any other asks for a token)`,
    )
    .option('--port <n>', `the HTTP port (default ${DEFAULT_PORT}; 0 takes any)`, readPort)
    .option(
      '--ws <n>',
      'a port of its own for the WebSocket (it is at /ws of the HTTP port anyway)',
      readPort,
    )
    .option('--open', 'open the dashboard in the browser')
    .option('--collector', "serve a team: what others push, in a folder of the collector's own (--dir)")
    .option(
      '--database <url>',
      'of a collector: keep what is known in this PostgreSQL (default: files in its folder)',
    )
    .option('--blobs <place>', 'with --database: keep what is large in s3://bucket/prefix, or in this folder')
    .option('--no-direct', 'with --blobs s3://: artifacts go through the collector, never straight to S3')
    .option('--tls-cert <file>', 'of a collector: speak TLS with this certificate (PEM, with its chain)')
    .option('--tls-key <file>', "of a collector: the certificate's key")
    .option('--behind-proxy', 'of a collector: believe X-Forwarded-For and X-Forwarded-Proto')
    .option('--allow-host <name...>', 'of a collector: answer to these host names only (default: any)')
    .addOption(
      command
        .createOption(
          '--log <format>',
          'of a collector: a line a request (default: text on a terminal, else json)',
        )
        .choices(['json', 'text']),
    )
    .action((options: Options) => serve(context, options));
  command.addOption(command.createOption('--held', 'end with the last run that uses it').hideHelp());
  example(
    command,
    'waddle serve --open',
    'waddle serve --host 0.0.0.0 --port 8080',
    'waddle serve --collector --dir /srv/waddle --host 0.0.0.0',
  );
}

async function serve(context: Context, options: Options): Promise<void> {
  if (options.collector === true) {
    const { serveCollector } = await import('../serve-collector.ts');
    return serveCollector(context, options);
  }
  const project = await openProject(context);
  const { layout, config } = project;
  const host = options.host ?? config.serve?.host ?? DEFAULT_HOST;
  const port = options.port ?? config.serve?.port ?? DEFAULT_PORT;
  const wsPort = options.ws ?? config.serve?.ws ?? null;
  makeProjectFolder(layout);
  const open = () => openProjectStore(project, context);
  const first = open();
  readFirst(layout, first);
  const token = neededToken(host, layout);

  const ended = new AbortController();
  const server = await start(context, project, {
    host,
    port,
    wsPort,
    token,
    open,
    first,
    held: options.held === true,
    released: () => ended.abort(),
  });
  announce(context, server, host, token, options.open === true);
  const asked = () => ended.abort();
  // Once: a second Ctrl-C ends it as it stands.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, asked);
  // What `nohup` started outlives the terminal.
  if (hangupWasIgnored(context.env)) process.on('SIGHUP', () => undefined);
  else process.once('SIGHUP', asked);
  await aborted(ended.signal);
  await server.end();
}

interface Start {
  host: string;
  port: number;
  wsPort: number | null;
  token: string | null;
  open: () => Store;
  /** The store that was opened already. */
  first: Store;
  held: boolean;
  released: () => void;
}

async function start(context: Context, project: Project, asked: Start): Promise<RunningServer> {
  const { layout, config } = project;
  const { host, port, wsPort, token } = asked;
  let first: Store | undefined = asked.first;
  const parts = localParts({
    layout,
    version: VERSION,
    openStore: () => {
      const store = first ?? asked.open();
      first = undefined;
      return store;
    },
    catchUp: (store, runs) => {
      if (!store.readOnly) catchUp({ layout, store, runs });
    },
    stop: (run, grace) => askToStop(run, grace, layout, context),
    bug: (error) => {
      const text = error instanceof Error ? error.message : String(error);
      context.warn(`waddle: ${inert(text)}\nThis is a bug in Waddle; WADDLE_DEBUG=1 shows where.\n`);
      if (context.env.WADDLE_DEBUG) console.error(error);
    },
  });
  const { engine } = parts;
  try {
    return await startServer(
      {
        ...parts,
        follow: (signal) =>
          followForServer({
            layout,
            store: () => engine.store,
            applied: () => engine.look(),
            signal,
            warn: (text) => context.warn(inert(text)),
          }),
        diff: (from, to) => codeDiff(from, to, layout, context.env),
        dashboard: DASHBOARD_FOLDER,
        remotes: () => remoteNames(project),
        access: {
          host,
          allowedHosts: config.serve?.allowed_hosts ?? [],
          token,
          cookie: `waddle_${parts.identity.slice(0, 8)}`,
        },
        held: asked.held,
        released: asked.released,
      },
      { host, port, wsPort, maxConnections: config.serve?.max_connections ?? MAX_CONNECTIONS },
    );
  } catch (error) {
    const { code, syscall, port: busy } = error as { code?: unknown; syscall?: unknown; port?: unknown };
    if (typeof code !== 'string' || (syscall !== 'listen' && syscall !== 'getaddrinfo')) throw error;
    const which = typeof busy === 'number' ? busy : port;
    throw await portError(host, which, code, layout, which === wsPort && which !== port ? '--ws' : '--port');
  }
}

/** For the page to say how to push; what is wrong with them `waddle remote ls` tells. */
function remoteNames(project: Project): string[] {
  try {
    return listRemotes(project).map(({ name }) => name);
  } catch {
    return [];
  }
}

function makeProjectFolder(layout: Layout): void {
  try {
    ensureProjectFolder(layout);
  } catch (error) {
    // What is there can still be shown.
    if (!isSystemError(error, 'EROFS', 'EACCES', 'EPERM')) throw error;
  }
}

/** A store that cannot be written is shown as it was last brought up to date. */
function openProjectStore(project: Project, context: Context): Store {
  const path = storeFile(project, context.env);
  try {
    const store = openStore(path);
    sayMigration(context, store);
    return store;
  } catch (error) {
    if (!(error instanceof WaddleError) || error.code !== 'store-read-only') throw error;
    context.say(`${inert(path)} cannot be written: shown as of the last time it was brought up to date\n`);
    return openStore(path, { readOnly: true });
  }
}

function readFirst(layout: Layout, store: Store): void {
  if (store.readOnly) return;
  const deadline = performance.now() + FIRST_READ_MS;
  try {
    for (const _ of ingestSteps({ layout, store, batchMs: 50 })) if (performance.now() > deadline) break;
  } catch (error) {
    // The follower tries again, and tells.
    if (!(error instanceof WaddleError)) throw error;
  }
}

function announce(
  context: Context,
  server: RunningServer,
  host: string,
  token: string | null,
  open: boolean,
): void {
  const query = token === null ? '' : `?token=${token}`;
  const own = `http://${inUrl(host)}:${server.port}/${query}`;
  const anyHost = host === '0.0.0.0' || host === '::';
  context.say(`Waddle serves at ${own}\n`);
  if (anyHost) context.say(`From elsewhere: http://${hostname()}:${server.port}/${query}\n`);
  if (server.wsPort !== null) context.say(`WebSocket at ws://${inUrl(host)}:${server.wsPort}/\n`);
  context.say('Ctrl-C ends it.\n');
  if (open) openBrowser(own, context);
}

function openBrowser(url: string, context: Context): void {
  const [file, ...args] =
    process.platform === 'darwin'
      ? ['open', url]
      : process.platform === 'win32'
        ? ['cmd', '/c', 'start', '', url]
        : ['xdg-open', url];
  const child = spawn(file ?? 'xdg-open', args, { stdio: 'ignore', detached: true });
  child.on('error', () => context.say('No browser could be opened; open the address yourself.\n'));
  child.unref();
}

/** `waddle stop` knows how: the supervisor is asked, and where there is none, the job itself. */
async function askToStop(run: string, grace: number, layout: Layout, context: Context): Promise<void> {
  const child = spawn(
    process.execPath,
    [CLI_FILE, 'stop', run, '--grace', `${grace}s`, '--dir', layout.project, '--quiet'],
    { stdio: ['ignore', 'ignore', 'inherit'], env: context.env, detached: true },
  );
  child.on('error', (error) =>
    context.warn(`waddle: ${run} could not be asked to stop: ${inert(error.message)}\n`),
  );
  child.unref();
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
