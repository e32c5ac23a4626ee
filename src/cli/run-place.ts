/** A job in a copy of the recorded code: what of its command, folder and environment names the workspace, names the copy. */
import { existsSync, globSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join, normalize, relative, resolve } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { findRecordedCode } from '../git/recorded-code.ts';
import type { Snapshot } from '../git/snapshot-record.ts';
import { runFolder } from '../journal/layout.ts';
import { type CopyLink, takeCopy } from '../runner/copy-pool.ts';
import type { JobCommand } from '../runner/job-process.ts';
import type { RunPlan } from '../runner/supervise.ts';
import type { Context, Project } from './context.ts';
import { inert } from './inert.ts';

/** Linked where they are and `run.link` names nothing: environments, which no snapshot holds. */
const USUAL_LINKS = ['.venv', 'venv', 'node_modules'];

/** Gives `place` of a run's plan: once the code is pinned, a copy of the pool that only this run works in. */
export function placeInCopy(job: JobCommand, project: Project, context: Context): RunPlan['place'] {
  const { layout } = project;
  const named = linkNames(project);
  return async (snapshot, runId, signal) => {
    const { repository } = snapshot;
    const code = await findRecordedCode({
      snapshot,
      env: context.env,
      privateDir: layout.privateGit,
      places: [layout.project, context.cwd],
    });
    const top = repository ?? layout.project;
    const inside = relative(top, realpathSync(layout.project));
    const projectInside = inside.startsWith('..') ? null : inside;
    const copy = await takeCopy({
      pool: join(realpathSync(layout.root), 'pool'),
      runId,
      code,
      links: projectInside === null ? [] : linksOf(named, layout.project, projectInside),
      keep: join(runFolder(layout, runId), 'outputs'),
      env: context.env,
      signal,
    });
    for (const { message, hint } of copy.warnings) {
      context.warn(`waddle: ${inert(message)} (${inert(hint)})\n`);
    }
    const { folder, noteJob, collect, release } = copy;
    const moved = moveJob(job, { snapshot, top, folder });
    if (projectInside !== null) moved.env.WADDLE_CODE = join(folder, projectInside);
    return { job: moved, noteJob, collect, release };
  };
}

/** What `run.link` names, checked; the usual ones, where it names nothing, if they are there. */
function linkNames({ config, layout }: Project): string[] {
  const named = config.run?.link;
  if (named === undefined) return USUAL_LINKS.filter((name) => existsSync(join(layout.project, name)));
  return named.map((name) => {
    const path = normalize(name).replace(/\/$/, '');
    if (
      isAbsolute(path) ||
      path === '.' ||
      path.split('/').some((part) => part === '..' || part === '.git')
    ) {
      throw new WaddleError(
        'config-invalid',
        `run.link in waddle.json names ${inert(name)}, which is no path in the project folder`,
        'Name files and folders by their paths from waddle.json on; a symbolic link there may lead elsewhere.',
        { exitCode: 2 },
      );
    }
    return path;
  });
}

function linksOf(names: readonly string[], project: string, inside: string): CopyLink[] {
  return names.map((name) => ({ from: join(project, name), to: join(inside, name) }));
}

function moveJob(
  job: JobCommand,
  { snapshot, top, folder }: { snapshot: Snapshot; top: string; folder: string },
): JobCommand {
  const cwd = join(folder, snapshot.prefix);
  // A folder without recorded files is not in the copy.
  mkdirSync(cwd, { recursive: true });
  const real = realpathSync(job.cwd);
  const move = (path: string): string => movedPath(path, top, folder) ?? path;
  const env = { ...job.env };
  const editable = editablePaths(job).flatMap((path) => movedPath(path, top, folder) ?? []);
  const paths = (env.PYTHONPATH ?? '').split(delimiter).filter((part) => part !== '');
  env.PYTHONPATH = [...paths.map(move), ...editable].join(delimiter);
  if (env.PWD !== undefined) env.PWD = cwd;
  return { file: movedFile(job.file, { cwd, real, move }), args: job.args.map(move), cwd, env };
}

/** The same path in the copy, where it is one of the recorded files or folders; what is linked stays what it is. */
function movedPath(path: string, top: string, folder: string): string | null {
  if (path !== top && !path.startsWith(`${top}/`)) return null;
  const moved = folder + path.slice(top.length);
  // An entry may name its callable behind the file.
  const file = existsSync(moved) ? moved : moved.replace(/:[\w$.]+$/, '');
  if (!existsSync(file)) return null;
  return `${realpathSync(file)}/`.startsWith(`${folder}/`) ? moved : null;
}

/** A program in the workspace that is not recorded (`.venv/bin/python`) is run from there. */
function movedFile(
  file: string,
  { cwd, real, move }: { cwd: string; real: string; move: (path: string) => string },
): string {
  if (!file.includes('/')) return file;
  if (isAbsolute(file)) return move(file);
  const here = resolve(real, file);
  if (move(here) !== here || existsSync(join(cwd, file)) || !existsSync(here)) return file;
  return here;
}

/**
 * Folders of the workspace that an interpreter imports from by `pip install -e`: without this the job would run the
 * workspace's code instead of the recorded.
 */
function editablePaths({ file, env }: JobCommand): string[] {
  const prefix = isAbsolute(file) ? dirname(dirname(file)) : env.VIRTUAL_ENV;
  if (prefix === undefined) return [];
  const found: string[] = [];
  for (const name of globSync('lib/python3*/site-packages/*.pth', { cwd: prefix })) {
    try {
      const lines = readFileSync(join(prefix, name), 'utf8').split('\n');
      found.push(...lines.map((line) => line.trim()).filter((line) => isAbsolute(line)));
    } catch {
      // Not readable for the job either.
    }
  }
  return found;
}
