/** How a run ended: what its job exited with, whether it began at all, and whether somebody asked it to stop. */
import { constants as osConstants } from 'node:os';
import { WaddleError } from '../errors/waddle-error.ts';
import type { RunError } from '../events/schema.ts';
import { type JobExit, SpawnFailure } from './job-process.ts';

/** Someone asked the job to stop; however it then exits, the run is aborted. */
export interface Asked {
  reason: string;
  exitCode: number;
}

/** The job did not start: the exit code that a shell would give, or 1, and why. */
export interface StartFailure {
  type: string;
  message: string;
  hint: string;
  exitCode: number;
}

/** Null where somebody asked to stop meanwhile. */
export function startFailure(error: unknown, signal: AbortSignal): StartFailure | null {
  if (signal.aborted) return null;
  if (error instanceof SpawnFailure) {
    const { message, exitCode } = error;
    return { type: 'SpawnFailure', message, hint: spawnHint(error), exitCode };
  }
  if (!(error instanceof WaddleError)) throw error;
  return { type: error.code, message: error.message, hint: error.hint, exitCode: 1 };
}

export interface Judged {
  status: 'completed' | 'failed' | 'aborted';
  exitCode: number;
  signal: string | null;
  reason: string | null;
  error: RunError | null;
}

export function judge(exit: JobExit, failure: StartFailure | null, asked: Asked | null): Judged {
  if (failure !== null) {
    return {
      status: 'failed',
      exitCode: failure.exitCode,
      signal: null,
      reason: failure.message,
      error: { type: failure.type, message: failure.message, traceback: null },
    };
  }
  const exitCode =
    exit.signal === null
      ? (exit.code ?? asked?.exitCode ?? 1)
      : 128 + (osConstants.signals[exit.signal] ?? 0);
  if (asked !== null) {
    return { status: 'aborted', exitCode, signal: exit.signal, reason: asked.reason, error: null };
  }
  if (exit.signal !== null) {
    const suspicion = exit.signal === 'SIGKILL' ? ' (perhaps the system ran out of memory)' : '';
    const reason = `killed by ${exit.signal}${suspicion}`;
    return { status: 'failed', exitCode, signal: exit.signal, reason, error: null };
  }
  const status = exitCode === 0 ? 'completed' : 'failed';
  return { status, exitCode, signal: null, reason: null, error: null };
}

function spawnHint(failure: SpawnFailure): string {
  return failure.exitCode === 127
    ? 'Check its spelling and PATH.'
    : 'Check that it is a program, and may be executed: chmod +x';
}
