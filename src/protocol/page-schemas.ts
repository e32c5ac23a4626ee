/** Console, artifacts and code of a run, as schemas. */
import { Type } from 'typebox';
import { Maybe, Time } from './common-schemas.ts';

/** `GET /api/runs/<id>/console`: a page of lines in the order in which they came. */
export const ConsoleQuery = Type.Object({
  after: Type.Optional(Type.String({ maxLength: 300, description: 'Lines after this `at`.' })),
  before: Type.Optional(
    Type.String({ maxLength: 300, description: 'Lines before this `at`; alone, the last of them.' }),
  ),
  tail: Type.Optional(Type.Boolean({ description: 'The last lines rather than the first.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 1000 })),
  stream: Type.Optional(Type.Enum(['stdout', 'stderr'])),
  attempt: Type.Optional(Type.String({ maxLength: 100 })),
  q: Type.Optional(
    Type.String({ maxLength: 1000, description: 'Only lines with this text, in any case of letters.' }),
  ),
});

export const ConsoleLine = Type.Object({
  at: Type.String({ description: 'Its place; opaque, for `after` and `before`. Empty in live batches.' }),
  attempt: Type.String(),
  stream: Type.Union([Type.Literal(1), Type.Literal(2)], { description: '1 stdout, 2 stderr.' }),
  n: Type.Integer({ description: 'Line number in its attempt and stream, from 0.' }),
  ts: Time,
  text: Type.String(),
  partial: Type.Boolean({ description: 'Not yet finished; it will come again.' }),
});

export const ConsolePage = Type.Object({
  lines: Type.Array(ConsoleLine),
  /** More lines before the first and after the last of these. */
  more_before: Type.Boolean(),
  more_after: Type.Boolean(),
  total: Type.Integer({ description: 'Lines of the run in these streams, whatever `q`.' }),
  cursor: Type.String(),
});

/** `GET /api/runs/<id>/artifacts`: the latest version of each, or every one. */
export const ArtifactsQuery = Type.Object({
  versions: Type.Optional(Type.Boolean({ description: 'Every version, newest first.' })),
});

/** `GET /api/runs/<id>/artifacts/<name>`. */
export const ArtifactQuery = Type.Object({
  name: Type.Optional(
    Type.String({
      maxLength: 10_000,
      description: 'Its name, where the path is a SHA-256: for what the file is called and is.',
    }),
  ),
  path: Type.Optional(Type.String({ maxLength: 10_000, description: 'A file within a folder.' })),
  download: Type.Optional(Type.Boolean({ description: 'As an attachment.' })),
});

export const FolderListing = Type.Object({
  name: Type.String(),
  sha256: Type.String(),
  size: Maybe(Type.Number()),
  files: Type.Array(
    Type.Object({ path: Type.String(), size: Type.Number(), sha256: Type.String(), uri: Type.String() }),
  ),
});

/** `GET /api/runs/<id>/files`: what differed from HEAD, and what the snapshot lacks. */
export const CodeFiles = Type.Object({
  commit: Maybe(Type.String()),
  base: Maybe(Type.String()),
  tree: Maybe(Type.String()),
  branch: Maybe(Type.String()),
  state: Maybe(Type.String()),
  dirty: Maybe(Type.Boolean()),
  incomplete: Type.Boolean(),
  changed: Type.Array(Type.Object({ path: Type.String(), status: Type.String() })),
  changed_count: Type.Integer(),
  left_out: Type.Array(
    Type.Object({ path: Type.String(), size: Maybe(Type.Number()), reason: Type.String() }),
  ),
  nested: Type.Array(Type.Object({ path: Type.String(), tree: Type.String() })),
  /** Files that changed in the workspace while the job ran. */
  drift: Type.Array(Type.Object({ path: Type.String(), change: Type.String() })),
});

/** `GET /api/runs/<id>/diff`. */
export const DiffQuery = Type.Object({
  against: Type.Optional(
    Type.String({
      maxLength: 100,
      default: 'head',
      description: 'head (the commit it began from), or a run id.',
    }),
  ),
});

export const Diff = Type.Object({
  /** Trees compared: from, to. */
  from: Maybe(Type.String()),
  to: Maybe(Type.String()),
  patch: Type.String({ description: 'A unified patch; empty where nothing differs.' }),
  truncated: Type.Boolean({ description: 'It was too long to give whole.' }),
});
