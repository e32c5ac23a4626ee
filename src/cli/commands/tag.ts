import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import type { Context } from '../context.ts';
import { applyChanges, type Change } from '../edits.ts';
import { collect, example, RUN_HELP } from '../help.ts';
import { inert } from '../inert.ts';
import { withRuns } from '../opened-store.ts';

export function define(command: Command, context: Context): void {
  command
    .description('Sets tags of a run, or removes them.')
    .argument('<run>', RUN_HELP)
    .argument('[tags...]', 'tags as key=value')
    .option('--remove <key>', 'remove this tag (may be given several times)', collect)
    .action((run: string, tags: string[], options: { remove?: string[] }) =>
      tag(context, run, tags, options.remove ?? []),
    );
  example(command, 'waddle tag @last model=linear reviewed=yes', 'waddle tag @last --remove reviewed');
}

async function tag(
  context: Context,
  run: string,
  tags: readonly string[],
  remove: readonly string[],
): Promise<void> {
  const changes: Change[] = [
    ...tags.map((text): Change => ({ field: 'tag', ...readTag(text) })),
    ...remove.map((key): Change => ({ field: 'tag', key, value: null })),
  ];
  if (changes.length === 0) {
    throw new WaddleError('nothing-to-do', 'no tag was named', 'Write: waddle tag RUN key=value', {
      exitCode: 2,
    });
  }
  await withRuns(context, [run], async (opened, [found]) => {
    await applyChanges(opened, [{ run: found.id, changes }]);
    const said = changes.map(({ key, value }) => (value === null ? `removed ${key}` : `${key}=${value}`));
    context.say(`${found.id}: ${inert(said.join(', '))}\n`);
  });
}

/** The key is what stands before the first `=`; the value may hold more of them, or be empty. */
function readTag(text: string): { key: string; value: string } {
  const at = text.indexOf('=');
  if (at > 0) return { key: text.slice(0, at), value: text.slice(at + 1) };
  throw new WaddleError(
    'tag-invalid',
    `"${text}" is no tag`,
    'Write key=value; to remove one: --remove KEY',
    {
      exitCode: 2,
    },
  );
}
