/** Reading a run's console lines back from the store, in the order of time, without holding all of them in memory. */
import type { Store } from '../store/open.ts';

export interface ConsoleLine {
  /** Epoch seconds when the line was seen. */
  ts: number;
  stream: 'stdout' | 'stderr';
  /** Number in its stream and attempt, from 0. */
  n: number;
  attempt: string;
  text: string;
  /** Still unfinished. */
  partial: boolean;
}

export type Stream = 'stdout' | 'stderr';
const NUMBERS: Record<Stream, 1 | 2> = { stdout: 1, stderr: 2 };

/** Attempts of a run that printed something, in their order. */
export function consoleAttempts(store: Store, run: string): string[] {
  return store
    .prepare(
      `SELECT c.attempt AS attempt FROM (SELECT DISTINCT run, attempt FROM console
         WHERE run = (SELECT num FROM runs WHERE id = ?)) c
       LEFT JOIN attempts a ON a.run = c.run AND a.attempt = c.attempt
       ORDER BY a.number IS NULL, a.number, c.attempt`,
    )
    .all(run)
    .map((row) => String(row.attempt));
}

/** Where reading begins in each stream; what is not named begins at 0. */
export type From = Record<Stream, number>;

/** An attempt's lines of these streams in the order of time; lines seen at the same time keep stdout before stderr. */
export function* readConsole(
  store: Store,
  options: { run: string; attempt: string; streams: readonly Stream[]; from?: From; backwards?: boolean },
): Generator<ConsoleLine> {
  const sources = options.streams.map((stream) => lines(store, stream, options)[Symbol.iterator]());
  const heads = sources.map((source) => source.next());
  for (;;) {
    let best = -1;
    for (const [index, head] of heads.entries()) {
      if (head.done === true) continue;
      const other = heads[best];
      if (other === undefined || other.done === true) best = index;
      else if (
        options.backwards === true ? head.value.ts >= other.value.ts : head.value.ts < other.value.ts
      ) {
        best = index;
      }
    }
    const head = heads[best];
    const source = sources[best];
    if (head === undefined || head.done === true || source === undefined) return;
    yield head.value;
    heads[best] = source.next();
  }
}

/** Lines fetched at a time: a statement that stays open would hold the database's log back. */
const PAGE = 2000;

function* lines(
  store: Store,
  stream: Stream,
  options: { run: string; attempt: string; from?: From; backwards?: boolean },
): Generator<ConsoleLine> {
  const backwards = options.backwards === true;
  let next = backwards ? Number.MAX_SAFE_INTEGER : (options.from?.[stream] ?? 0);
  for (;;) {
    const rows = store
      .prepare(
        `SELECT n, ts, partial, text FROM console
         WHERE run = (SELECT num FROM runs WHERE id = ?) AND attempt = ? AND stream = ?
         AND n ${backwards ? '<=' : '>='} ? ORDER BY n ${backwards ? 'DESC' : ''} LIMIT ${PAGE}`,
      )
      .all(options.run, options.attempt, NUMBERS[stream], next);
    for (const row of rows) {
      yield {
        ts: Number(row.ts),
        stream,
        n: Number(row.n),
        attempt: options.attempt,
        text: String(row.text),
        partial: row.partial === 1,
      };
    }
    const last = rows.at(-1);
    if (last === undefined || rows.length < PAGE) return;
    next = Number(last.n) + (backwards ? -1 : 1);
  }
}

/** The last `count` lines of a run, over its attempts, in the order of time. */
export function tailConsole(
  store: Store,
  run: string,
  streams: readonly Stream[],
  count: number,
): ConsoleLine[] {
  const found: ConsoleLine[] = [];
  for (const attempt of consoleAttempts(store, run).reverse()) {
    for (const line of readConsole(store, { run, attempt, streams, backwards: true })) {
      if (found.length >= count) break;
      found.push(line);
    }
  }
  return found.reverse();
}
