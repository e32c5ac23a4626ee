import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger';
import type { TSchema } from 'typebox';
import { ApiError } from '../protocol/common-schemas.ts';
import * as live from '../protocol/live-schemas.ts';

export function documentOptions(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Waddle',
        version,
        description:
          'Runs of a project folder: params, metrics, console, artifacts and code. Times are epoch seconds. NaN and infinities are the strings "NaN", "Infinity" and "-Infinity". Every error is {error: {code, message, hint}}. Pages follow by the Link header with rel="next".',
      },
      tags: [
        { name: 'runs', description: 'Runs, their metrics and what they printed' },
        { name: 'charts', description: 'Many series at the width of a chart' },
        { name: 'files', description: 'Artifacts and code' },
        { name: 'edits', description: 'Changes, each appended to a journal' },
        { name: 'sync', description: 'Push and pull, on a collector (docs/remote.md)' },
        { name: 'server', description: 'The server itself' },
      ],
      components: {
        securitySchemes: {
          token: {
            type: 'http',
            scheme: 'bearer',
            description: 'Where the server is bound to more than loopback.',
          },
        },
        schemas: plain({
          LiveMetric: live.MetricFrame,
          LiveParam: live.ParamFrame,
          LiveTag: live.TagFrame,
          LiveStatus: live.StatusFrame,
          LiveGap: live.GapFrame,
          LiveSubscribe: live.Subscribe,
          LiveWatch: live.Watch,
          LiveBatch: live.Batch,
        }) as never,
      },
    },
  };
}

/** Schemas as plain JSON: TypeBox keeps marks of its own on them. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** What is not JSON. */
export const BINARY = {
  content: { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } },
} as const;

/** A route's part of the document. */
export function described(
  tag: string,
  summary: string,
  answer: TSchema | typeof BINARY,
  parts: {
    querystring?: TSchema;
    params?: TSchema;
    body?: TSchema;
    description?: string;
    status?: number;
  } = {},
) {
  const { status = 200, ...rest } = parts;
  return {
    tags: [tag],
    summary,
    ...rest,
    response: {
      [status]: { description: 'Done.', ...answer },
      '4xx': { description: 'Refused.', ...ApiError },
      '5xx': { description: 'Failed.', ...ApiError },
    },
  };
}
