/** Columns of the table, named as the server's filters and sorting name them: `params.lr`, `metrics.loss.min`, `started_at`. */
import type { Keys, RunRow } from '../../protocol/api.ts';
import { toNumber } from '../format/numbers.ts';

export const STATS = ['last', 'min', 'max', 'mean', 'count', 'first'] as const;
export type Stat = (typeof STATS)[number];

export const OWN = {
  status: 'Status',
  started_at: 'Age',
  duration: 'Duration',
  commit: 'Commit',
  entry: 'Entry',
  project: 'Project',
  group: 'Group',
  host: 'Host',
  user: 'User',
  ended_at: 'Ended',
  id: 'Id',
} as const;
export type OwnColumn = keyof typeof OWN;

export type Column =
  | { of: 'run'; key: OwnColumn; id: string }
  | { of: 'param' | 'tag'; key: string; id: string }
  | { of: 'metric'; key: string; stat: Stat; id: string }
  /** The metric's course as a small picture. */
  | { of: 'spark'; key: string; id: string };

/** What a name may hold without backticks, as in the filter language. */
const BARE = /^[\p{L}\p{M}\p{N}_./:@$#%+[\]-]+$/u;

const quoted = (key: string): string => (BARE.test(key) ? key : `\`${key.replaceAll('`', '``')}\``);

export const paramColumn = (key: string): string => `params.${quoted(key)}`;
export const tagColumn = (key: string): string => `tags.${quoted(key)}`;
export const sparkColumn = (key: string): string => `spark.${quoted(key)}`;
export function metricColumn(key: string, stat: Stat): string {
  const ending = key.slice(key.lastIndexOf('.') + 1).toLowerCase();
  const bare = BARE.test(key) && !(STATS as readonly string[]).includes(ending);
  return `metrics.${bare ? key : `\`${key.replaceAll('`', '``')}\``}.${stat}`;
}

const unquoted = (text: string): string =>
  text.startsWith('`') && text.endsWith('`') && text.length > 1
    ? text.slice(1, -1).replaceAll('``', '`')
    : text;

/** Undefined where it names nothing. */
export function readColumn(id: string): Column | undefined {
  if (Object.hasOwn(OWN, id)) return { of: 'run', key: id as OwnColumn, id };
  const dot = id.indexOf('.');
  const rest = id.slice(dot + 1);
  if (dot < 0 || rest === '') return undefined;
  switch (id.slice(0, dot)) {
    case 'params':
      return { of: 'param', key: unquoted(rest), id };
    case 'tags':
      return { of: 'tag', key: unquoted(rest), id };
    case 'spark':
      return { of: 'spark', key: unquoted(rest), id };
    case 'metrics': {
      const end = rest.lastIndexOf('.');
      const stat = STATS.find((one) => one === rest.slice(end + 1));
      if (end < 0 || stat === undefined) return { of: 'metric', key: unquoted(rest), stat: 'last', id };
      return { of: 'metric', key: unquoted(rest.slice(0, end)), stat, id };
    }
    default:
      return undefined;
  }
}

export function columnTitle(column: Column): string {
  if (column.of === 'run') return OWN[column.key];
  if (column.of === 'metric') return column.stat === 'last' ? column.key : `${column.key} ${column.stat}`;
  return column.key;
}

/** As `columnTitle`, and of a param or a tag that is called as another of these columns what it is. */
export function titleAmong(column: Column, columns: readonly Column[]): string {
  const title = columnTitle(column);
  if (column.of !== 'param' && column.of !== 'tag') return title;
  const twice = columns.some((other) => other.of !== column.of && columnTitle(other) === title);
  return twice ? `${title} (${column.of})` : title;
}

/** What the server is asked to put into rows. */
export const askedColumns = (columns: readonly Column[]): string =>
  columns
    .filter((column) => column.of !== 'run' && column.of !== 'spark')
    .map((column) => column.id)
    .join(',');

/** What a run has in a column; undefined: nothing. Numbers are numbers, NaN too. */
export function runValue(row: RunRow, column: Column, now: number): string | number | undefined {
  switch (column.of) {
    case 'run':
      return ownValue(row, column.key, now) ?? undefined;
    case 'tag':
      return row.tags?.[column.key];
    case 'metric': {
      const value = row.metrics?.[column.key]?.[column.stat];
      return value === undefined ? undefined : toNumber(value);
    }
    case 'param': {
      const value = row.params?.[column.key];
      if (value === undefined || value === null) return undefined;
      if (typeof value === 'number' || typeof value === 'string') return value;
      return typeof value === 'boolean' ? String(value) : JSON.stringify(value);
    }
    default:
      return undefined;
  }
}

function ownValue(row: RunRow, key: OwnColumn, now: number): string | number | null {
  switch (key) {
    case 'commit':
      return row.commit_sha;
    case 'duration':
      return row.status === 'running' && row.started_at !== null
        ? Math.max(0, now - row.started_at)
        : row.duration;
    default:
      return row[key];
  }
}

const natural = new Intl.Collator(undefined, { numeric: true });

/** Numbers before texts; texts as people sort them. */
export function compareValues(a: string | number, b: string | number): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  if (typeof a === 'number') return -1;
  return typeof b === 'number' ? 1 : natural.compare(a, b);
}

/** Where the user has chosen none: what most tables want, params and metrics that most runs have. */
export function defaultColumns(
  keys: Keys | null,
  some: {
    /** Runs of several people, or of several projects. */
    people: boolean;
    projects: boolean;
    entries: boolean;
  },
): string[] {
  const common = <T extends { runs: number }>(list: readonly T[], most: number): T[] => {
    const top = list.reduce((greatest, entry) => Math.max(greatest, entry.runs), 0);
    return list.filter((entry) => entry.runs * 2 > top).slice(0, most);
  };
  const metrics = (keys?.metrics ?? []).filter((entry) => !entry.key.startsWith('system/'));
  return [
    'started_at',
    ...(some.projects ? ['project'] : []),
    ...(some.people ? ['user'] : []),
    'duration',
    ...common(metrics, 3).map((entry) => metricColumn(entry.key, 'last')),
    ...common(keys?.params ?? [], 4).map((entry) => paramColumn(entry.key)),
    'commit',
    ...(some.entries ? ['entry'] : []),
  ];
}
