import { encodeNumber, parseExactJson } from '../events/line.ts';
import type { MetricNumber, SnapshotRecord } from '../events/schema.ts';
import { row as one, type Question, rows } from '../store/question.ts';
import {
  type ArtifactRow,
  type AttemptRow,
  type BrokenLineRow,
  readArtifacts,
  readAttempts,
  readBrokenLines,
  readDropped,
  readMetricSummaries,
  readParams,
  readRun,
  readTags,
  readWarnings,
  type WarningRow,
} from '../store/read.ts';
import { type ParamValue, RUN_COLUMNS, type RunRow, readRunRow } from './run-row.ts';
import { setOwn } from './runs-table.ts';

/** A metric over all its writers. `count` counts NaN too; `min`, `max` and `mean` do not, and are null without a value. */
export interface MetricDetail {
  last: MetricNumber;
  min: MetricNumber | null;
  max: MetricNumber | null;
  mean: MetricNumber | null;
  count: number;
  nan: number;
  first: MetricNumber;
  first_step: number;
  first_ts: number;
  last_step: number;
  last_ts: number;
  min_step: number;
  max_step: number;
}

/** A version of an artifact; `uri` is relative to the server and gives the bytes. */
interface ArtifactDetail extends Omit<ArtifactRow, 'id'> {
  uri: string;
}

/** A process that wrote to the run. */
interface WriterDetail {
  writer: string;
  role: string | null;
  host: string | null;
  user: string | null;
  pid: number | null;
  client: string | null;
  rank: number | null;
  local_rank: number | null;
  world_size: number | null;
  opened_at: number | null;
  closed: boolean;
}

/**
 * All of a run but its samples and its console: the object of `/api/runs/<id>` and of `show --json`. Integers beyond 2^53
 * in it are bigints: print it with `stringifyExactJson`.
 */
export interface RunDetail {
  run: RunRow & { traceback: string | null; attempt: string | null; supervised: boolean | null };
  /** As logged, with their JSON type. */
  params: Record<string, ParamValue>;
  tags: Record<string, string>;
  metrics: Record<string, MetricDetail>;
  /** Every version, by name, the newest of a name last. */
  artifacts: ArtifactDetail[];
  /** Null where none was taken. */
  snapshot: Omit<SnapshotRecord, 'commit_object'> | null;
  /** Files of the snapshot that changed while the job ran; null where nobody looked. */
  drift: { path: string; change: string }[] | null;
  environment: Record<string, unknown> | null;
  attempts: AttemptRow[];
  writers: WriterDetail[];
  warnings: WarningRow[];
  /** What could not be kept, by reason. */
  dropped: Record<string, number>;
  broken_lines: BrokenLineRow[];
  /** Runs that were started inside this one, oldest first. */
  children: { id: string; name: string; status: string }[];
}

/** The run of this id in full; undefined where there is none, or it is removed. */
export function* runDetail(id: string): Question<RunDetail | undefined> {
  const row = yield* one(
    `SELECT r.num, r.traceback, r.attempt, r.supervised, ${RUN_COLUMNS} FROM runs r WHERE r.id = ? AND r.removed = 0`,
    id,
  );
  if (row === undefined) return undefined;
  const num = Number(row.num);
  const own = yield* readRun(num);
  const params: Record<string, ParamValue> = {};
  for (const { key, json } of yield* readParams(num)) setOwn(params, key, parseExactJson(json));
  const tags: Record<string, string> = {};
  for (const { key, value } of yield* readTags(num)) setOwn(tags, key, value);
  return {
    run: {
      ...readRunRow(row),
      traceback: own?.traceback ?? null,
      attempt: own?.attempt ?? null,
      supervised: own?.supervised ?? null,
    },
    params,
    tags,
    metrics: yield* readMetrics(num),
    artifacts: yield* artifactDetails(id, num),
    snapshot: snapshotDetail(own?.snapshot ?? null),
    drift: own?.drift ?? null,
    environment: own?.environment ?? null,
    attempts: yield* readAttempts(num),
    writers: yield* readWriters(num),
    warnings: yield* readWarnings(num),
    dropped: yield* readDropped(num),
    broken_lines: yield* readBrokenLines(num),
    children: (yield* rows(
      'SELECT id, name, status FROM runs WHERE parent = ? AND removed = 0 ORDER BY started_at NULLS FIRST, id',
      id,
    )) as unknown as RunDetail['children'],
  };
}

/** Every version of a run's artifacts, by name, the newest of a name last. */
export function* artifactDetails(id: string, num: number): Question<ArtifactDetail[]> {
  return (yield* readArtifacts(num)).map(({ id: _, ...artifact }) => ({
    ...artifact,
    uri: `/api/runs/${id}/artifacts/${artifact.sha256}?name=${encodeURIComponent(artifact.name.toWellFormed())}`,
  }));
}

/** The text that made the snapshot's commit is for git alone. */
function snapshotDetail(snapshot: SnapshotRecord | null): RunDetail['snapshot'] {
  if (snapshot === null) return null;
  const { commit_object: _, ...shown } = snapshot;
  return shown;
}

function* readMetrics(num: number): Question<Record<string, MetricDetail>> {
  const orNull = (value: number | null) => (value === null ? null : encodeNumber(value));
  const metrics: Record<string, MetricDetail> = {};
  for (const { key, nan_count, ...summary } of yield* readMetricSummaries(num)) {
    setOwn(metrics, key, {
      ...summary,
      last: encodeNumber(summary.last),
      first: encodeNumber(summary.first),
      min: orNull(summary.min),
      max: orNull(summary.max),
      mean: orNull(summary.mean),
      nan: nan_count,
    });
  }
  return metrics;
}

function* readWriters(num: number): Question<WriterDetail[]> {
  const found = yield* rows(
    `SELECT writer, role, host, "user", pid, client, rank, local_rank, world_size, opened_at, closed
     FROM journals WHERE run = ? ORDER BY opened_at NULLS FIRST, writer`,
    num,
  );
  return found.map((row) => ({ ...(row as unknown as WriterDetail), closed: row.closed === 1 }));
}
