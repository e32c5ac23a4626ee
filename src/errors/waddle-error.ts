/**
 * The one error that Waddle raises on purpose: what went wrong, and what to do about it.
 *
 * `code` is stable and safe to match on (`run-not-found`); `message` is one line for a person; `hint` is one line that
 * says what to do next. Anything else that reaches the command line is a bug and is shown as one.
 */
export class WaddleError extends Error {
  readonly code: string;
  readonly hint: string;
  /** The command's exit code: 1 for what failed, 2 for bad usage (flags, arguments, `waddle.json`). */
  readonly exitCode: 1 | 2;

  constructor(
    code: string,
    message: string,
    hint: string,
    options: { cause?: unknown; exitCode?: 1 | 2 } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'WaddleError';
    this.code = code;
    this.hint = hint;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** True where `error` is a system error with one of these codes (`ENOENT`, `EEXIST`, …). */
export function isSystemError(error: unknown, ...codes: string[]): error is NodeJS.ErrnoException {
  if (!(error instanceof Error)) return false;
  const code: unknown = (error as NodeJS.ErrnoException).code;
  return typeof code === 'string' && codes.includes(code);
}

/** In words, why the system did not let something be written or made. */
export function whyUnwritable(error: unknown): string {
  // Of a folder's own place, which is there: /proc and the like.
  if (isSystemError(error, 'ENOENT') && error.syscall === 'mkdir') return 'its file system takes no folders';
  if (isSystemError(error, 'EROFS')) return 'the file system is read-only';
  if (isSystemError(error, 'EACCES', 'EPERM')) return 'this account may not';
  if (isSystemError(error, 'ENOSPC', 'EDQUOT')) return 'there is no room left';
  return error instanceof Error ? error.message : String(error);
}
