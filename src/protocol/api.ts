/**
 * Everything that the server and its page say to each other, as types. Types only: the browser pays nothing for them.
 * The schemas behind them validate requests and make the OpenAPI document.
 *
 * | route | request | answer |
 * | --- | --- | --- |
 * | `GET /api/health` | | `Health` |
 * | `GET /api/session` (a collector's) | | `Session` |
 * | `GET /api/openapi.json` | | OpenAPI 3.1 |
 * | `GET /api/runs` | `RunsQuery` | `RunRow[]`, `Link` to the next page |
 * | `GET /api/projects` | | `ProjectEntry[]` |
 * | `GET /api/keys` | `KeysQuery` | `Keys` |
 * | `GET /api/compare` | `CompareQuery` | `Comparison` |
 * | `POST /api/series` | `SeriesRequest` | binary, `series-body.ts` |
 * | `POST /api/runs/bulk` | `BulkBody` | `Edited` |
 * | `GET /api/runs/:id` | | `RunDetail` |
 * | `PATCH /api/runs/:id` | `RunPatch` | `Edited` |
 * | `DELETE /api/runs/:id`, `POST …/restore` | | `Edited` |
 * | `POST /api/runs/:id/stop` | `StopBody` | `Edited` |
 * | `GET /api/runs/:id/metrics` | `MetricsQuery` | `MetricSample[]`, `Link` to the next page |
 * | `GET /api/runs/:id/console` | `ConsoleQuery` | `ConsolePage` |
 * | `GET /api/runs/:id/artifacts` | `ArtifactsQuery` | `Artifact[]` |
 * | `GET /api/runs/:id/artifacts/:name` | `ArtifactQuery` | bytes (with Range), or of a folder `FolderListing` |
 * | `GET /api/runs/:id/files` | | `CodeFiles` |
 * | `GET /api/runs/:id/diff` | `DiffQuery` | `Diff` |
 * | `WS /ws` | `ClientMessage` | `Frame`, or `Batch` in the dashboard's dialect |
 *
 * An artifact's `:name` is its SHA-256 (as in its `uri`) or its name, percent-encoded (slashes too): the newest. Every refusal is `ApiError`.
 */
import type { Static } from 'typebox';
import type * as common from './common-schemas.ts';
import type * as live from './live-schemas.ts';
import type * as page from './page-schemas.ts';
import type * as run from './run-schemas.ts';
import type * as series from './series-schemas.ts';

export type ApiError = Static<typeof common.ApiError>;
export type Health = Static<typeof common.Health>;
export type Session = Static<typeof common.Session>;
export type ProjectEntry = Static<typeof common.ProjectEntry>;
export type Keys = Static<typeof common.Keys>;
export type KeysQuery = Static<typeof common.KeysQuery>;
export type MetricNumber = Static<typeof common.MetricNumber>;
export type RunStatus = Static<typeof common.RunStatus>;

export type RunRow = Static<typeof run.RunRow>;
export type RunsQuery = Static<typeof run.RunsQuery>;
export type RunDetail = Static<typeof run.RunDetail>;
export type MetricSummary = Static<typeof run.MetricSummary>;
export type Artifact = Static<typeof run.Artifact>;
export type Warning = Static<typeof run.Warning>;
export type Snapshot = Static<typeof run.Snapshot>;
export type Attempt = Static<typeof run.Attempt>;
export type Writer = Static<typeof run.Writer>;
export type MetricsQuery = Static<typeof run.MetricsQuery>;
export type MetricSample = Static<typeof run.MetricSample>;
export type CompareQuery = Static<typeof run.CompareQuery>;
export type Comparison = Static<typeof run.Comparison>;
export type RunPatch = Static<typeof run.RunPatch>;
export type StopBody = Static<typeof run.StopBody>;
export type BulkBody = Static<typeof run.BulkBody>;
export type Edited = Static<typeof run.Edited>;

export type SeriesRequest = Static<typeof series.SeriesRequest>;
export type SeriesColumn = Static<typeof series.SeriesColumn>;
export type SeriesBlock = Static<typeof series.SeriesBlock>;
export type SeriesHeader = Static<typeof series.SeriesHeader>;

export type ConsoleQuery = Static<typeof page.ConsoleQuery>;
export type ConsoleLine = Static<typeof page.ConsoleLine>;
export type ConsolePage = Static<typeof page.ConsolePage>;
export type ArtifactsQuery = Static<typeof page.ArtifactsQuery>;
export type ArtifactQuery = Static<typeof page.ArtifactQuery>;
export type FolderListing = Static<typeof page.FolderListing>;
export type CodeFiles = Static<typeof page.CodeFiles>;
export type DiffQuery = Static<typeof page.DiffQuery>;
export type Diff = Static<typeof page.Diff>;

export type MetricFrame = Static<typeof live.MetricFrame>;
export type ParamFrame = Static<typeof live.ParamFrame>;
export type TagFrame = Static<typeof live.TagFrame>;
export type StatusFrame = Static<typeof live.StatusFrame>;
export type GapFrame = Static<typeof live.GapFrame>;
export type ErrorFrame = Static<typeof live.ErrorFrame>;
export type Subscribe = Static<typeof live.Subscribe>;
export type Watch = Static<typeof live.Watch>;
export type LivePoints = Static<typeof live.LivePoints>;
export type LiveRun = Static<typeof live.LiveRun>;
export type Batch = Static<typeof live.Batch>;

/** What a client may send. */
export type ClientMessage = Subscribe | Watch;
/** What a server sends, one a message; a client in the dashboard's dialect gets batches and errors only. */
export type Frame = MetricFrame | ParamFrame | TagFrame | StatusFrame | GapFrame | ErrorFrame;
export type ServerMessage = Frame | Batch;
