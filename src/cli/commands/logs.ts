import type { Command } from 'commander';
import { WaddleError } from '../../errors/waddle-error.ts';
import { runFolder } from '../../journal/layout.ts';
import {
  type ConsoleLine,
  consoleAttempts,
  type From,
  readConsole,
  type Stream,
  tailConsole,
} from '../console-reader.ts';
import type { Context } from '../context.ts';
import { watchFolder } from '../folder-watch.ts';
import { example, RUN_HELP } from '../help.ts';
import { consoleText } from '../inert.ts';
import { type Opened, refresh, refreshedRun, withRuns } from '../opened-store.ts';
import { painter } from '../paint.ts';
import { cut } from '../table.ts';

interface Options {
  follow?: boolean;
  stdout?: boolean;
  stderr?: boolean;
  tail?: number;
  json?: boolean;
}

export function define(command: Command, context: Context): void {
  command
    .description('Shows what a run printed. Lines of stderr are marked with a bar on a terminal.')
    .argument('<run>', RUN_HELP)
    .option('-f, --follow', 'go on until the run ends')
    .option('--stdout', 'only what went to stdout')
    .option('--stderr', 'only what went to stderr')
    .option('--tail <n>', 'only the last lines', readTail)
    .option('--json', 'print JSON, one object a line')
    .action((run: string, options: Options) => logs(context, run, options));
  example(command, 'waddle logs @last -f', 'waddle logs baseline --stderr --tail 20');
}

function readTail(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new WaddleError('tail-invalid', `"${text}" is no number of lines`, 'Write for example: --tail 20', {
    exitCode: 2,
  });
}

async function logs(context: Context, run: string, options: Options): Promise<void> {
  const streams = (['stdout', 'stderr'] as const).filter(
    (stream) => options[stream] === true || options.stdout === options.stderr,
  );
  await withRuns(context, [run], async (opened, [found]) => {
    const printer = startPrinter(context, options);
    const seen = new Map<string, From>();
    if (options.tail !== undefined) {
      const lines = tailConsole(opened.store, found.id, streams, options.tail);
      skipAll(opened, found.id, seen);
      for (const line of lines) {
        printer.print(line);
        note(seen, line);
      }
    } else await printNew(context, opened, found.id, streams, seen, printer);
    if (options.follow === true) await follow(context, opened, found.id, streams, seen, printer);
    printer.end();
    const row = opened.store.prepare('SELECT supervised FROM runs WHERE id = ?').get(found.id);
    if (row?.supervised === 0 && [...consoleAttempts(opened.store, found.id)].length === 0) {
      context.say('Nothing was recorded: what a job prints is kept under waddle run.\n');
    }
  });
}

async function printNew(
  context: Context,
  opened: Opened,
  run: string,
  streams: readonly Stream[],
  seen: Map<string, From>,
  printer: Printer,
): Promise<void> {
  for (const attempt of consoleAttempts(opened.store, run)) {
    const from = seen.get(attempt) ?? { stdout: 0, stderr: 0 };
    for (const line of readConsole(opened.store, { run, attempt, streams, from: { ...from } })) {
      printer.print(line);
      note(seen, line);
      await context.drained();
    }
  }
}

/** Milliseconds between two looks for output that nobody follows any more. */
const RECOVER_MS = 3000;

/** Shows what comes until the run has ended and all of it is shown. */
async function follow(
  context: Context,
  opened: Opened,
  run: string,
  streams: readonly Stream[],
  seen: Map<string, From>,
  printer: Printer,
): Promise<void> {
  const folder = watchFolder(runFolder(opened.layout, run));
  let recoverAt = 0;
  try {
    for (;;) {
      // Recovering writes a journal each time that a job without a supervisor has printed: not in every round.
      const recover = context.now() >= recoverAt;
      if (recover) recoverAt = context.now() + RECOVER_MS;
      await refresh(opened, [run], { recover });
      const ended = refreshedRun(opened, run)?.status !== 'running';
      if (ended) await refresh(opened, [run]);
      // Asked for before reading: what was logged up to the end is then read in this round.
      await printNew(context, opened, run, streams, seen, printer);
      if (ended) return;
      await folder.changed();
    }
  } finally {
    folder.close();
  }
}

/** Remembers where to go on: an unfinished line is read again. */
function note(seen: Map<string, From>, line: ConsoleLine): void {
  const from = seen.get(line.attempt) ?? { stdout: 0, stderr: 0 };
  from[line.stream] = line.partial ? line.n : line.n + 1;
  seen.set(line.attempt, from);
}

/** As if everything so far had been shown. */
function skipAll(opened: Opened, run: string, seen: Map<string, From>): void {
  for (const attempt of consoleAttempts(opened.store, run)) {
    for (const stream of ['stdout', 'stderr'] as const) {
      for (const line of readConsole(opened.store, { run, attempt, streams: [stream], backwards: true })) {
        note(seen, line);
        break;
      }
    }
  }
}

interface Printer {
  print(line: ConsoleLine): void;
  end(): void;
}

const WIPE = '\r\u001b[2K';

/**
 * Prints lines, each once. On a terminal an unfinished line (a progress bar) is shown as it stands and redrawn; in a pipe
 * it is printed once nothing will finish it any more.
 */
function startPrinter(context: Context, options: Options): Printer {
  const paint = painter(context);
  const unfinished = new Map<string, ConsoleLine>();
  let drawn = false;
  const shown = (line: ConsoleLine): string => {
    const text = consoleText(line.text, context.colors);
    return line.stream === 'stderr' && context.terminal ? `${paint('red', '│')} ${text}` : text;
  };
  const wipe = (): void => {
    if (drawn) context.out(WIPE);
    drawn = false;
  };
  return {
    print(line) {
      const place = `${line.attempt} ${line.stream}`;
      const before = unfinished.get(place);
      if (line.partial && before?.n === line.n && before.text === line.text) return;
      if (options.json === true) {
        if (line.partial) unfinished.set(place, line);
        else unfinished.delete(place);
        context.out(`${JSON.stringify(line)}\n`);
        return;
      }
      wipe();
      if (line.partial) unfinished.set(place, line);
      else {
        unfinished.delete(place);
        context.out(`${shown(line)}\n`);
      }
      const last = [...unfinished.values()].at(-1);
      if (!context.terminal || last === undefined) return;
      context.out(cut(shown({ ...last, text: consoleText(last.text, false) }), context.columns - 1));
      drawn = true;
    },
    end() {
      wipe();
      if (options.json === true) return;
      for (const line of unfinished.values()) context.out(`${shown(line)}\n`);
    },
  };
}
