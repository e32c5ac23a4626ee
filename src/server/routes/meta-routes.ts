import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Health, KeysQuery } from '../../protocol/api.ts';
import * as schemas from '../../protocol/common-schemas.ts';
import { checkToken } from '../access.ts';
import { described } from '../openapi.ts';
import { listKeys, listProjects } from '../runs.ts';
import type { Shared } from '../shared.ts';
import { Summaries } from '../summaries.ts';

export function metaRoutes(http: FastifyInstance, { options, engine, holders, startedAt }: Shared): void {
  const summaries = new Summaries(engine);

  http.get(
    '/api/health',
    {
      schema: described('server', 'Who serves which project folder', schemas.Health),
      config: { open: true },
    },
    (request, reply): Health => {
      reply.header('cache-control', 'no-store');
      let known = true;
      try {
        checkToken(options.access, {
          method: 'GET',
          host: undefined,
          origin: undefined,
          site: undefined,
          authorization: request.headers.authorization,
          cookie: request.cookies[options.access.cookie],
          token: undefined,
        });
      } catch {
        known = false;
      }
      return {
        app: 'waddle',
        version: options.version,
        project: options.identity,
        ...(known ? { folder: options.folder } : {}),
        pid: process.pid,
        ws_port: options.ports.ws,
        started_at: startedAt,
        held: options.held,
        collector: options.access.handedIn === true,
        ...(known && options.remotes ? { remotes: options.remotes() } : {}),
      };
    },
  );

  http.get(
    '/api/openapi.json',
    { schema: described('server', 'This document', Type.Object({ openapi: Type.String() })) },
    () => http.swagger(),
  );

  // Kept open for as long as a run wants the server; it never ends by itself.
  http.get('/api/hold', { schema: { hide: true } }, (request, reply) => {
    reply.hijack();
    const gone = holders.add();
    reply.raw.writeHead(200, { 'content-type': 'text/plain', 'cache-control': 'no-store' });
    reply.raw.write('held\n');
    request.raw.socket.on('close', gone);
    if (request.raw.socket.destroyed) gone();
  });

  http.get(
    '/api/projects',
    { schema: described('runs', 'Projects, the latest first', Type.Array(schemas.ProjectEntry)) },
    () => summaries.of('projects', listProjects),
  );

  http.get<{ Querystring: KeysQuery }>(
    '/api/keys',
    {
      schema: described('runs', 'Keys of params, tags and metrics that runs have', schemas.Keys, {
        querystring: schemas.KeysQuery,
      }),
    },
    ({ query }) => summaries.of(`keys ${JSON.stringify([query.project, query.runs])}`, () => listKeys(query)),
  );
}
