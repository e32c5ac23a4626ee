import type { Command } from 'commander';
import { runDetail } from '../../query/run-detail.ts';
import { answerNow } from '../../store/answer-now.ts';
import type { Context } from '../context.ts';
import { example, RUN_HELP } from '../help.ts';
import { printJson } from '../json.ts';
import { withRuns } from '../opened-store.ts';
import { runPage } from '../run-page.ts';

interface Options {
  all?: boolean;
  json?: boolean;
}

export function define(command: Command, context: Context): void {
  command
    .description('Shows a run: params, tags, metrics, artifacts, the code that ran, what went wrong.')
    .argument('<run>', RUN_HELP)
    .option('-a, --all', 'the system metrics and the environment too')
    .option('--json', 'print JSON')
    .action((run: string, options: Options) => show(context, run, options));
  example(command, 'waddle show @last');
}

async function show(context: Context, run: string, options: Options): Promise<void> {
  await withRuns(context, [run], (opened, [found]) => {
    const detail = answerNow(opened.store, runDetail(found.id));
    if (detail === undefined) return;
    if (options.json === true) printJson(context, detail);
    else context.out(runPage(opened, detail, { all: options.all === true }));
  });
}
