import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { say } from './say.ts';

/**
 * The project folder of a job: the nearest folder upwards with `waddle.json` or `.waddle/`, else the repository's top,
 * else where it starts. (As the command line finds it; the client cannot load that: it would bring its parts along.)
 */
export function findProjectFolder(start: string): string {
  let top: string | undefined;
  for (let folder = resolve(start); ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'waddle.json')) || existsSync(join(folder, '.waddle'))) return folder;
    if (top === undefined && existsSync(join(folder, '.git'))) top = folder;
    if (folder === dirname(folder)) return top ?? resolve(start);
  }
}

export interface RunDefaults {
  name?: string;
  project?: string;
  notes?: string;
  group?: string;
  tags: Record<string, string>;
}

/** The `run` section of `waddle.json`. A file that is wrong costs a log client its defaults, not the job. */
export function readDefaults(folder: string): RunDefaults {
  const defaults: RunDefaults = { tags: {} };
  let section: unknown;
  try {
    const value: unknown = JSON.parse(
      readFileSync(join(folder, 'waddle.json'), 'utf8').replace(/^\uFEFF/, ''),
    );
    section = (value as { run?: unknown } | null)?.run;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      say(
        `waddle.json cannot be read (${error instanceof Error ? error.message : error}); its defaults are not used`,
      );
    }
    return defaults;
  }
  if (typeof section !== 'object' || section === null) return defaults;
  const run = section as Record<string, unknown>;
  for (const key of ['name', 'project', 'notes', 'group'] as const) {
    const value = run[key];
    if (typeof value === 'string' && value !== '') defaults[key] = value;
  }
  if (typeof run.tags === 'object' && run.tags !== null) {
    for (const [key, value] of Object.entries(run.tags)) defaults.tags[key] = String(value);
  }
  return defaults;
}
