import { dirname } from 'node:path';
import { isSystemError, WaddleError } from '../errors/waddle-error.ts';

/** What a disk says that takes no more, as an error that both sides understand; any other as it is. */
export function diskError(error: unknown, path: string): unknown {
  if (!isSystemError(error, 'ENOSPC', 'EDQUOT', 'EFBIG')) return error;
  return new WaddleError(
    'disk-full',
    `the disk of ${dirname(path)} is full`,
    'Make room there and try again: it goes on where it stopped.',
    { cause: error },
  );
}
