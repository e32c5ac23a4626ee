import { existsSync, lstatSync, readdirSync, realpathSync, rmdirSync, rmSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { Command } from 'commander';
import { CONFIG_FILE } from '../../config/config.ts';
import { WaddleError } from '../../errors/waddle-error.ts';
import { listRuns } from '../../journal/discover.ts';
import { type Context, openProject, type Project, storeFile } from '../context.ts';
import { count, formatBytes } from '../format-number.ts';
import { example } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { withStore } from '../opened-store.ts';
import { findRemovedFolders, folderSize } from '../reclaim.ts';
import { dropRepositoryPins, findPinnedRepositories } from '../reclaim-pins.ts';
import { removeIgnoreRule } from './init.ts';

interface Options {
  dryRun?: boolean;
  yes?: boolean;
  config?: boolean;
  json?: boolean;
}

/** What goes, or has gone. */
interface Purged {
  dry_run: boolean;
  project: string;
  runs: number;
  freed_bytes: number;
  repositories: { git_dir: string; pins: number; kept: string | null }[];
  /** Files and folders, and `.gitignore` where only a rule goes from it. */
  paths: string[];
}

export function define(command: Command, context: Context): void {
  command
    .description(
      'Takes every trace of Waddle out of the repository: refs, .waddle/ with all runs, the ignore rule. For good.',
    )
    .option('--dry-run', 'only say what would go')
    .option('-y, --yes', 'do not ask (needed where nobody can answer)')
    .option('--config', 'remove waddle.json too')
    .option('--json', 'print JSON')
    .action((options: Options) => purge(context, options));
  example(command, 'waddle purge --dry-run');
}

async function purge(context: Context, options: Options): Promise<void> {
  const project = await openProject(context);
  await refuseWhileRunning(context);
  const repositories = await findPinnedRepositories(context, project);
  const paths = pathsOf(project, context, options.config === true);
  const result: Purged = {
    dry_run: options.dryRun === true,
    project: project.layout.project,
    runs: listRuns(project.layout.runs).length,
    freed_bytes: paths.reduce((sum, path) => sum + sizeOf(path), 0),
    repositories: repositories.map(({ gitDir, pins, kept }) => ({
      git_dir: gitDir,
      pins: pins.length,
      kept,
    })),
    paths: paths.map((path) => relative(project.layout.project, path) || path),
  };
  const rule = removeIgnoreRule(context, project.layout.project, { dryRun: true });
  if (rule) result.paths.push('.gitignore');
  const nothing = paths.length === 0 && !rule && repositories.every((each) => each.pins.length === 0);
  if (!result.dry_run && !nothing) {
    if (options.yes !== true && !(await confirm(context, result))) {
      context.say('Nothing was removed.\n');
      return;
    }
    // Pins first, while the runs still tell where they are: a purge that is killed in between can be run again.
    for (const repository of repositories) await dropRepositoryPins(context, repository);
    removeIgnoreRule(context, project.layout.project, { dryRun: false });
    for (const path of paths) removePath(path);
  }
  if (options.json === true) printJson(context, result);
  else context.out(nothing ? 'There is no trace of Waddle here.\n' : describe(result));
}

async function refuseWhileRunning(context: Context): Promise<void> {
  await withStore(context, (opened) => {
    const going = opened.store.prepare("SELECT id FROM runs WHERE status = 'running' LIMIT 1").get();
    const id = going === undefined ? findRemovedFolders(opened).busy[0] : String(going.id);
    if (id === undefined) return;
    throw new WaddleError(
      'run-is-running',
      `${id} is still running: nothing was removed`,
      `Stop it first: waddle stop ${id}`,
    );
  });
}

/** Everything that lies on the disk, where it is there. */
function pathsOf(project: Project, context: Context, config: boolean): string[] {
  const { root, project: folder } = project.layout;
  const store = storeFile(project, context.env);
  const outside = relative(root, store).startsWith('..');
  const databases = outside ? ['', '-wal', '-shm', '-journal'].map((end) => store + end) : [];
  const all = [root, ...databases, ...(config ? [join(folder, CONFIG_FILE)] : [])];
  return all.filter((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
}

function sizeOf(path: string): number {
  const stats = statSync(path, { throwIfNoEntry: false });
  return stats === undefined ? 0 : stats.isDirectory() ? folderSize(path) : stats.size;
}

/** What Waddle makes in `.waddle/`. */
const OURS = /^(?:runs|project|blobs|git|pool|\.gitignore|waddle\.sqlite.*|serve-.*|.*\.(?:lock|tmp))$/;

/**
 * Where `.waddle` is a link, it may lead to a folder with more in it than Waddle's: then only that goes, and the folder where
 * nothing is left in it.
 */
function removePath(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() && existsSync(path)) {
    const target = realpathSync(path);
    if (statSync(target).isDirectory()) {
      for (const name of readdirSync(target)) {
        if (OURS.test(name)) rmSync(join(target, name), { recursive: true, force: true, maxRetries: 3 });
      }
      if (readdirSync(target).length === 0) rmdirSync(target);
    } else rmSync(target);
  }
  rmSync(path, { recursive: true, force: true, maxRetries: 3 });
}

async function confirm(context: Context, result: Purged): Promise<boolean> {
  const answer = await context.ask(
    `${describe({ ...result, dry_run: true })}Remove all of this for good? [y/N] `,
  );
  if (answer === undefined) {
    throw new WaddleError(
      'needs-yes',
      'purge asks first, and nobody can answer here',
      'To purge without asking: --yes; to see what would go: --dry-run',
      { exitCode: 2 },
    );
  }
  return /^y(es)?$/i.test(answer.trim());
}

function describe(result: Purged): string {
  const verb = result.dry_run ? 'Would remove' : 'Removed';
  let text = `${verb} ${count(result.runs, 'run')}, ${formatBytes(result.freed_bytes)}: ${result.paths.map(inert).join(', ') || 'no files'}\n`;
  for (const { git_dir: gitDir, pins, kept } of result.repositories) {
    if (pins > 0) text += `${verb} ${count(pins, 'pin')} (refs/waddle/*) of ${inert(gitDir)}\n`;
    if (kept !== null) text += `Kept: ${inert(kept)}\n`;
  }
  if (result.repositories.some((each) => each.pins > 0)) {
    text +=
      'The objects that only these held are left to git, as those of a deleted branch: git gc collects them in time.\n';
  }
  return text;
}
