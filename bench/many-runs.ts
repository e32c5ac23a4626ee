/** A store of very many runs, made straight from rows: the same for the same seed, in either engine. */
import type { Session } from '../src/postgres/database.ts';
import type { Store } from '../src/store/open.ts';
import { seeded } from './journals.ts';

type Value = string | number | null;

interface Table {
  name: string;
  columns: readonly string[];
  /** PostgreSQL's types of the columns. */
  types: readonly string[];
}

const RUNS: Table = {
  name: 'runs',
  columns: [
    'num',
    'id',
    'name',
    'project',
    'status',
    'journal_status',
    'command',
    'started_at',
    'ended_at',
    'host',
    'user',
    'archived',
    'revision',
    'status_revision',
  ],
  types: [
    'bigint',
    'text',
    'text',
    'text',
    'text',
    'text',
    'text',
    'float8',
    'float8',
    'text',
    'text',
    'bigint',
    'bigint',
    'bigint',
  ],
};
const LEAVES: Table = {
  name: 'param_leaves',
  columns: ['run', 'key', 'type', 'text', 'number', 'param'],
  types: ['bigint', 'text', 'text', 'text', 'float8', 'text'],
};
const TAGS: Table = {
  name: 'tags',
  columns: ['run', 'key', 'value', 'revision'],
  types: ['bigint', 'text', 'text', 'bigint'],
};
const TEXTS: Table = { name: 'run_texts', columns: ['run', 'text'], types: ['bigint', 'text'] };
const SUMMARIES: Table = {
  name: 'metric_summaries',
  columns: [
    'run',
    'key',
    'count',
    'nan_count',
    'inf_count',
    'first',
    'first_is_nan',
    'first_step',
    'first_ts',
    'last',
    'last_is_nan',
    'last_step',
    'last_ts',
    'min',
    'max',
    'mean',
    'min_step',
    'max_step',
    'writers',
    'revision',
  ],
  types: [
    'bigint',
    'text',
    'bigint',
    'bigint',
    'bigint',
    'float8',
    'bigint',
    'float8',
    'float8',
    'float8',
    'bigint',
    'float8',
    'float8',
    'float8',
    'float8',
    'float8',
    'float8',
    'float8',
    'bigint',
    'bigint',
  ],
};

export const METRICS = [
  'loss',
  'val/loss',
  'acc',
  'val/acc',
  'lr',
  'grad_norm',
  'epoch',
  'tokens',
  'val/f1',
  'eta',
] as const;
const PARAMS = [
  'lr',
  'batch',
  'model.layers',
  'model.width',
  'model.name',
  'seed',
  'dropout',
  'optimizer',
  'data',
  'comment',
] as const;
const WORDS = ['brave', 'calm', 'duck', 'eager', 'fox', 'green', 'heron', 'ibis', 'jade', 'kite'];
const T0 = 1_700_000_000;

/** Rows of one run, by table: 10 params, 10 metrics, 2 tags. */
function rowsOf(num: number, random: () => number): [Table, Value[][]][] {
  const of = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const letters = (length: number) =>
    Array.from({ length }, () => 'abcdefghijklmnopqrstuvwxyz234567'[Math.floor(random() * 32)]).join('');
  const started = T0 + num * 60 + random() * 60;
  const status = of(['completed', 'completed', 'completed', 'failed', 'crashed', 'aborted']);
  const run: Value[] = [
    num,
    letters(12),
    `${of(WORDS)}-${of(WORDS)}-${num}`,
    of(['vision', 'speech', 'text', 'graphs', 'default']),
    status,
    status,
    '["python","train.py"]',
    started,
    started + 3600 * random(),
    of(['gpu1', 'gpu2', 'gpu3']),
    of(['ada', 'bob', 'cyd']),
    random() < 0.05 ? 1 : 0,
    num,
    num,
  ];
  const values: (string | number)[] = [
    of([0.1, 0.03, 0.01, 0.003, 0.001]),
    of([16, 32, 64, 128]),
    Math.floor(random() * 48),
    of([256, 512, 1024]),
    of(['mlp', 'resnet', 'vit', 'unet']),
    num,
    Math.round(random() * 100) / 100,
    of(['adam', 'sgd', 'lion']),
    of(['imagenet', 'cifar', 'c4']),
    `${of(WORDS)} ${letters(8)}`,
  ];
  const leaves = PARAMS.map((key, index): Value[] => {
    const value = values[index] ?? 0;
    const number = typeof value === 'number';
    const [param = key] = key.split('.');
    return [num, key, number ? 'number' : 'string', String(value), number ? value : null, param];
  }).sort((a, b) => (String(a[1]) < String(b[1]) ? -1 : 1));
  const summaries = METRICS.toSorted().map((key): Value[] => {
    const last = random() * 3;
    const [first, least, most] = [last + random(), last - random(), last + 1];
    return [
      num,
      key,
      1000,
      0,
      0,
      first,
      0,
      0,
      started,
      last,
      0,
      999,
      started + 60,
      least,
      most,
      last,
      0,
      999,
      1,
      num,
    ];
  });
  const tags: Value[][] = [
    [num, 'sweep', `sweep-${Math.floor(num / 100)}`, num],
    [num, 'team', of(['a', 'b', 'c']), num],
  ];
  const own = [run[1], run[2], run[3], run[6], run[9], run[10]];
  const text = [own, ...tags.map((tag) => tag.slice(1, 3)), ...leaves.map((leaf) => [leaf[1], leaf[3]])];
  return [
    [RUNS, [run]],
    [LEAVES, leaves],
    [SUMMARIES, summaries],
    [TAGS, tags],
    [TEXTS, [[num, text.flat().join('\n').toLowerCase()]]],
  ];
}

function* batches(runs: number): Generator<[Table, Value[][]]> {
  const random = seeded(7);
  const waiting = new Map<Table, Value[][]>();
  for (let num = 1; num <= runs; num++) {
    for (const [table, rows] of rowsOf(num, random)) {
      const all = waiting.get(table) ?? [];
      waiting.set(table, all);
      all.push(...rows);
    }
    if (num % 2000 !== 0 && num !== runs) continue;
    yield* waiting;
    waiting.clear();
  }
}

/** Fills a new store. */
export function fillStore(store: Store, runs: number): void {
  for (const [{ name, columns }, rows] of batches(runs)) {
    store.transaction(() => {
      const insert = store.prepare(
        `INSERT INTO ${name} (${columns.map((column) => `"${column}"`).join(', ')}) VALUES (${columns.map(() => '?').join(', ')})`,
      );
      for (const row of rows) insert.run(...row);
    });
  }
  store.prepare("UPDATE meta SET value = ? WHERE key = 'revision'").run(runs);
}

/** Fills a new space. */
export async function fillSpace(session: Session, runs: number): Promise<void> {
  for (const [{ name, columns, types }, rows] of batches(runs)) {
    await session.change(
      `INSERT INTO ${name} (${columns.map((column) => `"${column}"`).join(', ')})
       SELECT * FROM unnest(${types.map((type, index) => `$${index + 1}::${type}[]`).join(', ')})`,
      columns.map((_, index) => rows.map((row) => row[index])),
    );
  }
  await session.change("UPDATE meta SET value = $1 WHERE key = 'revision'", [String(runs)]);
}
