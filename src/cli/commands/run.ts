import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { hasJournal } from '../../journal/discover.ts';
import { runFolder } from '../../journal/layout.ts';
import { ensureProjectFolder } from '../../journal/project-folder.ts';
import { unwritable } from '../../runner/supervise.ts';
import { type Context, openProject, type Project } from '../context.ts';
import { inert } from '../inert.ts';
import { readPort } from '../port.ts';
import { type ResolvedJob, resolveJob } from '../run-job.ts';
import { defineRunFlags, type RunFlags, type RunOptions, resolveOptions } from '../run-options.ts';
import { planOf, superviseHere } from '../run-plan.ts';
import type { AskedPorts, RunServer } from '../run-server.ts';
import { describeEnd } from '../run-summary.ts';

export function define(command: Command, context: Context): void {
  defineRunFlags(command);
  command
    .option('--push', 'push the run while it goes (remote.live in waddle.json)')
    .option('--no-push', 'do not, whatever waddle.json says')
    .option('--http [port]', 'serve the dashboard while it runs', readPort)
    .option('--ws [port]', 'the same, with a port of its own for the WebSocket', readPort)
    .description(
      'Pins the code, runs a job and logs everything about it. Exits with the exit code of the job.',
    )
    .action((words: string[], flags: RunFlags & AskedPorts & PushFlags) => run(words, flags, context));
}

interface PushFlags {
  push?: boolean;
}

async function run(
  words: string[],
  flags: RunFlags & AskedPorts & PushFlags,
  context: Context,
): Promise<void> {
  const project = await openProject(context);
  const { layout, config } = project;
  const asked = resolveOptions(flags, words, config, context);
  const resumed = asked.resume === undefined ? null : await resume(asked.resume, asked, project, context);
  const options = resumed?.options ?? asked;
  if (options.isolate && !options.autoCommit) {
    throw new WaddleError(
      'isolate-needs-snapshot',
      '--isolate runs in a copy of the pinned code, and --no-auto-commit pins none',
      'Leave one of them out (run.isolate and run.auto_commit in waddle.json count too).',
      { exitCode: 2 },
    );
  }
  if (options.tty) await (await import('../../runner/job-process.ts')).needPty();
  const resolved = resolveJob(options, layout, context);
  try {
    ensureProjectFolder(layout);
  } catch (error) {
    throw unwritable(layout.root, error);
  }
  const plan = planOf(resumed?.runId ?? null, options, resolved, project, context);
  if (options.isolate) plan.place = await isolation(resolved, project, context);
  const label = resumed?.name ?? plan.start?.name ?? plan.start?.default_name ?? '';
  const server = await startServer(flags, project, context);
  if (server !== null) context.say(`waddle: live at ${server.pageOf(plan.runId)}\n`);
  const live = await startPush(flags, plan.runId, project, context);
  const outcome = await superviseHere(plan, label, project, context);
  context.exitCode = outcome.exitCode;
  const folder = runFolder(layout, plan.runId);
  if (!hasJournal(folder, outcome.attempt)) {
    server?.release();
    context.warn(
      `waddle: ${inert(folder)} was removed while the job ran: what it logged is gone\nKeep .waddle/ out of what the job cleans up.\n`,
    );
    return;
  }
  // Loaded here: the store's parts must not hold up the start of a job.
  const { settleRun } = await import('../run-store.ts');
  const final = settleRun(project, context.env, plan.runId);
  await outcome.shown;
  // The store has all of it: the server gives it to whoever still watches, and goes where nobody else holds it.
  server?.release();
  context.say(describeEnd(plan, final.name ?? label, outcome, final));
  if (live !== null) context.say(await live.end());
  if (server?.lasting) context.say(`waddle: ${server.pageOf(plan.runId)}\n`);
  if (final.problem !== null) {
    context.warn(`waddle: the store could not be brought up to date: ${inert(final.problem)}\n`);
  }
}

async function isolation(resolved: ResolvedJob, project: Project, context: Context) {
  // Loaded here: a run in the workspace needs none of it.
  const { placeInCopy } = await import('../run-place.ts');
  return placeInCopy(resolved.job, project, context);
}

async function startPush({ push }: PushFlags, runId: string, project: Project, context: Context) {
  if (!(push ?? project.config.remote?.live === true)) return null;
  const { startLivePush } = await import('../live-push.ts');
  return startLivePush(context, project, runId, undefined);
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
