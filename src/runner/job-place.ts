import type { JobCommand } from './job-process.ts';

/** A place of its own that a job runs in: a copy of the recorded code. */
export interface JobPlace {
  /** The job as it is started there. */
  job: JobCommand;
  /** Of what the job writes, what is logged as artifacts: patterns from `from` on, a path in the copy. */
  outputs: { from: string; patterns: readonly string[] };
  noteJob(pid: number): void;
  /** Moves what the job wrote there to where it is kept. */
  collect(): Promise<Written>;
  /** Gives the place back; nobody may work there any more. */
  release(): void;
}

/** What a job wrote into its copy of the code. */
export interface Written {
  /** Where it lies now; null where there was nothing. */
  folder: string | null;
  /** Paths in the copy, folders with a `/` at their end; of those named `removed` nothing is kept. */
  files: { path: string; change: 'new' | 'changed' | 'removed' }[];
  /** Names of the artifacts that were made of it. */
  artifacts: string[];
}
