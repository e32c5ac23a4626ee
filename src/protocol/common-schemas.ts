/** Pieces that several routes share, as schemas. The browser imports their types from `api.ts`, never this file. */
import { type TSchema, Type } from 'typebox';

export const Maybe = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);

/** Epoch seconds. */
export const Time = Type.Number({ description: 'Epoch seconds.' });

/** A number, or the name of one that JSON lacks. */
export const MetricNumber = Type.Union(
  [Type.Number(), Type.Literal('NaN'), Type.Literal('Infinity'), Type.Literal('-Infinity')],
  { description: 'A number, or the name of one that JSON lacks.' },
);

export const RunStatus = Type.Enum(['running', 'completed', 'failed', 'aborted', 'crashed'], {
  description: 'How the run stands.',
});

export const RunId = Type.String({
  pattern: '^[a-z2-7]{12}$',
  description: 'A run id: 12 characters of a-z and 2-7.',
});

/** What every refusal and failure looks like. */
export const ApiError = Type.Object({
  error: Type.Object({
    code: Type.String({ description: 'Stable; safe to match on.' }),
    message: Type.String({ description: 'What went wrong, for a person.' }),
    hint: Type.String({ description: 'What to do about it.' }),
  }),
});

export const Health = Type.Object({
  app: Type.Literal('waddle'),
  version: Type.String(),
  project: Type.String({
    description: 'Identity of the project folder: equal where the folder is the same.',
  }),
  folder: Type.Optional(
    Type.String({ description: 'The project folder’s name, for those who may read it.' }),
  ),
  pid: Type.Integer(),
  ws_port: Maybe(Type.Integer({ description: 'The WebSocket port of its own, where there is one.' })),
  started_at: Time,
  /** Ends with the runs that hold it (`waddle run --http`). */
  held: Type.Boolean(),
  collector: Type.Boolean({ description: 'It is a team’s; `GET /api/session` says for whom it answers.' }),
  remotes: Type.Optional(
    Type.Array(Type.String(), { description: 'Names of the places that `waddle push` knows here.' }),
  ),
});

/** Whom a collector answers: what the token of the request opens. */
export const Session = Type.Object({
  space: Type.String(),
  project: Maybe(Type.String({ description: 'The one project that it opens; null: all of the space.' })),
  scope: Type.Enum(['read', 'write', 'admin']),
  token: Type.Object({ id: Type.String(), name: Maybe(Type.String()) }),
  expires_at: Maybe(Time),
});

export const ProjectEntry = Type.Object({
  name: Type.String(),
  runs: Type.Integer(),
  running: Type.Integer(),
  last_started_at: Maybe(Time),
  last_event_at: Maybe(Time),
  users: Type.Array(
    Type.Object({
      name: Type.String(),
      runs: Type.Integer(),
      running: Type.Integer(),
      last_event_at: Maybe(Time),
    }),
    { description: 'Whose runs they are, the latest first.' },
  ),
});

const KeyEntry = Type.Object({
  key: Type.String(),
  runs: Type.Integer({ description: 'Runs that have it.' }),
});

/** What can be a column or stand in a filter. Params are flattened. */
export const Keys = Type.Object({
  params: Type.Array(
    Type.Object({
      key: Type.String(),
      runs: Type.Integer(),
      numeric: Type.Boolean({ description: 'Every value is a number.' }),
    }),
  ),
  tags: Type.Array(
    Type.Object({
      key: Type.String(),
      runs: Type.Integer(),
      values: Type.Array(Type.String(), { description: 'The most frequent values, at most 20.' }),
    }),
  ),
  metrics: Type.Array(KeyEntry),
});

export const KeysQuery = Type.Object({
  project: Type.Optional(Type.String({ maxLength: 1000 })),
  runs: Type.Optional(
    Type.String({ maxLength: 200_000, description: 'Only of these run ids, with commas.' }),
  ),
});
