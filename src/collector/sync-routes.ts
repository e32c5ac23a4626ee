/** The sync routes over a space (docs/remote.md). They stand in each application of a space, behind the front door. */
import { promisify } from 'node:util';
import { constants, gzip, zstdCompress } from 'node:zlib';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { isSha256 } from '../blobs/blob-store.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { decodeFrames, encodeFrames, FRAMES_TYPE, type Frame, MAX_FRAMES } from '../protocol/frames.ts';
import { COLUMNS, packPiece } from '../protocol/piece-frames.ts';
import { SYNC_PREFIX, SYNC_PROTOCOL } from '../protocol/sync-limits.ts';
import * as schemas from '../protocol/sync-schemas.ts';
import { BINARY, described } from '../server/openapi.ts';
import { problemIn } from '../server/validate.ts';
import {
  type BlobPart,
  type JournalMark,
  type JournalPiece,
  MAX_BODY_BYTES,
  type PackPart,
  type Space,
} from '../sync/space.ts';
import type { OpenHome } from './backend.ts';
import { callerOf, needScope } from './caller.ts';
import { directRoutes } from './direct-routes.ts';
import { guardSpace } from './guarded-space.ts';

/** Bytes of one part. */
const PART_BYTES = 4 * 1024 * 1024;
/** Plain bytes of a body of frames: the payloads, and room for the headers. */
const FRAMES_BODY_BYTES = MAX_BODY_BYTES + 2 * 1024 * 1024;
/** Answers smaller than this are not packed. */
const SMALL_BYTES = 512;
/** Plain bytes of a body in JSON: 20,000 runs with their digests, and room. */
const JSON_BODY_BYTES = 4 * 1024 * 1024;

export interface SyncOptions {
  home: OpenHome;
  project: string | null;
  version: string;
  /** Told of what moved, in bytes of payload. */
  moved(direction: 'in' | 'out', bytes: number): void;
}

export function syncRoutes(http: FastifyInstance, options: SyncOptions): void {
  void http.register(async (scope) => {
    scope.addContentTypeParser(
      FRAMES_TYPE,
      { parseAs: 'buffer', bodyLimit: FRAMES_BODY_BYTES },
      (_request, body, done) => done(null, body),
    );
    scope.addHook('onRequest', async (_request, reply) => {
      reply.header('cache-control', 'no-store');
    });
    questions(scope, options);
    journals(scope, options);
    blobs(scope, options);
    directRoutes(scope, (request, writing) => spaceFor(request, options, writing));
    trees(scope, options);
  });
}

/** The space as whoever asks may see it. */
async function spaceFor(request: FastifyRequest, options: SyncOptions, writing = false): Promise<Space> {
  const { token } = callerOf(request.raw);
  if (!writing) return guardSpace(options.home, options.project, []);
  needScope(token, 'write');
  return guardSpace(options.home, options.project, [
    { project: null, quota: token.spaceQuota },
    ...(token.project === null ? [] : [{ project: token.project, quota: token.quota }]),
  ]);
}

const asked = (
  summary: string,
  answer: TSchema | typeof BINARY,
  parts: Parameters<typeof described>[3] = {},
) => ({
  bodyLimit: JSON_BODY_BYTES,
  schema: described('sync', summary, answer, parts),
});

/** A body of frames is checked frame by frame. */
const framed = (summary: string, answer: TSchema, description: string) => ({
  bodyLimit: FRAMES_BODY_BYTES,
  schema: {
    ...described('sync', summary, answer, { description }),
    consumes: [FRAMES_TYPE],
  },
});

function questions(http: FastifyInstance, options: SyncOptions): void {
  http.get(
    SYNC_PREFIX,
    { schema: described('sync', 'Who answers, what the token opens, and the limits', schemas.Hello) },
    async (request): Promise<schemas.Hello> => {
      const { token } = callerOf(request.raw);
      const usage = await options.home.usage(token.project);
      const quota = token.project === null ? token.spaceQuota : token.quota;
      return {
        protocol: SYNC_PROTOCOL,
        version: options.version,
        space: token.space,
        token: { id: token.id, scope: token.scope, project: token.project },
        limits: {
          body_bytes: MAX_BODY_BYTES,
          part_bytes: PART_BYTES,
          frames: MAX_FRAMES,
          quota_bytes: quota.bytes,
          used_bytes: usage.bytes,
        },
        encodings: ['zstd', 'gzip', COLUMNS],
        direct: Boolean(options.home.space.direct),
      };
    },
  );

  http.post<{ Body: schemas.CompareBody }>(
    `${SYNC_PREFIX}/compare`,
    asked('Which of these runs differ', schemas.CompareAnswer, { body: schemas.CompareBody }),
    async (request): Promise<schemas.CompareAnswer> => {
      const space = await spaceFor(request, options);
      const { runs, project = {} } = request.body;
      const { differ, unknown, removed, projectMissing, removals } = await space.compare(
        new Map(Object.entries(runs)),
        readMarks(project),
      );
      return { differ, unknown, removed, project: { missing: projectMissing, removals } };
    },
  );

  http.post<{ Body: schemas.ListBody }>(
    `${SYNC_PREFIX}/list`,
    asked('The runs, page by page', schemas.ListAnswer, { body: schemas.ListBody }),
    async (request): Promise<schemas.ListAnswer> => {
      const { runs, next, project, removals } = await (await spaceFor(request, options)).list(request.body);
      return { runs, next, project: marksOf(project), removals };
    },
  );

  http.post<{ Body: schemas.StatesBody }>(
    `${SYNC_PREFIX}/states`,
    asked('All that is there of these runs', schemas.StatesAnswer, { body: schemas.StatesBody }),
    async (request): Promise<schemas.StatesAnswer> => {
      const states = await (await spaceFor(request, options)).states(request.body.runs);
      const runs: schemas.StatesAnswer['runs'] = {};
      for (const [id, state] of states) {
        runs[id] = {
          project: state.project,
          journals: marksOf(state.journals),
          blobs: state.blobs.map(({ sha256, size }) => [sha256, size]),
          trees: state.trees,
        };
      }
      return { runs };
    },
  );
}

function journals(http: FastifyInstance, options: SyncOptions): void {
  http.post(
    `${SYNC_PREFIX}/journals`,
    framed(
      'Append pieces of journals',
      schemas.JournalResults,
      'Frames {run, writer, offset, bytes, before, root, apply?}; each payload is whole lines from that offset on.',
    ),
    async (request): Promise<schemas.JournalResults> => {
      const space = await spaceFor(request, options, true);
      const frames = framesIn<schemas.JournalHeader>(request, schemas.JournalHeader);
      const packed = frames.map(({ header: { encoding }, payload }) => ({ header: { encoding }, payload }));
      const unpacked = await options.home.unpack(packed, MAX_BODY_BYTES);
      // Nothing else of a header is taken over: what need not be looked at in a piece is not for its sender to say.
      const pieces = frames.map(
        ({ header: { run, writer, offset, before, root, apply } }, index): JournalPiece => {
          const { bytes = new Uint8Array(), others } = unpacked[index] ?? {};
          return { run, writer, offset, before, root, apply, bytes, others };
        },
      );
      const results = await space.writeJournals(pieces);
      options.moved('in', bytesOf(pieces));
      return { results };
    },
  );

  http.post<{ Body: schemas.ReadBody }>(
    `${SYNC_PREFIX}/journals/read`,
    asked('Read on in journals', BINARY, {
      body: schemas.ReadBody,
      description: 'Frames {run, writer, offset, bytes, length, root, more}, as many as fit.',
    }),
    async (request, reply) => {
      const space = await spaceFor(request, options);
      const pieces = await space.readJournals(request.body.wants);
      const columns = request.body.encodings?.includes(COLUMNS) === true;
      options.moved('out', bytesOf(pieces));
      return sendFrames(
        request,
        reply,
        pieces.map(({ bytes, others: _, ...header }) =>
          packPiece({ ...header, more: header.offset + bytes.length < header.length }, bytes, columns),
        ),
      );
    },
  );
}

function blobs(http: FastifyInstance, options: SyncOptions): void {
  http.post<{ Body: schemas.BlobsBody }>(
    `${SYNC_PREFIX}/blobs/compare`,
    asked('Which of these blobs of a run are lacking', schemas.BlobsAnswer, { body: schemas.BlobsBody }),
    async (request): Promise<schemas.BlobsAnswer> => {
      const { run, blobs: named } = request.body;
      const space = await spaceFor(request, options);
      const missing = await space.missingBlobs(
        run,
        named.map(([sha256, size]) => ({ sha256, size })),
      );
      return { missing: missing.map(({ sha256, received }) => [sha256, received]) };
    },
  );

  http.post(
    `${SYNC_PREFIX}/blobs`,
    framed('Parts of blobs', schemas.PartResults, 'Frames {run, sha256, size, offset, bytes}.'),
    async (request): Promise<schemas.PartResults> => {
      const space = await spaceFor(request, options, true);
      const parts = framesIn<schemas.BlobHeader>(request, schemas.BlobHeader).map(
        ({ header, payload }): BlobPart => ({ ...header, bytes: payload }),
      );
      const results = await space.writeBlobs(parts);
      options.moved('in', bytesOf(parts));
      return { results };
    },
  );

  http.get<{ Params: { id: string; sha256: string } }>(
    `${SYNC_PREFIX}/runs/:id/blobs/:sha256`,
    {
      // Bytes with ranges: their length is told.
      compress: false,
      schema: described('sync', 'A blob’s bytes, at most 8 MiB from the range’s beginning on', BINARY, {
        params: schemas.BlobParams,
        description: 'Takes "Range: bytes=N-M"; of a longer range, the beginning is given.',
      }),
    },
    async (request, reply) => {
      const { id, sha256 } = request.params;
      const space = await spaceFor(request, options);
      const size = await sizeOfBlob(space, id, sha256);
      if (size === null) {
        throw new WaddleError('blob-missing', 'the run has no such blob here', 'A push brings it.');
      }
      const { from, to } = readRange(request.headers.range, size);
      reply.type('application/octet-stream').header('accept-ranges', 'bytes');
      if (from >= size && size > 0) {
        return reply.code(416).header('content-range', `bytes */${size}`).send('');
      }
      const bytes = size === 0 ? new Uint8Array() : await space.readBlob(id, sha256, from);
      if (bytes === null) {
        throw new WaddleError('blob-missing', 'the run has no such blob here', 'A push brings it.');
      }
      const given = bytes.subarray(0, to - from + 1);
      options.moved('out', given.length);
      if (size > 0 && (request.headers.range !== undefined || given.length < size)) {
        reply.code(206).header('content-range', `bytes ${from}-${from + given.length - 1}/${size}`);
      }
      return reply.send(Buffer.from(given.buffer, given.byteOffset, given.byteLength));
    },
  );
}

function trees(http: FastifyInstance, options: SyncOptions): void {
  http.post<{ Body: schemas.TreesBody }>(
    `${SYNC_PREFIX}/trees/compare`,
    asked('Which of these trees of a run’s code are lacking', schemas.TreesAnswer, {
      body: schemas.TreesBody,
    }),
    async (request): Promise<schemas.TreesAnswer> => {
      const { run, trees: named } = request.body;
      return (await spaceFor(request, options)).missingTrees(run, named);
    },
  );

  http.post(
    `${SYNC_PREFIX}/trees`,
    framed(
      'Parts of packs of code',
      schemas.PartResults,
      'Frames {run, tree, base, format, size, offset, bytes}.',
    ),
    async (request): Promise<schemas.PartResults> => {
      const space = await spaceFor(request, options, true);
      const parts = framesIn<schemas.PackHeader>(request, schemas.PackHeader).map(
        ({ header, payload }): PackPart => ({ ...header, bytes: payload }),
      );
      const results = await space.writeTrees(parts);
      options.moved('in', bytesOf(parts));
      return { results };
    },
  );

  http.post<{ Body: schemas.TreesReadBody }>(
    `${SYNC_PREFIX}/trees/read`,
    asked('Packs of code', BINARY, {
      body: schemas.TreesReadBody,
      description: 'Frames {tree, base, format, size, offset, bytes}, as many as fit.',
    }),
    async (request, reply) => {
      const { run, trees: wanted, have, from = {} } = request.body;
      const space = await spaceFor(request, options);
      const parts = await space.readTrees(run, wanted, have, new Map(Object.entries(from)));
      options.moved('out', bytesOf(parts));
      return sendFrames(
        request,
        reply,
        parts.map(({ bytes, run: _run, ...header }) => ({ header, payload: bytes })),
      );
    },
  );
}

async function sizeOfBlob(space: Space, run: string, sha256: string): Promise<number | null> {
  if (!isSha256(sha256)) return null;
  const state = (await space.states([run])).get(run);
  return state?.blobs.find((blob) => blob.sha256 === sha256)?.size ?? null;
}

/** The first and last byte that are asked for. What is no range of bytes asks for all, as HTTP has it. */
function readRange(header: string | undefined, size: number): { from: number; to: number } {
  const match = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(header ?? '');
  const most = MAX_BODY_BYTES - 1;
  if (match === null) return { from: 0, to: Math.min(size - 1, most) };
  const from = Number(match[1]);
  const to = match[2] === '' ? size - 1 : Number(match[2]);
  return { from, to: Math.max(from, Math.min(to, size - 1, from + most)) };
}

/** @throws WaddleError `frames-invalid`, `body-invalid` */
function framesIn<H extends object>(request: FastifyRequest, schema: TSchema): Frame<H>[] {
  const { body } = request;
  if (!(body instanceof Uint8Array)) {
    throw new WaddleError('media-type-unknown', 'the body is not made of frames', `Send ${FRAMES_TYPE}.`, {
      exitCode: 2,
    });
  }
  const frames = decodeFrames(body);
  let bytes = 0;
  for (const [index, { header, payload }] of frames.entries()) {
    const problem = problemIn(schema, header);
    if (problem !== undefined) {
      throw new WaddleError(
        'body-invalid',
        `frame ${index} is not understood: ${problem}`,
        'See docs/remote.md.',
        {
          exitCode: 2,
        },
      );
    }
    bytes += payload.length;
  }
  if (bytes > MAX_BODY_BYTES) {
    throw new WaddleError(
      'body-too-large',
      `the frames hold ${bytes} bytes, and ${MAX_BODY_BYTES} are allowed`,
      'Send them in several requests.',
    );
  }
  return frames as unknown as Frame<H>[];
}

const pack = {
  zstd: (body: Buffer) =>
    promisify(zstdCompress)(body, { params: { [constants.ZSTD_c_compressionLevel]: 1 } }),
  gzip: (body: Buffer) => promisify(gzip)(body, { level: 6 }),
};

async function sendFrames(request: FastifyRequest, reply: FastifyReply, frames: Frame<object>[]) {
  const body = Buffer.concat(encodeFrames(frames));
  reply.type(FRAMES_TYPE).header('vary', 'accept-encoding');
  const accepted = String(request.headers['accept-encoding'] ?? '');
  const encoding = (['zstd', 'gzip'] as const).find((each) => accepted.includes(each));
  if (encoding === undefined || body.length < SMALL_BYTES) return reply.send(body);
  return reply.header('content-encoding', encoding).send(await pack[encoding](body));
}

function bytesOf(items: readonly { bytes: Uint8Array }[]): number {
  return items.reduce((sum, { bytes }) => sum + bytes.length, 0);
}

function readMarks(marks: Record<string, [number, string]>): Map<string, JournalMark> {
  return new Map(Object.entries(marks).map(([writer, [length, root]]) => [writer, { length, root }]));
}

function marksOf(marks: ReadonlyMap<string, JournalMark>): Record<string, [number, string]> {
  return Object.fromEntries([...marks].map(([writer, { length, root }]) => [writer, [length, root]]));
}
