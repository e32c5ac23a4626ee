import { join, sep } from 'node:path';

/**
 * Where everything lies in a project folder's `.waddle/` (docs/journal.md). Paths only: nothing here touches the disk.
 */
export interface Layout {
  /** The project folder: the one that holds `waddle.json` and `.waddle/`. */
  project: string;
  /** `<project>/.waddle` */
  root: string;
  runs: string;
  /** Journals of links, removals and restorations. */
  projectJournals: string;
  blobs: string;
  /** The private bare repository for code that the user's repository cannot hold. */
  privateGit: string;
  /** Copies of recorded code that isolated jobs run in. */
  pool: string;
}

export function layoutOf(project: string): Layout {
  const root = join(project, '.waddle');
  return {
    project,
    root,
    runs: join(root, 'runs'),
    projectJournals: join(root, 'project'),
    blobs: join(root, 'blobs'),
    privateGit: join(root, 'git'),
    pool: join(root, 'pool'),
  };
}

export function runFolder(layout: Layout, runId: string): string {
  // As `join` would: what asks for thousands need not wait for it.
  return `${layout.runs}${sep}${runId}`;
}

/** The file that takes the job's stdout (`1`) or stderr (`2`) until the run has ended. An attempt has its own pair. */
export function consoleFile(folder: string, stream: 1 | 2, attempt: string): string {
  const suffix = attempt.split('-').at(-1) ?? attempt;
  return join(folder, stream === 1 ? `stdout-${suffix}.log` : `stderr-${suffix}.log`);
}
