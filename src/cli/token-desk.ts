/** Where tokens are kept: a collector's folder on this machine, or a collector that runs, asked with an admin token. */
import { join } from 'node:path';
import { openFileRegistry } from '../collector/file-registry.ts';
import { REGISTRY_FILE } from '../collector/folder-backend.ts';
import type { Registry, Scope } from '../collector/registry.ts';
import { type DescribedToken, describeToken } from '../collector/token-routes.ts';
import { createToken } from '../collector/tokens.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { BRISK, Exchange } from '../sync/http-exchange.ts';
import { knownCollector } from './collector-folder.ts';
import type { Context } from './context.ts';
import { CLIENT } from './version.ts';

export interface NewToken {
  space: string | undefined;
  project: string | undefined;
  scope: Scope;
  /** Seconds. */
  expires: number | undefined;
  name: string | undefined;
  maxBytes: number | undefined;
  maxSamples: number | undefined;
}

export interface Desk {
  create(asked: NewToken): Promise<{ token: string; record: DescribedToken }>;
  list(space: string | undefined): Promise<DescribedToken[]>;
  /** @throws WaddleError `token-not-found` */
  revoke(id: string): Promise<DescribedToken>;
  close(): Promise<void>;
}

/** @param url of a collector that runs; without one it is the database's, or the folder's */
export async function openDesk(
  context: Context,
  url: string | undefined,
  database: string | undefined,
): Promise<Desk> {
  if (url !== undefined) return runningDesk(context, url);
  return registryDesk(context, await openRegistry(context, database));
}

/** The database's, or that of the collector's folder; must be closed. */
export async function openRegistry(context: Context, database: string | undefined): Promise<Registry> {
  const team = database ?? context.env.WADDLE_DATABASE;
  if (team === undefined) return openFileRegistry(join(knownCollector(context), REGISTRY_FILE));
  const { openDatabase } = await import('../postgres/database.ts');
  const { PostgresRegistry } = await import('../collector/postgres-registry.ts');
  const opened = await openDatabase(team, { connections: 2 });
  const registry = new PostgresRegistry(opened);
  registry.close = () => opened.close();
  return registry;
}

function registryDesk(context: Context, registry: Registry): Desk {
  const now = () => context.now() / 1000;
  return {
    async create({ space = 'default', expires, maxBytes, maxSamples, ...asked }) {
      const quota = { bytes: maxBytes ?? null, samples: maxSamples ?? null };
      const { text, record } = await createToken(
        registry,
        { ...asked, space, expiresIn: expires, quota },
        now(),
      );
      return { token: text, record: describeToken(record) };
    },
    list: async (space) => (await registry.listTokens(space)).map(describeToken),
    async revoke(id) {
      await registry.revokeToken(id, now());
      const record = await registry.findToken(id);
      if (record !== null) return describeToken(record);
      throw new WaddleError('token-not-found', `there is no token ${id}`, 'See: waddle token ls');
    },
    close: () => registry.close(),
  };
}

/** The routes of docs/collector.md. */
function runningDesk(context: Context, url: string): Desk {
  const token = context.env.WADDLE_TOKEN;
  if (!token) {
    throw new WaddleError(
      'token-missing',
      'a collector that runs wants an admin token of the space',
      'Set WADDLE_TOKEN to it; or name the collector’s folder instead: --dir PATH',
      { exitCode: 2 },
    );
  }
  const exchange = new Exchange({ url, token, userAgent: CLIENT });
  const ask = async <T>(method: 'GET' | 'POST' | 'DELETE', path: string, value?: unknown): Promise<T> => {
    const { body } = await exchange.ask({
      method,
      path,
      ...(value === undefined
        ? {}
        : { body: { type: 'application/json', bytes: Buffer.from(JSON.stringify(value), 'utf8') } }),
      maxBytes: 16 * 1024 * 1024,
      // A token that was made, and whose text was lost on its way, must not be made again and again.
      retry: method === 'POST' ? { ...BRISK, attempts: 1 } : BRISK,
    });
    return JSON.parse(body.toString('utf8')) as T;
  };
  return {
    async create({ space, project, scope, expires, name, maxBytes, maxSamples }) {
      if (space !== undefined) {
        throw new WaddleError(
          'space-given',
          'over the network a token is made in the space of WADDLE_TOKEN',
          'Leave --space out; a new space is made on the collector’s own machine: --dir PATH',
          { exitCode: 2 },
        );
      }
      return ask('POST', '/api/tokens', {
        scope,
        ...(project === undefined ? {} : { project }),
        ...(name === undefined ? {} : { name }),
        ...(expires === undefined ? {} : { expires_in: expires }),
        ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }),
        ...(maxSamples === undefined ? {} : { max_samples: maxSamples }),
      });
    },
    list: async (space) =>
      (await ask<DescribedToken[]>('GET', '/api/tokens')).filter(
        (each) => space === undefined || each.space === space,
      ),
    revoke: (id) => ask('DELETE', `/api/tokens/${encodeURIComponent(id)}`),
    close: async () => exchange.close(),
  };
}
