import { resolve } from 'node:path';
import { readConfig } from '../config/config.ts';
import { findProject } from '../config/project.ts';
import type { WaddleJson } from '../config/schema.ts';
import { type Layout, layoutOf } from '../journal/layout.ts';

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
  /** `--dir`, where it was given. */
  dir?: string | undefined;
}

export interface Project {
  layout: Layout;
  config: WaddleJson;
}

/** The project folder that the command works in: `--dir`, else WADDLE_DIR, else found upwards from the working directory. */
export function targetFolder(context: Context): string {
  const named = context.dir ?? (context.env.WADDLE_DIR || undefined);
  return named === undefined ? findProject(context.cwd) : resolve(context.cwd, named);
}

/** The project folder with its configuration. Writes nothing. */
export async function openProject(context: Context): Promise<Project> {
  const folder = targetFolder(context);
  return { layout: layoutOf(folder), config: await readConfig(folder) };
}
