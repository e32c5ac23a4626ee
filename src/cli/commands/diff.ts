import { isUtf8 } from 'node:buffer';
import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import type { Context } from '../context.ts';
import { diffHeader, diffSections, diffStat, PARTS, type Part } from '../diff-page.ts';
import { example, RUN_HELP } from '../help.ts';
import { printJson } from '../json.ts';
import { withStore } from '../opened-store.ts';
import { page } from '../pager.ts';
import { withDiff } from '../run-diff.ts';

type Options = Partial<Record<Part, boolean>> & { stat?: boolean; nameOnly?: boolean; json?: boolean };

export function define(command: Command, context: Context): void {
  command
    .description(
      'Tells two runs apart: their code as a patch, then params, environment, packages, data, command and results.',
    )
    .argument('<a>', RUN_HELP)
    .argument('[b]', 'another run, or a branch or commit (default: the workspace as it is now)')
    .option('--stat', 'the code as a summary, a line for each file')
    .option('--name-only', 'only the names of the files that differ')
    .option('--code', 'only this part; the parts may be combined')
    .option('--params', 'only the params')
    .option('--environment', 'only the machine, the interpreter and the variables')
    .option('--packages', 'only the installed packages')
    .option('--data', 'only the data that snapshot.fingerprint names')
    .option('--command', 'only the command lines')
    .option('--results', 'only how the runs went: status, duration, metrics')
    .option('--json', 'print all of it as JSON')
    .action((a: string, b: string | undefined, options: Options) => diff(context, a, b, options));
  example(
    command,
    'waddle diff @last~1 @last',
    'waddle diff @last',
    'waddle diff main @last --code | git apply',
  );
}

async function diff(context: Context, a: string, b: string | undefined, options: Options): Promise<void> {
  const asked = PARTS.filter((part) => options[part] === true);
  const parts = options.nameOnly === true ? ['code' as const] : asked.length > 0 ? asked : PARTS;
  const done = await withStore(context, async (opened) => {
    await withDiff(opened, a, b, async (found, patch) => {
      if (options.json === true) {
        const bytes = await patch(false);
        const text = isUtf8(bytes)
          ? { patch: bytes.toString(), patch_base64: null }
          : { patch: null, patch_base64: bytes.toString('base64') };
        printJson(context, { ...found, code: { ...found.code, ...text } });
        return;
      }
      // Alone it is for `git apply`, so an error must be one.
      const onlyCode = parts.length === 1 && parts[0] === 'code';
      const { problem, files } = found.code;
      if (onlyCode && problem !== null) throw new WaddleError('code-missing', problem.message, problem.hint);
      if (options.nameOnly === true) {
        context.out(files.map((file) => `${file.path}\n`).join(''));
        return;
      }
      const code = !parts.includes('code')
        ? Buffer.alloc(0)
        : options.stat === true
          ? Buffer.from(diffStat(context, files))
          : await patch(context.colors);
      const header = onlyCode ? '' : diffHeader(context, found, parts);
      const rest = diffSections(context, found, parts);
      const text = [Buffer.from(header), code, Buffer.from(rest)].filter((each) => each.length > 0);
      const spaced = text.flatMap((each, at) => (at === 0 ? [each] : [Buffer.from('\n'), each]));
      await page(context, Buffer.concat(spaced), opened.layout.project);
    });
    return true;
  });
  if (done === undefined) {
    throw new WaddleError(
      'run-not-found',
      `there is no run "${a}": there are no runs here yet`,
      'Start one: waddle run -- python train.py; --dir names another project folder.',
    );
  }
}
