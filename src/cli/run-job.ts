import { existsSync, statSync } from 'node:fs';
import { basename, delimiter, relative, resolve } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import type { Layout } from '../journal/layout.ts';
import { isPythonName } from '../runner/environment.ts';
import { findProgram, findPython } from '../runner/interpreter.ts';
import type { JobCommand } from '../runner/job-process.ts';
import type { Context } from './context.ts';
import { findLink } from './links.ts';
import { BOOT_FILE, PYTHON_FOLDER, RESOLVE_FILE } from './program-files.ts';
import type { RunOptions } from './run-options.ts';

/** What is to be started, and how the run's record names it. */
export interface ResolvedJob {
  job: JobCommand;
  /** `module`, `module:callable` or a file; null for a command. */
  entry: string | null;
  /** The arguments of an entry. */
  argv: string[] | null;
  /** A command with its arguments. */
  command: string[] | null;
  repo: string | null;
  /** The interpreter, where the job is known to be Python. */
  python: string | null;
  /** A short word for the job, for the run's default name. */
  stem: string;
}

/** Finds everything that the job needs. Whatever can be wrong with the request is found here, before there is a run. */
export function resolveJob(options: RunOptions, layout: Layout, context: Context): ResolvedJob {
  const cwd = workingFolder(options, layout, context);
  const env = jobEnvironment(context);
  if (options.entry !== undefined) return resolveEntry(options.entry, options, layout, cwd, env);
  const [file, ...args] = options.words;
  if (file === undefined || file === '') {
    throw new WaddleError(
      'nothing-to-run',
      'there is nothing to run',
      'Name a command: waddle run -- python train.py; or an entry: waddle run --entry MODULE -- ARGS',
      { exitCode: 2 },
    );
  }
  const python = isPythonName(file) ? findProgram(file, cwd, env) : null;
  if (/^(node|nodejs|npx|tsx)$/.test(basename(file))) offerClient(env);
  return {
    job: { file, args, cwd, env },
    entry: null,
    argv: null,
    command: options.words,
    repo: options.repo ?? null,
    python,
    stem: commandStem(options.words),
  };
}

/** The user's working directory; the top of a linked repository where that is another than the one around here. */
function workingFolder(options: RunOptions, layout: Layout, context: Context): string {
  if (options.repo === undefined) return context.cwd;
  const path = findLink(layout, options.repo);
  if (path === null) {
    throw new WaddleError(
      'link-missing',
      `there is no repository linked as "${options.repo}"`,
      `Link it: waddle repo-link --name ${options.repo} --path DIR`,
    );
  }
  if (!isFolder(path)) {
    throw new WaddleError(
      'link-broken',
      `the repository linked as "${options.repo}" is gone: ${path}`,
      `Link it anew: waddle repo-link --name ${options.repo} --path DIR`,
    );
  }
  const inside = relative(path, context.cwd);
  return inside === '' || !inside.startsWith('..') ? context.cwd : path;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

const NODE_ENTRY = /^(.+\.[cm]?[jt]sx?)(?::([\w$.]+))?$/;

function resolveEntry(
  entry: string,
  options: RunOptions,
  layout: Layout,
  cwd: string,
  env: Record<string, string | undefined>,
): ResolvedJob {
  const recorded = { entry, argv: options.words, command: null, repo: options.repo ?? null };
  const node = NODE_ENTRY.exec(entry);
  if (node !== null) {
    const [, path = '', callable] = node;
    const file = [resolve(cwd, path), resolve(layout.project, path)].find((each) => existsSync(each));
    if (file === undefined) {
      throw new WaddleError(
        'entry-missing',
        `there is no file ${resolve(cwd, path)}`,
        'Name the entry from the working directory, or from the project folder.',
      );
    }
    offerClient(env);
    const target = callable === undefined ? file : `${file}:${callable}`;
    return {
      ...recorded,
      job: { file: process.execPath, args: [BOOT_FILE, target, '--', ...options.words], cwd, env },
      python: null,
      stem: stemOf(path),
    };
  }
  const python = findPython({ named: options.python, cwd, project: layout.project, env });
  const [module = '', callable] = entry.split(':', 2);
  if (!/^[^\s/\\:.-][^\s/\\:-]*$/.test(module) || module.endsWith('.py') || callable === '') {
    const dotted = module
      .replace(/\.py$/, '')
      .replace(/^(\.?\/)+/, '')
      .replaceAll('/', '.');
    throw new WaddleError(
      'entry-invalid',
      `--entry "${entry}" is neither a Python module nor a TypeScript or JavaScript file`,
      `Name a module as Python imports it, such as --entry ${dotted || 'examples.train'}; or run the file: waddle run -- python ${module}`,
      { exitCode: 2 },
    );
  }
  return {
    ...recorded,
    job: { file: python, args: ['-u', '-m', 'waddle._boot', entry, '--', ...options.words], cwd, env },
    python,
    stem: module.split('.').at(-1) ?? module,
  };
}

/** The word that says most about a command: the script of an interpreter, else the command itself. */
function commandStem(words: readonly string[]): string {
  const [file = 'run', ...rest] = words;
  const script = rest.find((word) => /\.(py|[cm]?[jt]sx?|sh|R|jl|ipynb)$/.test(word));
  if (script !== undefined) return stemOf(script);
  const at = rest.indexOf('-m');
  const module = at === -1 ? undefined : rest[at + 1];
  if (isPythonName(file) && module !== undefined) return module.split('.').at(-1) ?? module;
  return stemOf(file);
}

function stemOf(path: string): string {
  return basename(path).replace(/(?!^)\.[^.]*$/, '') || 'run';
}

/** The user's environment, with what lets a job find the Python package and show itself on a terminal. */
function jobEnvironment(context: Context): Record<string, string | undefined> {
  const env = { ...context.env };
  // Meant for this run, not for the runs that its job may begin.
  delete env.WADDLE_NAME;
  delete env.WADDLE_HANGUP_IGNORED;
  delete env.WADDLE_CLIENT_PID;
  delete env.WADDLE_CODE;
  const own = PYTHON_FOLDER;
  const paths = (env.PYTHONPATH ?? '').split(delimiter).filter((part) => part !== '' && part !== own);
  env.PYTHONPATH = [...paths, own].join(delimiter);
  // Its stdout is a file: without this Python would hold back what it prints.
  env.PYTHONUNBUFFERED ??= '1';
  const out = process.stdout.isTTY === true;
  const err = process.stderr.isTTY === true;
  if (out || err) env.COLUMNS ??= String((out ? process.stdout : process.stderr).columns || 80);
  // Only where both are terminals: colours in a file that stdout goes to would be noise.
  if (out && err && !env.NO_COLOR) {
    env.FORCE_COLOR ??= '1';
    env.TTY_COMPATIBLE ??= '1';
  }
  return env;
}

/** Lets `import … from 'waddleml/client'` work in a Node job that has not installed it. */
function offerClient(env: Record<string, string | undefined>): void {
  if (!existsSync(RESOLVE_FILE)) return;
  env.NODE_OPTIONS = [env.NODE_OPTIONS, `--require=${JSON.stringify(RESOLVE_FILE)}`]
    .filter((part) => part)
    .join(' ');
}
