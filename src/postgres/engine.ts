import { postgresSql } from '../store/postgres-sql.ts';
import type { Ask, Bound, Engine, Question } from '../store/question.ts';
import { answerCovers, answerFirstAtStep, answerSamples } from './answer-series.ts';
import type { Database, Session } from './database.ts';
import type { Listener } from './listener.ts';
import { CHANGED_CHANNEL } from './save.ts';

/** Answers the questions of one space from PostgreSQL. */
export class PostgresEngine implements Engine {
  readonly breadth = 16;
  readonly #database: Database;
  readonly #listener: Listener;
  readonly #space: string;
  readonly #project: string | null;
  readonly #ends = new Set<() => void>();

  /** @param options.project the one whose runs are seen; without it all */
  constructor(options: { database: Database; listener: Listener; space: string; project?: string | null }) {
    this.#database = options.database;
    this.#listener = options.listener;
    this.#space = options.space;
    this.#project = options.project ?? null;
  }

  async answer<T>(question: Question<T>): Promise<T> {
    const first = question.next();
    // What asks for nothing costs nothing.
    if (first.done === true) return first.value;
    let begun = false;
    const work = (session: Session) => {
      begun = true;
      return answerAll(session, question, first);
    };
    try {
      return await this.#database.transaction(this.#space, work, 'snapshot', this.#project);
    } finally {
      // It may hold something that it must let go of.
      if (!begun) question.return(undefined as T);
    }
  }

  onChange(changed: () => void): () => void {
    const end = this.#listener.on(CHANGED_CHANNEL, (payload) => {
      if (payload === null || payload.slice(0, payload.lastIndexOf(' ')) === this.#space) changed();
    });
    this.#ends.add(end);
    return () => {
      this.#ends.delete(end);
      end();
    };
  }

  /** What a collector writes is told like all else. */
  look(): void {}

  async close(): Promise<void> {
    for (const end of this.#ends) end();
    this.#ends.clear();
  }
}

async function answerAll<T>(
  session: Session,
  question: Question<T>,
  first: IteratorResult<Ask, T>,
): Promise<T> {
  let step = first;
  while (step.done !== true) {
    let answer: unknown;
    try {
      answer = await answerAsk(session, step.value);
    } catch (error) {
      // The question may hold something that it must let go of.
      step = question.throw(error);
      continue;
    }
    step = question.next(answer);
  }
  return step.value;
}

async function answerAsk(session: Session, ask: Ask): Promise<unknown> {
  switch (ask.kind) {
    case 'rows':
      return session.rows(postgresSql(ask.sql), ask.values.map(bindable));
    case 'samples':
      return answerSamples(session, ask.ranges, ask.times);
    case 'first-at-step':
      return answerFirstAtStep(session, ask.range, ask.step);
    case 'cover':
      return (await answerCovers(session, [ask]))[0];
    case 'several':
      return answerSeveral(session, ask.asks);
  }
}

/** Charts ask the same of many series at a time: of that kind, all together. */
async function answerSeveral(session: Session, asks: readonly Ask[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  const covers = [...asks.entries()].flatMap(([index, ask]) =>
    ask.kind === 'cover' ? [{ index, ask }] : [],
  );
  if (covers.length > 0) {
    const found = await answerCovers(
      session,
      covers.map(({ ask }) => ask),
    );
    for (const [place, { index }] of covers.entries()) answers[index] = found[place];
  }
  for (const [index, ask] of asks.entries()) {
    if (ask.kind !== 'cover') answers[index] = await answerAsk(session, ask);
  }
  return answers;
}

/** NUL, which PostgreSQL cannot hold, is what it became in the rows (clean-event.ts). */
function bindable(value: Bound): Bound {
  if (typeof value === 'string') return value.replaceAll('\0', '\ufffd');
  if (typeof value !== 'object' || value === null) return value;
  return value.map((item) => (typeof item === 'string' ? item.replaceAll('\0', '\ufffd') : item)) as Bound;
}
