/** Runs: the table and one run, as schemas. */
import { Type } from 'typebox';
import { Maybe, MetricNumber, RunId, RunStatus, Time } from './common-schemas.ts';

const text = () => Maybe(Type.String());
const Param = Type.Unknown({ description: 'Any JSON; an integer keeps all its digits.' });

/** A run as a row of the table. */
export const RunRow = Type.Object({
  id: Type.String(),
  name: Type.String(),
  status: RunStatus,
  started_at: Maybe(Time),
  ended_at: Maybe(Time),
  duration: Maybe(Type.Number({ description: 'Seconds; of a running run, so far.' })),
  commit_sha: text(),
  entry: text(),
  project: Type.String(),
  command: Maybe(Type.Array(Type.String())),
  argv: Maybe(Type.Array(Type.String())),
  cwd: text(),
  repo: text(),
  exit_code: Maybe(Type.Integer()),
  signal: text(),
  reason: text(),
  host: text(),
  user: text(),
  group: text(),
  notes: text(),
  parent: text(),
  reproduces: text(),
  archived: Type.Boolean(),
  error_type: text(),
  error_message: text(),
  last_event_at: Maybe(Time),
  /** Of the asked columns, those that the run has. */
  params: Type.Optional(Type.Record(Type.String(), Param)),
  tags: Type.Optional(Type.Record(Type.String(), Type.String())),
  metrics: Type.Optional(
    Type.Record(
      Type.String(),
      Type.Object({
        last: Type.Optional(MetricNumber),
        min: Type.Optional(MetricNumber),
        max: Type.Optional(MetricNumber),
        mean: Type.Optional(MetricNumber),
        count: Type.Optional(MetricNumber),
        first: Type.Optional(MetricNumber),
      }),
    ),
  ),
});

/** `GET /api/runs`. The next page is in the `Link` header. */
export const RunsQuery = Type.Object({
  filter: Type.Optional(Type.String({ maxLength: 20_000, description: 'The filter language.' })),
  sort: Type.Optional(Type.String({ maxLength: 2000, description: 'KEY or KEY:desc, as metrics.loss.min.' })),
  columns: Type.Optional(
    Type.String({
      maxLength: 20_000,
      description: 'Params, tags and metrics to give: params.lr,metrics.loss.min',
    }),
  ),
  q: Type.Optional(
    Type.String({
      maxLength: 1000,
      description: 'Words that all must be found in id, name, project, entry, notes, group, tags, params, …',
    }),
  ),
  project: Type.Optional(Type.String({ maxLength: 1000 })),
  archived: Type.Optional(Type.Boolean({ description: 'Archived runs too.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000, default: 1000 })),
  cursor: Type.Optional(
    Type.String({ maxLength: 20_000, description: 'From the Link header of the page before.' }),
  ),
});

/** A metric over all its writers. `count` counts NaN too; `min`, `max` and `mean` do not. */
export const MetricSummary = Type.Object({
  last: MetricNumber,
  min: Maybe(MetricNumber),
  max: Maybe(MetricNumber),
  mean: Maybe(MetricNumber),
  count: Type.Integer(),
  nan: Type.Integer(),
  first: MetricNumber,
  first_step: Type.Number(),
  first_ts: Time,
  last_step: Type.Number(),
  last_ts: Time,
  min_step: Type.Number({ description: 'The least step.' }),
  max_step: Type.Number({ description: 'The greatest step.' }),
});

/** A version of an artifact. */
export const Artifact = Type.Object({
  name: Type.String(),
  kind: text(),
  type: Type.Enum(['file', 'folder']),
  created_at: Time,
  /** Relative to the server; gives the bytes, of a folder its listing (and with `&path=` a file of it). */
  uri: Type.String(),
  sha256: Type.String(),
  size: Maybe(Type.Number({ description: 'Bytes.' })),
  files: Maybe(Type.Integer()),
  mime: text(),
  inline: Type.Boolean({ description: 'Its bytes are in the database.' }),
});

export const Warning = Type.Object({
  ts: Time,
  code: Type.String(),
  message: Type.String(),
  hint: text(),
  writer: Type.String(),
});

const LeftOut = Type.Object({ path: Type.String(), size: Maybe(Type.Number()), reason: Type.String() });
const Nested = Type.Object({ path: Type.String(), tree: Type.String() });
const FileChange = Type.Object({ path: Type.String(), change: Type.String() });

/** The code that ran. */
export const Snapshot = Type.Object({
  store: Type.Enum(['repository', 'private', 'none']),
  repository: Type.Optional(text()),
  git_dir: Type.Optional(text()),
  prefix: Type.String(),
  base: Type.Optional(text()),
  tree: Type.Optional(text()),
  commit: Type.Optional(text()),
  branch: Type.Optional(text()),
  state: Type.String(),
  dirty: Type.Boolean(),
  incomplete: Type.Boolean(),
  left_out: Type.Array(LeftOut),
  nested: Type.Array(Nested),
  changed: Type.Array(Type.Object({ path: Type.String(), status: Type.String() })),
  changed_count: Type.Integer(),
  duration_ms: Type.Number(),
});

export const Attempt = Type.Object({
  attempt: Type.String(),
  number: Type.Integer(),
  started_at: Maybe(Time),
  ended_at: Maybe(Time),
  status: Type.String(),
  exit_code: Maybe(Type.Integer()),
  signal: text(),
  reason: text(),
  host: text(),
  user: text(),
});

/** A process that wrote to the run. */
export const Writer = Type.Object({
  writer: Type.String(),
  role: text(),
  host: text(),
  user: text(),
  pid: Maybe(Type.Integer()),
  client: text(),
  rank: Maybe(Type.Integer()),
  local_rank: Maybe(Type.Integer()),
  world_size: Maybe(Type.Integer()),
  opened_at: Maybe(Time),
  closed: Type.Boolean(),
});

/** `GET /api/runs/<id>`. */
export const RunDetail = Type.Object({
  run: Type.Object({
    ...RunRow.properties,
    traceback: text(),
    attempt: text(),
    supervised: Maybe(Type.Boolean()),
  }),
  params: Type.Record(Type.String(), Param, { description: 'As logged.' }),
  tags: Type.Record(Type.String(), Type.String()),
  metrics: Type.Record(Type.String(), MetricSummary),
  artifacts: Type.Array(Artifact, { description: 'Every version, by name, the newest of a name last.' }),
  snapshot: Maybe(Snapshot),
  drift: Maybe(Type.Array(FileChange, { description: 'Files of the snapshot that changed while it ran.' })),
  environment: Maybe(Type.Record(Type.String(), Type.Unknown())),
  attempts: Type.Array(Attempt),
  writers: Type.Array(Writer),
  warnings: Type.Array(Warning),
  dropped: Type.Record(Type.String(), Type.Integer(), { description: 'What could not be kept, by reason.' }),
  broken_lines: Type.Array(
    Type.Object({ writer: Type.String(), offset: Type.Integer(), reason: Type.String() }),
  ),
  children: Type.Array(Type.Object({ id: Type.String(), name: Type.String(), status: RunStatus })),
});

export const RunParams = Type.Object({ id: Type.String({ maxLength: 100 }) });

/** `GET /api/runs/<id>/metrics`. */
export const MetricsQuery = Type.Object({
  key: Type.Optional(
    Type.String({ maxLength: 10_000, description: 'Of this key only; without it, of all.' }),
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 100_000, default: 2000 })),
  cursor: Type.Optional(Type.String({ maxLength: 2000 })),
});

export const MetricSample = Type.Object({
  rowid: Type.Integer({ description: 'Unique; not the same after a rebuild.' }),
  key: Type.String(),
  step: Type.Number(),
  ts: Time,
  value: MetricNumber,
});

/** `GET /api/compare?runs=a,b`. What differs first. */
export const CompareQuery = Type.Object({
  runs: Type.String({ minLength: 1, maxLength: 20_000, description: 'Run ids, with commas; at most 100.' }),
});

const ComparedRow = Type.Object({
  key: Type.String(),
  values: Type.Array(Type.Unknown(), {
    description: 'One for each run, in the order of `runs`; null where a run lacks it.',
  }),
  differs: Type.Boolean(),
});

/** In each part what differs comes first, then by key. */
export const Comparison = Type.Object({
  runs: Type.Array(RunRow),
  own: Type.Array(ComparedRow),
  params: Type.Array(ComparedRow),
  tags: Type.Array(ComparedRow),
  metrics: Type.Array(ComparedRow, {
    description: 'Values are summaries; they differ where the last ones do.',
  }),
  environment: Type.Array(ComparedRow),
});

/** `PATCH /api/runs/<id>`, and within a bulk edit. */
export const RunPatch = Type.Object(
  {
    name: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 })),
    notes: Type.Optional(Type.String({ maxLength: 1_000_000 })),
    tags: Type.Optional(
      Type.Record(Type.String(), Maybe(Type.String({ maxLength: 100_000 })), {
        description: 'Tags to set; null removes one. Others stay.',
      }),
    ),
    archived: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);

export const StopBody = Type.Object(
  {
    grace: Type.Optional(
      Type.Number({ minimum: 0, maximum: 86_400, description: 'Seconds until it is killed (30).' }),
    ),
  },
  { additionalProperties: false },
);

/** `POST /api/runs/bulk`: one act on many runs. */
export const BulkBody = Type.Object(
  {
    runs: Type.Array(RunId, { minItems: 1, maxItems: 10_000 }),
    act: Type.Enum(['patch', 'remove', 'restore', 'stop']),
    patch: Type.Optional(RunPatch),
    grace: Type.Optional(Type.Number({ minimum: 0, maximum: 86_400 })),
  },
  { additionalProperties: false },
);

/** What an edit answers: which runs it changed. */
export const Edited = Type.Object({
  runs: Type.Array(Type.String({ description: 'Ids of the runs that it was done to.' })),
  /** The store holds the change from this cursor on. */
  cursor: Type.String(),
});
