/** What push or pull would move: for `--dry-run`. */
import type { RunState, Space } from '../sync/space.ts';
import type { TransferReport } from '../sync/transfer.ts';

const RUNS_AT_ONCE = 200;

/** As a transfer would report it; packs are not made for it, so that code counts without bytes. */
export async function planTransfer(options: {
  from: Space;
  to: Space;
  runs: readonly string[];
  artifacts?: boolean;
  code?: boolean;
}): Promise<TransferReport> {
  const { from, to, runs } = options;
  const report: TransferReport = {
    runs: new Set(),
    journals: { pieces: 0, bytes: 0 },
    blobs: { count: 0, bytes: 0 },
    trees: { count: 0, bytes: 0 },
    problems: [],
  };
  const blobs = new Set<string>();
  const trees = new Set<string>();
  for (let at = 0; at < runs.length; at += RUNS_AT_ONCE) {
    const batch = runs.slice(at, at + RUNS_AT_ONCE);
    const [here, there] = await Promise.all([from.states(batch), to.states(batch)]);
    for (const [run, source] of here) plan(run, source, there.get(run), options, report, blobs, trees);
  }
  return report;
}

function plan(
  run: string,
  source: RunState,
  target: RunState | undefined,
  options: { artifacts?: boolean; code?: boolean },
  report: TransferReport,
  blobs: Set<string>,
  trees: Set<string>,
): void {
  for (const [writer, { length }] of source.journals) {
    const missing = length - (target?.journals.get(writer)?.length ?? 0);
    if (missing <= 0) continue;
    report.journals.pieces += 1;
    report.journals.bytes += missing;
    report.runs.add(run);
  }
  const storedBlobs = new Set(target?.blobs.map(({ sha256 }) => sha256));
  for (const { sha256, size } of options.artifacts === false ? [] : source.blobs) {
    if (storedBlobs.has(sha256) || blobs.has(sha256)) continue;
    blobs.add(sha256);
    report.blobs.count += 1;
    report.blobs.bytes += size;
    report.runs.add(run);
  }
  for (const tree of options.code === false ? [] : source.trees) {
    if (target?.trees.includes(tree) === true || trees.has(tree)) continue;
    trees.add(tree);
    report.trees.count += 1;
    report.runs.add(run);
  }
}
