import type { FastifyInstance } from 'fastify';
import { Type } from 'typebox';
import type { Artifact, ArtifactQuery, ArtifactsQuery } from '../../protocol/api.ts';
import * as page from '../../protocol/page-schemas.ts';
import { Artifact as ArtifactSchema } from '../../protocol/run-schemas.ts';
import { artifactDetails } from '../../query/run-detail.ts';
import type { Question } from '../../store/question.ts';
import { bytesReply, type FoundArtifact, fileOfFolder, findArtifact, listFolder } from '../artifact-reply.ts';
import { BINARY, described } from '../openapi.ts';
import { type KnownRun, knownRun } from '../runs.ts';
import type { Shared } from '../shared.ts';

const Params = Type.Object({ id: Type.String({ maxLength: 100 }), name: Type.String({ maxLength: 20_000 }) });

export function artifactRoutes(http: FastifyInstance, { options, engine }: Shared): void {
  const { blobs } = options;

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
    async (request): Promise<Artifact[]> => {
      const all = await engine.answer(artifactsOf(request.params.id));
      if (request.query.versions === true) return all.toReversed();
      return [...new Map(all.map((artifact) => [artifact.name, artifact])).values()];
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
    async (request, reply) => {
      const { query, headers, params } = request;
      const found = await engine.answer(artifactNamed(params.id, params.name, query));
      const { run } = found;
      let { artifact } = found;
      if (artifact.type === 'folder') {
        if (query.path === undefined) return reply.send(await listFolder(blobs, run, artifact));
        artifact = await fileOfFolder(blobs, artifact, query.path);
      }
      const {
        status,
        headers: own,
        body,
      } = await bytesReply(blobs, artifact, {
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

/** Every version, by name, the newest of a name last. @throws WaddleError `run-not-found` */
function* artifactsOf(id: string): Question<Artifact[]> {
  const run = yield* knownRun(id);
  return yield* artifactDetails(run.id, run.num);
}

function* artifactNamed(
  id: string,
  name: string,
  query: ArtifactQuery,
): Question<{ run: KnownRun; artifact: FoundArtifact }> {
  const run = yield* knownRun(id);
  return { run, artifact: yield* findArtifact(run, name, query) };
}
