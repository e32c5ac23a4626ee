import type { Writable } from 'node:stream';
import type { EventOf } from '../events/schema.ts';
import type { SnapshotOptions } from '../git/snapshot.ts';
import type { Snapshot } from '../git/snapshot-record.ts';
import type { Layout } from '../journal/layout.ts';
import type { EnvironmentPlan } from './environment.ts';
import type { JobPlace, Written } from './job-place.ts';
import type { JobCommand } from './job-process.ts';

/** Everything about a run that is decided before it begins. */
export interface RunPlan {
  runId: string;
  /** What the `start` event tells; null where an existing run is resumed. */
  start: Omit<EventOf<'start'>, 'k' | 't' | 'id' | 'attempt' | 'supervised'> | null;
  /** What a `resume` event tells. */
  resume: Pick<EventOf<'resume'>, 'argv' | 'command' | 'cwd'>;
  job: JobCommand;
  /** The code of another run that is run again: recorded instead of a new snapshot. */
  given: Snapshot | null;
  /** Makes a place of its own for the job from the snapshot; null: it runs in the workspace. */
  place: ((snapshot: Snapshot, runId: string, signal: AbortSignal) => Promise<JobPlace>) | null;
  /** `cwd` where the code is not that of the job's own working folder. */
  snapshot: Pick<SnapshotOptions, 'message' | 'autoCommit' | 'policy' | 'folder'> & { cwd?: string };
  /** What of the environment is recorded. */
  environment: EnvironmentPlan;
  /** The job gets a pseudo-terminal of its own. */
  tty: boolean;
  /** SIGHUP was ignored when Waddle was started (nohup): it stays so, for the job too. */
  hangupIgnored: boolean;
  /** The Python interpreter that runs the job, where it is known to be Python. */
  python: string | null;
}

export interface Supervision {
  layout: Layout;
  /** Name and version of this program, for the journal. */
  client: string;
  /** The environment in which git is run. */
  env: Record<string, string | undefined>;
  stdout: Writable;
  stderr: Writable;
  stdin: NodeJS.ReadStream;
  /** How `waddle __helper` is called; null starts none. */
  companion: { command: readonly string[] } | null;
  say(text: string): void;
  warn(text: string): void;
  /** Called once, as soon as the code is pinned and the job is about to start. */
  onSnapshot(snapshot: Snapshot): void;
}

export interface RunOutcome {
  attempt: string;
  status: 'completed' | 'failed' | 'aborted';
  /** What `waddle run` exits with. */
  exitCode: number;
  signal: string | null;
  reason: string | null;
  snapshot: Snapshot | null;
  drift: { path: string; change: string }[];
  /** What the job wrote into its copy of the code; null where it ran in the workspace. */
  written: Written | null;
  /** From the start of the supervision to the end of the job. */
  seconds: number;
  /** Resolves when everything that the job printed was shown. A reader that pauses (a pager) may take its time. */
  shown: Promise<void>;
}
