import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { takeSnapshot } from '../../src/git/snapshot.ts';
import { type Bench, type BenchOptions, type Figure, inTurn } from '../figure.ts';
import { timeProcess } from '../process.ts';
import { gitEnvironment, makeRepository } from '../repository.ts';

/** The code pinned, against the one question that has to be asked of git in any case. */
async function run({ scratch, quick }: BenchOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  const env = gitEnvironment();
  for (const files of quick ? [1000] : [1000, 20_000]) {
    const folder = join(scratch, `repository-${files}`);
    mkdirSync(folder);
    const repository = makeRepository(folder, files);
    const privateDir = join(scratch, `private-${files}`);
    const status = () => timeProcess('git', ['status', '--porcelain'], { cwd: folder, env });
    const snapshot = async (changed: number) => {
      const began = performance.now();
      const taken = await takeSnapshot({ cwd: folder, env, privateDir });
      const took = performance.now() - began;
      if (taken.incomplete || taken.changed_count !== changed) throw new Error(JSON.stringify(taken));
      return took;
    };
    for (const changed of [0, 1, 100]) {
      repository.change(changed);
      await status();
      await snapshot(changed);
      const [waddle, git] = await inTurn(
        quick ? 3 : 15,
        () => {
          // New content each time: a second snapshot of the same would find its objects there.
          repository.change(changed);
          return snapshot(changed);
        },
        status,
      );
      const state = changed === 0 ? 'clean' : `${changed} changed`;
      figures.push({
        name: `snapshot, ${files.toLocaleString('en')} files, ${state}`,
        value: waddle,
        unit: 'ms',
        floor: git,
        against: 'git status',
        goal: 'at most 2x + 60 ms',
        reached: waddle <= 2 * git + 60,
      });
    }
  }
  return figures;
}

export const snapshot: Bench = { name: 'snapshot', run };
