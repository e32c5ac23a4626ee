import { type Layout, runFolder } from '../journal/layout.ts';
import { hasConsoleFiles, recoverConsole } from '../runner/console-recovery.ts';
import type { Store } from '../store/open.ts';
import { CLIENT } from './version.ts';

/**
 * Journals what jobs printed whose supervisors died before they could, for every run of the store that has not been
 * settled, or those of `runs`. The store must be caught up; where this returns runs, catch up with them again.
 */
export function recoverLostOutput(layout: Layout, store: Store, runs?: readonly string[]): string[] {
  const recovered: string[] = [];
  for (const { id } of store.prepare('SELECT id FROM folders WHERE live = 1').all()) {
    const run = String(id);
    if (runs !== undefined && !runs.includes(run)) continue;
    const folder = runFolder(layout, run);
    if (!hasConsoleFiles(folder)) continue;
    try {
      if (recoverConsole(folder, run, CLIENT)) recovered.push(run);
    } catch {
      // A full or read-only disk: the files stay, and the next one tries again.
    }
  }
  return recovered;
}
