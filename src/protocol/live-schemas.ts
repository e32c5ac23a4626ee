/** What travels over the WebSocket, as schemas: the plain dialect of SPEC.md, and the dashboard's own. */
import { Type } from 'typebox';
import { Maybe, MetricNumber, RunStatus, Time } from './common-schemas.ts';
import { ConsoleLine } from './page-schemas.ts';
import { RunRow } from './run-schemas.ts';

const Cursor = Type.String({ description: 'Where this stands in the stream; opaque.' });
const Since = Type.Union([Type.String({ maxLength: 30_000 }), Type.Literal(0)], {
  description: 'A cursor; 0 is the beginning. Without it, from now on.',
});

// Plain dialect: one JSON frame a message.

export const MetricFrame = Type.Object({
  type: Type.Literal('metric'),
  run_id: Type.String(),
  key: Type.String(),
  step: Type.Number(),
  value: MetricNumber,
  ts: Time,
  cursor: Cursor,
});

export const ParamFrame = Type.Object({
  type: Type.Literal('param'),
  run_id: Type.String(),
  key: Type.String(),
  value: Type.Unknown(),
  cursor: Cursor,
});

export const TagFrame = Type.Object({
  type: Type.Literal('tag'),
  run_id: Type.String(),
  key: Type.String(),
  value: Type.String(),
  cursor: Cursor,
});

export const StatusFrame = Type.Object({
  type: Type.Literal('status'),
  run_id: Type.String(),
  status: RunStatus,
  cursor: Cursor,
});

/** Something could not be given: what lies between `since` and this frame's cursor. */
export const GapFrame = Type.Object({
  type: Type.Literal('gap'),
  reason: Type.Enum(['too-old', 'other-store']),
  since: Type.String(),
  cursor: Cursor,
});

/** A message that was not understood; the stream goes on as before. */
export const ErrorFrame = Type.Object({
  type: Type.Literal('error'),
  error: Type.Object({ code: Type.String(), message: Type.String(), hint: Type.String() }),
  cursor: Cursor,
});

export const Subscribe = Type.Object({
  type: Type.Literal('subscribe'),
  runs: Type.Optional(Type.Array(Type.String({ maxLength: 100 }), { maxItems: 10_000 })),
  keys: Type.Optional(
    Type.Array(Type.String({ maxLength: 10_000 }), {
      maxItems: 10_000,
      description: 'Of metrics, params and tags; one that ends in * stands for all that begin so.',
    }),
  ),
  since: Type.Optional(Since),
});

// The dashboard's dialect: batches, at most about ten a second, and none while nothing changes.

export const Watch = Type.Object({
  type: Type.Literal('watch'),
  dialect: Type.Literal('dashboard'),
  /** Points, of these runs and keys (each pair of them). */
  runs: Type.Optional(Type.Array(Type.String({ maxLength: 100 }), { maxItems: 10_000 })),
  keys: Type.Optional(Type.Array(Type.String({ maxLength: 10_000 }), { maxItems: 10_000 })),
  /** Console lines of this run. */
  console: Type.Optional(Maybe(Type.String({ maxLength: 100 }))),
  /** Rows of every run that changes; else only of `runs` and of the console's run. */
  table: Type.Optional(Type.Boolean()),
  /** What rows carry, as in `GET /api/runs?columns=`. */
  columns: Type.Optional(Type.String({ maxLength: 20_000 })),
  since: Type.Optional(Since),
});

/** New samples of one series, in order of arrival: three columns of equal length. */
export const LivePoints = Type.Object({
  run: Type.String(),
  key: Type.String(),
  writer: Type.String(),
  seq: Type.Integer({
    description: 'Number of the first of them in this writer’s series, from 0; see `end` of a series.',
  }),
  step: Type.Array(Type.Number()),
  t: Type.Array(Time),
  v: Type.Array(MetricNumber),
});

export const LiveRun = Type.Object({
  ...RunRow.properties,
  /** It is gone from every list. */
  removed: Type.Boolean(),
});

export const Batch = Type.Object({
  type: Type.Literal('batch'),
  cursor: Cursor,
  /** Runs that changed in anything but their heartbeat. */
  runs: Type.Array(LiveRun),
  points: Type.Array(LivePoints),
  /** Metrics that a watched run has for the first time, whatever keys are watched. */
  metrics: Type.Optional(Type.Array(Type.Object({ run: Type.String(), key: Type.String() }))),
  console: Type.Array(Type.Object({ run: Type.String(), ...ConsoleLine.properties })),
  /**
   * Points or lines before this batch are missing (this client was too slow, or its cursor too old): ask for the series
   * (and the console page) again. `all`: another store; ask for everything again.
   */
  gap: Type.Optional(Type.Enum(['points', 'console', 'all'])),
});
