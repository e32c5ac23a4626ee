import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import type { RunRow } from '../../query/run-row.ts';
import type { Context } from '../context.ts';
import { setRemoved } from '../edits.ts';
import { count } from '../format-number.ts';
import { formatAge } from '../format-time.ts';
import { example, RUN_HELP } from '../help.ts';
import { inert } from '../inert.ts';
import { findRemovedRuns, withRuns, withStore } from '../opened-store.ts';

interface Options {
  yes?: boolean;
  force?: boolean;
  undo?: boolean;
}

export function define(command: Command, context: Context): void {
  command
    .description('Removes runs. They can be brought back until waddle gc reclaims their space.')
    .argument('<runs...>', RUN_HELP)
    .option('-y, --yes', 'do not ask (needed where nobody can answer)')
    .option('--force', 'also runs that are still going')
    .option('--undo', 'bring removed runs back, by id or name')
    .action((runs: string[], options: Options) =>
      options.undo === true ? restore(context, runs) : remove(context, runs, options),
    );
  example(command, 'waddle rm @last --yes', 'waddle rm --undo k3m5q7abcdef');
}

async function remove(context: Context, runs: readonly string[], options: Options): Promise<void> {
  await withRuns(
    context,
    runs,
    async (opened, found) => {
      const going = found.find((run) => run.status === 'running');
      if (going !== undefined && options.force !== true) {
        throw new WaddleError(
          'run-is-running',
          `${going.id} (${going.name}) is still running`,
          `Stop it first: waddle stop ${going.id}; or remove it all the same: --force`,
        );
      }
      if (options.yes !== true && !(await confirm(context, found))) {
        context.say('Nothing was removed.\n');
        return;
      }
      await setRemoved(
        opened,
        found.map((run) => run.id),
        true,
      );
      context.say(`${count(found.length, 'run')} removed; waddle gc reclaims the space.\n`);
    },
    { strict: true },
  );
}

async function confirm(context: Context, runs: readonly RunRow[]): Promise<boolean> {
  const now = context.now() / 1000;
  const lines = runs.map((run) => {
    const age = run.started_at === null ? '' : `, ${formatAge(now - run.started_at)} old`;
    return `  ${run.id}  ${inert(run.name)} (${run.status}${age})\n`;
  });
  const answer = await context.ask(`${lines.join('')}Remove ${count(runs.length, 'run')}? [y/N] `);
  if (answer === undefined) {
    throw new WaddleError(
      'needs-yes',
      'rm asks first, and nobody can answer here',
      'To remove without asking: --yes',
      {
        exitCode: 2,
      },
    );
  }
  return /^y(es)?$/i.test(answer.trim());
}

async function restore(context: Context, texts: readonly string[]): Promise<void> {
  const done = await withStore(context, async (opened) => {
    const ids = findRemovedRuns(opened, texts);
    await setRemoved(opened, ids, false);
    context.say(`${count(ids.length, 'run')} brought back\n`);
    return true;
  });
  if (done !== true) findRemovedRuns(undefined, texts);
}
