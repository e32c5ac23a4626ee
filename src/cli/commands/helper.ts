import type { Command } from 'commander';
import { accompany } from '../../runner/companion.ts';
import { type Context, openProject } from '../context.ts';
import { environmentPlan, snapshotPolicy } from '../run-options.ts';
import { followStore, sealLeftovers, settleRun } from '../run-store.ts';
import { CLIENT } from '../version.ts';

interface HelperFlags {
  run: string;
  attempt: string;
  pid: string;
  cwd: string;
  role?: string;
  python?: string;
}

const DEFAULT_EVERY_S = 10;

/** `waddle __helper`: the process beside a job. Started by `waddle run` and by the clients' `init()`, never by people. */
export function define(command: Command, context: Context): void {
  command
    .requiredOption('--run <id>')
    .requiredOption('--attempt <name>')
    .requiredOption('--pid <pid>')
    .requiredOption('--cwd <folder>')
    .option('--python <path>', 'the interpreter, where it is known')
    .option('--role <role>', 'beside (a waddle run) or init', 'init')
    .action((flags: HelperFlags) => help(flags, context));
}

async function help(flags: HelperFlags, context: Context): Promise<void> {
  try {
    await work(flags, context);
    // Nothing may keep it: its stdin is a pipe that a forked child of the supervisor might hold open.
    process.exit(0);
  } catch (error) {
    // Nobody reads its stderr; the supervisor tells of the exit code.
    context.warn(`waddle: ${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(1);
  }
}

async function work(flags: HelperFlags, context: Context): Promise<void> {
  const project = await openProject(context);
  const { layout, config } = project;
  await accompany({
    layout,
    runId: flags.run,
    attempt: flags.attempt,
    pid: Number(flags.pid),
    cwd: flags.cwd,
    python: flags.python ?? null,
    role: flags.role === 'beside' ? 'beside' : 'init',
    client: CLIENT,
    env: context.env,
    stdin: process.stdin,
    everySeconds: config.system_metrics?.every_s ?? DEFAULT_EVERY_S,
    snapshot: { autoCommit: config.run?.auto_commit !== false, policy: snapshotPolicy(config) },
    environment: environmentPlan(config),
    follow: (signal) => followStore(project, context.env, signal),
    settle: () => {
      settleRun(project, context.env, flags.run);
      sealLeftovers(project, context.env);
    },
  });
}
