/** What push and pull tell: how far they are, what moved, what did not. */
import type { Removal } from '../sync/space.ts';
import type { TransferProblem, TransferProgress, TransferReport } from '../sync/transfer.ts';
import type { Context } from './context.ts';
import { count, formatBytes } from './format-number.ts';
import { formatAge } from './format-time.ts';
import { inert } from './inert.ts';
import { type Progress, startProgress } from './progress.ts';

const BAR = 24;
/** Problems and removals that are told one by one. */
const TOLD = 10;

/** A bar on a terminal. */
export function startTransferProgress(
  context: Context,
): Progress & { show(progress: TransferProgress): void } {
  const progress = startProgress(context);
  return {
    ...progress,
    show({ phase, bytes, totalBytes }) {
      const share = totalBytes === 0 ? 0 : bytes / totalBytes;
      const full = Math.round(share * BAR);
      const bar = '█'.repeat(full) + '░'.repeat(BAR - full);
      progress.update(`${phase.padEnd(9)} ${bar} ${formatBytes(bytes)} of ${formatBytes(totalBytes)}`);
    },
  };
}

/** Outcomes that leave nothing to be mended here: the other side does not want the run. */
const SETTLED = new Set<TransferProblem['code']>(['run-removed']);

export function hasFailed(report: TransferReport): boolean {
  return report.problems.some(({ code }) => !SETTLED.has(code));
}

/** As `3 runs: 1.2 MB of metrics and console, 2 artifacts (34 MB), code of 1`. */
export function movedText(report: TransferReport): string {
  const parts: string[] = [];
  const { journals, blobs, trees } = report;
  if (journals.bytes > 0) parts.push(`${formatBytes(journals.bytes)} of journals`);
  if (blobs.bytes > 0) parts.push(`${count(blobs.count, 'artifact file')} (${formatBytes(blobs.bytes)})`);
  if (trees.bytes > 0)
    parts.push(`${count(trees.count, 'version')} of the code (${formatBytes(trees.bytes)})`);
  return `${count(report.runs.size, 'run')}${parts.length === 0 ? '' : `: ${parts.join(', ')}`}`;
}

const HINTS: Partial<Record<TransferProblem['code'], string>> = {
  'journal-diverged': 'Both copies are kept. One of them was changed by hand, or restored from a backup.',
  'quota-exceeded': 'Ask who runs the collector for more room.',
  'project-denied': 'The token is for another project.',
  'line-too-long':
    'What that process logged before it is there; what it logged after stays here, whole. (Waddle writes no line over 8 MiB now.)',
  'code-failed': 'git fsck checks the repository; in a partial clone: git fetch --refetch',
};

export function tellProblems(context: Context, problems: readonly TransferProblem[]): void {
  for (const { run, what, code, message } of problems.slice(0, TOLD)) {
    const place = run === null ? what : `run ${run}, ${what.length > 40 ? `${what.slice(0, 12)}…` : what}`;
    context.warn(`waddle: ${inert(place)}: ${inert(message)} (${code})\n`);
  }
  const more = problems.length - TOLD;
  if (more > 0) context.warn(`waddle: and ${more} more\n`);
  for (const code of new Set(problems.map((problem) => problem.code))) {
    const hint = HINTS[code];
    if (hint !== undefined) context.warn(`${hint}\n`);
  }
}

export function tellRemovals(context: Context, removals: readonly Removal[], hint: string): void {
  for (const { run, by, at } of removals.slice(0, TOLD)) {
    const who = by === null ? '' : ` by ${inert(by)}`;
    context.say(`run ${run} was removed${who} ${formatAge(context.now() / 1000 - at)} ago\n`);
  }
  const more = removals.length - TOLD;
  if (more > 0) context.say(`and ${more} more\n`);
  if (removals.length > 0) context.say(`${hint}\n`);
}

/** For `--json`. */
export function reportJson(report: TransferReport) {
  return {
    runs: [...report.runs].sort(),
    journals: report.journals,
    artifacts: report.blobs,
    code: report.trees,
    problems: report.problems,
  };
}
