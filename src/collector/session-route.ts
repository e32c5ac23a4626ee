/** What the token of a request opens, for the page to say. */
import type { FastifyInstance } from 'fastify';
import type { Session } from '../protocol/api.ts';
import * as schemas from '../protocol/common-schemas.ts';
import { described } from '../server/openapi.ts';
import { callerOf } from './caller.ts';

export function sessionRoute(http: FastifyInstance): void {
  http.get(
    '/api/session',
    { schema: described('server', 'What the token opens, on a collector', schemas.Session) },
    (request, reply): Session => {
      reply.header('cache-control', 'no-store');
      const { token } = callerOf(request.raw);
      return {
        space: token.space,
        project: token.project,
        scope: token.scope,
        token: { id: token.id, name: token.name ?? null },
        expires_at: token.expiresAt,
      };
    },
  );
}
