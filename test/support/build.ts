import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** Builds the bundle once before any test: what the tests start is what users start. */
export default function setup(): void {
  const root = join(import.meta.dirname, '../..');
  execFileSync(process.execPath, ['tools/build.ts'], { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
}
