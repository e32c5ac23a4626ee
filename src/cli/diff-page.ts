/** What `diff` shows a person, part by part. */
import type { FileDiff } from '../git/diff.ts';
import { commandText } from './command-text.ts';
import type { Context } from './context.ts';
import { count, formatBytes, formatNumber } from './format-number.ts';
import { formatDuration } from './format-time.ts';
import { formatMetric, formatParam } from './format-value.ts';
import { inert } from './inert.ts';
import { type Paint, painter } from './paint.ts';
import type { DataRow, DiffRow, DiffSideInfo, RunDiff } from './run-diff.ts';
import { type Cell, cut, displayWidth, pad, renderTable } from './table.ts';

export const PARTS = ['code', 'params', 'environment', 'packages', 'data', 'command', 'results'] as const;
export type Part = (typeof PARTS)[number];

/** Files of a data folder that are named. */
const NAMED = 10;
/** Columns for the bars of `--stat`. */
const BARS = 40;

/** Which sides are compared, and whether their code is the same or why it cannot be told. */
export function diffHeader(context: Context, diff: RunDiff, parts: readonly Part[]): string {
  const paint = painter(context);
  let text = `${paint('red', '---')} ${sideName(diff.a)}\n${paint('green', '+++')} ${sideName(diff.b)}\n`;
  if (!parts.includes('code')) return text;
  const { problem, equal } = diff.code;
  if (problem !== null) {
    text += `${paint('yellow', '!')} ${inert(problem.message)}\n  ${paint('dim', inert(problem.hint))}\n`;
  } else if (equal === true) text += 'The code is the same.\n';
  for (const side of [diff.a, diff.b]) {
    if (side.lacking.length === 0) continue;
    const names = side.lacking.slice(0, NAMED).map((each) => inert(each.path));
    const more = side.lacking.length > NAMED ? ` and ${side.lacking.length - NAMED} more` : '';
    text += paint('dim', `Not compared, since ${sideName(side)} lacks them: ${names.join(', ')}${more}`);
    text += '\n';
  }
  return text;
}

function sideName(side: DiffSideInfo): string {
  if (side.kind === 'workspace') return 'the workspace as it is now';
  const commit = side.commit === null ? '' : ` (${side.commit.slice(0, 10)})`;
  return side.kind === 'run'
    ? `${inert(side.name)} ${side.id ?? ''}${commit}`
    : `${inert(side.name)}${commit}`;
}

/** As `git diff --stat`: a line for each file, with bars, and a sum. */
export function diffStat(context: Context, files: readonly FileDiff[]): string {
  if (files.length === 0) return '';
  const paint = painter(context);
  const width = context.terminal ? context.columns : Number.POSITIVE_INFINITY;
  const names = files.map(fileName);
  const longest = Math.max(...names.map(displayWidth));
  const room = Math.min(longest, Math.max(20, width - BARS - 12));
  const most = Math.max(1, ...files.map((file) => (file.added ?? 0) + (file.removed ?? 0)));
  const digits = String(most).length;
  const bars = (lines: number): number => (most <= BARS ? lines : Math.ceil((lines * BARS) / most));
  let text = '';
  for (const [at, file] of files.entries()) {
    const total = (file.added ?? 0) + (file.removed ?? 0);
    const change =
      file.added === null
        ? 'Bin'
        : `${String(total).padStart(digits)} ${paint('green', '+'.repeat(bars(file.added)))}${paint('red', '-'.repeat(bars(file.removed ?? 0)))}`;
    text += ` ${pad(cut(names[at] ?? '', room), room)} | ${change.trimEnd()}\n`;
  }
  const added = files.reduce((sum, file) => sum + (file.added ?? 0), 0);
  const removed = files.reduce((sum, file) => sum + (file.removed ?? 0), 0);
  return `${text} ${count(files.length, 'file')} changed, ${count(added, 'insertion')}(+), ${count(removed, 'deletion')}(-)\n`;
}

function fileName(file: FileDiff): string {
  return file.old_path === null ? inert(file.path) : `${inert(file.old_path)} => ${inert(file.path)}`;
}

/** Everything but the code: a section for each part that differs. */
export function diffSections(context: Context, diff: RunDiff, parts: readonly Part[]): string {
  const paint = painter(context);
  const has = (part: Part) => parts.includes(part);
  const sections = [
    has('params') ? section(context, paint, 'Params', diff.params, formatRow) : '',
    has('environment') ? section(context, paint, 'Environment', diff.environment, formatRow) : '',
    has('packages') ? section(context, paint, 'Packages', diff.packages, formatRow) : '',
    has('data') ? dataSection(context, paint, diff.data) : '',
    has('command') ? section(context, paint, 'Command', diff.command, commandRow) : '',
    has('results') ? resultSection(context, paint, diff.results) : '',
  ];
  return sections.filter((text) => text !== '').join('\n');
}

function formatRow(row: DiffRow): Cell[] {
  return [{ text: row.key, style: 'cyan' }, shown(row, 'a'), shown(row, 'b')];
}

/** Commands and arguments as they would be typed. */
function commandRow(row: DiffRow): Cell[] {
  const typed = (value: unknown) =>
    Array.isArray(value) ? commandText(value.map((word) => String(word))) : value;
  const [a, b] = [typed(row.a), typed(row.b)];
  return formatRow({ key: row.key, ...(a === undefined ? {} : { a }), ...(b === undefined ? {} : { b }) });
}

function shown(row: DiffRow, side: 'a' | 'b'): Cell {
  const value = row[side];
  if (value === undefined) return { text: '-', style: 'dim' };
  return formatParam(value);
}

function section(
  context: Context,
  paint: Paint,
  title: string,
  rows: readonly DiffRow[] | null,
  format: (row: DiffRow) => Cell[],
): string {
  if (rows === null || rows.length === 0) return '';
  return `${paint('bold', title)}\n${table(context, paint, rows.map(format))}`;
}

function table(context: Context, paint: Paint, cells: Cell[][]): string {
  const columns = [
    { title: '', min: 12 },
    { title: '', min: 12 },
    { title: '', min: 12 },
    { title: '', min: 8 },
  ];
  const width = context.terminal ? context.columns - 2 : undefined;
  const used = columns.slice(0, cells[0]?.length ?? 0);
  return renderTable(used, cells, { width, paint, header: false }).replace(/^(?=.)/gm, '  ');
}

function dataSection(context: Context, paint: Paint, rows: readonly DataRow[] | null): string {
  if (rows === null || rows.length === 0) return '';
  const summary = (side: DataRow['a']): Cell =>
    side === undefined
      ? { text: '-', style: 'dim' }
      : `${count(side.files, 'file')}, ${formatBytes(side.bytes)}`;
  let text = `${paint('bold', 'Data')}\n`;
  for (const row of rows) {
    text += table(context, paint, [[{ text: row.key, style: 'cyan' }, summary(row.a), summary(row.b)]]);
    for (const { path, change } of row.changed.slice(0, NAMED)) text += `    ${change} ${inert(path)}\n`;
    if (row.changed.length > NAMED) text += `    and ${row.changed.length - NAMED} more\n`;
  }
  return text;
}

function resultSection(context: Context, paint: Paint, rows: readonly DiffRow[] | null): string {
  return section(context, paint, 'Results', rows, (row) => {
    const format = (value: unknown): Cell => {
      if (value === undefined) return { text: '-', style: 'dim' };
      if (row.key === 'duration' && typeof value === 'number') return formatDuration(value);
      return typeof value === 'number' ? formatMetric(value) : formatParam(value);
    };
    const { difference } = row;
    const sign = difference !== undefined && difference > 0 ? '+' : '';
    const apart = difference === undefined ? '' : `${sign}${formatNumber(difference)}`;
    return [{ text: row.key, style: 'cyan' }, format(row.a), format(row.b), { text: apart, style: 'dim' }];
  });
}
