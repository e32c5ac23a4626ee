/** A run as a page of text for the terminal: what `show` prints. */

import { runFolder } from '../journal/layout.ts';
import { readReceived } from '../journal/received.ts';
import { readSeries } from '../query/chart.ts';
import type { RunDetail } from '../query/run-detail.ts';
import { chartSparkline } from '../query/sparkline.ts';
import { answerNow } from '../store/answer-now.ts';
import { commandText } from './command-text.ts';
import type { Context } from './context.ts';
import { count, formatBytes } from './format-number.ts';
import { formatAge, formatDuration, formatTime } from './format-time.ts';
import { formatMetric, formatParam } from './format-value.ts';
import { inert, inertLines } from './inert.ts';
import type { Opened } from './opened-store.ts';
import { type Paint, painter } from './paint.ts';
import { statusMark } from './status.ts';
import { type Cell, type Column, cut, renderTable } from './table.ts';

/** Columns of a sparkline. */
const SPARK = 16;
/** Files of a list that are named; the others are counted. */
const NAMED_FILES = 20;
/** Metrics that Waddle samples itself begin so. */
const SYSTEM = 'system/';

interface Page {
  context: Context;
  detail: RunDetail;
  paint: Paint;
  /** Columns to keep within; undefined in a pipe. */
  width: number | undefined;
  /** It was made elsewhere: how it goes now is not known here. */
  pulled: boolean;
}

/**
 * The page of one run: a header of two lines (what it is and how it went; which code, and where), then a section for each
 * thing that it has. With `all`, the system metrics and the environment too.
 */
export function runPage(opened: Opened, detail: RunDetail, options: { all: boolean }): string {
  const { context } = opened;
  const page: Page = {
    context,
    detail,
    paint: painter(context),
    pulled: [...readReceived(runFolder(opened.layout, detail.run.id))].some(
      (writer) => !writer.startsWith('edits-'),
    ),
    width: context.terminal ? context.columns : undefined,
  };
  const sections = [
    header(page),
    section(page, '', pairs(page, facts(page))),
    notes(page),
    section(
      page,
      'Params',
      pairs(
        page,
        Object.entries(detail.params).map(([k, v]) => [k, formatParam(v)]),
      ),
    ),
    section(page, 'Tags', pairs(page, Object.entries(detail.tags))),
    metrics(page, opened, options.all),
    artifacts(page),
    code(page),
    attempts(page),
    options.all ? environment(page) : '',
    warnings(page),
    failure(page),
  ];
  return sections.filter((text) => text !== '').join('\n');
}

function header({ context, detail, paint, width, pulled }: Page): string {
  const { run, snapshot } = detail;
  const now = context.now() / 1000;
  const { mark, style } = statusMark(run.status);
  const took =
    run.status === 'running' && run.started_at !== null ? now - run.started_at : (run.duration ?? undefined);
  const heard = run.last_event_at ?? run.started_at;
  const went =
    run.status === 'running'
      ? pulled
        ? `running${heard === null ? '' : ` as of ${ago(now - heard)}, pulled`}`
        : `running for ${formatDuration(took)}`
      : `${run.status}${took === undefined ? '' : ` after ${formatDuration(took)}`}`;
  const age = run.started_at === null ? '' : `, started ${ago(now - run.started_at)}`;
  const archived = run.archived ? ', archived' : '';
  const room = (width ?? Number.POSITIVE_INFINITY) - 18 - went.length - age.length - archived.length;
  const name = cut(inert(run.name), Math.max(10, room));
  const first = `${paint(style, mark)} ${paint('bold', name)}  ${run.id}  ${paint(style, went)}${age}${archived}`;

  const commit = run.commit_sha === null ? 'no commit' : `commit ${run.commit_sha.slice(0, 10)}`;
  const branch = snapshot?.branch ? ` on ${inert(snapshot.branch)}` : '';
  const changed =
    snapshot && snapshot.changed_count > 0
      ? `, ${count(snapshot.changed_count, 'changed file')}${isKept(snapshot) ? '' : ' not kept'}`
      : '';
  const incomplete = snapshot?.incomplete ? ', incomplete' : '';
  const where = [run.user, run.host]
    .filter((part) => part !== null)
    .map(inert)
    .join('@');
  const second = `${commit}${branch}${changed}${incomplete}  ${where}${run.cwd === null ? '' : `:${inert(run.cwd)}`}`;
  return `${first}\n  ${paint('dim', width === undefined ? second : cut(second, width - 2))}\n`;
}

function ago(seconds: number): string {
  const age = formatAge(seconds);
  return age === 'now' ? 'just now' : age.startsWith('in ') ? age : `${age} ago`;
}

function facts({ detail }: Page): [string, string][] {
  const { run, children } = detail;
  const command = run.command ?? (run.entry === null ? null : [run.entry, ...(run.argv ?? [])]);
  const code = run.exit_code === null || run.exit_code === 0 ? '' : `exit code ${run.exit_code}`;
  const how = [code, run.signal ?? '', run.reason ?? ''].filter((part) => part !== '').join(', ');
  const ended = run.ended_at === null ? '' : ` to ${formatTime(run.ended_at)}`;
  const rows: [string, string | null][] = [
    ['project', run.project],
    ['group', run.group],
    ['command', command === null ? null : commandText(command)],
    ['time', run.started_at === null ? null : `${formatTime(run.started_at)}${ended}`],
    ['outcome', how === '' ? null : how],
    ['repository', run.repo],
    ['parent', run.parent],
    ['reproduces', run.reproduces],
    ['children', children.length === 0 ? null : children.map((child) => child.id).join(' ')],
  ];
  return rows.flatMap(([name, value]): [string, string][] => (value === null ? [] : [[name, value]]));
}

function section({ paint }: Page, title: string, body: string): string {
  if (body === '') return '';
  return title === '' ? body : `${paint('bold', title)}\n${body}`;
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '  ');
}

/** Names and values under each other; a long value is cut on a terminal. */
function pairs({ paint, width }: Page, rows: readonly [string, string][]): string {
  if (rows.length === 0) return '';
  const columns: Column[] = [
    { title: '', min: 12 },
    { title: '', min: 20 },
  ];
  const cells = rows.map(([name, value]): Cell[] => [{ text: name, style: 'dim' }, value]);
  return table({ paint, width }, columns, cells, false);
}

function table(
  { paint, width }: Pick<Page, 'paint' | 'width'>,
  columns: readonly Column[],
  cells: readonly Cell[][],
  header = true,
): string {
  const inner = width === undefined ? undefined : width - 2;
  return indented(renderTable(columns, cells, { width: inner, paint, header }));
}

function notes(page: Page): string {
  const text = page.detail.run.notes ?? '';
  return text === '' ? '' : section(page, 'Notes', indented(`${inertLines(text)}\n`));
}

function metrics(page: Page, opened: Opened, all: boolean): string {
  const { detail, paint } = page;
  const entries = Object.entries(detail.metrics);
  const shown = entries.filter(([key]) => all || !key.startsWith(SYSTEM));
  const hidden = entries.length - shown.length;
  const more = hidden === 0 ? '' : `  ${paint('dim', `and ${count(hidden, 'system metric')}: --all`)}\n`;
  if (shown.length === 0) return section(page, 'Metrics', more);
  const columns: Column[] = [
    { title: 'key', min: 10 },
    { title: 'last', align: 'right' },
    { title: 'min', align: 'right' },
    { title: 'max', align: 'right' },
    { title: 'mean', align: 'right', optional: true },
    { title: 'samples', align: 'right', optional: true },
    { title: 'trend', optional: true },
  ];
  const cells = shown.map(([key, metric]): Cell[] => [
    key,
    { text: formatKeyed(key, metric.last), style: 'bold' },
    formatKeyed(key, metric.min),
    formatKeyed(key, metric.max),
    formatKeyed(key, metric.mean),
    metric.nan === 0 ? String(metric.count) : `${metric.count} (${metric.nan} NaN)`,
    { text: spark(opened, detail.run.id, key), style: 'cyan' },
  ]);
  return section(page, 'Metrics', table(page, columns, cells) + more);
}

/** Waddle's own metrics name their unit; those in bytes are shown in larger ones. */
function formatKeyed(key: string, value: unknown): string {
  const unit = key.startsWith(SYSTEM) ? /_bytes(_per_s)?$/.exec(key) : null;
  if (unit === null || typeof value !== 'number') return formatMetric(value);
  return `${formatBytes(value)}${unit[1] === undefined ? '' : '/s'}`;
}

function spark(opened: Opened, run: string, key: string): string {
  return chartSparkline(answerNow(opened.store, readSeries({ run, key, points: SPARK })), SPARK);
}

function artifacts(page: Page): string {
  const columns: Column[] = [
    { title: '', min: 12 },
    { title: '' },
    { title: '', align: 'right' },
    { title: '' },
  ];
  const newest = new Map(page.detail.artifacts.map((artifact) => [artifact.name, artifact]));
  const cells = [...newest.values()].map((artifact): Cell[] => [
    artifact.name,
    artifact.kind ?? '',
    formatBytes(artifact.size),
    artifact.type === 'folder' ? count(artifact.files ?? 0, 'file') : '',
  ]);
  return section(page, 'Artifacts', cells.length === 0 ? '' : table(page, columns, cells, false));
}

/** Whether the changes are part of the commit: a run with --no-auto-commit only notes that there were some. */
function isKept(snapshot: NonNullable<Page['detail']['snapshot']>): boolean {
  return snapshot.commit !== null && snapshot.commit !== snapshot.base;
}

function code(page: Page): string {
  const { snapshot, drift } = page.detail;
  if (snapshot === null) return '';
  const rows: [string, string][] = [];
  if (snapshot.commit) rows.push(['commit', snapshot.commit]);
  if (snapshot.base && snapshot.base !== snapshot.commit) rows.push(['on top of', snapshot.base]);
  if (snapshot.repository) rows.push(['repository', snapshot.repository]);
  if (snapshot.state !== 'normal') rows.push(['state', snapshot.state]);
  if (snapshot.store === 'private') rows.push(['kept in', 'the private repository of .waddle/']);
  const lists = [
    files(
      page,
      isKept(snapshot) ? 'changed' : 'changed, and not kept',
      snapshot.changed.map((file) => `${file.status} ${file.path}`),
      snapshot.changed_count,
    ),
    files(
      page,
      'left out',
      snapshot.left_out.map(
        (file) => `${file.path} (${file.reason}${file.size === null ? '' : `, ${formatBytes(file.size)}`})`,
      ),
    ),
    files(
      page,
      'nested',
      snapshot.nested.map((nested) => nested.path),
    ),
    files(
      page,
      'changed while it ran',
      (drift ?? []).map((file) => `${file.path} (${file.change})`),
    ),
  ];
  return section(page, 'Code', pairs(page, rows) + lists.join(''));
}

function files(
  { paint, width }: Page,
  title: string,
  paths: readonly string[],
  total = paths.length,
): string {
  if (paths.length === 0) return '';
  const shown = paths.slice(0, NAMED_FILES).map((path) => {
    const line = inert(path);
    return `    ${width === undefined ? line : cut(line, width - 4)}\n`;
  });
  const more = total > shown.length ? `    and ${count(total - shown.length, 'more', 'more')}\n` : '';
  return `  ${paint('dim', `${title}:`)}\n${shown.join('')}${more}`;
}

function attempts(page: Page): string {
  const { attempts: all } = page.detail;
  if (all.length < 2) return '';
  const columns: Column[] = [
    { title: '' },
    { title: '' },
    { title: '' },
    { title: '', align: 'right' },
    { title: '', min: 8 },
  ];
  const cells = all.map((attempt): Cell[] => {
    const { mark, style } = statusMark(attempt.status);
    const took =
      attempt.started_at === null || attempt.ended_at === null ? null : attempt.ended_at - attempt.started_at;
    return [
      { text: mark, style },
      attempt.status,
      attempt.started_at === null ? '' : formatTime(attempt.started_at),
      formatDuration(took),
      [attempt.host, attempt.reason].filter((part) => part !== null).join(', '),
    ];
  });
  return section(page, 'Attempts', table(page, columns, cells, false));
}

function environment(page: Page): string {
  return section(page, 'Environment', pairs(page, flattened('', page.detail.environment ?? {})));
}

/** Nested values under names with dots, so that each stands on a line of its own. */
function flattened(prefix: string, values: Record<string, unknown>): [string, string][] {
  return Object.entries(values).flatMap(([key, value]): [string, string][] => {
    const name = `${prefix}${key}`;
    // Hundreds of files, which `--json` has.
    if (key === 'listing' && prefix.startsWith('data.')) return [];
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      return [[name, formatParam(value)]];
    return flattened(`${name}.`, value as Record<string, unknown>);
  });
}

function warnings(page: Page): string {
  const { detail, paint } = page;
  const lines = detail.warnings.map(
    (warning) => `${warning.message}${warning.hint === null ? '' : ` (${warning.hint})`}`,
  );
  for (const [reason, number] of Object.entries(detail.dropped)) {
    lines.push(`${count(number, 'log call')} could not be kept: ${reason}`);
  }
  for (const broken of detail.broken_lines.slice(0, NAMED_FILES)) {
    lines.push(`broken line in ${broken.writer}.jsonl at byte ${broken.offset}: ${broken.reason}`);
  }
  return section(
    page,
    'Warnings',
    lines.map((line) => `  ${paint('yellow', '!')} ${inert(line)}\n`).join(''),
  );
}

function failure(page: Page): string {
  const { run } = page.detail;
  if (run.traceback !== null)
    return section(page, 'Error', indented(`${inertLines(run.traceback.trimEnd())}\n`));
  if (run.error_type === null && run.error_message === null) return '';
  const what = [run.error_type, run.error_message].filter((part) => part !== null && part !== '').join(': ');
  return section(page, 'Error', indented(`${inertLines(what)}\n`));
}
