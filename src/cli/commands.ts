import type { Command } from 'commander';
import type { Context } from './context.ts';

/** A command's own file: gives the command its arguments, options and action. */
export interface CommandModule {
  define(command: Command, context: Context): void;
}

interface CommandEntry {
  name: string;
  summary: string;
  /** Not for people: not shown in the help. */
  hidden?: true;
  /** What `--dir` names, where it is not a project folder. */
  folder?: string;
  load(): Promise<CommandModule>;
}

const COLLECTOR_FOLDER = "the collector's folder (default: waddle-collector, here)";

/** What `--dir` is, for the help of a command. */
export function folderHelp(entry: CommandEntry): string {
  return entry.folder ?? 'the project folder (default: found upwards from here)';
}

/** Every command, in the order of the help. A file is loaded only when its command is called. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: 'init', summary: 'make this folder a project folder', load: () => import('./commands/init.ts') },
  {
    name: 'repo-link',
    summary: 'register a git repository under a name',
    load: () => import('./commands/repo-link.ts'),
  },
  { name: 'run', summary: 'run a job and log everything about it', load: () => import('./commands/run.ts') },
  {
    name: 'serve',
    summary: 'serve the dashboard and the API',
    folder:
      'the project folder (default: found upwards from here); of a collector its own (default: waddle-collector, here)',
    load: () => import('./commands/serve.ts'),
  },
  { name: 'stop', summary: 'ask a running job to stop', load: () => import('./commands/stop.ts') },
  { name: 'push', summary: 'send runs to the remote', load: () => import('./commands/push.ts') },
  {
    name: 'pull',
    summary: 'bring down what others have pushed',
    load: () => import('./commands/pull.ts'),
  },
  {
    name: 'redact',
    summary: 'copy a run without the secrets in it',
    load: () => import('./commands/redact.ts'),
  },
  {
    name: 'remote',
    summary: 'name the places that push and pull talk to',
    load: () => import('./commands/remote.ts'),
  },
  { name: 'ls', summary: 'list the runs', load: () => import('./commands/ls.ts') },
  { name: 'show', summary: 'show a run', load: () => import('./commands/show.ts') },
  { name: 'compare', summary: 'put runs side by side', load: () => import('./commands/compare.ts') },
  {
    name: 'reproduce',
    summary: 'run the recorded code again and compare',
    load: () => import('./commands/reproduce.ts'),
  },
  {
    name: 'diff',
    summary: 'tell two runs apart: code, params, environment',
    load: () => import('./commands/diff.ts'),
  },
  { name: 'logs', summary: 'show what a run printed', load: () => import('./commands/logs.ts') },
  {
    name: 'get',
    summary: "bring an artifact's bytes back to disk",
    load: () => import('./commands/get.ts'),
  },
  {
    name: 'checkout',
    summary: "bring a run's code back into a folder",
    load: () => import('./commands/checkout.ts'),
  },
  { name: 'tag', summary: 'set or remove tags of a run', load: () => import('./commands/tag.ts') },
  { name: 'note', summary: 'write notes on a run', load: () => import('./commands/note.ts') },
  { name: 'rename', summary: 'give a run another name', load: () => import('./commands/rename.ts') },
  { name: 'archive', summary: 'put runs out of sight', load: () => import('./commands/archive.ts') },
  { name: 'rm', summary: 'remove runs', load: () => import('./commands/rm.ts') },
  {
    name: 'export',
    summary: 'write runs as CSV, JSON lines or Parquet',
    load: () => import('./commands/export.ts'),
  },
  { name: 'gc', summary: 'reclaim the space of removed runs', load: () => import('./commands/gc.ts') },
  {
    name: 'purge',
    summary: 'take every trace of Waddle out of a repository',
    load: () => import('./commands/purge.ts'),
  },
  {
    name: 'token',
    summary: 'make, list and revoke tokens of a collector',
    folder: COLLECTOR_FOLDER,
    load: () => import('./commands/token.ts'),
  },
  {
    name: 'collector',
    summary: 'back up and restore a collector',
    folder: COLLECTOR_FOLDER,
    load: () => import('./commands/collector.ts'),
  },
  { name: 'doctor', summary: 'check everything Waddle needs', load: () => import('./commands/doctor.ts') },
  {
    name: 'completion',
    summary: 'let the shell complete commands and runs',
    load: () => import('./commands/completion.ts'),
  },
  {
    name: '__complete',
    summary: 'what the shell asks at each press of Tab',
    hidden: true,
    load: () => import('./commands/complete.ts'),
  },
  {
    name: '__helper',
    summary: 'the process beside a job',
    hidden: true,
    load: () => import('./commands/helper.ts'),
  },
  {
    name: '__push',
    summary: 'the process that pushes a run while it goes',
    hidden: true,
    load: () => import('./commands/live-push.ts'),
  },
];
