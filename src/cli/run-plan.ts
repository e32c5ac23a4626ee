/** From what was asked for to a supervised run: shared by `waddle run` and `waddle reproduce`. */
import { existsSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { newRunId } from '../events/ids.ts';
import { supervise } from '../runner/supervise.ts';
import type { RunOutcome, RunPlan } from '../runner/supervision.ts';
import type { Context, Project } from './context.ts';
import { hangupWasIgnored } from './hangup.ts';
import { CLI_FILE } from './program-files.ts';
import type { ResolvedJob } from './run-job.ts';
import { environmentPlan, type RunOptions, snapshotPolicy } from './run-options.ts';
import { describeStart } from './run-summary.ts';
import { CLIENT } from './version.ts';

/** Supervises the run to its end on this process's own streams. */
export function superviseHere(
  plan: RunPlan,
  label: string,
  project: Project,
  context: Context,
  stdout: NodeJS.WriteStream = process.stdout,
): Promise<RunOutcome> {
  ignoreBrokenPipes();
  return supervise(plan, {
    layout: project.layout,
    client: CLIENT,
    env: context.env,
    stdin: process.stdin,
    stdout,
    stderr: process.stderr,
    companion: { command: [process.execPath, CLI_FILE] },
    say: context.say,
    warn: context.warn,
    onSnapshot: (snapshot) => context.say(describeStart(plan, label, snapshot)),
  });
}

/** What a run that is begun now, or resumed, does and records. */
export function planOf(
  resumedId: string | null,
  options: RunOptions,
  resolved: ResolvedJob,
  { layout, config }: Project,
  context: Context,
): RunPlan {
  const runId = resumedId ?? newRunId();
  const { entry, argv, command, repo, python, job, stem } = resolved;
  const recorded = { argv, command, cwd: job.cwd };
  const parent = context.env.WADDLE_RUN;
  const inside = !relative(layout.project, job.cwd).startsWith('..');
  // Started from a folder that no repository holds (`--dir`, WADDLE_DIR): the code is that of the project's repository.
  const elsewhere = !inside && !isInRepository(job.cwd) && isInRepository(layout.project);
  return {
    runId,
    start:
      resumedId !== null
        ? null
        : {
            ...recorded,
            name: options.name ?? null,
            default_name: `${stem}-${runId.slice(0, 4)}`,
            project: options.project ?? null,
            entry,
            repo,
            group: options.group ?? null,
            notes: options.notes ?? null,
            tags: options.tags,
            parent: parent === undefined || parent === '' ? null : parent,
            reproduces: null,
          },
    resume: recorded,
    job,
    given: null,
    place: null,
    python,
    snapshot: {
      autoCommit: options.autoCommit,
      message: options.commitMessage,
      policy: snapshotPolicy(config),
      folder: inside ? layout.project : job.cwd,
      ...(elsewhere ? { cwd: layout.project } : {}),
    },
    environment: environmentPlan(config),
    tty: options.tty,
    hangupIgnored: hangupWasIgnored(context.env),
  };
}

/** Whether a folder or one above it has a `.git` (a file in linked worktrees and submodules). */
function isInRepository(folder: string): boolean {
  if (existsSync(join(folder, '.git'))) return true;
  return folder !== dirname(folder) && isInRepository(dirname(folder));
}

/** The job's output goes on being recorded when nobody reads it any more (`waddle run … | head`). */
function ignoreBrokenPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error');
    stream.on('error', () => undefined);
  }
}
