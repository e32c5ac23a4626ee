import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { isEmpty } from '../../journal/discover.ts';
import type { Context } from '../context.ts';
import { openProject } from '../context.ts';
import { count } from '../format-number.ts';
import { example, RUN_HELP } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { clearLiveState, isOver, unfinishedRuns } from '../live-push.ts';
import { type Pushed, pushRuns } from '../push-runs.ts';
import { chooseRemote, openRemote, type Remote } from '../remotes.ts';
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
  all?: boolean;
  project?: string;
  remote?: string;
  dryRun?: boolean;
  allowSecrets?: boolean;
  prune?: boolean;
  json?: boolean;
}

/** Secrets that are named one by one. */
const NAMED = 20;

export function define(command: Command, context: Context): void {
  command
    .description('Sends runs to the remote: journals, artifacts and code, only what it lacks.')
    .argument('[runs...]', `${RUN_HELP}; without one, all`)
    .option('--all', 'every run that is here (as without a run)')
    .option('--project <name>', 'the runs of this project')
    .option('--remote <name>', 'the remote: a name, or an address')
    .option('--dry-run', 'only say what would go')
    .option('--allow-secrets', 'send also what looks like tokens and keys')
    .option('--prune', 'remove there what was removed here')
    .option('--json', 'print JSON')
    .action((runs: string[], options: Options) => push(context, runs, options));
  example(command, 'waddle push', 'waddle push @last --dry-run');
}

async function push(context: Context, texts: readonly string[], options: Options): Promise<void> {
  if (texts.length > 0 && (options.all === true || options.project !== undefined)) {
    throw new WaddleError('usage', 'runs, --all and --project exclude each other', 'Give one of them.', {
      exitCode: 2,
    });
  }
  const project = await openProject(context);
  const chosen = chooseRemote(context, project, options.remote);
  if (isEmpty(project.layout)) {
    if (options.json === true) printJson(context, { remote: chosen.name, looked: 0, runs: [] });
    context.say('No runs here yet. Start one: waddle run -- python train.py\n');
    return;
  }
  const runs = await namedRuns(context, texts, options);
  const own = openOwnSpace(context, project);
  const bar = startTransferProgress(context);
  try {
    const remote = await openRemote(context, project, chosen);
    try {
      const pushed = await pushRuns({
        own,
        remote,
        runs,
        dryRun: options.dryRun,
        allowSecrets: options.allowSecrets,
        prune: options.prune,
        onProgress: bar.show,
      });
      bar.end();
      if (options.dryRun !== true && pushed.report?.problems.length === 0) {
        for (const run of unfinishedRuns(project.layout)) {
          const done = runs === null || runs.includes(run);
          if (done && isOver(project.layout, run)) clearLiveState(project.layout, run);
        }
      }
      tell(context, chosen, pushed, options);
    } finally {
      await remote.close();
    }
  } finally {
    bar.end();
    await own.close();
  }
}

/** Ids; null for all of them, which needs no store. */
async function namedRuns(
  context: Context,
  texts: readonly string[],
  options: Options,
): Promise<string[] | null> {
  if (texts.length === 0 && options.project === undefined) return null;
  const { withRuns, withStore } = await import('../opened-store.ts');
  if (texts.length > 0) return withRuns(context, texts, (_opened, found) => found.map((run) => run.id));
  const ids = await withStore(context, ({ store }) =>
    store
      .prepare('SELECT id FROM runs WHERE removed = 0 AND project = ?')
      .all(options.project ?? '')
      .map((row) => String(row.id)),
  );
  return ids ?? [];
}

function tell(context: Context, remote: Remote, pushed: Pushed, options: Options): void {
  const { report, secrets, removedThere, looked } = pushed;
  if (options.json === true) {
    printJson(context, {
      remote: remote.name,
      dry_run: options.dryRun === true,
      looked,
      ...(report === null ? { runs: [], problems: [] } : reportJson(report)),
      secrets,
      removed_there: removedThere,
    });
  }
  if (report === null) {
    const lines = secrets
      .slice(0, NAMED)
      .map((find) => `  ${inert(find.place)}: ${find.kind} (${inert(find.shown)})\n`);
    const more = secrets.length > NAMED ? `  and ${secrets.length - NAMED} more\n` : '';
    throw new WaddleError(
      'secrets-found',
      `nothing was sent: ${count(secrets.length, 'place')} hold${secrets.length === 1 ? 's' : ''} what looks like a secret\n${lines.join('')}${more}`.trimEnd(),
      'Where it is none, or may be seen by all who read the remote: waddle push --allow-secrets. A real one: revoke it, take it out of the code, and of the run: waddle redact RUN',
    );
  }
  tellProblems(context, report.problems);
  const verb = options.dryRun === true ? 'Would send' : 'Sent';
  if (report.runs.size > 0) {
    context.say(`${verb} to ${inert(remote.name)}: ${movedText(report)}\n`);
  } else if (report.problems.length === 0) {
    context.say(`${inert(remote.name)} has everything already (${count(looked, 'run')})\n`);
  }
  tellRemovals(context, removedThere, 'They stay here: waddle rm removes them, or waddle pull --prune.');
  if (hasFailed(report)) context.exitCode = 1;
}
