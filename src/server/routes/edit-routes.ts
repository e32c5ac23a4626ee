import type { FastifyInstance, FastifyRequest } from 'fastify';
import { WaddleError } from '../../errors/waddle-error.ts';
import type { BulkBody, Edited, RunPatch, StopBody } from '../../protocol/api.ts';
import * as schemas from '../../protocol/run-schemas.ts';
import { described } from '../openapi.ts';
import type { Shared } from '../shared.ts';

type WithRun = { Params: { id: string } };

export function editRoutes(http: FastifyInstance, { editor, options }: Shared): void {
  const who = ({ raw }: FastifyRequest) => options.personOf?.(raw) ?? null;
  /** Each is a file of its own on disk. */
  const config = { rateLimit: { max: 1000, timeWindow: 10_000 } };
  const edit = (
    summary: string,
    body?: typeof schemas.RunPatch | typeof schemas.StopBody | typeof schemas.BulkBody,
    params = true,
  ) => ({
    config,
    schema: described('edits', summary, schemas.Edited, {
      ...(params ? { params: schemas.RunParams } : {}),
      ...(body === undefined ? {} : { body }),
    }),
  });

  http.patch<WithRun & { Body: RunPatch }>(
    '/api/runs/:id',
    edit('Change a run’s name, notes, tags or archived mark', schemas.RunPatch),
    (request): Promise<Edited> => editor.patch([request.params.id], request.body, who(request)),
  );
  http.delete<WithRun>(
    '/api/runs/:id',
    edit('Remove a run; it can be restored until gc'),
    (request): Promise<Edited> => editor.remove([request.params.id], true, who(request)),
  );
  http.post<WithRun>(
    '/api/runs/:id/restore',
    edit('Bring a removed run back'),
    (request): Promise<Edited> => editor.remove([request.params.id], false, who(request)),
  );
  http.post<WithRun & { Body: StopBody }>(
    '/api/runs/:id/stop',
    edit('Ask a running job to stop', schemas.StopBody),
    (request): Promise<Edited> => editor.stop([request.params.id], request.body.grace, who(request)),
  );
  http.post<{ Body: BulkBody }>(
    '/api/runs/bulk',
    edit('One act on many runs', schemas.BulkBody, false),
    async (request): Promise<Edited> => {
      const { runs, act, patch, grace } = request.body;
      if (act === 'remove' || act === 'restore')
        return await editor.remove(runs, act === 'remove', who(request));
      if (act === 'stop') return await editor.stop(runs, grace, who(request));
      if (patch === undefined) {
        throw new WaddleError(
          'body-invalid',
          'the body is not understood: "patch" is missing',
          'See /api/openapi.json.',
          {
            exitCode: 2,
          },
        );
      }
      return await editor.patch(runs, patch, who(request));
    },
  );
}
