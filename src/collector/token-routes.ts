/** Tokens over HTTP: whoever has an admin token of a space manages the tokens of that space. */
import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import { WaddleError } from '../errors/waddle-error.ts';
import { Maybe, Time } from '../protocol/common-schemas.ts';
import { described } from '../server/openapi.ts';
import { callerOf, needScope } from './caller.ts';
import type { Registry, Scope, TokenRecord } from './registry.ts';
import { createToken } from './tokens.ts';

const ScopeName = Type.Enum(['read', 'write', 'admin']);
const Limit = (description: string) => Maybe(Type.Integer({ minimum: 0, description }));

const Token = Type.Object({
  id: Type.String(),
  name: Maybe(Type.String()),
  space: Type.String(),
  project: Maybe(Type.String()),
  scope: ScopeName,
  max_bytes: Limit('Bytes that its project may hold.'),
  max_samples: Limit('Samples that its project may hold.'),
  created_at: Time,
  expires_at: Maybe(Time),
  revoked_at: Maybe(Time),
  last_used_at: Maybe(Time),
});
const Created = Type.Object({
  token: Type.String({ description: 'Told here and never again.' }),
  record: Token,
});
const NewToken = Type.Object(
  {
    scope: ScopeName,
    project: Type.Optional(Maybe(Type.String({ minLength: 1, maxLength: 200 }))),
    name: Type.Optional(Maybe(Type.String({ maxLength: 200 }))),
    expires_in: Type.Optional(Maybe(Type.Number({ exclusiveMinimum: 0, description: 'Seconds.' }))),
    max_bytes: Type.Optional(Limit('Bytes that its project may hold.')),
    max_samples: Type.Optional(Limit('Samples that its project may hold.')),
  },
  { additionalProperties: false },
);
const IdParams = Type.Object({ id: Type.String({ maxLength: 100 }) });

interface NewTokenBody {
  scope: Scope;
  project?: string | null;
  name?: string | null;
  expires_in?: number | null;
  max_bytes?: number | null;
  max_samples?: number | null;
}

export function tokenRoutes(http: FastifyInstance, registry: Registry): void {
  http.get(
    '/api/tokens',
    { schema: described('server', 'Tokens of this space, on a collector', Type.Array(Token)) },
    async (request) => {
      const { token } = callerOf(request.raw);
      needScope(token, 'admin');
      return (await registry.listTokens(token.space))
        .filter((each) => token.project === null || each.project === token.project)
        .map(describeToken);
    },
  );

  http.post<{ Body: NewTokenBody }>(
    '/api/tokens',
    {
      schema: described('server', 'Make a token of this space, on a collector', Created, { body: NewToken }),
    },
    async (request, reply) => {
      const { token } = callerOf(request.raw);
      needScope(token, 'admin');
      const { scope, project = token.project, name, expires_in, max_bytes, max_samples } = request.body;
      if (token.project !== null && project !== token.project) {
        throw new WaddleError(
          'project-denied',
          `the token ${token.id} is of the project ${token.project} only`,
          'Ask who has an admin token of the whole space.',
        );
      }
      const { text, record } = await createToken(
        registry,
        {
          space: token.space,
          project,
          scope,
          name,
          // Nothing outlives, or may more than, what it was made with.
          expiresIn: soonest(expires_in ?? null, token.expiresAt),
          quota: {
            bytes: least(max_bytes ?? null, token.quota.bytes),
            samples: least(max_samples ?? null, token.quota.samples),
          },
        },
        Date.now() / 1000,
      );
      reply.header('cache-control', 'no-store');
      return { token: text, record: describeToken(record) };
    },
  );

  http.delete<{ Params: { id: string } }>(
    '/api/tokens/:id',
    {
      schema: described('server', 'Revoke a token of this space, on a collector', Token, {
        params: IdParams,
      }),
    },
    async (request) => {
      const { token } = callerOf(request.raw);
      needScope(token, 'admin');
      const found = await registry.findToken(request.params.id);
      const other = token.project !== null && found?.project !== token.project;
      if (found === null || found.space !== token.space || other) {
        throw new WaddleError('token-not-found', 'there is no such token', 'GET /api/tokens lists them.');
      }
      await registry.revokeToken(found.id, Date.now() / 1000);
      return describeToken((await registry.findToken(found.id)) ?? found);
    },
  );
}

/** A token as it is shown: all but its hash. */
export function describeToken(token: TokenRecord) {
  return {
    id: token.id,
    name: token.name,
    space: token.space,
    project: token.project,
    scope: token.scope,
    max_bytes: token.quota.bytes,
    max_samples: token.quota.samples,
    created_at: token.createdAt,
    expires_at: token.expiresAt,
    revoked_at: token.revokedAt,
    last_used_at: token.lastUsedAt,
  };
}

export type DescribedToken = ReturnType<typeof describeToken>;

function soonest(seconds: number | null, until: number | null): number | null {
  return until === null ? seconds : least(seconds, until - Date.now() / 1000);
}

function least(a: number | null, b: number | null): number | null {
  if (a === null || b === null) return a ?? b;
  return Math.min(a, b);
}
