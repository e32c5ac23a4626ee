/**
 * The logging client for Node jobs: `import { init } from 'waddleml/client'`.
 *
 * Under `waddle run` it attaches to the run that `waddle run` began; from a plain script `init()` begins one. Every log
 * call is one append to a file of this thread: it never waits for a database, a server or the network, never throws (but
 * `logArtifact`, and under WADDLE_STRICT=1), and is durable against `kill -9` once it returns.
 *
 * This file is all that its users' compilers see: its exported types stand here in full.
 */
import { beginRun, currentRun } from './begin-run.ts';

/** What can be logged as a metric: NaN and infinities are kept; anything else is warned of once and counted. */
export type MetricValue = number | bigint | boolean;

export interface LogOptions {
  /** An integer within ±2^53 or a finite number; may repeat or go back. Without it, calls are counted from 0. */
  step?: number;
}

export interface ArtifactOptions {
  /** A free label, such as "model". */
  kind?: string;
  /** Keeps a file of at most 64 KiB in the journal itself. */
  inline?: boolean;
}

export interface FinishOptions {
  /** "completed" where it is left out. */
  status?: 'completed' | 'failed' | 'aborted';
  exitCode?: number;
  reason?: string;
}

export interface InitOptions {
  /** The label that groups runs. */
  project?: string;
  name?: string;
  /** Parameters, logged at once. */
  config?: Record<string, unknown>;
  tags?: Record<string, string>;
  group?: string;
  notes?: string;
  /** Goes on with this run in a new attempt: an id, a name, a prefix of an id, `@last`. */
  resume?: string;
  /** Attaches to this run, which another process has begun. */
  runId?: string;
  /** The project folder; default: WADDLE_DIR, else found upwards from the working directory. */
  dir?: string;
}

/** A run, as one thread of its job logs to it. */
export interface Run {
  /** 12 lowercase base32 characters. */
  readonly id: string;
  readonly name: string | null;
  readonly project: string | null;
  /** The project folder: the one that holds `.waddle/`. */
  readonly dir: string;
  /** A parameter of any JSON type; the last value of a key wins. */
  logParam(key: string, value: unknown): void;
  logParams(values: Record<string, unknown>): void;
  /** A short text under a key, to group and filter runs by. */
  logTag(key: string, value: unknown): void;
  /** One value of a metric at a step. */
  logMetric(key: string, step: number, value: MetricValue): void;
  /** One sample of each key at one step, in one append. */
  log(values: Record<string, MetricValue>, options?: LogOptions): void;
  /**
   * Copies a file, or a folder of files, into the artifact store; returns its SHA-256 (a folder's is its manifest's).
   * Throws the system's error at once where it cannot be read.
   */
  logArtifact(name: string, path: string, options?: ArtifactOptions): string;
  /** Ends the run where this process began it with `init()`; else only the attachment. Twice does nothing. */
  finish(options?: FinishOptions): void;
  [Symbol.dispose](): void;
}

/**
 * Begins a run, goes on with one, or attaches to the one that this process belongs to. A second call in one process ends
 * the run that the first began.
 *
 * ```ts
 * const run = await init({ project: 'demo', config: { lr: 0.1 } });
 * run.logMetric('loss', step, loss);
 * ```
 */
export async function init(options: InitOptions = {}): Promise<Run> {
  return beginRun(options);
}

/** As the methods of the run that `init` gave last, or of the run that the environment names. */
export function logParam(key: string, value: unknown): void {
  currentRun().logParam(key, value);
}

export function logTag(key: string, value: unknown): void {
  currentRun().logTag(key, value);
}

export function logMetric(key: string, step: number, value: MetricValue): void {
  currentRun().logMetric(key, step, value);
}

export function log(values: Record<string, MetricValue>, options?: LogOptions): void {
  currentRun().log(values, options);
}

export function logArtifact(name: string, path: string, options?: ArtifactOptions): string {
  return currentRun().logArtifact(name, path, options);
}

export function finish(options?: FinishOptions): void {
  currentRun().finish(options);
}
