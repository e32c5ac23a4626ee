import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { readConfig } from '../config/config.ts';
import { findProject } from '../config/project.ts';
import type { WaddleJson } from '../config/schema.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { storePath } from '../ingest/store-path.ts';
import { type Layout, layoutOf } from '../journal/layout.ts';
import { inert } from './inert.ts';

/** What a command knows of the world around it. The only way for it to the working directory and the environment. */
export interface Context {
  cwd: string;
  env: Record<string, string | undefined>;
  /** Writes data to stdout as it is. */
  out(text: string): void;
  /** Writes a remark for a person to stderr, unless `--quiet`. */
  say(text: string): void;
  /** Writes a warning or an error to stderr, always. */
  warn(text: string): void;
  quiet: boolean;
  /** Whether stdout is a terminal. */
  terminal: boolean;
  /** Columns of the terminal, else 80. */
  columns: number;
  /** Whether stdout takes colours: a terminal, and no NO_COLOR. */
  colors: boolean;
  /** Whether stderr is a terminal: progress lines have a place. */
  progress: boolean;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Waits until what was given to `out` is on its way: long output must not pile up in memory. */
  drained(): Promise<void>;
  /** Writes bytes to stdout as they are; resolves when more are welcome. */
  outBytes(bytes: Uint8Array): Promise<void>;
  /** Asks a person and resolves to the answer; undefined where nobody can answer (stdin or stderr is no terminal). */
  ask(question: string): Promise<string | undefined>;
  /** Set by a command that has done its work and still does not end with 0. */
  exitCode: number;
  /** `--dir`, where it was given. */
  dir?: string | undefined;
}

export interface Project {
  layout: Layout;
  config: WaddleJson;
}

/**
 * The project folder that the command works in: `--dir`, else WADDLE_DIR, else found upwards from the working directory.
 * @throws WaddleError where a folder was named that is not there
 */
export function targetFolder(context: Context): string {
  const named = context.dir ?? (context.env.WADDLE_DIR || undefined);
  if (named === undefined) return findProject(context.cwd);
  const folder = resolve(context.cwd, named);
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() === true) return folder;
  throw new WaddleError(
    'no-such-folder',
    `there is no folder ${inert(folder)}`,
    context.dir === undefined
      ? 'WADDLE_DIR names it: correct the variable, or unset it.'
      : 'Give --dir the folder that holds waddle.json or .waddle/.',
  );
}

/** The project folder with its configuration. Writes nothing. */
export async function openProject(context: Context): Promise<Project> {
  const folder = targetFolder(context);
  return { layout: layoutOf(folder), config: await readConfig(folder) };
}

/** Where the project's database lies. Where that is on a network disk, it is in the user's cache folder instead. */
export function storeFile(project: Project, env: Context['env']): string {
  const home = env.HOME || homedir();
  const cacheHome =
    env.XDG_CACHE_HOME ||
    (process.platform === 'darwin' ? join(home, 'Library/Caches') : join(home, '.cache'));
  return storePath(project.layout, project.config.db ?? null, { cacheHome });
}
