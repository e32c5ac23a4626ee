import type { LeftOutReason, Snapshot } from '../git/snapshot-record.ts';
import type { Written } from '../runner/job-place.ts';
import type { RunOutcome, RunPlan } from '../runner/supervision.ts';
import { formatBytes } from './format-number.ts';
import { formatDuration } from './format-time.ts';
import { inert } from './inert.ts';
import type { FinalState } from './run-store.ts';

/** Paths that a line names at most. */
const NAMED = 3;

/** What is said when the job starts: which run it is, and which code. */
export function describeStart(plan: RunPlan, label: string, snapshot: Snapshot): string {
  const again = plan.start === null ? 'resumes ' : '';
  let text = `waddle: ${again}run ${plan.runId} (${inert(label)}), ${describeCode(snapshot)}\n`;
  text += describeLeftOut(snapshot);
  for (const warning of snapshot.warnings) {
    // Told above, in one line for all reasons.
    if (warning.code.startsWith('left-out-')) continue;
    text += `waddle: ${inert(warning.message)}${warning.hint ? ` (${inert(warning.hint)})` : ''}\n`;
  }
  return text;
}

/** Why a file is not in the snapshot, in a word or two. */
const REASONS: Readonly<Record<LeftOutReason, string>> = {
  size: 'too large',
  total: 'too much in all',
  count: 'too many files',
  secret: 'looks like a secret',
  unreadable: 'not readable',
  special: 'no file',
  unstable: 'changed while it was read',
  time: 'out of time',
  excluded: 'excluded',
  nested: 'a repository that could not be recorded',
  failed: 'refused by git',
};

/** One line that names what the snapshot lacks, the largest first; '' where it has everything. */
function describeLeftOut({ left_out: all }: Snapshot): string {
  const leftOut = all.filter((each) => each.reason !== 'excluded');
  if (leftOut.length === 0) return '';
  leftOut.sort((a, b) => (b.size ?? 0) - (a.size ?? 0));
  const names = leftOut.map((each) => {
    const size = each.size === null ? '' : `${formatBytes(each.size)}, `;
    return `${inert(each.path)} (${size}${REASONS[each.reason]})`;
  });
  const mend = leftOut.some((each) => each.reason === 'size' || each.reason === 'total')
    ? '; .gitignore it if it is data, or raise snapshot.max_file_mb'
    : '';
  return `waddle: not in the snapshot: ${listed(names)}${mend}\n`;
}

function describeCode(snapshot: Snapshot): string {
  if (snapshot.commit === null)
    return snapshot.base === null ? 'code not recorded' : `HEAD ${short(snapshot.base)}`;
  const changed =
    snapshot.changed_count === 0
      ? ''
      : ` with ${snapshot.changed_count === 1 ? '1 changed file' : `${snapshot.changed_count} changed files`}`;
  return `commit ${short(snapshot.commit)}${snapshot.base === snapshot.commit ? '' : changed}`;
}

function short(id: string): string {
  return id.slice(0, 10);
}

function listed(names: readonly string[]): string {
  const more = names.length - NAMED;
  return more > 0 ? `${names.slice(0, NAMED).join(', ')} and ${more} more` : names.join(', ');
}

/** What is said at the end. */
export function describeEnd(plan: RunPlan, label: string, outcome: RunOutcome, final: FinalState): string {
  let text = `waddle: run ${plan.runId} (${inert(label)}) ${describeStatus(outcome)}\n`;
  const commit = outcome.snapshot?.commit ?? outcome.snapshot?.base;
  if (commit) text += `waddle: commit ${short(commit)}\n`;
  if (outcome.drift.length > 0) {
    text += `waddle: changed while it ran: ${listed(outcome.drift.map((each) => `${inert(each.path)} (${each.change})`))}\n`;
  }
  if (outcome.written !== null) text += describeWritten(outcome.written);
  const { metrics, dropped } = final;
  if (metrics.length > 0) {
    const shown = metrics.slice(0, 8).map(({ key, text: value }) => `${inert(key)} ${value}`);
    const more = metrics.length - shown.length;
    text += `waddle: ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}\n`;
  }
  const lost = Object.entries(dropped).filter(([, count]) => count > 0);
  if (lost.length > 0) {
    text += `waddle: not kept: ${lost.map(([reason, count]) => `${count} (${inert(reason)})`).join(', ')}\n`;
  }
  return `${text}waddle: waddle show ${plan.runId}\n`;
}

/** What is left of an isolated job's files. */
function describeWritten({ folder, files, artifacts }: Written): string {
  let text = '';
  if (artifacts.length > 0) text += `waddle: logged as artifacts: ${listed(artifacts.map(inert))}\n`;
  const kept = files
    .filter((each) => each.change !== 'removed' && !artifacts.includes(each.path.replace(/\/$/, '')))
    .map((each) => inert(each.path));
  if (folder !== null)
    text += `waddle: written in its copy of the code: ${listed(kept)}, now in ${inert(folder)}\n`;
  const removed = files.filter((each) => each.change === 'removed').map((each) => inert(each.path));
  if (removed.length > 0) text += `waddle: removed in its copy of the code: ${listed(removed)}\n`;
  return text;
}

function describeStatus(outcome: RunOutcome): string {
  const took = ` after ${formatDuration(outcome.seconds)}`;
  const why = outcome.reason === null ? '' : `: ${outcome.reason}`;
  if (outcome.status === 'completed') return `completed${took}`;
  return `${outcome.status}${took} with exit code ${outcome.exitCode}${why}`;
}
