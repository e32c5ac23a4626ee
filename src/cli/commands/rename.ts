import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import type { Context } from '../context.ts';
import { applyChanges } from '../edits.ts';
import { example, RUN_HELP } from '../help.ts';
import { inert } from '../inert.ts';
import { withRuns } from '../opened-store.ts';

export function define(command: Command, context: Context): void {
  command
    .description('Gives a run another name. Names need not be unique; the id stays.')
    .argument('<run>', RUN_HELP)
    .argument('<name>', 'the new name')
    .action((run: string, name: string) => rename(context, run, name));
  example(command, 'waddle rename @last baseline');
}

async function rename(context: Context, run: string, name: string): Promise<void> {
  if (name.trim() === '') {
    throw new WaddleError(
      'name-empty',
      'a name has at least one character',
      'Write: waddle rename RUN NAME',
      {
        exitCode: 2,
      },
    );
  }
  await withRuns(context, [run], async (opened, [found]) => {
    await applyChanges(opened, [{ run: found.id, changes: [{ field: 'name', value: name }] }]);
    context.say(`${found.id}: ${inert(found.name)} is now ${inert(name)}\n`);
  });
}
