/**
 * The dashboard beside a run (`--http`, `--ws`). The server is a process of its own that lives as long as somebody holds
 * it: each run keeps one request open, so that it is let go however the run ends. Light: a job is about to start.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { type ClientRequest, get } from 'node:http';
import { join } from 'node:path';
import type { WaddleJson } from '../config/schema.ts';
import type { Layout } from '../journal/layout.ts';
import type { Health } from '../protocol/api.ts';
import type { Context, Project } from './context.ts';
import { inert } from './inert.ts';
import { CLI_FILE } from './program-files.ts';
import {
  askHealth,
  DEFAULT_HOST,
  DEFAULT_PORT,
  DEFAULT_WS_PORT,
  inUrl,
  isOurs,
  neededToken,
  portError,
  reachable,
  readToken,
  whyNotFree,
} from './serve-ports.ts';

/** Ports that were asked for: a number, or `true` for the default. */
export interface AskedPorts {
  http?: number | true | undefined;
  ws?: number | true | undefined;
}

export interface RunServer {
  /** The page of a run. */
  pageOf(run: string): string;
  /** The server goes on without this run. */
  lasting: boolean;
  /** Lets the server go. */
  release(): void;
}

/** How long a server may take to come up, in milliseconds. */
const START_MS = 15_000;
const RETRY_MS = 50;
/** Of those that lost their server one takes its port over; they do not try in step. */
const TAKE_OVER_MS = 400;

/**
 * Finds or starts the server. Resolves as soon as it is certain that the ports can be had; the server comes up meanwhile.
 * Null where none was asked for. @throws WaddleError where something else holds a port
 */
export async function serveRun(
  asked: AskedPorts,
  project: Project,
  context: Context,
): Promise<RunServer | null> {
  if (asked.http === undefined && asked.ws === undefined) return null;
  const { layout, config } = project;
  const host = config.serve?.host ?? DEFAULT_HOST;
  const port = numberOf(asked.http ?? true, config.serve?.port ?? DEFAULT_PORT);
  const ws = asked.ws === undefined ? (config.serve?.ws ?? null) : numberOf(asked.ws, wsDefault(config));
  const there = await serverAt(host, port, layout);
  const token = neededToken(host, layout);
  const holds = [new Hold({ host, port, ws: there === null ? ws : there.ws_port, layout, context })];
  if (asked.ws !== undefined && ws !== null && (there === null || there.ws_port !== ws)) {
    await needPort(host, ws, layout, '--ws');
    // The page is served already, but not this port: a second server has it.
    if (there !== null) holds.push(new Hold({ host, port: await freePort(host), ws, layout, context }));
  }
  for (const [index, hold] of holds.entries()) hold.begin(index > 0 || there === null);
  return {
    pageOf: (run) => `http://${inUrl(host)}:${port}/runs/${run}${token === null ? '' : `?token=${token}`}`,
    lasting: there !== null && !there.held,
    release: () => {
      for (const hold of holds) hold.release();
    },
  };
}

function numberOf(asked: number | true, otherwise: number): number {
  return asked === true ? otherwise : asked;
}

function wsDefault(config: WaddleJson): number {
  return config.serve?.ws ?? DEFAULT_WS_PORT;
}

/** The Waddle server of this project folder that holds the port; null where nobody does. @throws WaddleError */
async function serverAt(host: string, port: number, layout: Layout): Promise<Health | null> {
  const why = await whyNotFree(host, port);
  if (why === null) return null;
  if (why === 'EADDRINUSE') {
    const health = await askHealth(host, port);
    if (isOurs(health, layout)) return health;
  }
  throw await portError(host, port, why, layout, '--http');
}

async function needPort(host: string, port: number, layout: Layout, flag: '--ws'): Promise<void> {
  const why = await whyNotFree(host, port);
  if (why !== null) throw await portError(host, port, why, layout, flag);
}

/** Likely still free a moment later. */
async function freePort(host: string): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    if ((await whyNotFree(host, port)) === null) return port;
  }
}

interface Held {
  host: string;
  port: number;
  ws: number | null;
  layout: Layout;
  context: Context;
}

/** One request kept open to a server, and the server made anew where it dies. Keeps no process alive. */
class Hold {
  readonly #held: Held;
  #request: ClientRequest | undefined;
  #released = false;
  #deadline = 0;

  constructor(held: Held) {
    this.#held = held;
  }

  begin(start: boolean): void {
    this.#deadline = performance.now() + START_MS;
    if (start) this.#spawn();
    void this.#connect();
  }

  release(): void {
    this.#released = true;
    this.#request?.destroy();
  }

  #spawn(): void {
    const { host, port, ws, layout, context } = this.#held;
    const log = openSync(logFile(layout), 'a', 0o600);
    const child = spawn(
      process.execPath,
      [
        CLI_FILE,
        'serve',
        '--held',
        '--quiet',
        '--dir',
        layout.project,
        '--host',
        host,
        '--port',
        String(port),
        ...(ws === null ? [] : ['--ws', String(ws)]),
      ],
      { cwd: layout.project, env: context.env, detached: true, stdio: ['ignore', 'ignore', log] },
    );
    closeSync(log);
    child.on('error', (error) =>
      context.warn(`waddle: the dashboard could not be started: ${inert(error.message)}\n`),
    );
    child.unref();
  }

  async #connect(): Promise<void> {
    const { host, port, layout, context } = this.#held;
    if (this.#released) return;
    const health = await askHealth(host, port);
    if (this.#released) return;
    if (health !== null && !isOurs(health, layout)) {
      context.warn(`waddle: port ${port} was taken by another server: this run has no dashboard\n`);
      return;
    }
    if (health === null) {
      if (performance.now() < this.#deadline) this.#later(RETRY_MS, () => this.#connect());
      else context.warn(`waddle: the dashboard did not come up; ${inert(logFile(layout))} may say why\n`);
      return;
    }
    const token = readToken(layout);
    const request = get({
      host: reachable(host),
      port,
      path: '/api/hold',
      agent: false,
      headers: { host: `localhost:${port}`, ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    });
    this.#request = request;
    request.on('socket', (socket) => socket.unref());
    request.on('response', (response) => response.resume());
    request.on('error', () => undefined);
    request.on('close', () => this.#lost());
  }

  /** The server has died, or is ending: whoever comes first takes the port over. */
  #lost(): void {
    if (this.#released) return;
    this.#later(RETRY_MS + Math.random() * TAKE_OVER_MS, async () => {
      const { host, port } = this.#held;
      const free = (await whyNotFree(host, port)) === null;
      if (!this.#released) this.begin(free);
    });
  }

  #later(ms: number, work: () => Promise<void>): void {
    setTimeout(() => void work(), ms).unref();
  }
}

/** What a server that a run started has to tell. */
function logFile(layout: Layout): string {
  return join(layout.root, 'serve.log');
}
