/**
 * Pushing a run while it goes: a process of its own at low priority, which the job neither waits for nor fails by. What it
 * has to say lies in `.waddle/live/`: `<run>.json` while something is not pushed, `<run>.end` once the run is over.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { isRunId } from '../events/ids.ts';
import type { Layout } from '../journal/layout.ts';
import type { Context, Project } from './context.ts';
import { inert } from './inert.ts';
import { CLI_FILE } from './program-files.ts';
import { chooseRemote, showAddress } from './remotes.ts';

export interface LiveState {
  remote: string;
  pid: number;
  state: 'pushing' | 'failing' | 'stopped';
  /** Why it is failing or has stopped. */
  message: string;
}

/** How long the end of a run waits for its last bytes to be pushed, in ms. */
const LAST_PUSH_MS = 5000;
const LOOK_MS = 50;

function place(layout: Layout, run: string, ending: 'json' | 'end'): string {
  return join(layout.root, 'live', `${run}.${ending}`);
}

export function readLiveState(layout: Layout, run: string): LiveState | null {
  try {
    return JSON.parse(readFileSync(place(layout, run, 'json'), 'utf8')) as LiveState;
  } catch {
    return null;
  }
}

export function writeLiveState(layout: Layout, run: string, state: LiveState): void {
  const path = place(layout, run, 'json');
  mkdirSync(join(layout.root, 'live'), { recursive: true });
  writeFileSync(`${path}.tmp`, JSON.stringify(state));
  renameSync(`${path}.tmp`, path);
}

/** All of the run is pushed. */
export function clearLiveState(layout: Layout, run: string): void {
  for (const ending of ['json', 'end'] as const) rmSync(place(layout, run, ending), { force: true });
}

export function isOver(layout: Layout, run: string): boolean {
  return existsSync(place(layout, run, 'end'));
}

/** Runs of which a live push was not whole, whoever began it. */
export function unfinishedRuns(layout: Layout): string[] {
  try {
    return readdirSync(join(layout.root, 'live'))
      .filter((name) => name.endsWith('.json'))
      .map((name) => name.slice(0, -'.json'.length))
      .filter(isRunId);
  } catch {
    return [];
  }
}

export interface LivePush {
  /** The run is over: waits a moment for the last bytes; gives a line of what is not pushed, or ''. */
  end(): Promise<string>;
}

/**
 * Begins to push a run, and says where it can be watched. Where the remote is not to be had is told in the end, not here.
 * @throws WaddleError where there is no such remote
 */
export function startLivePush(
  context: Context,
  project: Project,
  run: string,
  named: string | undefined,
): LivePush {
  const { layout } = project;
  const remote = chooseRemote(context, project, named);
  clearLiveState(layout, run);
  writeLiveState(layout, run, {
    remote: remote.name,
    pid: process.pid,
    state: 'pushing',
    message: 'it had no time yet',
  });
  const shown = showAddress(remote.url);
  const where = /^https?:/.test(remote.url) ? new URL(`runs/${run}`, shown).href : shown;
  context.say(`waddle: pushed to ${inert(remote.name)} as it goes: ${where}\n`);
  let failure: string | undefined;
  const words = ['__push', '--dir', layout.project, '--run', run, '--pid', String(process.pid)];
  if (named !== undefined) words.push('--remote', named);
  try {
    const child = spawn(process.execPath, [CLI_FILE, ...words], {
      cwd: layout.project,
      env: { ...context.env, NODE_OPTIONS: undefined },
      detached: true,
      stdio: 'ignore',
    });
    child.once('error', (error) => {
      failure = error.message;
    });
    if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_LOW);
    child.unref();
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  return {
    end: async () => {
      writeFileSync(place(layout, run, 'end'), '');
      const deadline = Date.now() + LAST_PUSH_MS;
      let state = readLiveState(layout, run);
      while (state !== null && state.state !== 'stopped' && failure === undefined && Date.now() < deadline) {
        await new Promise((wake) => setTimeout(wake, LOOK_MS));
        state = readLiveState(layout, run);
      }
      if (state === null) return '';
      const goes =
        state.state === 'stopped' || failure !== undefined ? '' : '; it is tried again for ten minutes';
      return `waddle: not all of it is pushed to ${inert(remote.name)}: ${inert(failure ?? state.message)}${goes}; waddle push ${run} catches up\n`;
    },
  };
}
