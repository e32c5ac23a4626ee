import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rounds } from '../../test/support/rounds.ts';
import { WaddleError } from '../errors/waddle-error.ts';
import { readNumberText } from '../store/number-text.ts';
import type { Field } from './fields.ts';
import { fieldText } from './fields.ts';
import { type Filter, type Literal, parseFilter, type Test } from './filter-parser.ts';
import { addRun, ask, type FixtureRun, isLocal, type TemporaryStore, temporaryStore } from './fixture.ts';
import { listRuns } from './runs-table.ts';

function errorOf(text: string): WaddleError {
  try {
    parseFilter(text);
  } catch (error) {
    if (error instanceof WaddleError) return error;
    throw error;
  }
  throw new Error(`understood: ${text}`);
}

describe('what is understood', () => {
  it('reads the example of the contract', () => {
    const filter = parseFilter(
      "params.lr > 0.001 and (metrics.loss.min < 0.2 or tags.model = 'linear') and not status = 'failed'",
    );
    expect(filter).toMatchObject({
      type: 'and',
      items: [
        { field: { of: 'param', key: 'lr' }, test: { operator: '>', value: 0.001 } },
        { type: 'or', items: [{ field: { key: 'loss', stat: 'min' } }, { field: { of: 'tag' } }] },
        { type: 'not', item: { field: { of: 'run', name: 'status' } } },
      ],
    });
  });

  it.each([
    ['metrics.train/loss.min > 1', { of: 'metric', key: 'train/loss', stat: 'min' }],
    ['metrics.`loss.min` > 1', { of: 'metric', key: 'loss.min', stat: 'last' }],
    ['metrics.`loss.min`.max > 1', { of: 'metric', key: 'loss.min', stat: 'max' }],
    ['metrics.min > 1', { of: 'metric', key: 'min', stat: 'last' }],
    ['METRICS.loss.MEAN > 1', { of: 'metric', key: 'loss', stat: 'mean' }],
    ['params.optimizer.lr > 1', { of: 'param', key: 'optimizer.lr' }],
    ['params.learning-rate=1', { of: 'param', key: 'learning-rate' }],
    ['params.`a ``b`` c`.d = 1', { of: 'param', key: 'a `b` c.d' }],
    ['params.größe_日本 = 1', { of: 'param', key: 'größe_日本' }],
    ['tags.``= 1', { of: 'tag', key: '' }],
  ])('%s', (text, field) => {
    expect(parseFilter(text)).toMatchObject({ field });
  });

  it('reads keywords in either case, and gives "and" the upper hand over "or"', () => {
    expect(parseFilter("NAME = 'a' OR name = 'b' AND NOT name = 'c'")).toMatchObject({
      type: 'or',
      items: [{ type: 'test' }, { type: 'and', items: [{ type: 'test' }, { type: 'not' }] }],
    });
  });

  it('keeps the digits of large integers, and the quotes of a text', () => {
    expect(parseFilter('params.seed = 12345678901234567891')).toMatchObject({
      test: { value: 12345678901234567891n },
    });
    expect(parseFilter("name = 'it''s'")).toMatchObject({ test: { value: "it's" } });
  });

  it('reads times with and without a zone, and durations', () => {
    expect(parseFilter("started_at >= '2026-11-23T10:00:00Z'")).toMatchObject({
      test: { value: Date.UTC(2026, 10, 23, 10) / 1000 },
    });
    expect(parseFilter("started_at >= '2026-11-23 10:00+02:00'")).toMatchObject({
      test: { value: Date.UTC(2026, 10, 23, 8) / 1000 },
    });
    const day = new Date(2026, 10, 23).getTime() / 1000;
    const next = new Date(2026, 10, 24).getTime() / 1000;
    expect(parseFilter("started_at = '2026-11-23'")).toMatchObject({
      test: { type: 'in', values: [{ from: day, to: next }] },
    });
    expect(parseFilter("duration > '1h30m'")).toMatchObject({ test: { value: 5400 } });
    expect(errorOf("started_at > '2026-02-30'").message).toContain('started_at is a time');
  });
});

describe('what is not', () => {
  it('shows the line with a mark under the bad token', () => {
    const error = errorOf('params.lr > and x');
    expect(error.code).toBe('filter-invalid');
    expect(error.exitCode).toBe(2);
    expect(error.message.split('\n')).toEqual([
      'the filter is not understood: expected a value after ">", found "and"',
      '  params.lr > and x',
      '              ^^^',
    ]);
  });

  it('marks the right line and column, also after wide letters', () => {
    expect(errorOf("name = 'a'\n  and nam = 2").message.split('\n').slice(1)).toEqual([
      '    and nam = 2',
      '        ^^^',
    ]);
    expect(errorOf("name = '日本' nonsense").message.split('\n').slice(1)).toEqual([
      "  name = '日本' nonsense",
      '                ^^^^^^^^',
    ]);
  });

  it.each([
    ["statsu = 'failed'", 'did you mean status?'],
    ['param.lr = 1', 'did you mean params.lr?'],
    ['lr = 1', 'write params.lr, metrics.lr or tags.lr'],
    ['status = failed', "text stands in single quotes: 'failed'"],
    ['status = "failed"', 'text stands in single quotes'],
    ["name = 'x", 'close it with a single quote'],
    ["(name = 'x'", 'close the parenthesis'],
    ['params.x = null', 'write "is null"'],
    ["name = 'x' && name = 'y'", 'write "and" or "or"'],
    ["name ~ '(?=a)'", 'RE2'],
    ['params.flag < true', 'compare them with = or !='],
    ["metrics.loss = 'low'", 'compare it with a number'],
    ["metrics.loss ~ 'low'", 'compare it with = !='],
    [`${'('.repeat(200)}name = 'x'${')'.repeat(200)}`, 'fewer parentheses'],
    ['', 'write for example'],
  ])('%s', (text, hint) => {
    expect(errorOf(text).hint).toContain(hint);
  });

  it('lets no control character of a filter reach the terminal', () => {
    expect(errorOf('name = \u001b[31m').message).not.toContain('\u001b');
  });

  it('never crashes but with its own error, whatever it is given', () => {
    const pieces = fc.constantFrom(
      ...[
        'params.a',
        'metrics.b.min',
        'tags.`c d`',
        'status',
        'and',
        'or',
        'not',
        'in',
        'like',
        'is',
        'null',
        'true',
      ],
      ...[
        '(',
        ')',
        ',',
        '=',
        '!=',
        '<',
        '~',
        "'x'",
        "'(a'",
        '1',
        '-2.5e3',
        '9999999999999999999',
        '`',
        "'",
        '"',
        '\n',
      ],
    );
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 40 }),
      fc.array(pieces, { maxLength: 12 }).map((list) => list.join(' ')),
    );
    fc.assert(
      fc.property(text, (filter) => {
        try {
          parseFilter(filter);
        } catch (error) {
          if (!(error instanceof WaddleError) || error.code !== 'filter-invalid') throw error;
        }
      }),
      { numRuns: rounds(isLocal() ? 1000 : 10) },
    );
  });
});

/** What the filter language means, said a second time and simply: no SQL, one run at a time. */
function evaluate(filter: Filter, run: FixtureRun): boolean {
  switch (filter.type) {
    case 'and':
      return filter.items.every((item) => evaluate(item, run));
    case 'or':
      return filter.items.some((item) => evaluate(item, run));
    case 'not':
      return !evaluate(filter.item, run);
    case 'test':
      return holds(filter.test, valueOfField(filter.field, run), filter.field);
  }
}

function valueOfField(field: Field, run: FixtureRun): unknown {
  if (field.of === 'param') return run.params?.[field.key];
  if (field.of === 'tag') return run.tags?.[field.key];
  if (field.of === 'run') {
    const own = { id: run.id, name: run.id, project: 'default', status: 'completed', ...run.own } as Record<
      string,
      unknown
    >;
    return field.name === 'duration' ? Number(own.ended_at) - Number(own.started_at) : own[field.name];
  }
  const samples = run.metrics?.[field.key] as readonly (readonly [number, number])[] | undefined;
  if (samples === undefined) return undefined;
  const all = samples.map(([, value]) => value);
  const valid = all.filter((value) => !Number.isNaN(value));
  switch (field.stat) {
    case 'last':
      return all.at(-1);
    case 'first':
      return all[0];
    case 'count':
      return all.length;
    case 'min':
      return valid.length === 0 ? undefined : Math.min(...valid);
    case 'max':
      return valid.length === 0 ? undefined : Math.max(...valid);
    case 'mean':
      return valid.length === 0 ? undefined : valid.reduce((a, b) => a + b) / valid.length;
  }
}

function holds(test: Test, value: unknown, field: Field): boolean {
  const missing = value === undefined || value === null;
  switch (test.type) {
    case 'null':
      return missing;
    case 'like':
      return !missing && like(test.pattern, String(value));
    case 'match':
      return !missing && new RegExp(test.pattern, 'u').test(String(value));
    case 'in':
      return (
        !missing && test.values.some((item) => typeof item !== 'object' && compares('=', value, item, field))
      );
    case 'compare':
      if (test.operator === '!=') return missing || !compares('=', value, test.value, field);
      return !missing && compares(test.operator, value, test.value, field);
  }
}

function compares(operator: string, value: unknown, literal: Literal, field: Field): boolean {
  if (field.of === 'metric' && Number.isNaN(literal)) return operator === '=' && Number.isNaN(value);
  if (typeof literal === 'boolean') {
    return (
      (typeof value === 'boolean' || typeof value === 'string') &&
      String(value).toLowerCase() === String(literal)
    );
  }
  if (typeof literal === 'string') {
    if (typeof value !== 'number')
      return ordered(operator, Buffer.compare(Buffer.from(String(value)), Buffer.from(literal)));
    const number = readNumberText(literal);
    return number !== undefined && ordered(operator, difference(value, number));
  }
  const number = typeof value === 'string' ? readNumberText(value) : value;
  return typeof number === 'number' && ordered(operator, difference(number, Number(literal)));
}

/** Not by subtraction: two infinities are equal. NaN where either is. */
function difference(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : a > b ? 1 : Number.NaN;
}

function ordered(operator: string, order: number): boolean {
  if (operator === '=') return order === 0;
  if (operator === '<') return order < 0;
  if (operator === '<=') return order <= 0;
  if (operator === '>') return order > 0;
  return operator === '>=' && order >= 0;
}

function like(pattern: string, value: string): boolean {
  const source = pattern
    .replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll('%', '.*')
    .replaceAll('_', '.');
  return new RegExp(`^${source}$`, 'isu').test(value);
}

const values = ['linear', 'Linear', '10', '9', '0.1', '', 'NaN', 'true', 'ü', '𝒳', '\uffff'] as const;
const paramValues: readonly unknown[] = [...values, 0.1, 10, -3, 1e300, true, false, null, 0];
const metricValues = [0.1, 10, -3, Number.NaN, Number.POSITIVE_INFINITY, 0, -1e300] as const;

const arbitraryRun = fc.record({
  params: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom(...paramValues)),
  tags: fc.dictionary(fc.constantFrom('a', 'b'), fc.constantFrom(...values)),
  metrics: fc.dictionary(
    fc.constantFrom('a', 'b'),
    fc.array(fc.constantFrom(...metricValues), { minLength: 1, maxLength: 3 }),
  ),
  status: fc.constantFrom('completed', 'failed', 'running'),
  entry: fc.constantFrom(...values, null),
  started_at: fc.constantFrom(100, 200, 300),
});

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

const key = fc.constantFrom('a', 'b', 'c');
const operator = fc.constantFrom('=', '!=', '<', '<=', '>', '>=');
const numberText = fc.constantFrom('0.1', '10', '-3', '0', '9', '1e300');
const equality = fc.constantFrom('=', '!=');
const textField = fc.oneof(
  key.map((name) => `params.${name}`),
  key.map((name) => `tags.${name}`),
  fc.constantFrom('status', 'entry', 'name'),
);
const metricField = fc
  .tuple(key, fc.constantFrom('', '.last', '.min', '.max', '.mean', '.count', '.first'))
  .map(([name, stat]) => `metrics.${name}${stat}`);
const metricValue = fc.oneof(numberText, fc.constantFrom("'NaN'", "'Infinity'", "'10'"));
const textValue = fc.oneof(
  numberText,
  fc.constantFrom(...values).map(quote),
  fc.constantFrom('true', 'false'),
);
const leaf = fc
  .oneof(
    fc.tuple(textField, operator, fc.oneof(numberText, fc.constantFrom(...values).map(quote))),
    fc.tuple(textField, equality, fc.constantFrom('true', 'FALSE')),
    fc.tuple(metricField, operator, metricValue),
    fc.tuple(fc.constantFrom('started_at', 'duration'), operator, fc.constantFrom('100', '200', '50')),
    fc.tuple(fc.oneof(textField, metricField), fc.constantFrom('is', 'IS not'), fc.constant('null')),
    fc.tuple(
      textField,
      fc.constantFrom('in', 'not in'),
      fc.array(textValue, { minLength: 1, maxLength: 3 }).map((list) => `(${list.join(', ')})`),
    ),
    fc.tuple(
      metricField,
      fc.constant('in'),
      metricValue.map((value) => `(${value}, 7)`),
    ),
    fc.tuple(
      textField,
      fc.constantFrom('like', 'not like'),
      fc.constantFrom("'%in%'", "'l_near'", "'%'", "'0._'", "''"),
    ),
    fc.tuple(textField, fc.constant('~'), fc.constantFrom("'^l'", "'[0-9]+'", "'a|e'", "'(?:)'")),
  )
  .map((parts) => parts.join(' '));
const { filter: arbitraryFilter } = fc.letrec<{ filter: string }>((tie) => ({
  filter: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.tuple(tie('filter'), tie('filter')).map(([a, b]) => `(${a}) and ${b}`),
    fc.tuple(tie('filter'), tie('filter')).map(([a, b]) => `${a} or (${b})`),
    tie('filter').map((inner) => `not (${inner})`),
  ),
}));

describe('what a filter lets through', () => {
  let temporary: TemporaryStore;
  const runs: FixtureRun[] = [];

  beforeAll(() => {
    temporary = temporaryStore();
    fc.sample(arbitraryRun, { numRuns: 60, seed: 7 }).forEach((run, index) => {
      runs.push({
        id: `run${String(index).padStart(9, 'a')}`,
        own: {
          status: run.status,
          entry: run.entry,
          started_at: run.started_at,
          ended_at: run.started_at + 50,
        },
        params: run.params,
        tags: run.tags,
        metrics: Object.fromEntries(
          Object.entries(run.metrics).map(([name, list]) => [
            name,
            list.map((value, step) => [step, value] as const),
          ]),
        ),
      });
    });
    for (const run of runs) addRun(temporary.store, run);
  });
  afterAll(() => temporary.remove());

  it('is what a plain reading of the contract says', () => {
    fc.assert(
      fc.property(arbitraryFilter, (text) => {
        const filter = parseFilter(text);
        const found = ask(temporary.store, listRuns({ filter })).rows.map((row) => row.id);
        const expected = runs.filter((run) => evaluate(filter, run)).map((run) => run.id);
        expect(found.toSorted()).toEqual(expected.toSorted());
      }),
      { numRuns: rounds(isLocal() ? 500 : 100) },
    );
  });

  it('splits the runs in two: each matches a filter or its opposite', () => {
    fc.assert(
      fc.property(arbitraryFilter, (text) => {
        const yes = ask(temporary.store, listRuns({ filter: text })).rows.length;
        const no = ask(temporary.store, listRuns({ filter: `not (${text})` })).rows.length;
        expect(yes + no).toBe(runs.length);
      }),
      { numRuns: rounds(isLocal() ? 100 : 30) },
    );
  });

  it('says of a run that lacks the key: only "is null" and "!="', () => {
    const all = runs.length;
    const count = (filter: string) => ask(temporary.store, listRuns({ filter })).rows.length;
    for (const field of ['params.zz', 'tags.zz', 'metrics.zz', 'metrics.zz.min']) {
      for (const test of ['= 1', '< 1', '>= 1', 'in (1)', 'is not null'])
        expect(count(`${field} ${test}`)).toBe(0);
      expect(count(`${field} is null`)).toBe(all);
      expect(count(`${field} != 1`)).toBe(all);
      expect(count(`not ${field} = 1`)).toBe(all);
    }
  });

  it('takes long chains and lists, and binds what it is given', () => {
    const chain = Array.from({ length: 500 }, (_, index) => `name = 'r${index}'`).join(' or ');
    expect(ask(temporary.store, listRuns({ filter: chain })).rows).toEqual([]);
    expect(errorOf(`${chain} or name = 'x'`).message).toContain('more than 500 comparisons');
    const list = Array.from({ length: 1000 }, (_, index) => `'r${index}'`).join(', ');
    expect(ask(temporary.store, listRuns({ filter: `params.a in (${list})` })).rows).toEqual([]);
    expect(errorOf(`params.a in (${list}, 'x')`).message).toContain('more than 1000 values');
    expect(ask(temporary.store, listRuns({ filter: "name = 'x''; DROP TABLE runs; --'" })).rows).toEqual([]);
    expect(ask(temporary.store, listRuns({})).rows).toHaveLength(runs.length);
  });

  it('reads an evil expression in linear time', () => {
    addRun(temporary.store, { id: 'evilevilevil', own: { entry: 'a'.repeat(50_000) } });
    // An engine that goes back would not end before the test's time is up, nor before ours.
    expect(
      ask(temporary.store, listRuns({ filter: "entry ~ '^(a+)+$' and not entry ~ '^(a+)+b$'" })).rows[0]?.id,
    ).toBe('evilevilevil');
    temporary.store.db.prepare("DELETE FROM runs WHERE id = 'evilevilevil'").run();
  });

  it('tells seeds of 64 bits apart', () => {
    const seeds = ['12345678901234567891', '12345678901234567892'];
    for (const [index, seed] of seeds.entries()) {
      addRun(temporary.store, { id: `seedseedsee${'ab'[index]}`, params: { seed: BigInt(seed) } });
    }
    const found = ask(
      temporary.store,
      listRuns({
        filter: `params.seed = ${seeds[0]}`,
        columns: 'params.seed',
      }),
    ).rows;
    expect(found.map((row) => row.params)).toEqual([{ seed: 12345678901234567891n }]);
    temporary.store.db.prepare("DELETE FROM runs WHERE id LIKE 'seed%'").run();
  });
});

it('writes a field as it would be typed', () => {
  const fields = fc.oneof(
    fc.record({ of: fc.constantFrom('param' as const, 'tag' as const), key: fc.string({ unit: 'binary' }) }),
    fc.record({
      of: fc.constant('metric' as const),
      key: fc.oneof(fc.string(), fc.constantFrom('loss.min', 'a.last', 'min')),
      stat: fc.constantFrom('last' as const, 'min' as const),
    }),
  );
  fc.assert(
    fc.property(fields, (field) => {
      expect(parseFilter(`${fieldText(field)} is null`)).toMatchObject({ field });
    }),
  );
});
