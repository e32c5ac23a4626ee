/**
 * The one vocabulary of events (docs/journal.md), as schemas with inferred types.
 *
 * Readers are lenient: unknown kinds and unknown fields are skipped, so that a later Waddle may add. Writers are held to
 * these types by the compiler. Everything that was ever published here stays.
 *
 * Only types of this file reach the programs that log or supervise: loading the schema library would cost them their
 * quick start. What they check by hand stands in `line.ts`, and a test holds the two together.
 */
import { type Static, type TSchema, Type } from 'typebox';

const maybe = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
const time = Type.Number({ description: 'Epoch seconds on the writer’s clock, three decimals.' });
const attempt = Type.String({ description: 'The writer name that began the attempt.' });

/** A number that JSON can hold, or the name of one that it lacks. */
export const MetricNumber = Type.Union([
  Type.Number(),
  Type.Literal('NaN'),
  Type.Literal('Infinity'),
  Type.Literal('-Infinity'),
]);

const identity = {
  pid: Type.Integer(),
  boot: maybe(Type.String({ description: 'Kernel boot id.' })),
  pidns: maybe(Type.String({ description: 'Inode of the pid namespace.' })),
  started: maybe(Type.Number({ description: 'Process start, clock ticks since boot.' })),
};

export const Open = Type.Object({
  k: Type.Literal('open'),
  t: time,
  format: Type.Integer(),
  writer: Type.String(),
  role: Type.String(),
  run: Type.Union([Type.String(), Type.Null()]),
  host: Type.String(),
  user: maybe(Type.String()),
  ...identity,
  client: Type.String({ description: 'Name and version of the writing program.' }),
  attempt: maybe(attempt),
  rank: maybe(Type.Integer()),
  local_rank: maybe(Type.Integer()),
  world_size: maybe(Type.Integer()),
  mono: maybe(Type.Number({ description: 'Monotonic clock at t, seconds: tells a jump of the wall clock.' })),
});

export const Close = Type.Object({
  k: Type.Literal('close'),
  t: time,
  dropped: maybe(Type.Record(Type.String(), Type.Integer())),
});

export const Start = Type.Object({
  k: Type.Literal('start'),
  t: time,
  id: Type.String(),
  attempt,
  name: maybe(Type.String()),
  default_name: maybe(Type.String()),
  project: maybe(Type.String()),
  entry: maybe(Type.String()),
  argv: maybe(Type.Array(Type.String())),
  command: maybe(Type.Array(Type.String())),
  cwd: maybe(Type.String()),
  repo: maybe(Type.String()),
  group: maybe(Type.String()),
  notes: maybe(Type.String()),
  tags: maybe(Type.Record(Type.String(), Type.String())),
  parent: maybe(Type.String()),
  reproduces: maybe(Type.String()),
  supervised: maybe(Type.Boolean()),
});

export const Resume = Type.Object({
  k: Type.Literal('resume'),
  t: time,
  attempt,
  argv: maybe(Type.Array(Type.String())),
  command: maybe(Type.Array(Type.String())),
  cwd: maybe(Type.String()),
  supervised: maybe(Type.Boolean()),
});

export const Update = Type.Object({
  k: Type.Literal('update'),
  t: time,
  fields: Type.Object({
    name: maybe(Type.String()),
    project: maybe(Type.String()),
    notes: maybe(Type.String()),
    group: maybe(Type.String()),
  }),
});

export const RunError = Type.Object({
  type: Type.String(),
  message: Type.String(),
  traceback: maybe(Type.String()),
});

export const End = Type.Object({
  k: Type.Literal('end'),
  t: time,
  attempt,
  status: Type.Union([Type.Literal('completed'), Type.Literal('failed'), Type.Literal('aborted')]),
  exit_code: maybe(Type.Integer()),
  signal: maybe(Type.String()),
  reason: maybe(Type.String()),
  error: maybe(RunError),
  by: Type.Union([Type.Literal('supervisor'), Type.Literal('helper'), Type.Literal('job')]),
});

export const Beat = Type.Object({ k: Type.Literal('beat'), t: time });

export const Job = Type.Object({ k: Type.Literal('job'), t: time, attempt, ...identity });

export const LeftOut = Type.Object({
  path: Type.String(),
  size: Type.Union([Type.Number(), Type.Null()]),
  mtime: maybe(Type.Number()),
  reason: Type.String(),
});

export const SnapshotRecord = Type.Object({
  store: Type.Union([Type.Literal('repository'), Type.Literal('private'), Type.Literal('none')]),
  repository: maybe(Type.String()),
  git_dir: maybe(Type.String()),
  prefix: Type.String(),
  base: maybe(Type.String()),
  base_tree: maybe(Type.String()),
  tree: maybe(Type.String()),
  commit: maybe(Type.String()),
  commit_object: maybe(Type.String()),
  branch: maybe(Type.String()),
  state: Type.String(),
  dirty: Type.Boolean(),
  incomplete: Type.Boolean(),
  left_out: Type.Array(LeftOut),
  nested: Type.Array(Type.Object({ path: Type.String(), tree: Type.String(), commit: maybe(Type.String()) })),
  changed: Type.Array(Type.Object({ path: Type.String(), status: Type.String() })),
  changed_count: Type.Integer(),
  object_format: maybe(Type.String()),
  warnings: Type.Array(Type.Object({ code: Type.String(), message: Type.String(), hint: Type.String() })),
  duration_ms: Type.Number(),
});

export const SnapshotTaken = Type.Object({ k: Type.Literal('snapshot'), t: time, snapshot: SnapshotRecord });

export const Drift = Type.Object({
  k: Type.Literal('drift'),
  t: time,
  files: Type.Array(Type.Object({ path: Type.String(), change: Type.String() })),
});

export const Env = Type.Object({
  k: Type.Literal('env'),
  t: time,
  environment: Type.Record(Type.String(), Type.Unknown()),
});

export const Param = Type.Object({
  k: Type.Literal('param'),
  t: time,
  key: Type.String(),
  value: Type.Unknown(),
});

export const Tag = Type.Object({ k: Type.Literal('tag'), t: time, key: Type.String(), value: Type.String() });

export const Metric = Type.Object({
  k: Type.Literal('m'),
  t: time,
  s: Type.Number({ description: 'Step: an integer within ±2^53, or a finite float.' }),
  v: Type.Record(Type.String(), MetricNumber),
});

export const Artifact = Type.Object({
  k: Type.Literal('artifact'),
  t: time,
  name: Type.String(),
  kind: maybe(Type.String()),
  type: Type.Union([Type.Literal('file'), Type.Literal('folder')]),
  sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  size: Type.Number({ description: 'Bytes; of a folder, of all its files.' }),
  files: maybe(Type.Integer()),
  mime: maybe(Type.String()),
  inline: maybe(Type.String({ description: 'The bytes in base64, at most 64 KiB of them.' })),
});

export const Console = Type.Object({
  k: Type.Literal('c'),
  t: time,
  o: Type.Union([Type.Literal(1), Type.Literal(2)]),
  n: Type.Integer({ description: 'Line number in its stream, from 0.' }),
  x: Type.String(),
  p: maybe(Type.Boolean()),
  a: maybe(attempt),
});

export const Warning = Type.Object({
  k: Type.Literal('warning'),
  t: time,
  code: Type.String(),
  message: Type.String(),
  hint: maybe(Type.String()),
});

const clock = Type.Integer({ description: 'Lamport counter: one more than the greatest seen.' });

export const Edit = Type.Object({
  k: Type.Literal('edit'),
  t: time,
  clock,
  field: Type.Union([
    Type.Literal('name'),
    Type.Literal('notes'),
    Type.Literal('archived'),
    Type.Literal('tag'),
  ]),
  key: maybe(Type.String()),
  value: Type.Union([Type.String(), Type.Boolean(), Type.Null()]),
});

export const Stop = Type.Object({
  k: Type.Literal('stop'),
  t: time,
  grace: Type.Number({ description: 'Seconds.' }),
  attempt: maybe(attempt),
});

export const Remove = Type.Object({ k: Type.Literal('remove'), t: time, run: Type.String(), clock });
export const Restore = Type.Object({ k: Type.Literal('restore'), t: time, run: Type.String(), clock });
export const Link = Type.Object({
  k: Type.Literal('link'),
  t: time,
  name: Type.String(),
  path: Type.Union([Type.String(), Type.Null()]),
  clock,
});

/** Every kind of event, by its `k`. */
export const EVENT_SCHEMAS = {
  open: Open,
  close: Close,
  start: Start,
  resume: Resume,
  update: Update,
  end: End,
  beat: Beat,
  job: Job,
  snapshot: SnapshotTaken,
  drift: Drift,
  env: Env,
  param: Param,
  tag: Tag,
  m: Metric,
  artifact: Artifact,
  c: Console,
  warning: Warning,
  edit: Edit,
  stop: Stop,
  remove: Remove,
  restore: Restore,
  link: Link,
} as const;

export type EventKind = keyof typeof EVENT_SCHEMAS;
export type EventOf<K extends EventKind> = Static<(typeof EVENT_SCHEMAS)[K]>;
export type Event = { [K in EventKind]: EventOf<K> }[EventKind];
export type SnapshotRecord = Static<typeof SnapshotRecord>;
export type RunError = Static<typeof RunError>;
export type MetricNumber = Static<typeof MetricNumber>;
export type RunStatus = 'running' | 'completed' | 'failed' | 'aborted' | 'crashed';
