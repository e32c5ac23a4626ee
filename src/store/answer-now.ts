import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { answerCover, answerFirstAtStep, answerSamples, prepareSamples } from './answer-series.ts';
import { readNumberText } from './number-text.ts';
import type { Store } from './open.ts';
import type { Ask, Bound, Question } from './question.ts';

/** Statements that are kept prepared, the last used ones: a filter's text varies without bound. */
const KEPT_STATEMENTS = 256;

/** What a connection is given for questions, once. */
class Connection {
  readonly db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  /** Epoch seconds: when the question was asked. */
  #now = 0;

  constructor(db: DatabaseSync) {
    this.db = db;
    db.function('waddle_now', { directOnly: true }, () => this.#now);
    db.function('waddle_number', { deterministic: true, directOnly: true }, (text: unknown) => {
      const number = typeof text === 'string' ? readNumberText(text) : undefined;
      // A NaN in a text has no order either: null, as for a text that is no number.
      return number === undefined || Number.isNaN(number) ? null : number;
    });
    prepareSamples(db);
  }

  begin(): void {
    this.#now = Date.now() / 1000;
  }

  prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.db.prepare(sql);
      if (this.#statements.size >= KEPT_STATEMENTS) {
        const [oldest = ''] = this.#statements.keys();
        this.#statements.delete(oldest);
      }
    } else this.#statements.delete(sql);
    this.#statements.set(sql, statement);
    return statement;
  }
}

const connections = new WeakMap<DatabaseSync, Connection>();

function connectionOf(db: DatabaseSync): Connection {
  let connection = connections.get(db);
  if (connection === undefined) {
    connection = new Connection(db);
    connections.set(db, connection);
  }
  return connection;
}

/** Answers a question from SQLite, at once, on one state of the database: what others commit meanwhile is not seen. */
export function answerNow<T>({ db }: Pick<Store, 'db'>, question: Question<T>): T {
  const connection = connectionOf(db);
  connection.begin();
  if (db.isTransaction) return answerAll(connection, question);
  db.exec('BEGIN');
  try {
    return answerAll(connection, question);
  } finally {
    if (db.isTransaction) db.exec('COMMIT');
  }
}

function answerAll<T>(connection: Connection, question: Question<T>): T {
  let step = question.next();
  while (step.done !== true) step = question.next(answerAsk(connection, step.value));
  return step.value;
}

function answerAsk(connection: Connection, ask: Ask): unknown {
  switch (ask.kind) {
    case 'rows':
      return connection.prepare(ask.sql).all(...ask.values.map(bound));
    case 'samples':
      return answerSamples(connection, ask.ranges, ask.times);
    case 'first-at-step':
      return answerFirstAtStep(connection, ask.range, ask.step);
    case 'cover':
      return answerCover(connection, ask);
    case 'several':
      return ask.asks.map((each) => answerAsk(connection, each));
  }
}

function bound(value: Bound): string | number | bigint | null {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : value;
}
