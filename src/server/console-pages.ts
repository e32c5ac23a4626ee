/**
 * Pages of a run's console. An attempt's two streams are merged by time; a place in that order is how many lines of each
 * stream lie before it, so that a page costs what it shows, wherever it lies.
 */
import { WaddleError } from '../errors/waddle-error.ts';
import type { ConsoleLine, ConsolePage, ConsoleQuery } from '../protocol/api.ts';
import { containing } from '../query/text-sql.ts';
import { type Question, type Row, rows, together } from '../store/question.ts';
import { formatCursor } from './live/cursor.ts';
import { nowCursor } from './live/stream-state.ts';
import { knownRun } from './runs.ts';

/** `at` of a line: its stream and number; with the place of the other stream it can be found again. */
interface Place {
  attempt: number;
  /** Lines of stdout and of stderr before it. */
  before: [number, number];
  /** And whether the line itself is stdout (1) or stderr (2). */
  stream: 1 | 2;
}

const DEFAULT_LINES = 1000;

/** Lines of a live batch have no place in the merged order, only their own number. */
export function consoleLine(row: Row): ConsoleLine {
  return {
    at: '',
    attempt: String(row.attempt),
    stream: row.stream === 2 ? 2 : 1,
    n: Number(row.n),
    ts: Number(row.ts),
    text: String(row.text),
    partial: row.partial === 1,
  };
}

/** @throws WaddleError `run-not-found`, `place-invalid` */
export function* readConsolePage(id: string, query: ConsoleQuery): Question<ConsolePage> {
  const run = yield* knownRun(id);
  const limit = query.limit ?? DEFAULT_LINES;
  const attempts = (yield* attemptsOf(run.num)).filter(
    ({ name }) => query.attempt === undefined || name === query.attempt,
  );
  const after = query.after === undefined ? undefined : readPlace(query.after);
  const before = query.before === undefined ? undefined : readPlace(query.before);
  const backwards = after === undefined && (before !== undefined || query.tail === true);
  const source: Source = { run: run.num, query };
  const lines = backwards
    ? yield* lastLines(source, attempts, before, limit + 1)
    : yield* firstLines(source, attempts, after, limit + 1);
  const more = lines.length > limit;
  if (more) {
    if (backwards) lines.shift();
    else lines.pop();
  }
  let kept = lines;
  let moreAfter = backwards ? before !== undefined : more;
  if (!backwards && before !== undefined) {
    kept = lines.filter((line) => comesBefore(readPlace(line.at), before));
    if (kept.length < lines.length) moreAfter = false;
  }
  return {
    lines: kept,
    more_before: backwards ? more : after !== undefined,
    more_after: moreAfter,
    total: attempts.reduce((sum, { lengths }) => {
      if (query.stream === 'stdout') return sum + lengths[0];
      if (query.stream === 'stderr') return sum + lengths[1];
      return sum + lengths[0] + lengths[1];
    }, 0),
    cursor: formatCursor(yield* nowCursor()),
  };
}

interface Source {
  run: number;
  query: ConsoleQuery;
}

interface Attempt {
  name: string;
  /** Its place among the run's attempts, from 0. */
  index: number;
  /** One more than the greatest line number, of each stream. */
  lengths: [number, number];
}

function* attemptsOf(run: number): Question<Attempt[]> {
  // From one attempt to the next, and to the last line of each stream, without reading what lies between.
  const found = yield* rows(
    `WITH RECURSIVE names (attempt) AS (
       SELECT min(attempt) FROM console WHERE run = ?
       UNION ALL
       SELECT (SELECT min(attempt) FROM console WHERE run = ? AND attempt > names.attempt)
       FROM names WHERE attempt IS NOT NULL)
     SELECT attempt,
       (SELECT max(n) + 1 FROM console WHERE run = ? AND attempt = names.attempt AND stream = 1) AS out_end,
       (SELECT max(n) + 1 FROM console WHERE run = ? AND attempt = names.attempt AND stream = 2) AS err_end
     FROM names WHERE attempt IS NOT NULL`,
    run,
    run,
    run,
    run,
  );
  const numbers = new Map(
    (yield* rows('SELECT attempt, number FROM attempts WHERE run = ?', run)).map((row) => [
      String(row.attempt),
      Number(row.number),
    ]),
  );
  const order = (name: string) => numbers.get(name) ?? Number.MAX_SAFE_INTEGER;
  return found
    .map((row) => ({
      name: String(row.attempt),
      lengths: [Number(row.out_end ?? 0), Number(row.err_end ?? 0)] as [number, number],
    }))
    .sort((a, b) => order(a.name) - order(b.name) || (a.name < b.name ? -1 : 1))
    .map((attempt, index) => ({ ...attempt, index }));
}

function formatPlace({ attempt, before, stream }: Place): string {
  return `${attempt}.${before[0]}.${before[1]}.${stream}`;
}

/** @throws WaddleError `place-invalid` */
function readPlace(text: string): Place {
  const match = /^(\d{1,9})\.(\d{1,15})\.(\d{1,15})\.([12])$/.exec(text);
  if (match === null) {
    throw new WaddleError('place-invalid', 'that is no place in a console', 'Give the `at` of a line.', {
      exitCode: 2,
    });
  }
  return {
    attempt: Number(match[1]),
    before: [Number(match[2]), Number(match[3])],
    stream: match[4] === '2' ? 2 : 1,
  };
}

function comesBefore(a: Place, b: Place): boolean {
  if (a.attempt !== b.attempt) return a.attempt < b.attempt;
  return a.before[0] + a.before[1] < b.before[0] + b.before[1];
}

interface LineRange {
  from: number;
  count: number;
  backwards: boolean;
}

/** Up to `count` lines of one stream from `from` on, or before it and then the last of them, in order. */
function* streamLines(source: Source, attempt: Attempt, stream: 1 | 2, range: LineRange): Question<Row[]> {
  const { run, query } = source;
  if (query.stream !== undefined && (query.stream === 'stdout' ? 1 : 2) !== stream) return [];
  const search = query.q === undefined || query.q === '' ? undefined : containing(query.q);
  const { from, count, backwards } = range;
  return yield* rows(
    `SELECT attempt, stream, n, ts, partial, text FROM console
     WHERE run = ? AND attempt = ? AND stream = ? AND n ${backwards ? '<' : '>='} ?
     ${search === undefined ? '' : "AND text LIKE ? ESCAPE '\\'"} ORDER BY n ${backwards ? 'DESC' : ''} LIMIT ?`,
    run,
    attempt.name,
    stream,
    from,
    ...(search === undefined ? [] : [search]),
    count,
  );
}

/** Lines of both streams, each from its own number. */
function* bothStreams(
  source: Source,
  attempt: Attempt,
  [out, err]: [number, number],
  range: Omit<LineRange, 'from'>,
): Question<[Row[], Row[]]> {
  const [first = [], second = []] = yield* together([
    streamLines(source, attempt, 1, { ...range, from: out }),
    streamLines(source, attempt, 2, { ...range, from: err }),
  ]);
  return [first, second];
}

function* firstLines(
  source: Source,
  attempts: Attempt[],
  after: Place | undefined,
  count: number,
): Question<ConsoleLine[]> {
  const lines: ConsoleLine[] = [];
  for (const attempt of attempts) {
    if (lines.length >= count) break;
    if (after !== undefined && attempt.index < after.attempt) continue;
    const next: [number, number] = [0, 0];
    if (after?.attempt === attempt.index) {
      next[0] = after.before[0] + (after.stream === 1 ? 1 : 0);
      next[1] = after.before[1] + (after.stream === 2 ? 1 : 0);
    }
    const wanted = count - lines.length;
    const [out, err] = yield* bothStreams(source, attempt, next, { count: wanted, backwards: false });
    let [i, j] = [0, 0];
    while (lines.length < count) {
      const [a, b] = [out[i], err[j]];
      const row = b === undefined || (a !== undefined && Number(a.ts) <= Number(b.ts)) ? a : b;
      if (row === undefined) break;
      const isOut = row === a;
      if (isOut) i++;
      else j++;
      const n = Number(row.n);
      // Lines that a search passes over count as passed.
      if (isOut) next[0] = n;
      else next[1] = n;
      lines.push(placed(row, attempt, next));
      if (isOut) next[0] = n + 1;
      else next[1] = n + 1;
    }
  }
  return lines;
}

function* lastLines(
  source: Source,
  attempts: Attempt[],
  before: Place | undefined,
  count: number,
): Question<ConsoleLine[]> {
  const lines: ConsoleLine[] = [];
  for (const attempt of attempts.toReversed()) {
    if (lines.length >= count) break;
    if (before !== undefined && attempt.index > before.attempt) continue;
    const end: [number, number] =
      before?.attempt === attempt.index ? [...before.before] : [...attempt.lengths];
    const wanted = count - lines.length;
    const [out, err] = yield* bothStreams(source, attempt, end, { count: wanted, backwards: true });
    let [i, j] = [0, 0];
    while (lines.length < count) {
      const [a, b] = [out[i], err[j]];
      const row = a === undefined || (b !== undefined && Number(b.ts) >= Number(a.ts)) ? b : a;
      if (row === undefined) break;
      if (row === a) {
        end[0] = Number(row.n);
        i++;
      } else {
        end[1] = Number(row.n);
        j++;
      }
      lines.push(placed(row, attempt, end));
    }
  }
  return lines.reverse();
}

function placed(row: Row, attempt: Attempt, before: readonly [number, number]): ConsoleLine {
  const line = consoleLine(row);
  const at = formatPlace({ attempt: attempt.index, before: [before[0], before[1]], stream: line.stream });
  return { ...line, at };
}
