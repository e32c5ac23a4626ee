import { relative } from 'node:path';
import type { Command } from 'commander';
import { newRunId } from '../../events/ids.ts';
import { ensureProjectFolder } from '../../journal/project-folder.ts';
import { type RunPlan, supervise, unwritable } from '../../runner/supervise.ts';
import { type Context, openProject, type Project } from '../context.ts';
import { hangupWasIgnored } from '../hangup.ts';
import { inert } from '../inert.ts';
import { readPort } from '../port.ts';
import { CLI_FILE } from '../program-files.ts';
import { type ResolvedJob, resolveJob } from '../run-job.ts';
import {
  defineRunFlags,
  environmentPlan,
  type RunFlags,
  type RunOptions,
  resolveOptions,
  snapshotPolicy,
} from '../run-options.ts';
import type { AskedPorts, RunServer } from '../run-server.ts';
import { describeEnd, describeStart } from '../run-summary.ts';
import { CLIENT } from '../version.ts';

export function define(command: Command, context: Context): void {
  defineRunFlags(command);
  command
    .option('--http [port]', 'serve the dashboard while it runs', readPort)
    .option('--ws [port]', 'the same, with a port of its own for the WebSocket', readPort)
    .description(
      'Pins the code, runs a job and logs everything about it. Exits with the exit code of the job.',
    )
    .action((words: string[], flags: RunFlags & AskedPorts) => run(words, flags, context));
}

async function run(words: string[], flags: RunFlags & AskedPorts, context: Context): Promise<void> {
  const project = await openProject(context);
  const { layout, config } = project;
  const asked = resolveOptions(flags, words, config, context);
  const resumed = asked.resume === undefined ? null : await resume(asked.resume, asked, project, context);
  const options = resumed?.options ?? asked;
  if (options.tty) await (await import('../../runner/job-process.ts')).needPty();
  const resolved = resolveJob(options, layout, context);
  try {
    ensureProjectFolder(layout);
  } catch (error) {
    throw unwritable(layout.root, error);
  }
  const plan = planOf(resumed?.runId ?? null, options, resolved, project, context);
  const label = resumed?.name ?? plan.start?.name ?? plan.start?.default_name ?? '';
  const server = await startServer(flags, project, context);
  if (server !== null) context.say(`waddle: live at ${server.pageOf(plan.runId)}\n`);
  ignoreBrokenPipes();
  const outcome = await supervise(plan, {
    layout,
    client: CLIENT,
    env: context.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    companion: { command: [process.execPath, CLI_FILE] },
    say: context.say,
    warn: context.warn,
    onSnapshot: (snapshot) => context.say(describeStart(plan, label, snapshot)),
  });
  context.exitCode = outcome.exitCode;
  // Loaded here: the store's parts must not hold up the start of a job.
  const { settleRun } = await import('../run-store.ts');
  const final = settleRun(project, context.env, plan.runId);
  await outcome.shown;
  // The store has all of it: the server gives it to whoever still watches, and goes where nobody else holds it.
  server?.release();
  context.say(describeEnd(plan, label, outcome, final));
  if (server?.lasting) context.say(`waddle: ${server.pageOf(plan.runId)}\n`);
  if (final.problem !== null) {
    context.warn(`waddle: the store could not be brought up to date: ${inert(final.problem)}\n`);
  }
}

async function startServer(asked: AskedPorts, project: Project, context: Context): Promise<RunServer | null> {
  if (asked.http === undefined && asked.ws === undefined) return null;
  const { serveRun } = await import('../run-server.ts');
  return serveRun(asked, project, context);
}

async function resume(wanted: string, asked: RunOptions, project: Project, context: Context) {
  // Loaded here: it reads the store, which a new run need not open before its job starts.
  const { resumePlan } = await import('../run-resume.ts');
  return resumePlan(wanted, asked, project, context);
}

function planOf(
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
    python,
    snapshot: {
      autoCommit: options.autoCommit,
      message: options.commitMessage,
      policy: snapshotPolicy(config),
      folder: inside ? layout.project : job.cwd,
    },
    environment: environmentPlan(config),
    tty: options.tty,
    hangupIgnored: hangupWasIgnored(context.env),
  };
}

/** The job's output goes on being recorded when nobody reads it any more (`waddle run … | head`). */
function ignoreBrokenPipes(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.removeAllListeners('error');
    stream.on('error', () => undefined);
  }
}
