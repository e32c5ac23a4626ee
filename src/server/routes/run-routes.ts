import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { WaddleError } from '../../errors/waddle-error.ts';
import type {
  CompareQuery,
  ConsoleQuery,
  MetricsQuery,
  RunsQuery,
  SeriesRequest,
} from '../../protocol/api.ts';
import { ConsolePage, ConsoleQuery as ConsoleQuerySchema } from '../../protocol/page-schemas.ts';
import * as schemas from '../../protocol/run-schemas.ts';
import { SeriesRequest as SeriesRequestSchema } from '../../protocol/series-schemas.ts';
import { compareRuns } from '../../query/compare-runs.ts';
import { runDetail } from '../../query/run-detail.ts';
import { listRuns } from '../../query/runs-table.ts';
import type { Question } from '../../store/question.ts';
import { readConsolePage } from '../console-pages.ts';
import { formatCursor } from '../live/cursor.ts';
import { nowCursor } from '../live/stream-state.ts';
import { BINARY, described } from '../openapi.ts';
import { runNotFound, samplePage } from '../runs.ts';
import { seriesReply } from '../series-reply.ts';
import type { Shared } from '../shared.ts';

const MAX_COMPARED = 100;

type WithRun = { Params: { id: string } };

export function runRoutes(http: FastifyInstance, { engine }: Shared): void {
  http.get<{ Querystring: RunsQuery }>(
    '/api/runs',
    {
      schema: described('runs', 'Runs, newest first', Type.Array(schemas.RunRow), {
        querystring: schemas.RunsQuery,
      }),
    },
    async (request, reply) => {
      const { q: text, ...query } = request.query;
      const [page, cursor] = await engine.answer(withCursor(listRuns({ ...query, text })));
      linkNext(request, reply, page.next);
      reply.header('waddle-cursor', cursor);
      return page.rows;
    },
  );

  http.get<WithRun>(
    '/api/runs/:id',
    {
      schema: described('runs', 'All of a run but its samples and console', schemas.RunDetail, {
        params: schemas.RunParams,
      }),
    },
    async (request, reply) => {
      const [detail, cursor] = await engine.answer(withCursor(runDetail(request.params.id)));
      if (detail === undefined) throw runNotFound(request.params.id);
      reply.header('waddle-cursor', cursor);
      return detail;
    },
  );

  http.get<WithRun & { Querystring: MetricsQuery }>(
    '/api/runs/:id/metrics',
    {
      schema: described('runs', 'Samples by step, then arrival', Type.Array(schemas.MetricSample), {
        params: schemas.RunParams,
        querystring: schemas.MetricsQuery,
      }),
    },
    async (request, reply) => {
      const { rows, next } = await engine.answer(samplePage(request.params.id, request.query));
      linkNext(request, reply, next);
      return rows;
    },
  );

  http.get<WithRun & { Querystring: ConsoleQuery }>(
    '/api/runs/:id/console',
    {
      schema: described('runs', 'What the job printed, in the order of time', ConsolePage, {
        params: schemas.RunParams,
        querystring: ConsoleQuerySchema,
      }),
    },
    (request) => engine.answer(readConsolePage(request.params.id, request.query)),
  );

  http.get<{ Querystring: CompareQuery }>(
    '/api/compare',
    {
      schema: described('runs', 'Runs side by side, what differs first', schemas.Comparison, {
        querystring: schemas.CompareQuery,
      }),
    },
    (request) => {
      const ids = [...new Set(request.query.runs.split(',').filter((id) => id !== ''))];
      if (ids.length === 0 || ids.length > MAX_COMPARED) {
        throw new WaddleError(
          'query-invalid',
          `${ids.length} runs cannot be compared`,
          `Name 1 to ${MAX_COMPARED}: ?runs=a,b`,
          {
            exitCode: 2,
          },
        );
      }
      return engine.answer(compareRuns(ids));
    },
  );

  http.post<{ Body: SeriesRequest }>(
    '/api/series',
    {
      schema: described('charts', 'Many series at the width of a chart', BINARY, {
        body: SeriesRequestSchema,
        description:
          'Answers application/octet-stream: u32 little-endian length of a JSON header, the header ({cursor, axis, series: [{run, key, writer, rank, segment, n, arrival, raw, end, columns, offset}]}), spaces up to a multiple of 8, then each series’ columns as float64 at its offset from there.',
      }),
    },
    async (request, reply) => {
      const body = await seriesReply(engine, request.body, () => request.raw.socket.destroyed);
      if (body === null) {
        reply.hijack();
        return;
      }
      return reply.type('application/octet-stream').send(body);
    },
  );
}

/** With where the live stream goes on from it. */
function* withCursor<T>(question: Question<T>): Question<[T, string]> {
  return [yield* question, formatCursor(yield* nowCursor())];
}

/** The next page has the address of this one, with another cursor. */
function linkNext(request: FastifyRequest, reply: FastifyReply, next: string | null): void {
  if (next === null) return;
  const url = new URL(request.url, 'http://localhost');
  url.searchParams.set('cursor', next);
  url.searchParams.delete('token');
  reply.header('link', `<${url.pathname}${url.search}>; rel="next"`);
}
