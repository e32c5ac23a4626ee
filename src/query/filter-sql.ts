import { RE2JS } from 're2js';
import { readNumberText } from '../store/number-text.ts';
import { type Bound, type Question, rows } from '../store/question.ts';
import type { Field, MetricStat, OwnField } from './fields.ts';
import type { Filter, Literal, Test } from './filter-parser.ts';
import type { Operator } from './filter-tokens.ts';
import type { TimeRange } from './filter-values.ts';
import { requiredTexts } from './pattern-text.ts';

/** An SQL expression and what it binds, in order. */
export interface Sql {
  text: string;
  values: Bound[];
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
  duration: `(coalesce(r.ended_at, CASE r.status WHEN 'running' THEN waddle_now() ELSE r.last_event_at END) - r.started_at)`,
  host: 'r.host',
  user: 'r."user"',
  group: 'r."group"',
};

const NUMERIC_OWN: ReadonlySet<OwnField> = new Set<OwnField>(['started_at', 'ended_at', 'duration']);

/** Column of a metric's statistic in `metric_summaries`, and a condition that holds where the value is NaN. */
export const STAT_SQL: Record<MetricStat, { value: string; isNan: string }> = {
  last: { value: 'm.last', isNan: 'm.last_is_nan = 1' },
  first: { value: 'm.first', isNan: 'm.first_is_nan = 1' },
  min: { value: 'm.min', isNan: 'FALSE' },
  max: { value: 'm.max', isNan: 'FALSE' },
  mean: { value: 'm.mean', isNan: 'FALSE' },
  count: { value: 'm.count', isNan: 'FALSE' },
};

/** Looked up for each run by its key: PostgreSQL would join all that have the key, and guesses badly how many these are. */
const EACH = 'LIMIT 1 OFFSET 0';

const EXISTS: Record<'param' | 'tag' | 'metric', string> = {
  param: "EXISTS (SELECT 1 FROM param_leaves p WHERE p.run = r.num AND p.key = ? AND p.type <> 'null'",
  tag: 'EXISTS (SELECT 1 FROM tags t WHERE t.run = r.num AND t.key = ?',
  metric: 'EXISTS (SELECT 1 FROM metric_summaries m WHERE m.run = r.num AND m.key = ?',
};

/**
 * What a text that holds a number is at least one of: it begins with a digit, a sign, a point or white space. No text is in two, and
 * an index knows each.
 */
export const HOLDING_NUMBERS: readonly ((sql: string) => string)[] = [
  (sql) => `${sql} < ':'`,
  (sql) => `${sql} >= '\u00a0'`,
  (sql) => `${sql} = 'Infinity'`,
];

function mayHoldNumber(sql: string): string {
  return `(${HOLDING_NUMBERS.map((range) => range(sql)).join(' OR ')})`;
}

/** A filter as SQL. */
export interface CompiledFilter {
  /** Over `runs r`. */
  condition: Sql;
  /** What each selects the numbers of runs by an index (`run`); all that the filter lets through are in each. */
  selections: Sql[];
}

/**
 * A filter as SQL over `runs r`. Every test is true or false, never NULL: `!=` is the opposite of `=`, so that and, or and
 * not are plain true and false. Values are bound, never written into the text.
 */
export function* compileFilter(filter: Filter): Question<CompiledFilter> {
  const matching: Matching = new Map();
  for (const { field, test } of patternTests(filter)) matching.set(test, yield* matchingTexts(field, test));
  const tests = filter.type === 'and' ? filter.items : [filter];
  return {
    condition: compile(filter, matching),
    selections: tests.flatMap((test) => {
      const selection = test.type === 'test' ? selectionOf(test.field, test.test, matching) : null;
      return selection === null ? [] : [selection];
    }),
  };
}

/** The runs that one test lets through; null where no index knows them. */
function selectionOf(field: Field, test: Test, matching: Matching): Sql | null {
  const byValue = test.type === 'in' || (test.type === 'compare' && test.operator !== '!=');
  if (field.of === 'run') {
    if (field.name !== 'name' && field.name !== 'id') return null;
    const few = test.type === 'match' && (matching.get(test)?.length ?? MANY) < MANY;
    const one = test.type === 'in' || (test.type === 'compare' && test.operator === '=');
    if (!few && !one) return null;
    return wrap('SELECT r.num AS run FROM runs r WHERE ', compileCondition(field, test, matching), '');
  }
  if (!byValue) return null;
  const select = `SELECT ${SELECTED[field.of]} AND `;
  const each = alternatives(field, test, matching);
  // One after the other, so that each is met by its own index; but so many only.
  const parts = each.length > MANY_PARTS ? [joined(each, ' OR ')] : each;
  return {
    text: parts.map(({ text }) => select + text).join(' UNION ALL '),
    values: parts.flatMap(({ values }) => [field.key, ...values]),
  };
}

/** Texts that a pattern matches, from which on they are no selection. */
const MANY = 4000;
/** SQLite joins 500 at most. */
const MANY_PARTS = 50;

const SELECTED: Record<'param' | 'tag' | 'metric', string> = {
  param: "p.run AS run FROM param_leaves p WHERE p.key = ? AND p.type <> 'null'",
  tag: 't.run AS run FROM tags t WHERE t.key = ?',
  metric: 'm.run AS run FROM metric_summaries m WHERE m.key = ?',
};

type PatternTest = Extract<Test, { type: 'match' }>;

/** The texts of a field that a pattern matches, for each test of a pattern; null where all of them do. */
type Matching = Map<PatternTest, string[] | null>;

function* patternTests(filter: Filter): Generator<{ field: Field; test: PatternTest }> {
  if (filter.type === 'not') yield* patternTests(filter.item);
  else if (filter.type === 'test') {
    const { field, test } = filter;
    if (test.type === 'match') yield { field, test };
  } else for (const item of filter.items) yield* patternTests(item);
}

/**
 * Patterns are matched here, once for each text that there is: RE2, in time linear in the text, and the same whichever
 * engine holds it.
 */
function* matchingTexts(field: Field, { pattern }: PatternTest): Question<string[] | null> {
  const required = requiredTexts(pattern);
  const found = yield* textsOf(field, required);
  const compiled = RE2JS.compile(pattern);
  const texts = found.map((row) => String(row.text));
  const matching = texts.filter((text) => compiled.matcher(text).find());
  return required.length === 0 && matching.length === texts.length ? null : matching;
}

/** The texts of a field that hold all of these. */
function* textsOf(field: Field, required: readonly string[]): Question<Record<string, unknown>[]> {
  const sql = textSql(field);
  const holds = required.map(() => ` AND instr(${sql}, ?) > 0`).join('');
  if (field.of === 'run') {
    return yield* rows(
      `SELECT DISTINCT ${sql} AS text FROM runs r WHERE ${sql} IS NOT NULL${holds}`,
      ...required,
    );
  }
  const from = field.of === 'param' ? "param_leaves p WHERE p.type <> 'null' AND" : 'tags t WHERE';
  return yield* rows(`SELECT DISTINCT ${sql} AS text FROM ${from} key = ?${holds}`, field.key, ...required);
}

function compile(filter: Filter, matching: Matching): Sql {
  switch (filter.type) {
    case 'test':
      return compileTest(filter.field, filter.test, matching);
    case 'not':
      return wrap('NOT (', compile(filter.item, matching), ')');
    default:
      return joined(
        filter.items.map((item) => compile(item, matching)),
        filter.type === 'and' ? ' AND ' : ' OR ',
      );
  }
}

/** Joined as a balanced tree: SQLite's depth is bounded, a chain's length is not. */
function joined(items: readonly Sql[], by: ' AND ' | ' OR '): Sql {
  const [first] = items;
  if (first === undefined) return { text: by === ' AND ' ? 'TRUE' : 'FALSE', values: [] };
  if (items.length === 1) return first;
  const middle = items.length >> 1;
  const left = joined(items.slice(0, middle), by);
  const right = joined(items.slice(middle), by);
  return { text: `(${left.text}${by}${right.text})`, values: left.values.concat(right.values) };
}

function wrap(before: string, inner: Sql, after: string, ...values: Bound[]): Sql {
  return { text: `${before}${inner.text}${after}`, values: [...values, ...inner.values] };
}

function compileTest(field: Field, test: Test, matching: Matching): Sql {
  if (test.type === 'null') return wrap('NOT (', compilePresent(field), ')');
  if (test.type === 'compare' && test.operator === '!=') {
    return wrap('NOT (', compileTest(field, { ...test, operator: '=' }, matching), ')');
  }
  const condition = compileCondition(field, test, matching);
  if (field.of === 'run') return wrap('coalesce(', condition, ', FALSE)');
  return wrap(`${EXISTS[field.of]} AND `, condition, ` ${EACH})`, field.key);
}

/** True where the run has the key and it has a value; NaN is one, JSON's null is none. */
function compilePresent(field: Field): Sql {
  if (field.of === 'run') return { text: `${OWN_SQL[field.name]} IS NOT NULL`, values: [] };
  const values = [field.key];
  if (field.of !== 'metric') return { text: `${EXISTS[field.of]} ${EACH})`, values };
  const { value, isNan } = STAT_SQL[field.stat];
  return { text: `${EXISTS.metric} AND (${value} IS NOT NULL OR ${isNan}) ${EACH})`, values };
}

/** The condition on the value that is there; it may be NULL, which the caller makes false. */
function compileCondition(field: Field, test: Test, matching: Matching): Sql {
  return joined(alternatives(field, test, matching), ' OR ');
}

/** Conditions of which one holds, each as an index knows it. */
function alternatives(field: Field, test: Test, matching: Matching): Sql[] {
  switch (test.type) {
    case 'compare':
      return compileCompare(field, test.operator, test.value);
    case 'in':
      return test.values.flatMap((value) =>
        typeof value === 'object' ? [compileRange(field, value)] : compileCompare(field, '=', value),
      );
    case 'like':
      // What ends in a lone backslash matches nothing in SQLite, and PostgreSQL refuses it.
      if (/(?:^|[^\\])(?:\\\\)*\\$/.test(test.pattern)) return [{ text: 'FALSE', values: [] }];
      return [{ text: `${textSql(field)} LIKE ? ESCAPE '\\'`, values: [test.pattern] }];
    case 'match': {
      const texts = matching.get(test) ?? null;
      if (texts === null) return [{ text: `${textSql(field)} IS NOT NULL`, values: [] }];
      if (texts.length === 0) return [{ text: 'FALSE', values: [] }];
      return [{ text: `${textSql(field)} IN (SELECT value FROM json_each(?))`, values: [texts] }];
    }
    case 'null':
      return [compilePresent(field)];
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

function compileCompare(field: Field, operator: Operator, value: Literal): Sql[] {
  return field.of === 'param' ? compileParam(operator, value) : [compileValue(field, operator, value)];
}

function compileValue(field: Exclude<Field, { of: 'param' }>, operator: Operator, value: Literal): Sql {
  const sql = textSql(field);
  if (field.of === 'metric') {
    const number = Number(value);
    if (!Number.isNaN(number)) {
      return { text: `${sql} ${operator} CAST(? AS DOUBLE PRECISION)`, values: [number] };
    }
    return { text: operator === '=' ? STAT_SQL[field.stat].isNan : 'FALSE', values: [] };
  }
  if (field.of === 'run' && NUMERIC_OWN.has(field.name)) {
    return { text: `${sql} ${operator} ?`, values: [Number(value)] };
  }
  if (typeof value === 'string')
    return field.of === 'tag'
      ? compareText(sql, operator, value)
      : { text: `${sql} ${operator} ?`, values: [value] };
  if (typeof value === 'boolean') return { text: `lower(${sql}) = ?`, values: [String(value)] };
  return {
    text: `(${mayHoldNumber(indexedText(sql))} AND waddle_number(${sql}) ${operator} ?)`,
    values: [Number(value)],
  };
}

/** Characters of a text that an index has (`src/store/schema.ts`). */
export const INDEXED = 300;

/** The beginning of a text, as an index has it. */
export const indexedText = (sql: string): string => `substr(${sql}, 1, ${INDEXED})`;

/** A comparison with a text, which an index of beginnings narrows down. */
function compareText(sql: string, operator: Operator, value: string): Sql {
  const roughly = operator === '<' ? '<=' : operator === '>' ? '>=' : operator;
  return {
    text: `(${indexedText(sql)} ${roughly} ${indexedText('?')} AND ${sql} ${operator} ?)`,
    values: [value, value],
  };
}

function compileParam(operator: Operator, value: Literal): Sql[] {
  if (typeof value === 'boolean') {
    const either = "(p.type <> 'number' AND p.type IN ('boolean', 'string') AND lower(p.text) = ?)";
    return [{ text: either, values: [String(value)] }];
  }
  if (typeof value === 'string') {
    const number = readNumberText(value);
    const text = wrap("(p.type <> 'number' AND ", compareText('p.text', operator, value), ')');
    if (number === undefined) return [text];
    const held = { text: `(p.type = 'number' AND p.number ${operator} ?)`, values: [finite(number)] };
    return [text, held];
  }
  // That a string is no number is said too: by those words an index has them.
  const held = HOLDING_NUMBERS.map((range) => ({
    text: `(p.type <> 'number' AND ${range(indexedText('p.text'))} AND
      CASE p.type WHEN 'string' THEN waddle_number(p.text) END ${operator} ?)`,
    values: [Number(value)],
  }));
  const exact: Sql =
    typeof value === 'bigint' && operator === '='
      ? {
          text: "(p.type = 'number' AND p.number = ? AND p.text = ?)",
          values: [Number(value), String(value)],
        }
      : { text: `(p.type = 'number' AND p.number ${operator} ?)`, values: [Number(value)] };
  return [exact, ...held];
}

function finite(number: number): number | null {
  return Number.isNaN(number) ? null : number;
}
