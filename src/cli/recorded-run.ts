/** A run with the code that it recorded, for the commands that bring that back. */
import { WaddleError } from '../errors/waddle-error.ts';
import type { SnapshotRecord } from '../events/schema.ts';
import { findRecordedCode, type RecordedCode } from '../git/recorded-code.ts';
import type { LeftOut, Snapshot } from '../git/snapshot-record.ts';
import { emptySnapshot } from '../git/snapshot-session.ts';
import { answerNow } from '../store/answer-now.ts';
import { type RunRow, readRun } from '../store/read.ts';
import { findLink } from './links.ts';
import type { Opened } from './opened-store.ts';

export interface RecordedRun {
  run: RunRow;
  snapshot: Snapshot;
  code: RecordedCode;
}

/** The run of this id, its snapshot, and where its code is now. Errors: `code-not-recorded`, `code-missing`. */
export async function recordedRun(opened: Opened, id: string): Promise<RecordedRun> {
  const { context, layout, store } = opened;
  const num = store.prepare('SELECT num FROM runs WHERE id = ?').get(id)?.num;
  const run = num === undefined ? undefined : answerNow(store, readRun(Number(num)));
  const record = run?.snapshot;
  if (run === undefined || record === undefined || record === null) {
    throw new WaddleError(
      'code-not-recorded',
      `run ${id} has no snapshot: its code was not recorded`,
      run?.status === 'running'
        ? 'It may be about to begin: try again.'
        : 'waddle show has what was recorded.',
    );
  }
  const snapshot = snapshotOf(record);
  const link = run.repo === null ? null : findLink(layout, run.repo);
  const code = await findRecordedCode({
    snapshot,
    env: context.env,
    privateDir: layout.privateGit,
    places: [...(link === null ? [] : [link]), layout.project, context.cwd],
  });
  return { run, snapshot, code };
}

/** A record of any version as this one knows it: what is missing has its empty value. */
function snapshotOf(record: SnapshotRecord): Snapshot {
  const known: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(record)) if (value !== undefined) known[key] = value;
  const snapshot = { ...emptySnapshot(), ...known } as Snapshot;
  snapshot.nested = snapshot.nested.map((each) => ({ ...each, commit: each.commit ?? null }));
  return snapshot;
}

/** What a snapshot lacks, a line each: path, and why. Files that the user excluded are not meant to be there. */
export function lackingFiles(snapshot: Snapshot, code: RecordedCode): LeftOut[] {
  const gone = code.missing.map(
    (path): LeftOut => ({ path: `${path}/`, size: null, mtime: null, reason: 'nested' }),
  );
  return [...snapshot.left_out.filter((each) => each.reason !== 'excluded'), ...gone];
}
