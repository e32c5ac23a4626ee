import type { DatabaseSync } from 'node:sqlite';
import { RE2JS } from 're2js';
import type { Field, MetricStat, OwnField } from './fields.ts';
import type { Filter, Literal, Test } from './filter-parser.ts';
import type { Operator } from './filter-tokens.ts';
import { readNumberText, type TimeRange } from './filter-values.ts';

export type SqlValue = string | number | bigint | null;

/** An SQL expression and what it binds, in order. */
export interface Sql {
  text: string;
  values: SqlValue[];
}

/** SQL of the run's own fields; `runs` is `r`. Where a run goes on, `duration` is up to now. */
export const OWN_SQL: Record<OwnField, string> = {
  id: 'r.id',
  name: 'r.name',
  project: 'r.project',
  status: 'r.status',
  entry: 'r.entry',
  commit: 'r.commit_sha',
  started_at: 'r.started_at',
  ended_at: 'r.ended_at',
  duration: `(coalesce(r.ended_at, CASE r.status WHEN 'running' THEN unixepoch('subsec') ELSE r.last_event_at END) - r.started_at)`,
  host: 'r.host',
  user: 'r.user',
  group: 'r."group"',
};

const NUMERIC_OWN: ReadonlySet<OwnField> = new Set<OwnField>(['started_at', 'ended_at', 'duration']);

/** Column of a metric's statistic in `metric_summaries`, and an expression that is 1 where the value is NaN. */
export const STAT_SQL: Record<MetricStat, { value: string; isNan: string }> = {
  last: { value: 'm.last', isNan: 'm.last_is_nan' },
  first: { value: 'm.first', isNan: 'm.first_is_nan' },
  min: { value: 'm.min', isNan: '0' },
  max: { value: 'm.max', isNan: '0' },
  mean: { value: 'm.mean', isNan: '0' },
  count: { value: 'm.count', isNan: '0' },
};

const withFunctions = new WeakSet<DatabaseSync>();
const patterns = new Map<string, RE2JS>();

/** RE2 matching anywhere in the text, in time linear in it. */
function matchesPattern(pattern: string, text: string): boolean {
  let compiled = patterns.get(pattern);
  if (compiled === undefined) {
    if (patterns.size > 100) patterns.clear();
    compiled = RE2JS.compile(pattern);
    patterns.set(pattern, compiled);
  }
  return compiled.matcher(text).find();
}

/** Registers the SQL functions that filters and sortings use; once for each connection. */
export function prepareConnection(db: DatabaseSync): void {
  if (withFunctions.has(db)) return;
  const options = { deterministic: true, directOnly: true };
  db.function('waddle_match', options, (pattern: unknown, text: unknown) =>
    typeof pattern === 'string' && typeof text === 'string' && matchesPattern(pattern, text) ? 1 : 0,
  );
  // A NaN in a text has no order either: null, as for a text that is no number.
  db.function('waddle_number', options, (text: unknown) => {
    const number = typeof text === 'string' ? readNumberText(text) : undefined;
    return number === undefined || Number.isNaN(number) ? null : number;
  });
  withFunctions.add(db);
}

const EXISTS: Record<'param' | 'tag' | 'metric', string> = {
  param: "EXISTS (SELECT 1 FROM param_leaves p WHERE p.run = r.num AND p.key = ? AND p.type <> 'null'",
  tag: 'EXISTS (SELECT 1 FROM tags t WHERE t.run = r.num AND t.key = ?',
  metric: 'EXISTS (SELECT 1 FROM metric_summaries m WHERE m.run = r.num AND m.key = ?',
};

/**
 * A filter as SQL over `runs r`. Every test is 0 or 1, never NULL: `!=` is the opposite of `=`, so that and, or and not
 * are plain true and false. Values are bound, never written into the text.
 */
export function compileFilter(filter: Filter): Sql {
  switch (filter.type) {
    case 'test':
      return compileTest(filter.field, filter.test);
    case 'not':
      return wrap('NOT (', compileFilter(filter.item), ')');
    default:
      return joined(filter.items.map(compileFilter), filter.type === 'and' ? ' AND ' : ' OR ');
  }
}

/** Joined as a balanced tree: SQLite's depth is bounded, a chain's length is not. */
function joined(items: readonly Sql[], by: ' AND ' | ' OR '): Sql {
  const [first] = items;
  if (first === undefined) return { text: by === ' AND ' ? '1' : '0', values: [] };
  if (items.length === 1) return first;
  const middle = items.length >> 1;
  const left = joined(items.slice(0, middle), by);
  const right = joined(items.slice(middle), by);
  return { text: `(${left.text}${by}${right.text})`, values: left.values.concat(right.values) };
}

function wrap(before: string, inner: Sql, after: string, ...values: SqlValue[]): Sql {
  return { text: `${before}${inner.text}${after}`, values: [...values, ...inner.values] };
}

function compileTest(field: Field, test: Test): Sql {
  if (test.type === 'null') return wrap('NOT (', compilePresent(field), ')');
  if (test.type === 'compare' && test.operator === '!=') {
    return wrap('NOT (', compileTest(field, { ...test, operator: '=' }), ')');
  }
  const condition = compileCondition(field, test);
  if (field.of === 'run') return wrap('coalesce(', condition, ', 0)');
  return wrap(`${EXISTS[field.of]} AND `, condition, ')', field.key);
}

/** True where the run has the key and it has a value; NaN is one, JSON's null is none. */
function compilePresent(field: Field): Sql {
  if (field.of === 'run') return { text: `${OWN_SQL[field.name]} IS NOT NULL`, values: [] };
  const values = [field.key];
  if (field.of !== 'metric') return { text: `${EXISTS[field.of]})`, values };
  const { value, isNan } = STAT_SQL[field.stat];
  return { text: `${EXISTS.metric} AND (${value} IS NOT NULL OR ${isNan}))`, values };
}

function compileCondition(field: Field, test: Test): Sql {
  switch (test.type) {
    case 'compare':
      return compileCompare(field, test.operator, test.value);
    case 'in':
      return joined(
        test.values.map((value) =>
          typeof value === 'object' ? compileRange(field, value) : compileCompare(field, '=', value),
        ),
        ' OR ',
      );
    case 'like':
      return { text: `${textSql(field)} LIKE ? ESCAPE '\\'`, values: [test.pattern] };
    case 'match':
      return { text: `waddle_match(?, ${textSql(field)})`, values: [test.pattern] };
    case 'null':
      return compilePresent(field);
  }
}

/** Any value as text: a param's number as its JSON. */
function textSql(field: Field): string {
  if (field.of === 'param') return 'p.text';
  if (field.of === 'tag') return 't.value';
  return field.of === 'run' ? OWN_SQL[field.name] : STAT_SQL[field.stat].value;
}

function compileRange(field: Field, range: TimeRange): Sql {
  const sql = textSql(field);
  return { text: `(${sql} >= ? AND ${sql} < ?)`, values: [range.from, range.to] };
}

/** The condition on the value that is there; it may be NULL, which the caller makes false. */
function compileCompare(field: Field, operator: Operator, value: Literal): Sql {
  const sql = textSql(field);
  if (field.of === 'metric') {
    const number = Number(value);
    if (!Number.isNaN(number)) return { text: `${sql} ${operator} ?`, values: [number] };
    return { text: operator === '=' ? STAT_SQL[field.stat].isNan : '0', values: [] };
  }
  if (field.of === 'run' && NUMERIC_OWN.has(field.name)) {
    return { text: `${sql} ${operator} ?`, values: [Number(value)] };
  }
  if (field.of === 'param') return compileParam(operator, value);
  if (typeof value === 'string') return { text: `${sql} ${operator} ?`, values: [value] };
  if (typeof value === 'boolean') return { text: `lower(${sql}) = ?`, values: [String(value)] };
  return { text: `waddle_number(${sql}) ${operator} ?`, values: [Number(value)] };
}

function compileParam(operator: Operator, value: Literal): Sql {
  if (typeof value === 'boolean') {
    return { text: "(p.type IN ('boolean', 'string') AND lower(p.text) = ?)", values: [String(value)] };
  }
  if (typeof value === 'string') {
    const number = readNumberText(value);
    const text = `(p.type <> 'number' AND p.text ${operator} ?)`;
    if (number === undefined) return { text, values: [value] };
    return {
      text: `(${text} OR (p.type = 'number' AND p.number ${operator} ?))`,
      values: [value, Number.isNaN(number) ? null : number],
    };
  }
  const held = `(p.type = 'string' AND waddle_number(p.text) ${operator} ?)`;
  if (typeof value === 'bigint' && operator === '=') {
    return {
      text: `((p.type = 'number' AND p.text = ?) OR ${held})`,
      values: [String(value), Number(value)],
    };
  }
  const number = Number(value);
  return { text: `((p.type = 'number' AND p.number ${operator} ?) OR ${held})`, values: [number, number] };
}
