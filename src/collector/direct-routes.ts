/** Blobs past the collector: it tells addresses of the object store, and checks what came there (docs/remote.md). */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { WaddleError } from '../errors/waddle-error.ts';
import { SYNC_PREFIX } from '../protocol/sync-limits.ts';
import * as schemas from '../protocol/sync-schemas.ts';
import { described } from '../server/openapi.ts';
import type { DirectBlobs } from '../sync/direct-blobs.ts';
import type { Space } from '../sync/space.ts';

type SpaceFor = (request: FastifyRequest, writing: boolean) => Promise<Space>;

export function directRoutes(http: FastifyInstance, spaceFor: SpaceFor): void {
  const directFor = async (request: FastifyRequest, writing: boolean): Promise<DirectBlobs> => {
    const { direct } = await spaceFor(request, writing);
    if (direct) return direct;
    throw new WaddleError(
      'direct-off',
      'artifacts go through this collector only',
      'Send them to /blobs; hello says `direct` where they may go past it.',
    );
  };
  const route = <Body>(
    path: string,
    summary: string,
    [body, answer]: [TSchema, TSchema],
    answered: (direct: DirectBlobs, body: Body) => Promise<unknown>,
    writing = true,
  ) =>
    http.post(
      `${SYNC_PREFIX}/blobs/${path}`,
      { schema: described('sync', summary, answer, { body }) },
      async (request) => answered(await directFor(request, writing), request.body as Body),
    );

  route<schemas.AddressBody>(
    'address',
    'Where a blob of a run can be read, with ranges',
    [schemas.AddressBody, schemas.AddressAnswer],
    async (direct, { run, sha256 }): Promise<schemas.AddressAnswer> => {
      const address = await direct.address(run, sha256);
      if (address !== null) return address;
      throw new WaddleError('blob-missing', 'the run has no such blob here', 'A push brings it.');
    },
    false,
  );
  route<schemas.BeginBody>(
    'uploads/begin',
    'Begin an upload past the collector, or go on with it',
    [schemas.BeginBody, schemas.BeginAnswer],
    async (direct, { run, sha256, size }): Promise<schemas.BeginAnswer> => {
      const begun = await direct.begin(run, { sha256, size });
      if (!begun.ok) return { upload: null, part_bytes: 0, received: 0, ...begun };
      const { upload, partBytes, received } = begun;
      return { ok: true, upload, part_bytes: partBytes, received };
    },
  );
  route<schemas.AddressOfPartBody>(
    'uploads/part',
    'Where a part of an upload is put',
    [schemas.AddressOfPartBody, schemas.AddressOfPart],
    async (direct, { run, upload, number, sha256 }): Promise<schemas.AddressOfPart> => {
      const address = await direct.part(run, upload, number, sha256);
      if (address !== null) return address;
      throw new WaddleError(
        'upload-missing',
        'there is no such upload, or no such part of it',
        'Begin it anew.',
      );
    },
  );
  route<schemas.UploadBody>(
    'uploads/finish',
    'All parts are there: check them',
    [schemas.UploadBody, schemas.PartResult],
    async (direct, { run, upload }): Promise<schemas.PartResult> => direct.finish(run, upload),
  );
  route<schemas.UploadBody>(
    'uploads/drop',
    'Give an upload up',
    [schemas.UploadBody, schemas.PartResult],
    async (direct, { run, upload }): Promise<schemas.PartResult> => {
      await direct.drop(run, upload);
      return { ok: true, received: 0, stored: false };
    },
  );
}
