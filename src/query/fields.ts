import type { PathPart } from './filter-tokens.ts';

/** The run's own fields, as filters, sorting and columns name them. Times are epoch seconds, `duration` seconds. */
const OWN_FIELDS = [
  'id',
  'name',
  'project',
  'status',
  'entry',
  'commit',
  'started_at',
  'ended_at',
  'duration',
  'host',
  'user',
  'group',
] as const;
export type OwnField = (typeof OWN_FIELDS)[number];

/** What of a metric: `last` is meant where nothing is said. */
export const METRIC_STATS = ['last', 'min', 'max', 'mean', 'count', 'first'] as const;
export type MetricStat = (typeof METRIC_STATS)[number];

/** What a filter, a sorting or a column can speak of. Keys are exact: they may hold dots, slashes, anything. */
export type Field =
  | { of: 'run'; name: OwnField }
  | { of: 'param'; key: string }
  | { of: 'tag'; key: string }
  | { of: 'metric'; key: string; stat: MetricStat };

const PREFIXES = { params: 'param', metrics: 'metric', tags: 'tag' } as const;
type Prefix = keyof typeof PREFIXES;

function isPrefix(text: string): text is Prefix {
  return Object.hasOwn(PREFIXES, text);
}

function isOwnField(text: string): text is OwnField {
  return (OWN_FIELDS as readonly string[]).includes(text);
}

export type FieldResult = { field: Field } | { problem: string; hint: string };

/**
 * The field that a path names. A metric's trailing `.min`, `.max`, … is its statistic unless it stands in backticks:
 * `metrics.loss.min` is the least `loss`, ``metrics.`loss.min` `` the last value of the metric `loss.min`.
 */
export function readField(parts: readonly PathPart[]): FieldResult {
  const [first, ...rest] = parts;
  if (first === undefined) return unknownField('');
  const whole = parts.map((part) => part.text).join('');
  const dot = first.quoted ? -1 : first.text.indexOf('.');
  if (dot < 0) {
    const name = whole.toLowerCase();
    if (rest.length === 0 && isOwnField(name)) return { field: { of: 'run', name } };
    return unknownField(whole);
  }
  const prefix = first.text.slice(0, dot).toLowerCase();
  if (!isPrefix(prefix)) return unknownField(whole);
  const keyParts: PathPart[] = [{ text: first.text.slice(dot + 1), quoted: false }, ...rest];
  let stat: MetricStat = 'last';
  const end = keyParts.at(-1);
  if (prefix === 'metrics' && end !== undefined && !end.quoted) {
    const found = METRIC_STATS.find((name) => end.text.toLowerCase().endsWith(`.${name}`));
    if (found !== undefined && (keyParts.length > 1 || end.text.length > found.length + 1)) {
      stat = found;
      keyParts[keyParts.length - 1] = { text: end.text.slice(0, -found.length - 1), quoted: false };
    }
  }
  const key = keyParts.map((part) => part.text).join('');
  if (key === '' && rest.length === 0) {
    return {
      problem: `"${prefix}." lacks a key`,
      hint: `write for example: ${prefix}.${EXAMPLE_KEYS[prefix]}`,
    };
  }
  const of = PREFIXES[prefix];
  return { field: of === 'metric' ? { of, key, stat } : { of, key } };
}

const EXAMPLE_KEYS: Record<Prefix, string> = { params: 'lr', metrics: 'loss', tags: 'model' };

function unknownField(text: string): FieldResult {
  const problem = `there is no field "${text}"`;
  const dot = text.indexOf('.');
  if (dot > 0) {
    const prefix = nearest(text.slice(0, dot), Object.keys(PREFIXES));
    if (prefix !== undefined) return { problem, hint: `did you mean ${prefix}${text.slice(dot)}?` };
  }
  const own = nearest(text, OWN_FIELDS);
  if (own !== undefined) return { problem, hint: `did you mean ${own}?` };
  return {
    problem,
    hint: `write params.${text || 'lr'}, metrics.${text || 'loss'} or tags.${text || 'model'}, or one of: ${OWN_FIELDS.join(' ')}`,
  };
}

/** The nearest of `names` by edit distance, where it is near enough to be meant. */
function nearest(text: string, names: readonly string[]): string | undefined {
  const wanted = text.toLowerCase();
  if (wanted === '' || wanted.length > 30) return undefined;
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(wanted, name);
    if (distance < bestDistance) [best, bestDistance] = [name, distance];
  }
  return best;
}

/** Optimal string alignment: a swap of two neighbours counts once. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(
        (previous[j] ?? 0) + 1,
        (row[j - 1] ?? 0) + 1,
        (previous[j - 1] ?? 0) + (same ? 0 : 1),
      );
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      }
      row.push(cost);
    }
    [before, previous] = [previous, row];
  }
  return previous[b.length] ?? 0;
}

/** The field as it would be typed, keys in backticks where they need it. */
export function fieldText(field: Field): string {
  if (field.of === 'run') return field.name;
  const bare = /^[\p{L}\p{M}\p{N}_./:@$#%+[\]-]+$/u.test(field.key);
  const statLike =
    field.of === 'metric' && METRIC_STATS.some((stat) => field.key.toLowerCase().endsWith(`.${stat}`));
  const key = bare && !statLike ? field.key : `\`${field.key.replaceAll('`', '``')}\``;
  if (field.of !== 'metric') return `${field.of}s.${key}`;
  return field.stat === 'last' ? `metrics.${key}` : `metrics.${key}.${field.stat}`;
}
