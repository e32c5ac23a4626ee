/** A job in a copy of the recorded code: what of its command, folder and environment names the workspace, names the copy. */
import { existsSync, globSync, mkdirSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, dirname, isAbsolute, join, normalize, relative, resolve } from 'node:path';
import { WaddleError } from '../errors/waddle-error.ts';
import { findRecordedCode, type RecordedCode } from '../git/recorded-code.ts';
import { findRepository } from '../git/repository.ts';
import type { Snapshot } from '../git/snapshot-record.ts';
import { runFolder } from '../journal/layout.ts';
import { type Copy, takeCopy } from '../runner/copy-pool.ts';
import type { JobPlace } from '../runner/job-place.ts';
import type { JobCommand } from '../runner/job-process.ts';
import type { RunPlan } from '../runner/supervision.ts';
import type { Context, Project } from './context.ts';
import { inert } from './inert.ts';

/** Linked where they are and `run.link` names nothing: environments, which no snapshot holds. */
const USUAL_LINKS = ['.venv', 'venv', 'node_modules'];

/** Gives `place` of a run's plan: once the code is pinned, a copy of the pool that only this run works in. */
export function placeInCopy(job: JobCommand, project: Project, context: Context): RunPlan['place'] {
  const links = linkNames(project);
  outputPatterns(project.config);
  return async (snapshot, runId, signal) => {
    const code = await findRecordedCode({
      snapshot,
      env: context.env,
      privateDir: project.layout.privateGit,
      places: [project.layout.project, context.cwd],
    });
    const opened = await openCopy({ snapshot, code, runId, links, project, context, signal });
    return placeOf(job, opened, project);
  };
}

export interface OpenedCopy {
  copy: Copy;
  /** Where the recorded paths began when they were recorded. */
  top: string;
  /** The job's working folder in the copy. */
  cwd: string;
  /** The project folder's place in the copy; null where it is not in that repository. */
  project: string | null;
}

/** Takes a copy of the pool for a run, with its links. */
export async function openCopy(options: {
  snapshot: Snapshot;
  code: RecordedCode;
  runId: string;
  /** As `linkNames` gives them. */
  links: readonly string[];
  project: Project;
  context: Context;
  signal?: AbortSignal;
}): Promise<OpenedCopy> {
  const { snapshot, code, runId, links, context, signal } = options;
  const { layout } = options.project;
  const inside = await projectPath(snapshot, code, layout.project, context);
  const copy = await takeCopy({
    pool: join(realpathSync(layout.root), 'pool'),
    runId,
    code,
    links:
      inside === null
        ? []
        : links.map((name) => ({ from: join(layout.project, name), to: join(inside, name) })),
    keep: join(runFolder(layout, runId), 'outputs'),
    env: context.env,
    signal,
  });
  for (const { message, hint } of copy.warnings) {
    context.warn(`waddle: ${inert(message)} (${inert(hint)})\n`);
  }
  const cwd = join(copy.folder, snapshot.prefix);
  // A folder without recorded files is not in the copy.
  mkdirSync(cwd, { recursive: true });
  return {
    copy,
    top: snapshot.repository ?? layout.project,
    cwd,
    project: inside === null ? null : join(copy.folder, inside),
  };
}

/** The project folder relative to the top of the recorded tree, here or where the repository is now. */
async function projectPath(
  snapshot: Snapshot,
  code: RecordedCode,
  project: string,
  context: Context,
): Promise<string | null> {
  const real = realpathSync(project);
  const tops = [snapshot.repository];
  const found = await findRepository({ cwd: real, env: context.env });
  if (found.kind === 'repository' && found.commonDir === code.gitDir) tops.push(found.top);
  for (const top of tops) {
    const inside = top === null ? '..' : relative(top, real);
    if (!inside.startsWith('..')) return inside;
  }
  return null;
}

/** The job as it runs in the copy. */
export function placeOf(job: JobCommand, opened: OpenedCopy, { config }: Project): JobPlace {
  const { noteJob, collect, release } = opened.copy;
  const moved = moveJob(job, opened);
  if (opened.project !== null) moved.env.WADDLE_CODE = opened.project;
  const outputs =
    opened.project === null
      ? { from: '', patterns: [] }
      : { from: relative(opened.copy.folder, opened.project), patterns: outputPatterns(config) };
  return { job: moved, outputs, noteJob, collect, release };
}

function outputPatterns(config: Project['config']): string[] {
  const patterns = config.run?.outputs ?? [];
  const bad = patterns.find((pattern) => isAbsolute(pattern) || pattern.split('/').includes('..'));
  if (bad === undefined) return patterns;
  throw new WaddleError(
    'config-invalid',
    `run.outputs in waddle.json names ${inert(bad)}, which is no path in the project folder`,
    'Name files and folders by their paths from waddle.json on; * and ** stand for any.',
    { exitCode: 2 },
  );
}

/** What `run.link` names, checked; the usual ones, where it names nothing, if they are there. */
export function linkNames({ config, layout }: Project): string[] {
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

function moveJob(job: JobCommand, { top, cwd, copy: { folder } }: OpenedCopy): JobCommand {
  const move = (path: string): string => movedPath(path, top, folder) ?? path;
  const env = { ...job.env };
  const editable = editablePaths(job).flatMap((path) => movedPath(path, top, folder) ?? []);
  const paths = (env.PYTHONPATH ?? '').split(delimiter).filter((part) => part !== '');
  env.PYTHONPATH = [...paths.map(move), ...editable].join(delimiter);
  if (env.PWD !== undefined) env.PWD = cwd;
  const file = movedFile(job.file, { cwd, before: job.cwd, move });
  return { file, args: job.args.map(move), cwd, env };
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
  { cwd, before, move }: { cwd: string; before: string; move: (path: string) => string },
): string {
  if (!file.includes('/')) return file;
  if (isAbsolute(file)) return move(file);
  const here = resolve(before, file);
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
