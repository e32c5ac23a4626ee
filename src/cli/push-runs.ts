/** Sending the runs of this folder to a remote. */
import type { FolderSpace } from '../sync/folder-space.ts';
import type { SecretFind } from '../sync/secret-scan.ts';
import type { Removal, RunState, Space } from '../sync/space.ts';
import { type TransferProgress, type TransferReport, transfer } from '../sync/transfer.ts';
import { planTransfer } from './sync-plan.ts';

/** After so many finds the rest is not worth the wait. */
const ENOUGH_SECRETS = 100;

export interface PushOptions {
  own: FolderSpace;
  remote: Space;
  /** Null: every run that is here and not removed. */
  runs: readonly string[] | null;
  dryRun?: boolean | undefined;
  allowSecrets?: boolean | undefined;
  /** Removals take effect there. */
  prune?: boolean | undefined;
  onProgress?: ((progress: TransferProgress) => void) | undefined;
  signal?: AbortSignal | undefined;
}

export interface Pushed {
  /** Runs that were looked at. */
  looked: number;
  /** Null where secrets were found: then nothing has left. */
  report: TransferReport | null;
  secrets: SecretFind[];
  /** Runs that were removed there, and are here. */
  removedThere: Removal[];
}

/** Two requests where there is nothing new: one to be let in, one to compare. */
export async function pushRuns(options: PushOptions): Promise<Pushed> {
  const { own, remote } = options;
  const runs = options.runs ?? own.runIds();
  const { project, removals: ownRemovals } = own.removals();
  const digests = await own.digests(runs);
  const compared = await remote.compare(digests, project);
  const gone = new Set(compared.removed);
  const changed = [...compared.unknown, ...compared.differ].filter((run) => !gone.has(run));
  const here = new Set(runs);
  const removedThere = compared.removals.filter(({ run }) => here.has(run));
  const result: Pushed = { looked: runs.length, report: null, secrets: [], removedThere };
  // Of a run that goes on, what was looked through is sent, and no line that came meanwhile.
  const looked = new Map<string, RunState>();
  if (changed.length > 0 && options.allowSecrets !== true) {
    const { scanForSecrets } = await import('../sync/secret-scan.ts');
    result.secrets = await scanForSecrets({ own, remote, runs: changed, enough: ENOUGH_SECRETS, looked });
    if (result.secrets.length > 0) return result;
  }
  if (options.dryRun === true) {
    result.report = await planTransfer({ from: own, to: remote, runs: changed });
    return result;
  }
  // What was only told there before is told again with the order to apply it.
  const told =
    options.prune === true && ownRemovals.length > 0 ? [...project.keys()] : compared.projectMissing;
  result.report = await transfer({
    from: own,
    to: remote,
    runs: changed,
    states: looked,
    project: told,
    apply: options.prune,
    onProgress: options.onProgress,
    signal: options.signal,
  });
  return result;
}
