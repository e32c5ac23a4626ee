import { constants, setPriority } from 'node:os';
import type { Command } from 'commander';
import { type Context, openProject, type Project } from '../context.ts';
import { KeptRemote } from '../kept-remote.ts';
import {
  clearLiveState,
  isOver,
  type LiveState,
  readLiveState,
  unfinishedRuns,
  writeLiveState,
} from '../live-push.ts';
import { pushRuns } from '../push-runs.ts';
import { chooseRemote } from '../remotes.ts';
import { openOwnSpace } from '../sync-place.ts';

interface Flags {
  run: string;
  pid: string;
  remote?: string;
}

/** Between two looks, between two tries where the network is dead (at most), and after the end of the run. Milliseconds. */
const LOOK_MS = 1000;
const MAX_PAUSE_MS = 60_000;
const PATIENCE_MS = 600_000;

/** `waddle __push`: pushes a run while it goes. Started by `waddle run --push`, never by people. */
export function define(command: Command, context: Context): void {
  command
    .requiredOption('--run <id>')
    .requiredOption('--pid <pid>', 'the process that watches the run')
    .option('--remote <name>')
    .action((flags: Flags) => pushLive(flags, context));
}

async function pushLive(flags: Flags, context: Context): Promise<void> {
  try {
    setPriority(constants.priority.PRIORITY_LOW);
  } catch {
    // It goes on at the priority that it has.
  }
  const project = await openProject(context);
  const kept = new KeptRemote(context, project);
  try {
    await pushOn(context, project, flags, kept);
  } finally {
    await kept.close();
  }
}

/** Until all of the run is pushed, or nothing more can be. */
async function pushOn(context: Context, project: Project, flags: Flags, kept: KeptRemote): Promise<void> {
  const { layout } = project;
  const { run } = flags;
  const remote = chooseRemote(context, project, flags.remote);
  const tell = (state: LiveState['state'], message: string) =>
    writeLiveState(layout, run, { remote: remote.name, pid: process.pid, state, message });
  tell('pushing', 'it had no time yet');
  let pause = LOOK_MS;
  let overSince: number | undefined;
  let pushed = '';
  for (;;) {
    // Looked at before the push: what was written before the run was over is in it.
    const over = isOver(layout, run) || !isAlive(Number(flags.pid));
    if (over) overSince ??= Date.now();
    try {
      const done = await pushOnce(context, project, flags, kept, pushed);
      if (done.secrets > 0) {
        tell('stopped', `${done.secrets} places hold what looks like a secret`);
        return;
      }
      if (done.problem !== null) {
        tell('stopped', done.problem);
        return;
      }
      pushed = done.digest;
      pause = LOOK_MS;
      if (over) {
        clearLiveState(layout, run);
        return;
      }
      if (done.moved) tell('pushing', 'the last lines are on their way');
    } catch (error) {
      await kept.close();
      tell('failing', error instanceof Error ? error.message : String(error));
      if (overSince !== undefined && Date.now() - overSince > PATIENCE_MS) return;
      pause = Math.min(MAX_PAUSE_MS, pause * 2) * (0.5 + Math.random() / 2);
    }
    await rest(pause, () => !over && isOver(layout, run));
  }
}

/** Sleeps, but not past the end of the run. */
async function rest(ms: number, wake: () => boolean): Promise<void> {
  for (const until = Date.now() + ms; Date.now() < until && !wake(); ) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(100, ms)));
  }
}

/** No request where nothing has changed since `before`. */
async function pushOnce(context: Context, project: Project, flags: Flags, kept: KeptRemote, before: string) {
  const { layout } = project;
  const own = openOwnSpace(context, project);
  try {
    const digest = (await own.digests([flags.run])).get(flags.run) ?? '';
    if (digest === before) return { digest, moved: false, secrets: 0, problem: null };
    const remote = await kept.open(chooseRemote(context, project, flags.remote));
    const left = unfinishedRuns(layout).filter((run) => run !== flags.run && isLeft(layout, run));
    const runs = digest === '' ? left : [flags.run, ...left];
    const { report, secrets } = await pushRuns({ own, remote, runs });
    const problem = report?.problems.find((each) => each.run === flags.run && each.code !== 'blob-missing');
    if (secrets.length === 0) for (const run of left) clearLiveState(layout, run);
    return { digest, moved: true, secrets: secrets.length, problem: problem?.message ?? null };
  } finally {
    await own.close();
  }
}

/** Whether nobody sees to an earlier run's live push any more. */
function isLeft(layout: Project['layout'], run: string): boolean {
  const state = readLiveState(layout, run);
  return state !== null && state.state !== 'stopped' && !isAlive(state.pid);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
