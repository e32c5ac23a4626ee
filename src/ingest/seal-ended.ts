import type { Layout } from '../journal/layout.ts';
import { judgeLife } from '../journal/process-identity.ts';
import { sealJournal } from '../journal/seal.ts';
import type { Store } from '../store/open.ts';
import { journalPath } from './find-work.ts';
import { identityOfRow, type JudgeLife } from './life.ts';
import { SMALL_EDITS_BYTES } from './seal-received.ts';

export interface SealReport {
  /** Paths of the plain journals that were sealed. */
  sealed: string[];
  failed: { path: string; message: string }[];
}

/**
 * Seals the journals of runs that have ended, each only where its writer said that it is done, or is proved gone on this
 * host (DESIGN.md, decision 11). The database must be caught up. What cannot be sealed stays as it is and is reported.
 */
export function sealEnded(options: {
  layout: Layout;
  store: Store;
  runs?: readonly string[];
  judge?: JudgeLife;
}): SealReport {
  const { layout, store, runs } = options;
  const judge = options.judge ?? judgeLife;
  const report: SealReport = { sealed: [], failed: [] };
  const done: number[] = [];
  const rows = store
    .prepare(
      `SELECT j.*, r.id AS run_id FROM journals j JOIN runs r ON r.num = j.run
       WHERE j.sealed = 0 AND r.status <> 'running'`,
    )
    .all();
  for (const row of rows) {
    if (runs !== undefined && !runs.includes(String(row.run_id))) continue;
    if (row.role === 'edits' && Number(row.offset) < SMALL_EDITS_BYTES) continue;
    if (row.closed !== 1) {
      const identity = identityOfRow(row);
      if (identity === null || judge(identity) !== 'dead') continue;
    }
    const path = journalPath(layout, String(row.run_id), String(row.writer));
    try {
      const outcome = sealJournal(path);
      if (outcome === 'sealed') report.sealed.push(path);
      if (outcome === 'sealed' || outcome === 'already-sealed') done.push(Number(row.id));
    } catch (error) {
      report.failed.push({ path, message: error instanceof Error ? error.message : String(error) });
    }
  }
  if (done.length > 0) {
    store.transaction(() => {
      for (const id of done) store.prepare('UPDATE journals SET sealed = 1 WHERE id = ?').run(id);
    });
  }
  return report;
}
