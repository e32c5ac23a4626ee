import { constants } from 'node:os';
import type { RunError } from '../events/schema.ts';
import type { Ending } from './client-run.ts';

const MAX_TRACEBACK = 64 * 1024;

/** How this process is ending, as far as is known: the exception or the signal that ends it. */
const noted: { error: unknown; signal: NodeJS.Signals | null } = { error: undefined, signal: null };
let watching = false;

/** Begins to note how the process ends, and calls back when it does. Once for each thread. */
export function watchEnding(onExit: (code: number) => void): void {
  if (watching) return;
  watching = true;
  process.on('uncaughtExceptionMonitor', (error) => {
    noted.error ??= error ?? new Error('uncaught exception');
  });
  process.on('exit', (code) => onExit(code));
}

/** An exception that ends the process, where it is known before any hook sees it. */
export function noteError(error: unknown): void {
  noted.error = error;
}

/**
 * Ends a run that this process began when a signal ends the process: by itself Node dies without a word. Where the
 * program has a handler of its own, that decides how it goes on.
 */
export function watchSignals(onSignal: () => void): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    const handler = () => {
      noted.signal = signal;
      if (process.listenerCount(signal) > 1) return;
      onSignal();
      process.off(signal, handler);
      process.kill(process.pid, signal);
    };
    process.on(signal, handler);
  }
}

/** How the process ends that ends with this exit code, or by the signal that was noted. */
export function outcomeOf(code: number): Ending {
  if (noted.error !== undefined)
    return { status: 'failed', exitCode: code || 1, error: describeError(noted.error) };
  if (noted.signal !== null) {
    const exitCode = 128 + (constants.signals[noted.signal] ?? 0);
    return { status: 'aborted', exitCode, signal: noted.signal, reason: noted.signal };
  }
  if (code === 0) return { status: 'completed', exitCode: 0 };
  return { status: code === 130 || code === 143 ? 'aborted' : 'failed', exitCode: code };
}

function describeError(error: unknown): RunError {
  if (!(error instanceof Error)) {
    return { type: typeof error, message: String(error), traceback: null };
  }
  return {
    type: error.name || error.constructor.name,
    message: error.message,
    traceback: (error.stack ?? '').slice(-MAX_TRACEBACK),
  };
}
