import { relative, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { type Command, Option } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import {
  EXPORT_FORMATS,
  EXPORT_KINDS,
  type ExportedFile,
  type ExportFormat,
  type ExportKind,
  exportRuns,
} from '../../export/export-runs.ts';
import { listRuns } from '../../query/runs-table.ts';
import { answerNow } from '../../store/answer-now.ts';
import type { Context } from '../context.ts';
import { count } from '../format-number.ts';
import { collect, example, RUN_HELP } from '../help.ts';
import { inert } from '../inert.ts';
import { type Opened, withRuns, withStore } from '../opened-store.ts';
import { startProgress } from '../progress.ts';

interface Options {
  format: ExportFormat;
  out?: string;
  what: ExportKind;
  wide?: boolean;
  key?: string[];
  all?: boolean;
}

export function define(command: Command, context: Context): void {
  command
    .description('Writes runs for other programs: metrics, params or the runs themselves.')
    .argument('[runs...]', RUN_HELP)
    .addOption(new Option('--format <format>', 'the format').choices(EXPORT_FORMATS).default('csv'))
    .option('--out <path>', 'a file, or a folder to put it into (default: stdout)')
    .addOption(
      new Option('--what <what>', 'what of them; all makes a folder with a file of each')
        .choices(EXPORT_KINDS)
        .default('metrics'),
    )
    .option('--wide', 'a column for each metric or param, instead of a row for each value')
    .option('--key <metric>', 'only this metric (may be given several times)', collect)
    .option('--all', 'every run that is not archived, instead of named ones')
    .action((runs: string[], options: Options) => exportCommand(context, runs, options));
  example(
    command,
    'waddle export @last --format csv --wide > metrics.csv',
    'waddle export --all --format parquet --what all --out runs/',
  );
}

async function exportCommand(context: Context, runs: readonly string[], options: Options): Promise<void> {
  if (runs.length > 0 === (options.all === true)) {
    throw new WaddleError(
      'usage',
      'export needs runs, or --all',
      'Write: waddle export RUN, or waddle export --all',
      {
        exitCode: 2,
      },
    );
  }
  const out = options.out === '-' ? undefined : options.out;
  if (out === undefined && context.terminal && options.format === 'parquet') {
    throw new WaddleError(
      'export-binary',
      'Parquet is not for a terminal',
      'Name a file: --out runs.parquet',
      {
        exitCode: 2,
      },
    );
  }
  if (options.all === true) {
    const done = await withStore(context, async (opened) => {
      await write(
        opened,
        answerNow(opened.store, listRuns()).rows.map((run) => run.id),
        options,
        out,
      );
      return true;
    });
    if (done !== true) context.say('No runs here yet, so nothing was written.\n');
    return;
  }
  await withRuns(context, runs, async (opened, found: { id: string }[]) => {
    await write(
      opened,
      found.map((run) => run.id),
      options,
      out,
    );
  });
}

async function write(
  opened: Opened,
  ids: string[],
  options: Options,
  out: string | undefined,
): Promise<void> {
  const { context } = opened;
  const progress = startProgress(context);
  let files: ExportedFile[];
  try {
    files = await exportRuns({
      db: opened.store.db,
      runs: ids,
      format: options.format,
      what: options.what,
      wide: options.wide === true,
      ...(options.key === undefined ? {} : { keys: options.key }),
      out: out === undefined ? stdoutOf(context) : resolve(context.cwd, out),
      onProgress: (rows) => progress.update(`${count(rows, 'row')} written`),
    });
  } finally {
    progress.end();
  }
  for (const { path, rows } of files) {
    if (path !== null) context.say(`${inert(relative(context.cwd, path))} (${count(rows, 'row')})\n`);
  }
}

function stdoutOf(context: Context): Writable {
  return new Writable({
    write(chunk: Uint8Array, _encoding, done) {
      context.outBytes(chunk).then(() => done(), done);
    },
  });
}
