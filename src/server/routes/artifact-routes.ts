import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Artifact, ArtifactQuery, ArtifactsQuery } from '../../protocol/api.ts';
import * as page from '../../protocol/page-schemas.ts';
import { Artifact as ArtifactSchema } from '../../protocol/run-schemas.ts';
import { runDetail } from '../../query/run-detail.ts';
import { bytesReply, fileOfFolder, findArtifact, listFolder } from '../artifact-reply.ts';
import { BINARY, described } from '../openapi.ts';
import { knownRun, runNotFound } from '../runs.ts';
import type { Shared } from '../shared.ts';

const Params = Type.Object({ id: Type.String({ maxLength: 100 }), name: Type.String({ maxLength: 20_000 }) });

export function artifactRoutes(http: FastifyInstance, { options, handle }: Shared): void {
  const { layout } = options;

  http.get<{ Params: { id: string }; Querystring: ArtifactsQuery }>(
    '/api/runs/:id/artifacts',
    {
      schema: described(
        'files',
        'Artifacts: the latest version of each, or all',
        Type.Array(ArtifactSchema),
        {
          params: Type.Object({ id: Type.String({ maxLength: 100 }) }),
          querystring: page.ArtifactsQuery,
        },
      ),
    },
    (request): Artifact[] => {
      const detail = runDetail(handle.store, request.params.id);
      if (detail === undefined) throw runNotFound(request.params.id);
      const all = detail.artifacts.toReversed();
      if (request.query.versions === true) return all;
      return [...new Map(detail.artifacts.map((artifact) => [artifact.name, artifact])).values()];
    },
  );

  http.get<{ Params: { id: string; name: string }; Querystring: ArtifactQuery }>(
    '/api/runs/:id/artifacts/:name',
    {
      // Bytes with ranges: their length is told.
      compress: false,
      schema: described('files', 'An artifact’s bytes, or the listing of a folder', BINARY, {
        params: Params,
        querystring: page.ArtifactQuery,
        description: 'Takes Range. A folder is a JSON listing; with `path`, one of its files.',
      }),
    },
    (request, reply) => {
      const { store } = handle;
      const { query, headers, params } = request;
      const run = knownRun(store, params.id);
      let artifact = findArtifact(store, run, params.name, query);
      if (artifact.type === 'folder') {
        if (query.path === undefined) return reply.send(listFolder(layout, run, artifact));
        artifact = fileOfFolder(layout, artifact, query.path);
      }
      const {
        status,
        headers: own,
        body,
      } = bytesReply(layout, artifact, {
        range: headers.range,
        ifRange: typeof headers['if-range'] === 'string' ? headers['if-range'] : undefined,
        ifNoneMatch: headers['if-none-match'],
        download: query.download === true,
      });
      reply.code(status).headers(own);
      return reply.send(body ?? '');
    },
  );
}
