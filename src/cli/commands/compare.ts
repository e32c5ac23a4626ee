import type { Command } from 'commander';
import { type ComparedRow, type Comparison, compareRuns } from '../../query/compare-runs.ts';
import { answerNow } from '../../store/answer-now.ts';
import type { Context } from '../context.ts';
import { count } from '../format-number.ts';
import { formatDuration } from '../format-time.ts';
import { formatMetric, formatParam } from '../format-value.ts';
import { example, RUN_HELP } from '../help.ts';
import { printJson } from '../json.ts';
import { withRuns } from '../opened-store.ts';
import { painter } from '../paint.ts';
import { type Cell, type Column, renderTable } from '../table.ts';

interface Options {
  all?: boolean;
  json?: boolean;
}

export function define(command: Command, context: Context): void {
  command
    .description('Puts runs side by side: the params that differ first, then the metrics.')
    .argument('<runs...>', RUN_HELP)
    .option('-a, --all', 'what is equal, the system metrics and the environment too')
    .option('--json', 'print JSON')
    .action((runs: string[], options: Options) => compare(context, runs, options));
  example(command, 'waddle compare @last~1 @last');
}

async function compare(context: Context, runs: readonly string[], options: Options): Promise<void> {
  await withRuns(context, runs, (opened, found: { id: string }[]) => {
    const comparison = answerNow(opened.store, compareRuns(found.map((run) => run.id)));
    if (options.json === true) printJson(context, comparison);
    else context.out(blocks(context, comparison, options.all === true));
  });
}

/** The runs' own fields that are worth a line where they differ. */
const OWN = ['status', 'project', 'group', 'entry', 'commit_sha', 'duration', 'exit_code', 'host'];

/** More runs than the terminal has room for are shown in blocks under each other. */
function blocks(context: Context, comparison: Comparison, all: boolean): string {
  const { length } = comparison.runs;
  const room = context.terminal ? Math.max(1, Math.floor((context.columns - KEY_WIDTH) / RUN_WIDTH)) : length;
  const count = Math.ceil(length / room);
  const size = Math.ceil(length / count);
  return Array.from({ length: count }, (_, index) => {
    const cutOut = <T>(items: readonly T[]): T[] => items.slice(index * size, (index + 1) * size);
    const part = <T>(rows: readonly ComparedRow<T>[]) =>
      rows.map((row) => ({ ...row, values: cutOut(row.values) }));
    return describe(
      context,
      {
        runs: cutOut(comparison.runs),
        own: part(comparison.own),
        params: part(comparison.params),
        tags: part(comparison.tags),
        metrics: part(comparison.metrics),
        environment: part(comparison.environment),
      },
      { all, names: comparison.runs.map((run) => run.name) },
    );
  }).join('\n');
}

/** Columns for the keys, and for one run at least, with the gap. */
const KEY_WIDTH = 22;
const RUN_WIDTH = 10;

function describe(
  context: Context,
  comparison: Comparison,
  { all, names }: { all: boolean; names: readonly string[] },
): string {
  const paint = painter(context);
  const { runs } = comparison;
  const columns: Column[] = [
    { title: '', min: 10 },
    ...runs.map((run): Column => {
      const unique = names.filter((name) => name === run.name).length === 1;
      return { title: unique ? run.name : `${run.name} ${run.id.slice(0, 6)}`, align: 'right', min: 8 };
    }),
  ];
  const rows: Cell[][] = [];
  let equal = 0;
  const part = <T>(
    title: string,
    compared: readonly ComparedRow<T>[],
    show: (row: ComparedRow<T>) => boolean,
    format: (value: T | undefined, key: string) => string,
  ): void => {
    const wanted = compared.filter((row) => all || show(row));
    equal += compared.length - wanted.length;
    if (wanted.length === 0) return;
    rows.push([{ text: title, style: 'bold' }, ...runs.map(() => '')]);
    for (const row of wanted) {
      rows.push([
        { text: `  ${row.key}`, style: row.differs ? 'cyan' : 'dim' },
        ...row.values.map((value) => format(value, row.key)),
      ]);
    }
  };
  rows.push([{ text: 'id', style: 'dim' }, ...runs.map((run) => run.id)]);
  part('Params', comparison.params, (row) => row.differs, formatParam);
  part('Tags', comparison.tags, (row) => row.differs, formatParam);
  part(
    'Metrics',
    comparison.metrics,
    (row) => !row.key.startsWith('system/'),
    (metric) => formatMetric(metric?.last),
  );
  part(
    'Run',
    comparison.own.filter((row) => all || OWN.includes(row.key)),
    (row) => row.differs,
    (value, key) => {
      if (key === 'duration' && typeof value === 'number') return formatDuration(value);
      if (key === 'commit_sha' && typeof value === 'string') return value.slice(0, 10);
      return formatParam(value);
    },
  );
  // Of data the digest tells whether it differs; the listing is for `diff` and `--json`.
  const environment = comparison.environment.filter((row) => !/^data\..*\.listing$/.test(row.key));
  if (all) part('Environment', environment, (row) => row.differs, formatParam);
  const width = context.terminal ? context.columns : undefined;
  const table = renderTable(columns, rows, { width, paint });
  if (equal === 0) return table;
  const hidden = `${count(equal, 'more row')}, equal or of the system: --all`;
  return `${table}${paint('dim', hidden)}\n`;
}
