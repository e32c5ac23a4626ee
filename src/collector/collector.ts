/** The collector on its port. */
import { createServer, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Backend } from './backend.ts';
import { FrontDoor, type Rates } from './front-door.ts';
import { Gate } from './gate.ts';
import type { Log } from './log.ts';
import { Metrics } from './metrics.ts';
import { sessionRoute } from './session-route.ts';
import { Spaces } from './spaces.ts';
import { syncRoutes } from './sync-routes.ts';
import { tokenRoutes } from './token-routes.ts';

export interface CollectorOptions {
  backend: Backend;
  version: string;
  host: string;
  /** 0 takes any that is free. */
  port: number;
  allowedHosts: readonly string[];
  maxConnections: number;
  behindProxy: boolean;
  tls: { cert: Buffer; key: Buffer } | null;
  /** Requests of one token; others than the usual only in tests. */
  rates?: Rates | undefined;
  /** How often it is looked whether tokens still hold; more often than usual only in tests. */
  recheckMs?: number | undefined;
  log: Log;
  bug(error: unknown): void;
}

export interface RunningCollector {
  port: number;
  /** Finishes what is in flight, says goodbye to live clients, and closes the spaces. */
  end(): Promise<void>;
}

const HEADERS_MS = 10_000;
/** A request whose body takes longer is not served: 8 MiB in this time is 28 kB/s. */
const REQUEST_MS = 300_000;
/** Requests in flight get this long when it ends, in milliseconds. */
const GOODBYE_MS = 15_000;

/** @throws the system's error where the port cannot be had */
export async function startCollector(options: CollectorOptions): Promise<RunningCollector> {
  const { backend, version, bug } = options;
  const gate = new Gate();
  let live = 0;
  const metrics: Metrics = new Metrics({
    waddle_open_spaces: { help: 'Spaces that are in use.', read: () => spaces.size },
    waddle_live_clients: { help: 'Clients of the live stream.', read: () => live },
    waddle_connections: { help: 'Connections that are open.', read: () => sockets.size },
  });
  const spaces: Spaces = new Spaces(
    backend,
    {
      busy: () => gate.busy,
      routes: (home, project) => (http) => {
        syncRoutes(http, {
          home,
          project,
          version,
          moved: (direction, bytes) => metrics.moved(direction, bytes),
        });
        tokenRoutes(http, backend.registry);
        sessionRoute(http);
      },
    },
    bug,
  );
  const door = new FrontDoor({
    backend,
    spaces,
    metrics,
    gate,
    rates: options.rates,
    recheckMs: options.recheckMs,
    log: options.log,
    allowedHosts: options.allowedHosts,
    behindProxy: options.behindProxy,
    tls: options.tls !== null,
    bug,
  });
  const limits = {
    headersTimeout: HEADERS_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: 1000,
    keepAliveTimeout: 65_000,
  };
  const server: Server =
    options.tls === null ? createServer(limits) : createTlsServer({ ...limits, ...options.tls });
  server.maxConnections = options.maxConnections;
  const sockets = new Set<Socket>();
  server.on(options.tls === null ? 'connection' : 'secureConnection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('request', (request, response) => door.handle(request, response));
  server.on('upgrade', (request, socket, head) => {
    live += 1;
    socket.once('close', () => {
      live -= 1;
    });
    door.upgrade(request, socket, head);
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  try {
    await new Promise<void>((listening, failed) => {
      server.once('error', failed);
      server.listen({ host: options.host, port: options.port }, listening);
    });
  } catch (error) {
    door.close();
    metrics.close();
    await spaces.close();
    throw error;
  }
  return {
    port: (server.address() as AddressInfo).port,
    async end() {
      door.ending = true;
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeIdleConnections();
      const idle = setInterval(() => server.closeIdleConnections(), 100);
      const late = setTimeout(() => server.closeAllConnections(), GOODBYE_MS);
      // Live clients hold their connections; closing the spaces says goodbye to them once no request is in flight.
      await Promise.race([closed, door.quiet(GOODBYE_MS)]);
      await spaces.close();
      door.close();
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      await closed;
      clearInterval(idle);
      clearTimeout(late);
      metrics.close();
      await backend.close();
    },
  };
}
