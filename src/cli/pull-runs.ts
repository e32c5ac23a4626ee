/** Bringing the runs of a remote into this folder. */
import { WaddleError } from '../errors/waddle-error.ts';
import { isRunId } from '../events/ids.ts';
import type { FolderSpace } from '../sync/folder-space.ts';
import type { JournalMark, ListedRun, ListQuery, Removal, Space } from '../sync/space.ts';
import { type TransferProgress, type TransferReport, transfer } from '../sync/transfer.ts';
import { planTransfer } from './sync-plan.ts';

export interface PullOptions {
  own: FolderSpace;
  remote: Space;
  /** Runs by id, prefix or name; all that fit the query where there are none. */
  texts: readonly string[];
  query: Pick<ListQuery, 'project' | 'since' | 'filter'>;
  artifacts: boolean;
  code: boolean;
  prune?: boolean | undefined;
  dryRun?: boolean | undefined;
  onProgress?: ((progress: TransferProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface Pulled {
  /** Runs of the remote that were looked at. */
  looked: number;
  report: TransferReport;
  /** Removals that hold elsewhere and not here, of runs that are here. */
  removedThere: Removal[];
  /** Runs that were removed here by this pull. */
  pruned: string[];
}

export async function pullRuns(options: PullOptions): Promise<Pulled> {
  const { own, remote, prune } = options;
  const listed = await listAll(options);
  const runs = options.texts.length === 0 ? listed.runs : chosen(listed.runs, options.texts);
  const here = new Set(own.runIds());
  const before = own.removals();
  const removedHere = new Set(before.removals.filter(({ applied }) => applied).map(({ run }) => run));
  const digests = await own.digests(runs.map((run) => run.id));
  const wanted = runs
    // Removed here, it does not come back by itself; removed there, it is not begun here.
    .filter(({ id, removed }) => !removedHere.has(id) && (!removed || here.has(id)))
    .filter(({ id, digest }) => digests.get(id) !== digest)
    .map(({ id }) => id);
  const { artifacts, code } = options;
  let report: TransferReport;
  if (options.dryRun === true) {
    report = await planTransfer({ from: remote, to: own, runs: wanted, artifacts, code });
  } else {
    const project = [...listed.project].filter(([writer, { length }]) => {
      return prune === true || (before.project.get(writer)?.length ?? 0) < length;
    });
    report = await transfer({
      from: remote,
      to: own,
      runs: wanted,
      project: project.map(([writer]) => writer),
      apply: prune,
      artifacts,
      code,
      onProgress: options.onProgress,
      signal: options.signal,
    });
  }
  const left = new Set(own.runIds());
  const known = options.dryRun === true ? listed.removals : own.removals().removals;
  return {
    looked: runs.length,
    report,
    removedThere: known.filter(({ run, applied }) => left.has(run) && (options.dryRun === true || !applied)),
    pruned: [...here].filter((run) => !left.has(run)),
  };
}

async function listAll({ remote, query }: PullOptions) {
  const runs: ListedRun[] = [];
  const project = new Map<string, JournalMark>();
  const removals: Removal[] = [];
  for (let after: string | undefined; ; ) {
    const page = await remote.list({ ...query, ...(after === undefined ? {} : { after }) });
    runs.push(...page.runs);
    for (const [writer, mark] of page.project) project.set(writer, mark);
    if (after === undefined) removals.push(...page.removals);
    if (page.next === null || page.next === after) return { runs, project, removals };
    after = page.next;
  }
}

/** The runs that were named: a full id, else the newest of that name, else what an id begins with. */
function chosen(runs: readonly ListedRun[], texts: readonly string[]): ListedRun[] {
  const newest = [...runs].sort((a, b) => (b.started_at ?? 0) - (a.started_at ?? 0));
  const found = texts.map((text) => {
    const named = newest.find((run) => run.id === text) ?? newest.find((run) => run.name === text);
    if (named !== undefined) return named;
    const begun = text.length >= 4 && !isRunId(text) ? newest.filter((run) => run.id.startsWith(text)) : [];
    if (begun.length === 1 && begun[0] !== undefined) return begun[0];
    throw new WaddleError(
      begun.length > 1 ? 'run-ambiguous' : 'run-not-found',
      begun.length > 1
        ? `"${text}" fits ${begun.length} runs of the remote`
        : `the remote has no run "${text}"`,
      begun.length > 1 ? 'Give more characters of its id.' : 'waddle pull --dry-run lists what is new there.',
    );
  });
  return [...new Set(found)];
}
