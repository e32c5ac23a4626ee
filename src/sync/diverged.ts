/** Keeping another's copy of a journal that differs from the one that is here: both are there to be looked at, one is read. */
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Layout } from '../journal/layout.ts';
import type { Space } from './space.ts';
import type { TransferProblem } from './transfer.ts';

/** A copy larger than this is not kept twice; bytes. */
const MOST_BYTES = 1024 ** 3;

/** Brings the other side's copies into `.waddle/diverged/`; gives their paths. What is kept already is not brought again. */
export async function keepDiverged(
  layout: Layout,
  from: Space,
  problems: readonly TransferProblem[],
): Promise<string[]> {
  const kept: string[] = [];
  for (const { run, what: writer, code } of problems) {
    if (code !== 'journal-diverged' || run === null) continue;
    const mark = (await from.states([run])).get(run)?.journals.get(writer);
    if (mark === undefined || mark.length > MOST_BYTES) continue;
    const folder = join(layout.root, 'diverged', run);
    const path = join(folder, `${writer}-${mark.root.slice(0, 12)}.jsonl`);
    kept.push(path);
    if (existsSync(path)) continue;
    mkdirSync(folder, { recursive: true });
    const temporary = `${path}.${process.pid}.tmp`;
    try {
      writeFileSync(temporary, '');
      for (let offset = 0; offset < mark.length; ) {
        const [piece] = await from.readJournals([{ run, writer, offset }]);
        if (piece === undefined || piece.bytes.length === 0) break;
        writeFileSync(temporary, piece.bytes, { flag: 'a' });
        offset += piece.bytes.length;
      }
      renameSync(temporary, path);
    } finally {
      rmSync(temporary, { force: true });
    }
  }
  return kept;
}
