import { createHash } from 'node:crypto';
import { realpathSync, statSync } from 'node:fs';

/** Equal for two servers of one project folder, whatever path it was reached by; tells nothing of the path. */
export function projectIdentity(folder: string): string {
  const { dev, ino } = statSync(folder);
  return createHash('sha256')
    .update(`${realpathSync(folder)}\0${dev}\0${ino}`)
    .digest('hex')
    .slice(0, 32);
}
