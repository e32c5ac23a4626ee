import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { applyChanges } from '../edits.ts';
import { count } from '../format-number.ts';
import { example, RUN_HELP } from '../help.ts';
import { withRuns } from '../opened-store.ts';

export function define(command: Command, context: Context): void {
  command
    .description('Puts runs out of sight: ls shows them only with --archived. Nothing is lost.')
    .argument('<runs...>', RUN_HELP)
    .option('--undo', 'bring them back')
    .action((runs: string[], options: { undo?: boolean }) => archive(context, runs, options.undo === true));
  example(command, 'waddle archive @last~1 @last~2', 'waddle archive --undo k3m5q7ab');
}

async function archive(context: Context, runs: readonly string[], undo: boolean): Promise<void> {
  await withRuns(
    context,
    runs,
    async (opened, found) => {
      const changing = found.filter((run) => run.archived === undo);
      await applyChanges(
        opened,
        changing.map((run) => ({ run: run.id, changes: [{ field: 'archived', value: !undo }] })),
      );
      const what = undo ? 'brought back' : 'archived';
      const already = found.length - changing.length;
      context.say(
        `${count(changing.length, 'run')} ${what}${already > 0 ? `, ${already} already ${undo ? 'in sight' : 'archived'}` : ''}\n`,
      );
    },
    { strict: true },
  );
}
