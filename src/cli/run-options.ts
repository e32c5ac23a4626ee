import type { Command } from 'commander';
import type { WaddleJson } from '../config/schema.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import type { SnapshotPolicy } from '../git/policy.ts';
import type { EnvironmentPlan } from '../runner/environment.ts';
import type { Context } from './context.ts';

/** What `waddle run` was asked for: flags over environment over `waddle.json`. */
export interface RunOptions {
  repo: string | undefined;
  entry: string | undefined;
  project: string | undefined;
  name: string | undefined;
  notes: string | undefined;
  tags: Record<string, string>;
  group: string | undefined;
  python: string | undefined;
  resume: string | undefined;
  autoCommit: boolean;
  commitMessage: string | undefined;
  tty: boolean;
  isolate: boolean;
  /** What follows `--`: the entry's arguments, or the command. */
  words: string[];
}

/** The flags as commander gives them. */
export interface RunFlags {
  repo?: string;
  entry?: string;
  project?: string;
  name?: string;
  notes?: string;
  tag?: string[];
  group?: string;
  python?: string;
  resume?: string;
  autoCommit?: boolean;
  commitMessage?: string;
  tty?: boolean;
  isolate?: boolean;
}

export function defineRunFlags(command: Command): void {
  command
    .usage('[options] -- ARGS...')
    .argument('[args...]', 'after --: the arguments of --entry, or a command to run')
    .option('--entry <entry>', 'a Python module, module:callable, or a TypeScript/JavaScript file')
    .option('--repo <name>', 'run in and from a linked repository (waddle repo-link)')
    .option('--project <label>', 'the label that groups runs')
    .option('--name <name>', 'a name for the run')
    .option('--notes <text>', 'notes')
    .option('--tag <k=v>', 'a tag; may be given again', (pair: string, pairs: string[] = []) => [
      ...pairs,
      pair,
    ])
    .option('--group <name>', 'the group the run belongs to (a sweep, a set of ranks)')
    .option('--python <path>', 'the Python interpreter for --entry')
    .option('--resume <run>', 'go on with a run instead of beginning one')
    .option('--no-auto-commit', 'do not pin the code; record HEAD and whether the workspace differs')
    .option('--commit-message <text>', "the snapshot commit's message")
    .option('--isolate', 'run in a copy of the recorded code, not in the workspace')
    .option('--no-isolate', 'run in the workspace, whatever waddle.json says')
    .option('--tty', 'give the job a terminal of its own');
}

export function resolveOptions(
  flags: RunFlags,
  words: string[],
  config: WaddleJson,
  context: Context,
): RunOptions {
  const run = config.run ?? {};
  const { env } = context;
  return {
    repo: text(flags.repo) ?? text(run.repo),
    entry: flags.entry === '' ? undefined : (flags.entry ?? text(run.entry)),
    project: text(flags.project) ?? text(env.WADDLE_PROJECT) ?? text(run.project),
    name: text(flags.name) ?? text(env.WADDLE_NAME) ?? text(run.name),
    notes: text(flags.notes) ?? text(run.notes),
    tags: { ...run.tags, ...parseTags(flags.tag ?? []) },
    group: text(flags.group) ?? text(run.group),
    python: text(flags.python) ?? text(run.python),
    resume: text(flags.resume),
    autoCommit: flags.autoCommit !== false && run.auto_commit !== false,
    commitMessage: text(flags.commitMessage),
    tty: flags.tty === true,
    isolate: flags.isolate ?? run.isolate === true,
    words,
  };
}

function text(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function parseTags(pairs: readonly string[]): Record<string, string> {
  const tags: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) {
      throw new WaddleError(
        'bad-tag',
        `--tag "${pair}" is not of the form key=value`,
        'Such as: --tag model=linear',
        {
          exitCode: 2,
        },
      );
    }
    tags[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return tags;
}

/** What `waddle.json` says about the files that a snapshot keeps. */
export function snapshotPolicy(config: WaddleJson): SnapshotPolicy {
  const megabytes = config.snapshot?.max_file_mb;
  return {
    maxFileBytes: megabytes === undefined ? undefined : megabytes * 2 ** 20,
    exclude: config.snapshot?.exclude,
  };
}

/** What `waddle.json` says about the record of the environment. */
export function environmentPlan(config: WaddleJson): EnvironmentPlan {
  return {
    variables: config.environment?.variables ?? [],
    fingerprint: config.snapshot?.fingerprint ?? [],
  };
}
