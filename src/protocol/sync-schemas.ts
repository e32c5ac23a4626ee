/** The sync routes (docs/remote.md), as schemas with inferred types. Programs that push and pull import the types only. */
import { type Static, type TSchema, Type } from 'typebox';
import { Maybe, RunId, Time } from './common-schemas.ts';
import { MAX_COMPARED, MAX_NAMED, MAX_STATES, SYNC_PROTOCOL } from './sync-limits.ts';

const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$', description: '64 hexadecimal digits.' });
const TreeId = Type.String({
  pattern: '^([0-9a-f]{40}|[0-9a-f]{64})$',
  description: 'A git tree: 40 hexadecimal digits, or 64 of a SHA-256 repository.',
});
const Writer = Type.String({
  pattern: '^(supervisor|helper|job|edits|project)-[a-z2-7]{8}$',
  description: 'The name of a journal’s writer.',
});
const Count = (description: string) =>
  Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER, description });

/** [length, root]: plain bytes of whole lines, and the root of them. */
const Mark = Type.Tuple([Count('Plain bytes.'), Sha256]);
const Marks = Type.Record(Writer, Mark);
const BlobMark = Type.Tuple([Sha256, Count('Bytes.')]);
const Removal = Type.Object({
  run: RunId,
  by: Maybe(Type.String()),
  at: Time,
  applied: Type.Boolean({ description: 'It is removed there too; else it is only told.' }),
});

export const Hello = Type.Object({
  protocol: Type.Literal(SYNC_PROTOCOL),
  version: Type.String({ description: 'Of the program.' }),
  space: Type.String(),
  token: Type.Object({
    id: Type.String({ description: 'The beginning of the token: enough to know it by.' }),
    scope: Type.Enum(['read', 'write', 'admin']),
    project: Maybe(Type.String({ description: 'The one project that the token opens; null: all.' })),
  }),
  limits: Type.Object({
    body_bytes: Type.Integer({ description: 'Plain bytes of all payloads of one request.' }),
    part_bytes: Type.Integer({ description: 'Bytes of one part of a blob or a pack.' }),
    frames: Type.Integer({ description: 'Frames in one request.' }),
    quota_bytes: Maybe(Type.Integer({ description: 'Bytes that the space may hold.' })),
    used_bytes: Type.Integer({ description: 'Bytes that it holds, as far as is known.' }),
  }),
  encodings: Type.Array(Type.String(), { description: 'Content encodings of requests and answers.' }),
  direct: Type.Boolean({ description: 'Blobs may go by presigned addresses.' }),
});

export const CompareBody = Type.Object({
  runs: Type.Record(RunId, Sha256, { maxProperties: MAX_COMPARED, description: 'Digest by run id.' }),
  project: Type.Optional(Marks),
});
export const CompareAnswer = Type.Object({
  differ: Type.Array(RunId),
  unknown: Type.Array(RunId),
  removed: Type.Array(RunId),
  project: Type.Object({ missing: Type.Array(Writer), removals: Type.Array(Removal) }),
});

export const ListBody = Type.Object({
  project: Type.Optional(Type.String({ maxLength: 1000 })),
  since: Type.Optional(Time),
  filter: Type.Optional(Type.String({ maxLength: 10_000, description: 'In the filter language.' })),
  after: Type.Optional(Type.String({ maxLength: 200, description: '`next` of the page before.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 5000 })),
});
export const ListAnswer = Type.Object({
  runs: Type.Array(
    Type.Object({
      id: RunId,
      digest: Sha256,
      project: Type.String(),
      name: Type.String(),
      status: Type.String(),
      user: Maybe(Type.String()),
      started_at: Maybe(Time),
      removed: Type.Boolean(),
    }),
  ),
  next: Maybe(Type.String()),
  project: Marks,
  removals: Type.Array(Removal),
});

export const StatesBody = Type.Object({ runs: Type.Array(RunId, { maxItems: MAX_STATES }) });
export const StatesAnswer = Type.Object({
  runs: Type.Record(
    RunId,
    Type.Object({
      project: Type.String(),
      journals: Marks,
      blobs: Type.Array(BlobMark),
      trees: Type.Array(TreeId),
    }),
  ),
});

export const JournalHeader = Type.Object({
  run: Maybe(RunId),
  writer: Writer,
  offset: Count('Plain bytes before the piece.'),
  bytes: Count('Of the payload.'),
  before: Sha256,
  root: Sha256,
  apply: Type.Optional(Type.Boolean()),
  encoding: Type.Optional(
    Type.String({ description: '"columns": the payload is the piece in columns, not its text.' }),
  ),
  plain: Type.Optional(Count('Of the text, where the payload is in columns.')),
});
export const JournalResults = Type.Object({
  results: Type.Array(
    Type.Object({
      run: Maybe(RunId),
      writer: Writer,
      ok: Type.Boolean(),
      code: Type.Optional(Type.String()),
      message: Type.Optional(Type.String()),
      length: Count('Plain bytes that are there now.'),
      root: Sha256,
    }),
  ),
});

export const ReadBody = Type.Object({
  wants: Type.Array(
    Type.Object({ run: Maybe(RunId), writer: Writer, offset: Count('Plain bytes to skip.') }),
    {
      maxItems: 4096,
    },
  ),
  encodings: Type.Optional(
    Type.Array(Type.String(), { maxItems: 8, description: 'That payloads may have, beside text.' }),
  ),
});

export const BlobsBody = Type.Object({ run: RunId, blobs: Type.Array(BlobMark, { maxItems: MAX_NAMED }) });
export const BlobsAnswer = Type.Object({
  missing: Type.Array(Type.Tuple([Sha256, Count('Bytes that an unfinished upload has brought.')])),
});
export const BlobHeader = Type.Object({
  run: RunId,
  sha256: Sha256,
  size: Count('Of the blob.'),
  offset: Count('Of the part.'),
  bytes: Count('Of the part.'),
});

const Upload = Type.String({ pattern: '^[0-9a-f]{32}$', description: 'An upload, as `begin` called it.' });
const Url = Type.String({ description: 'Opens one object, for a short while. No token goes there.' });
const Seconds = Type.Integer({ description: 'For how long it opens.' });
export const AddressBody = Type.Object({ run: RunId, sha256: Sha256 });
export const AddressAnswer = Type.Object({ url: Url, seconds: Seconds });
export const BeginBody = Type.Object({ run: RunId, sha256: Sha256, size: Count('Of the blob.') });
export const BeginAnswer = Type.Object({
  ok: Type.Boolean(),
  upload: Maybe(Type.String({ description: 'Null: the blob is there, or may not come this way.' })),
  part_bytes: Count('Of every part but the last.'),
  received: Count('Bytes that are there, from where it goes on.'),
  code: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
});
export const AddressOfPartBody = Type.Object({
  run: RunId,
  upload: Upload,
  number: Type.Integer({ minimum: 1, maximum: 10_000, description: 'Of the part.' }),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'Of the part.' }),
});
export const AddressOfPart = Type.Object({
  url: Url,
  seconds: Seconds,
  headers: Type.Record(Type.String(), Type.String(), { description: 'Must be sent with the part.' }),
});
export const UploadBody = Type.Object({ run: RunId, upload: Upload });

export const TreesBody = Type.Object({ run: RunId, trees: Type.Array(TreeId, { maxItems: MAX_NAMED }) });
export const TreesAnswer = Type.Object({ missing: Type.Array(TreeId), bases: Type.Array(TreeId) });
export const PackHeader = Type.Object({
  run: RunId,
  tree: TreeId,
  base: Maybe(TreeId),
  format: Type.Enum(['sha1', 'sha256']),
  size: Count('Of the pack.'),
  offset: Count('Of the part.'),
  bytes: Count('Of the part.'),
});
export const TreesReadBody = Type.Object({
  run: RunId,
  trees: Type.Array(TreeId, { maxItems: MAX_NAMED }),
  have: Type.Array(TreeId, { maxItems: MAX_NAMED }),
  from: Type.Optional(
    Type.Record(TreeId, Count('Bytes.'), { description: 'Bytes of a tree’s pack that are there.' }),
  ),
});

export const PartResult = Type.Object({
  ok: Type.Boolean(),
  received: Count('Bytes that are there, from where it goes on.'),
  stored: Type.Boolean({ description: 'It is whole and checked.' }),
  code: Type.Optional(Type.String()),
  message: Type.Optional(Type.String()),
});
export const PartResults = Type.Object({ results: Type.Array(PartResult) });

export const BlobParams = Type.Object({ id: RunId, sha256: Sha256 });

type Of<T extends TSchema> = Static<T>;
export type Hello = Of<typeof Hello>;
export type CompareBody = Of<typeof CompareBody>;
export type CompareAnswer = Of<typeof CompareAnswer>;
export type ListBody = Of<typeof ListBody>;
export type ListAnswer = Of<typeof ListAnswer>;
export type StatesBody = Of<typeof StatesBody>;
export type StatesAnswer = Of<typeof StatesAnswer>;
export type JournalHeader = Of<typeof JournalHeader>;
export type JournalResults = Of<typeof JournalResults>;
export type ReadBody = Of<typeof ReadBody>;
export type BlobsBody = Of<typeof BlobsBody>;
export type BlobsAnswer = Of<typeof BlobsAnswer>;
export type BlobHeader = Of<typeof BlobHeader>;
export type TreesBody = Of<typeof TreesBody>;
export type TreesAnswer = Of<typeof TreesAnswer>;
export type PackHeader = Of<typeof PackHeader>;
export type TreesReadBody = Of<typeof TreesReadBody>;
export type AddressBody = Of<typeof AddressBody>;
export type AddressAnswer = Of<typeof AddressAnswer>;
export type BeginBody = Of<typeof BeginBody>;
export type BeginAnswer = Of<typeof BeginAnswer>;
export type AddressOfPartBody = Of<typeof AddressOfPartBody>;
export type AddressOfPart = Of<typeof AddressOfPart>;
export type UploadBody = Of<typeof UploadBody>;
export type PartResult = Of<typeof PartResult>;
export type PartResults = Of<typeof PartResults>;
