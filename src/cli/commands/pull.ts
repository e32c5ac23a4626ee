import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { ensureProjectFolder } from '../../journal/project-folder.ts';
import { keepDiverged } from '../../sync/diverged.ts';
import { type Context, openProject } from '../context.ts';
import { count } from '../format-number.ts';
import { example } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { withStore } from '../opened-store.ts';
import { pullRuns } from '../pull-runs.ts';
import { noteReceivedHeads } from '../received-heads.ts';
import { chooseRemote, openRemote } from '../remotes.ts';
import { parseSince } from '../since.ts';
import { openOwnSpace } from '../sync-place.ts';
import {
  hasFailed,
  movedText,
  reportJson,
  startTransferProgress,
  tellProblems,
  tellRemovals,
} from '../sync-report.ts';

interface Options {
  project?: string;
  since?: string;
  filter?: string;
  artifacts: boolean;
  code: boolean;
  prune?: boolean;
  remote?: string;
  dryRun?: boolean;
  json?: boolean;
}

export function define(command: Command, context: Context): void {
  command
    .description('Brings down what others have pushed, only what is missing here.')
    .argument('[runs...]', 'a run of the remote: id, its first 4 or more characters, or name')
    .option('--project <name>', 'only runs of this project')
    .option('--since <time>', 'only runs with news since then: 2d, 12h, 2026-11-26')
    .option('--filter <filter>', 'only these, as "metrics.loss < 0.2"')
    .option('--no-artifacts', 'leave the bytes of artifacts there')
    .option('--no-code', 'leave the code there')
    .option('--prune', 'remove here what was removed elsewhere')
    .option('--remote <name>', 'the remote: a name, or an address')
    .option('--dry-run', 'only say what would come')
    .option('--json', 'print JSON')
    .action((runs: string[], options: Options) => pull(context, runs, options));
  example(command, 'waddle pull', 'waddle pull --project digits --since 7d --no-artifacts');
}

async function pull(context: Context, texts: readonly string[], options: Options): Promise<void> {
  const project = await openProject(context);
  const chosen = chooseRemote(context, project, options.remote);
  const since = options.since === undefined ? undefined : parseSince(options.since, context.now());
  const bar = startTransferProgress(context);
  const remote = await openRemote(context, project, chosen);
  try {
    if (options.dryRun !== true) makeFolder(project.layout);
    const own = openOwnSpace(context, project);
    try {
      const pulled = await pullRuns({
        own,
        remote,
        texts,
        query: { project: options.project, since, filter: options.filter },
        artifacts: options.artifacts,
        code: options.code,
        prune: options.prune,
        dryRun: options.dryRun,
        onProgress: bar.show,
      });
      bar.end();
      const { report, removedThere, pruned, looked } = pulled;
      const diverged = options.dryRun !== true && report.problems.length > 0;
      const kept = diverged ? await keepDiverged(project.layout, remote, report.problems) : [];
      if (options.dryRun !== true) {
        await withStore(context, (opened) => noteReceivedHeads(opened, [...report.runs, ...pruned]));
      }
      if (options.json === true) {
        printJson(context, {
          remote: chosen.name,
          dry_run: options.dryRun === true,
          looked,
          ...reportJson(report),
          removed_there: removedThere,
          pruned,
        });
      }
      tellProblems(context, report.problems);
      for (const path of kept) context.say(`the copy of the remote is kept in ${inert(path)}\n`);
      const verb = options.dryRun === true ? 'Would bring' : 'Brought';
      if (report.runs.size > 0) {
        context.say(`${verb} from ${inert(chosen.name)}: ${movedText(report)}\n`);
      } else if (report.problems.length === 0) {
        context.say(`Nothing new on ${inert(chosen.name)} (${count(looked, 'run')})\n`);
      }
      if (pruned.length > 0) {
        context.say(`${count(pruned.length, 'run')} removed here too; waddle rm --undo brings one back\n`);
      }
      tellRemovals(context, removedThere, 'They stay here: waddle pull --prune removes them.');
      if (hasFailed(report)) context.exitCode = 1;
    } finally {
      await own.close();
    }
  } finally {
    bar.end();
    await remote.close();
  }
}

function makeFolder(layout: Parameters<typeof ensureProjectFolder>[0]): void {
  try {
    ensureProjectFolder(layout);
  } catch (error) {
    throw new WaddleError(
      'not-writable',
      `${layout.root} cannot be made: ${error instanceof Error ? error.message : String(error)}`,
      'Check the permissions of the folder, or name another: --dir PATH',
      { cause: error },
    );
  }
}
