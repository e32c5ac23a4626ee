/** What can be typed next in a filter. Pure. */
import type { Keys } from '../../protocol/api.ts';
import { metricColumn, paramColumn, tagColumn } from './columns.ts';

const OWN = [
  'status',
  'name',
  'project',
  'entry',
  'commit',
  'started_at',
  'ended_at',
  'duration',
  'host',
  'user',
  'group',
  'id',
];
const STATUSES = ['running', 'completed', 'failed', 'aborted', 'crashed'];
const WORD = /[\p{L}\p{N}_./:@$#%+[\]`-]*$/u;
const MOST = 12;

export interface Completion {
  /** What is put in place of `from` to the caret. */
  text: string;
  from: number;
  hint: string;
}

/** Completions at the caret; none inside what is complete. */
export function completionsAt(text: string, caret: number, keys: Keys | null): Completion[] {
  const before = text.slice(0, caret);
  const value = /([\p{L}\p{N}_./:@$#%+[\]`-]+)\s*(=|!=)\s*'?([^']*)$/u.exec(before);
  if (value) return values(value[1] ?? '', value[3] ?? '', before, keys);
  if ((before.match(/'/g)?.length ?? 0) % 2 === 1) return [];
  const word = WORD.exec(before)?.[0] ?? '';
  if (word === '') return [];
  const from = caret - word.length;
  const fields = [
    ...OWN.map((name) => ({ text: name, hint: 'field' })),
    ...(keys?.params ?? []).map((entry) => ({ text: paramColumn(entry.key), hint: 'param' })),
    ...(keys?.tags ?? []).map((entry) => ({ text: tagColumn(entry.key), hint: 'tag' })),
    ...(keys?.metrics ?? []).flatMap((entry) =>
      (['last', 'min', 'max'] as const).map((stat) => ({
        text: metricColumn(entry.key, stat),
        hint: 'metric',
      })),
    ),
  ];
  const needle = word.toLowerCase();
  const starts = fields.filter((field) => field.text.toLowerCase().startsWith(needle) && field.text !== word);
  const holds = fields.filter(
    (field) => !starts.includes(field) && field.text.toLowerCase().includes(needle) && field.text !== word,
  );
  return [...starts, ...holds].slice(0, MOST).map((field) => ({ ...field, from }));
}

function values(field: string, typed: string, before: string, keys: Keys | null): Completion[] {
  const known =
    field.toLowerCase() === 'status'
      ? STATUSES
      : (keys?.tags.find((entry) => tagColumn(entry.key) === field)?.values ?? []);
  const start = before.length - typed.length - (before[before.length - typed.length - 1] === "'" ? 1 : 0);
  return known
    .filter((one) => one.toLowerCase().startsWith(typed.trim().toLowerCase()) && one !== typed)
    .slice(0, MOST)
    .map((one) => ({ text: `'${one.replaceAll("'", "''")}'`, from: start, hint: 'value' }));
}
