import { spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Writable } from 'node:stream';
import { WaddleError } from '../errors/waddle-error.ts';

/** What to start. */
export interface JobCommand {
  file: string;
  args: readonly string[];
  cwd: string;
  env: Record<string, string | undefined>;
}

/** How a process ended: exactly one of the two is set. */
export interface JobExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** A job that was started. */
export interface JobProcess {
  pid: number;
  /** Whether it leads a process group of its own, so that signals can be sent to the group. */
  ownGroup: boolean;
  exited: Promise<JobExit>;
}

/** The job could not be started: the exit code that a shell would give, and why. */
export class SpawnFailure extends Error {
  readonly exitCode: 126 | 127;
  constructor(message: string, exitCode: 126 | 127, cause: unknown) {
    super(message, { cause });
    this.name = 'SpawnFailure';
    this.exitCode = exitCode;
  }
}

/**
 * Starts a job whose stdout and stderr go straight to files, opened for append: no pipe that breaks when this process
 * dies. It reads this process's own stdin.
 * @param shareGroup keeps the job in this process's group, so that it may read the terminal and Ctrl-C reaches it
 * @param keepHangup starts it with SIGHUP ignored (Node gives every child the default)
 * @throws SpawnFailure
 */
export async function startJob(
  command: JobCommand,
  files: { stdout: string; stderr: string },
  options: { shareGroup: boolean; keepHangup: boolean },
): Promise<JobProcess> {
  const stdout = openSync(files.stdout, 'a', 0o644);
  const stderr = openSync(files.stderr, 'a', 0o644);
  try {
    const [file, args] = options.keepHangup
      ? ['/bin/sh', ['-c', 'trap "" HUP; exec "$@"', 'sh', command.file, ...command.args]]
      : [command.file, command.args];
    const child = spawn(file, args, {
      cwd: command.cwd,
      env: command.env,
      stdio: ['inherit', stdout, stderr],
      detached: !options.shareGroup,
    });
    const exited = new Promise<JobExit>((resolve) => {
      child.once('exit', (code, signal) => resolve({ code, signal }));
    });
    if (child.pid === undefined) {
      const error = await new Promise<Error>((resolve) => child.once('error', resolve));
      throw spawnFailure(command, error);
    }
    child.on('error', () => undefined);
    return { pid: child.pid, ownGroup: !options.shareGroup, exited };
  } catch (error) {
    throw error instanceof SpawnFailure ? error : spawnFailure(command, error);
  } finally {
    closeSync(stdout);
    closeSync(stderr);
  }
}

function spawnFailure(command: JobCommand, error: unknown): SpawnFailure {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return new SpawnFailure(`there is no command "${command.file}"`, 127, error);
  if (code === 'EACCES') return new SpawnFailure(`"${command.file}" may not be executed`, 126, error);
  if (code === 'E2BIG') return new SpawnFailure('the arguments are too long for the system', 126, error);
  const text = error instanceof Error ? error.message : String(error);
  return new SpawnFailure(`"${command.file}" cannot be started: ${text}`, 126, error);
}

/** The terminal that a job with `--tty` is shown on. */
export interface Terminal {
  stdin: NodeJS.ReadStream;
  stdout: Writable & { columns?: number; rows?: number };
}

/**
 * Starts a job on a pseudo-terminal of its own: one stream, shown as it comes and appended to the stdout file. Keys go
 * to it as they are, Ctrl-C included (the pseudo-terminal makes a signal of it).
 * @throws WaddleError where `@lydell/node-pty` is not installed
 */
export async function startJobOnTerminal(
  command: JobCommand,
  file: string,
  terminal: Terminal,
): Promise<JobProcess> {
  const pty = await loadPty();
  const env: Record<string, string> = {};
  for (const [name, value] of Object.entries(command.env)) if (value !== undefined) env[name] = value;
  const { stdin, stdout } = terminal;
  const log = openSync(file, 'a', 0o644);
  let child: ReturnType<typeof pty.spawn>;
  try {
    child = pty.spawn(command.file, [...command.args], {
      name: command.env.TERM ?? 'xterm-256color',
      cols: stdout.columns ?? 80,
      rows: stdout.rows ?? 24,
      cwd: command.cwd,
      env,
      encoding: null,
    });
  } catch (error) {
    closeSync(log);
    throw spawnFailure(command, error);
  }
  child.onData((data: string | Buffer) => {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    stdout.write(bytes);
    try {
      writeSync(log, bytes);
    } catch {
      // A full disk costs the record of it, not the job.
    }
  });
  const resize = () => child.resize(stdout.columns ?? 80, stdout.rows ?? 24);
  const type = (keys: string | Buffer) => child.write(keys.toString());
  stdout.on('resize', resize);
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  stdin.on('data', type);
  stdin.resume();
  const exited = new Promise<JobExit>((resolve) => {
    child.onExit(({ exitCode, signal }) => {
      stdout.off('resize', resize);
      stdin.off('data', type);
      if (stdin.isTTY) stdin.setRawMode(false);
      stdin.pause();
      stdin.unref?.();
      closeSync(log);
      resolve(signal ? { code: null, signal: signalName(signal) } : { code: exitCode, signal: null });
    });
  });
  return { pid: child.pid, ownGroup: true, exited };
}

async function loadPty() {
  try {
    return await import('@lydell/node-pty');
  } catch (error) {
    throw new WaddleError(
      'pty-missing',
      '--tty needs the package @lydell/node-pty, which is not installed here',
      'Install it: npm install @lydell/node-pty; or leave out --tty',
      { cause: error },
    );
  }
}

/** Fails early where `--tty` cannot work. */
export async function needPty(): Promise<void> {
  await loadPty();
}

const SIGNALS: Record<number, NodeJS.Signals> = {
  1: 'SIGHUP',
  2: 'SIGINT',
  3: 'SIGQUIT',
  4: 'SIGILL',
  6: 'SIGABRT',
  8: 'SIGFPE',
  9: 'SIGKILL',
  11: 'SIGSEGV',
  13: 'SIGPIPE',
  14: 'SIGALRM',
  15: 'SIGTERM',
};

function signalName(signal: number): NodeJS.Signals {
  return SIGNALS[signal] ?? 'SIGKILL';
}
