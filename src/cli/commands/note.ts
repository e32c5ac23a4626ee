import type { Command } from 'commander';
import type { Context } from '../context.ts';
import { applyChanges } from '../edits.ts';
import { example, RUN_HELP } from '../help.ts';
import { withRuns } from '../opened-store.ts';

export function define(command: Command, context: Context): void {
  command
    .description("Writes a run's notes, or adds a line to them.")
    .argument('<run>', RUN_HELP)
    .argument('<text>', 'the notes; "" empties them')
    .option('--append', 'add to the notes that are there, on a line of its own')
    .action((run: string, text: string, options: { append?: boolean }) =>
      note(context, run, text, options.append === true),
    );
  example(command, 'waddle note @last "diverged after step 40" --append');
}

async function note(context: Context, run: string, text: string, append: boolean): Promise<void> {
  await withRuns(context, [run], async (opened, [found]) => {
    const before = append ? (found.notes ?? '') : '';
    const value = before === '' ? text : `${before}\n${text}`;
    await applyChanges(opened, [{ run: found.id, changes: [{ field: 'notes', value }] }]);
    context.say(`${found.id}: ${value === '' ? 'notes emptied' : 'noted'}\n`);
  });
}
