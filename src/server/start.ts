/** The application on its ports. */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { buildApp } from './app.ts';
import type { ServerOptions } from './options.ts';

export interface ListenOptions {
  host: string;
  /** 0 takes any that is free. */
  port: number;
  /** A WebSocket port of its own; null for none. */
  wsPort: number | null;
  maxConnections: number;
}

export interface RunningServer {
  port: number;
  wsPort: number | null;
  /** Reads the journals to their ends, gives every client what there is, and closes. */
  end(): Promise<void>;
}

/** Live clients get this long to take what there is, in milliseconds. */
const GOODBYE_MS = 2000;

/** @throws the system's error where a port cannot be had, with the port as `port` */
export async function startServer(
  options: Omit<ServerOptions, 'ports'>,
  { host, port, wsPort, maxConnections }: ListenOptions,
): Promise<RunningServer> {
  const ports: ServerOptions['ports'] = { http: port, ws: wsPort };
  const app = await buildApp({ ...options, ports });
  const stop = new AbortController();
  let following: Promise<void> | undefined;
  try {
    ports.http = await listen(app.http, host, port, maxConnections);
    if (wsPort !== null) ports.ws = await listen(await app.ws(), host, wsPort, maxConnections);
  } catch (error) {
    await app.close();
    throw error;
  }
  following = options.follow?.(stop.signal).catch(options.bug);
  return {
    port: ports.http,
    wsPort: ports.ws,
    async end() {
      stop.abort();
      await following;
      await app.shared.hub.drain(GOODBYE_MS);
      await app.close();
    },
  };
}

async function listen(
  instance: FastifyInstance,
  host: string,
  port: number,
  maxConnections: number,
): Promise<number> {
  instance.server.maxConnections = maxConnections;
  await instance.listen({ host, port });
  return (instance.server.address() as AddressInfo).port;
}
