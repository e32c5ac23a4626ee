import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';

type Env = Record<string, string | undefined>;

/** The file that a command name stands for: itself where it has a `/`, else the first on PATH. Null where there is none. */
export function findProgram(name: string, cwd: string, env: Env): string | null {
  if (name.includes('/') || isAbsolute(name)) {
    const path = resolve(cwd, name);
    return isProgram(path) ? path : null;
  }
  for (const folder of (env.PATH ?? '/usr/local/bin:/usr/bin:/bin').split(delimiter)) {
    const path = resolve(cwd, folder, name);
    if (isProgram(path)) return path;
  }
  return null;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * The Python that runs a job's entry: the one that was named, else that of `$VIRTUAL_ENV`, of the wheel that started
 * Waddle (`WADDLE_PYTHON`), of the project's `.venv`, else `python3` (or `python`) on PATH.
 * @param named `--python` or `run.python`: a path, relative to `cwd`, or a name on PATH
 * @throws WaddleError where there is none
 */
export function findPython(options: {
  named: string | undefined;
  cwd: string;
  project: string;
  env: Env;
}): string {
  const { named, cwd, project, env } = options;
  if (named !== undefined) {
    const found = findProgram(named, cwd, env);
    if (found !== null) return found;
    throw new WaddleError(
      'python-missing',
      `there is no Python interpreter "${named}"`,
      'Give --python the path of one, or a name that is on PATH.',
    );
  }
  const places = [
    env.VIRTUAL_ENV ? join(env.VIRTUAL_ENV, 'bin', 'python') : undefined,
    env.WADDLE_PYTHON || undefined,
    join(project, '.venv', 'bin', 'python'),
  ];
  for (const place of places) if (place !== undefined && isProgram(place)) return place;
  for (const name of ['python3', 'python']) {
    const found = findProgram(name, cwd, env);
    if (found !== null) return found;
  }
  throw new WaddleError(
    'python-missing',
    'there is no Python interpreter: neither a virtual environment nor python3 on PATH',
    'Install Python 3.8 or newer, or name an interpreter: --python PATH',
  );
}
