import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { parseColumns } from '../../query/columns.ts';
import { type Field, fieldText } from '../../query/fields.ts';
import type { RunRow } from '../../query/run-row.ts';
import { cellOf, listRuns } from '../../query/runs-table.ts';
import { answerNow } from '../../store/answer-now.ts';
import type { Context } from '../context.ts';
import { proposeColumns } from '../default-columns.ts';
import { count } from '../format-number.ts';
import { formatAge, formatDuration, formatTime } from '../format-time.ts';
import { formatMetric, formatParam } from '../format-value.ts';
import { example } from '../help.ts';
import { printJson } from '../json.ts';
import { type Opened, withStore } from '../opened-store.ts';
import { painter } from '../paint.ts';
import { statusMark } from '../status.ts';
import { type Cell, type Column, renderTable } from '../table.ts';

interface Options {
  filter?: string;
  sort?: string;
  limit?: number;
  columns?: string;
  project?: string;
  archived?: boolean;
  json?: boolean;
}

/** Runs that a terminal shows where no limit was given; a pipe gets all of them. */
const SCREENFUL = 50;

export function define(command: Command, context: Context): void {
  command
    .description('Lists the runs, newest first.')
    .option('--filter <filter>', 'only these, as "params.lr > 0.001 and status = \'completed\'"')
    .option('--sort <key>', 'by this field, as metrics.loss.min or params.lr:desc')
    .option('--limit <n>', `at most so many (on a terminal ${SCREENFUL}, else all)`, readCount)
    .option('--columns <list>', 'show these, as params.lr,metrics.loss.min,tags.model')
    .option('--project <name>', 'only those of this project')
    .option('--archived', 'archived ones too')
    .option('--json', 'print JSON')
    .action((options: Options) => ls(context, options));
  example(
    command,
    'waddle ls',
    'waddle ls --filter "metrics.loss < 0.2" --sort metrics.loss --limit 5',
    'waddle ls --columns params.lr,metrics.loss.min,tags.model',
  );
}

/** A count as people type it. @throws WaddleError where it is no whole number above 0 */
export function readCount(text: string): number {
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text);
  throw new WaddleError('limit-invalid', `"${text}" is no whole number above 0`, 'Write for example: 20', {
    exitCode: 2,
  });
}

async function ls(context: Context, options: Options): Promise<void> {
  const asked = options.columns === undefined ? undefined : parseColumns(options.columns);
  const found = await withStore(context, (opened) => show(context, options, asked, opened));
  if (found !== undefined) return;
  if (options.json === true) printJson(context, []);
  context.say('No runs here yet. Start one: waddle run -- python train.py\n');
}

/** Tells of the runs; true where there was nothing more to say. */
function show(
  context: Context,
  options: Options,
  asked: Field[] | undefined,
  opened: Opened,
): true | undefined {
  const { store } = opened;
  const limit = options.limit ?? (context.terminal && options.json !== true ? SCREENFUL : undefined);
  const query = {
    filter: options.filter,
    sort: options.sort,
    project: options.project,
    archived: options.archived,
    limit,
  };
  const first = answerNow(store, listRuns({ ...query, columns: asked ?? [] }));
  if (options.json === true) {
    printJson(context, first.rows);
    return true;
  }
  if (first.rows.length === 0) {
    if (options.filter !== undefined || options.project !== undefined) context.say('No runs fit.\n');
    else if (answerNow(store, listRuns({ archived: true, limit: 1, columns: [] })).rows.length === 0)
      return undefined;
    else context.say('All runs are archived: waddle ls --archived\n');
    return true;
  }
  const fields =
    asked ??
    proposeColumns(
      store,
      first.rows.map((run) => run.id),
    );
  const { rows, next } =
    asked === undefined ? answerNow(store, listRuns({ ...query, columns: fields })) : first;
  const optional = asked === undefined;
  context.out(table(context, rows, fields, { optional, project: options.project === undefined }));
  if (next !== null && options.limit === undefined) {
    context.say(`These are the first ${count(rows.length, 'run')}; for more: --limit N\n`);
  }
  return true;
}

function table(
  context: Context,
  rows: readonly RunRow[],
  fields: readonly Field[],
  options: { optional: boolean; project: boolean },
): string {
  const now = context.now() / 1000;
  const columns: Column[] = [
    { title: context.terminal ? '' : 'STATUS' },
    { title: 'ID' },
    { title: 'NAME', min: 10 },
    ...(options.project ? [{ title: 'PROJECT', min: 6, optional: true as const }] : []),
    { title: 'AGE', align: 'right' },
    { title: 'TOOK', align: 'right' },
    ...fields.map(
      (field): Column => ({
        title: shortTitle(field, fields),
        align: field.of === 'metric' || isNumeric(rows, field) ? 'right' : 'left',
        ...(options.optional ? { optional: true } : { min: 4 }),
      }),
    ),
  ];
  const cells = rows.map((run): Cell[] => {
    const { mark, style } = statusMark(run.status);
    return [
      { text: context.terminal ? mark : `${mark} ${run.status}`, style },
      run.archived ? { text: run.id, style: 'dim' } : run.id,
      { text: run.name, style: 'bold' },
      ...(options.project ? [run.project] : []),
      run.started_at === null ? '' : formatAge(now - run.started_at),
      formatDuration(
        run.status === 'running' && run.started_at !== null ? now - run.started_at : run.duration,
      ),
      ...fields.map((field) => cellText(run, field)),
    ];
  });
  const width = context.terminal ? context.columns : undefined;
  return renderTable(columns, cells, { width, paint: painter(context) });
}

/** Without its prefix where no other column has the same key. */
function shortTitle(field: Field, fields: readonly Field[]): string {
  if (field.of === 'run') return field.name;
  const alone = fields.every((other) => other === field || other.of === 'run' || other.key !== field.key);
  if (!alone) return fieldText(field);
  return field.of === 'metric' && field.stat !== 'last' ? `${field.key}.${field.stat}` : field.key;
}

function isNumeric(rows: readonly RunRow[], field: Field): boolean {
  if (field.of !== 'param') return false;
  return rows.every((run) => ['number', 'bigint', 'undefined'].includes(typeof cellOf(run, field)));
}

function cellText(run: RunRow, field: Field): string {
  const value = cellOf(run, field);
  if (field.of === 'metric') return formatMetric(value);
  if (field.of !== 'run') return formatParam(value);
  if (typeof value !== 'number') return typeof value === 'string' ? value : '';
  return field.name === 'duration' ? formatDuration(value) : formatTime(value);
}
