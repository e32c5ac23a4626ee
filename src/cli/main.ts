import { once } from 'node:events';
import { Command, CommanderError } from 'commander';
import { WaddleError } from '../errors/waddle-error.ts';
import { COMMANDS, folderHelp } from './commands.ts';
import type { Context } from './context.ts';
import { inert, inertLines } from './inert.ts';
import { VERSION } from './version.ts';

/** Runs the command line of this process. Sets the exit code; never exits by itself, so that output drains. */
export async function main(): Promise<void> {
  // A reader that went away (`waddle ls | head`) is no error: there is nobody left to tell.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });
  }
  const context = processContext();
  const code = await runCommandLine(process.argv.slice(2), context);
  // A command that supervises a job sets the exit code itself.
  if (code !== 0) process.exitCode = code;
}

/** Runs one command line in a context; resolves to its exit code, after telling of any error. */
export async function runCommandLine(argv: readonly string[], context: Context): Promise<number> {
  try {
    const program = await buildProgram(argv, context);
    await program.parseAsync(argv, { from: 'user' });
    return context.exitCode;
  } catch (error) {
    return report(error, argv, context);
  }
}

/** The context of this process. */
function processContext(): Context {
  const { stdin, stdout, stderr, env } = process;
  const context: Context = {
    cwd: process.cwd(),
    env,
    out: (text) => void stdout.write(text),
    say: (text) => {
      if (!context.quiet) stderr.write(text);
    },
    warn: (text) => void stderr.write(text),
    quiet: false,
    terminal: stdout.isTTY === true,
    columns: stdout.columns || Number(env.COLUMNS) || 80,
    colors: stdout.isTTY === true && !env.NO_COLOR && stdout.hasColors(),
    progress: stderr.isTTY === true,
    now: () => Date.now(),
    drained: async () => {
      if (stdout.writableNeedDrain) await once(stdout, 'drain');
    },
    outBytes: async (bytes) => {
      if (!stdout.write(bytes)) await once(stdout, 'drain');
    },
    ask: async (question) => {
      if (!stdin.isTTY || !stderr.isTTY) return undefined;
      const { createInterface } = await import('node:readline/promises');
      const lines = createInterface({ input: stdin, output: stderr });
      const gone = new AbortController();
      // Ctrl-D answers nothing; Ctrl-C ends the program as it does everywhere.
      lines.once('close', () => gone.abort());
      lines.once('SIGINT', () => {
        lines.close();
        process.kill(process.pid, 'SIGINT');
      });
      try {
        return await lines.question(question, { signal: gone.signal });
      } catch (error) {
        if (!gone.signal.aborted) throw error;
        stderr.write('\n');
        return '';
      } finally {
        lines.close();
      }
    },
    exitCode: 0,
  };
  return context;
}

/**
 * The program with its commands. Only the named command's own file is loaded, so that each starts in the time of its own
 * parts; of the others the help needs no more than a name and a summary.
 */
async function buildProgram(argv: readonly string[], context: Context): Promise<Command> {
  const program = new Command('waddle')
    .description('A git-native, local experiment log for machine learning.')
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand('help [command]', 'help for a command')
    .showHelpAfterError(false)
    .exitOverride()
    .configureOutput({
      outputError: () => undefined,
      writeOut: (text) => context.out(text),
      getOutHelpWidth: () => (context.terminal ? context.columns : 80),
      getOutHasColors: () => context.colors,
    });
  const [first = ''] = argv;
  if (first.startsWith('-') && !['-h', '--help', '-V', '--version'].includes(first)) {
    throw new WaddleError(
      'unknown-option',
      `unknown option '${first}'`,
      'Options follow the command, such as waddle ls --dir PATH. See: waddle --help',
      { exitCode: 2 },
    );
  }
  const named = argv[0] === 'help' ? argv[1] : argv.find((word) => !word.startsWith('-'));
  if (named !== undefined && named !== 'help' && !COMMANDS.some((entry) => entry.name === named)) {
    throw unknownCommand(named);
  }
  for (const entry of COMMANDS) {
    const command = program.command(entry.name, { hidden: entry.hidden === true });
    command.summary(entry.summary).description(entry.summary);
    if (entry.name !== named) continue;
    const { define } = await entry.load();
    define(command, context);
    // Shown by its subcommands too; it is the command that reads it, wherever it stands.
    for (const each of [command, ...command.commands]) each.option('--dir <path>', folderHelp(entry));
    command.option('-q, --quiet', 'say nothing but data and errors').hook('preAction', () => {
      const { dir, quiet } = command.opts<{ dir?: string; quiet?: boolean }>();
      context.dir = dir;
      context.quiet = quiet === true;
    });
  }
  program.action(() => program.outputHelp());
  return program;
}

function unknownCommand(name: string): WaddleError {
  const near = COMMANDS.find((entry) => !entry.hidden && distance(entry.name, name) <= 2);
  return new WaddleError(
    'unknown-command',
    `there is no command "${name}"`,
    near ? `Did you mean: waddle ${near.name}` : 'See: waddle --help',
    { exitCode: 2 },
  );
}

/** Levenshtein's distance, for words of a few letters. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substitute = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitute, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** Tells a person what went wrong in one line and what to do in another; returns the exit code. */
function report(error: unknown, argv: readonly string[], context: Context): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    const message = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
    context.warn(`waddle: ${inert(message)}\nSee: waddle ${namedCommand(argv)}--help\n`);
    return 2;
  }
  if (error instanceof WaddleError) {
    // More than one line only where a filter is shown with a mark under the bad token.
    context.warn(`waddle: ${inertLines(error.message)}\n${inertLines(error.hint)}\n`);
    if (context.env.WADDLE_DEBUG && error.cause !== undefined) console.error(error.cause);
    return error.exitCode;
  }
  const text = error instanceof Error ? error.message : String(error);
  if (error instanceof Error && 'syscall' in error) {
    context.warn(
      `waddle: ${inert(text)}\nThe system refused this: check the permissions, the path and the disk.\n`,
    );
    if (context.env.WADDLE_DEBUG) console.error(error);
    return 1;
  }
  context.warn(`waddle: ${inert(text)}\nThis is a bug in Waddle; WADDLE_DEBUG=1 shows where.\n`);
  if (context.env.WADDLE_DEBUG) console.error(error);
  return 1;
}

function namedCommand(argv: readonly string[]): string {
  const word = argv[0];
  return word !== undefined && COMMANDS.some((entry) => entry.name === word) ? `${word} ` : '';
}
