import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { redactRun } from '../../sync/redact-run.ts';
import { type Context, openProject, type Project } from '../context.ts';
import { setRemoved } from '../edits.ts';
import { count } from '../format-number.ts';
import { example, RUN_HELP } from '../help.ts';
import { inert } from '../inert.ts';
import { printJson } from '../json.ts';
import { withRuns } from '../opened-store.ts';
import { chooseRemote, listRemotes, openRemote } from '../remotes.ts';
import { openOwnSpace } from '../sync-place.ts';
import { CLIENT } from '../version.ts';

interface Options {
  remote?: string;
  json?: boolean;
}

/** Secrets that are named one by one. */
const NAMED = 20;

export function define(command: Command, context: Context): void {
  command
    .description('Makes a copy of a run without the secrets in it, and removes the run.')
    .argument('<run>', RUN_HELP)
    .option('--remote <name>', 'ask only this remote whether it has the run already')
    .option('--json', 'print JSON')
    .action((run: string, options: Options) => redact(context, run, options));
  example(command, 'waddle redact @last && waddle push');
}

async function redact(context: Context, text: string, options: Options): Promise<void> {
  const project = await openProject(context);
  await withRuns(
    context,
    [text],
    async (opened, [found]) => {
      if (found === undefined) return;
      const run = found.id;
      await needUnpushed(context, project, run, options.remote);
      const own = openOwnSpace(context, project);
      const redacted = await redactRun({ own, layout: project.layout, run, client: CLIENT }).finally(() =>
        own.close(),
      );
      if (redacted === null) {
        if (options.json === true) printJson(context, { run, copy: null, secrets: [] });
        context.say(`Nothing in ${run} looks like a secret.\n`);
        return;
      }
      const { id, secrets } = redacted;
      await setRemoved(opened, [run], true);
      if (options.json === true) printJson(context, { run, copy: id, secrets });
      for (const { place, kind, shown } of secrets.slice(0, NAMED)) {
        context.say(`  ${inert(place)}: ${kind} (${inert(shown)})\n`);
      }
      if (secrets.length > NAMED) context.say(`  and ${secrets.length - NAMED} more\n`);
      context.say(
        `${id} is ${run} without ${count(secrets.length, 'secret')}, and can be pushed. ${run} is removed: waddle rm --undo brings it back, waddle gc erases it.\n`,
      );
    },
    { strict: true },
  );
}

/** @throws WaddleError `redact-pushed`, or where a remote cannot be asked */
async function needUnpushed(context: Context, project: Project, run: string, named?: string): Promise<void> {
  const chosen =
    named !== undefined || context.env.WADDLE_REMOTE ? [chooseRemote(context, project, named)] : [];
  // The environment may name one that is not among those that are kept.
  const remotes = named === undefined ? [...chosen, ...listRemotes(project)] : chosen;
  for (const each of new Map(remotes.map((remote) => [remote.url, remote])).values()) {
    const remote = await openRemote(context, project, each);
    const has = await remote.states([run]).finally(() => remote.close());
    if (!has.has(run)) continue;
    throw new WaddleError(
      'redact-pushed',
      `${inert(each.name)} has the run ${run} already, with its secrets`,
      `Revoke them: whoever reads ${inert(each.name)} may have seen them. To take the run away there: waddle rm ${run} && waddle push --prune`,
    );
  }
}
