/** Putting files into the private index: what cannot be put there is named, and never stops the rest. */
import { constants } from 'node:fs';
import { open, readlink, rm } from 'node:fs/promises';
import { WaddleError } from '../errors/waddle-error.ts';
import type { FileStamp } from './file-stamp.ts';
import { below, joinNul } from './path-text.ts';
import { firstLine, type Git, type GitResult, runGit, runGitPastFilters, storeRefuses } from './run-git.ts';

export interface StageItem {
  readonly path: Buffer;
  readonly text: string;
  readonly stamp: FileStamp;
  /** Untracked files are given up when time is short; tracked ones are not. */
  readonly tracked: boolean;
}

export interface StageReport {
  readonly failed: StageItem[];
  readonly late: StageItem[];
  /** Stored as they lie on disk, since git's conversion failed on them. */
  readonly raw: string[];
  /** Will not come back with the line ends they have. */
  readonly lineEnds: string[];
  /** Commands of optional filters that could not run: git then takes the content as it is, and goes on. */
  readonly filters: Set<string>;
}

/** One batch holds at most this many untracked files and bytes, so that the deadline is met to within a batch. */
const batchFiles = 1000;
const batchBytes = 32 * 2 ** 20;

/** After this many files that fail one by one, the rest of their batch is given up. */
const failureLimit = 100;

/** Hashes and stages files. Errors: `store-refused` where git cannot write objects or the index at all. */
export async function stageFiles(git: Git, items: readonly StageItem[]): Promise<StageReport> {
  const report: StageReport = { failed: [], late: [], raw: [], lineEnds: [], filters: new Set() };
  const patient = { ...git, deadline: undefined };
  const batches = batchesOf(items);
  for (const [index, batch] of batches.entries()) {
    if (batch.every((item) => item.tracked)) {
      await stageBatch(patient, batch, report);
    } else if (!(await stageBatch(git, batch, report))) {
      const rest = batches.slice(index).flat();
      report.late.push(...rest.filter((item) => !item.tracked));
      await stageBatch(
        patient,
        rest.filter((item) => item.tracked),
        report,
      );
      break;
    }
  }
  return report;
}

function batchesOf(items: readonly StageItem[]): StageItem[][] {
  const batches: StageItem[][] = [];
  let batch: StageItem[] = items.filter((item) => item.tracked);
  const untracked = items.filter((item) => !item.tracked);
  let files = 0;
  let bytes = 0;
  const small =
    untracked.length <= batchFiles && untracked.reduce((sum, item) => sum + item.stamp.size, 0) <= batchBytes;
  for (const item of untracked) {
    if (!small && (batches.length === 0 || files >= batchFiles || bytes + item.stamp.size > batchBytes)) {
      batches.push(batch);
      batch = [];
      files = 0;
      bytes = 0;
    }
    batch.push(item);
    files += 1;
    bytes += item.stamp.size;
  }
  return [...batches, batch].filter((each) => each.length > 0);
}

/** False where the deadline came first; then nothing of the batch is staged. */
async function stageBatch(git: Git, items: readonly StageItem[], report: StageReport): Promise<boolean> {
  if (items.length === 0) return true;
  const result = await runGitPastFilters(
    git,
    ['-c', 'core.safecrlf=warn', 'update-index', '--add', '--remove', '--replace', '-z', '--stdin'],
    joinNul(items.map((item) => item.path)),
  );
  if (result.ok) {
    report.lineEnds.push(...lineEnds(result.err));
    for (const match of result.err.matchAll(/external filter '(.+)' failed/g))
      report.filters.add(match[1] ?? '');
    return true;
  }
  await afterFailure(git, result);
  if (result.why === 'late') return false;
  // One bad path fails the whole call: find it, by the name git gives or by halves, and stage the rest without it.
  const named = /Unable to process path (.*)/.exec(result.err)?.[1];
  const bad = named === undefined ? undefined : items.find((item) => item.path.toString() === named);
  if (items.length === 1 || bad) {
    const one = bad ?? items[0];
    if (!one) return true;
    if (report.failed.length >= failureLimit) {
      report.failed.push(...items);
      return true;
    }
    const rest = items.filter((item) => item !== one);
    if (!(await stageBatch(git, rest, report))) return false;
    if (await stageRaw(git, one)) report.raw.push(one.text);
    else report.failed.push(one);
    return true;
  }
  const middle = Math.ceil(items.length / 2);
  return (
    (await stageBatch(git, items.slice(0, middle), report)) && stageBatch(git, items.slice(middle), report)
  );
}

/** A killed git leaves its lock; a place that cannot be written is not the fault of any one file. */
async function afterFailure(git: Git, result: GitResult): Promise<void> {
  if (git.indexFile !== undefined) await rm(`${git.indexFile}.lock`, { force: true });
  if (storeRefuses(result.err) || result.why === 'missing') {
    throw new WaddleError('store-refused', firstLine(result.err), 'run `waddle doctor`');
  }
}

/** Content as it lies on disk, without conversions. False where even that cannot be read. */
async function stageRaw(git: Git, item: StageItem): Promise<boolean> {
  const path = below(git.workTree ?? git.cwd, item.path);
  const hash = ['hash-object', '-w', '--no-filters', '--stdin'];
  let result: GitResult;
  try {
    if (item.stamp.kind === 'link') {
      result = await runGit(git, hash, await readlink(path, { encoding: 'buffer' }));
    } else {
      // Never follows a link that has taken the file's place, nor waits for a FIFO.
      const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
      try {
        if (!(await file.stat()).isFile()) return false;
        result = await runGit(git, hash, file.fd);
      } finally {
        await file.close();
      }
    }
  } catch {
    if (git.signal?.aborted) throw git.signal.reason;
    return false;
  }
  if (!result.ok) {
    await afterFailure(git, result);
    return false;
  }
  const mode = item.stamp.kind === 'link' ? '120000' : item.stamp.executable ? '100755' : '100644';
  return stageEntries(git, [{ path: item.path, mode, id: result.out.toString().trim() }]);
}

export interface IndexEntry {
  readonly path: Buffer;
  /** `0` removes the path. */
  readonly mode: string;
  readonly id: string;
}

/** Writes entries by their ids: removals and nested commits. False where git refused. */
export async function stageEntries(git: Git, entries: readonly IndexEntry[]): Promise<boolean> {
  if (entries.length === 0) return true;
  const lines = entries.map((entry) =>
    Buffer.concat([Buffer.from(`${entry.mode} ${entry.id}\t`), entry.path]),
  );
  const result = await runGit(
    { ...git, deadline: undefined },
    ['update-index', '-z', '--index-info'],
    joinNul(lines),
  );
  if (!result.ok) await afterFailure(git, result);
  return result.ok;
}

/** Makes git look at files again that the user told it to assume unchanged or to skip. */
export async function clearMarks(
  git: Git,
  assumed: readonly Buffer[],
  skipped: readonly Buffer[],
): Promise<void> {
  for (const [flag, paths] of [
    ['--no-assume-unchanged', assumed],
    ['--no-skip-worktree', skipped],
  ] as const) {
    if (paths.length === 0) continue;
    const result = await runGit(git, ['update-index', flag, '-z', '--stdin'], joinNul(paths));
    if (!result.ok) await afterFailure(git, result);
  }
}

/** The files that git's `safecrlf` warns of, in the words of git 2.37 and of older ones. */
function lineEnds(err: string): string[] {
  return [
    ...err.matchAll(
      /in the working copy of '(.*)', (?:CRLF|LF) will be replaced|(?:CRLF|LF) will be replaced by (?:CRLF|LF) in (.*)\.$/gm,
    ),
  ].map((match) => match[1] ?? match[2] ?? '');
}
