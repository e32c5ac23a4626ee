import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findRecordedCode } from '../../src/git/recorded-code.ts';
import { takeSnapshot } from '../../src/git/snapshot.ts';
import type { Snapshot } from '../../src/git/snapshot-record.ts';
import { takeCopy } from '../../src/runner/copy-pool.ts';
import { type Bench, type BenchOptions, type Figure, inTurn } from '../figure.ts';
import { timeProcess } from '../process.ts';
import { gitEnvironment, makeRepository } from '../repository.ts';

/** What `run --isolate` waits for: a copy of the pool, pointed at the run's code, after a job has left its files there. */
async function run({ scratch, quick }: BenchOptions): Promise<Figure[]> {
  const figures: Figure[] = [];
  const env = gitEnvironment();
  const sizes = [
    { files: 1000, limit: 50 },
    { files: 20_000, limit: 200 },
    { files: 100_000, limit: 600 },
  ];
  for (const { files, limit } of quick ? sizes.slice(0, 1) : sizes) {
    const folder = join(scratch, `repository-${files}`);
    mkdirSync(folder);
    const repository = makeRepository(folder, files);
    const privateDir = join(scratch, `private-${files}`);
    const codeNow = async () => {
      const snapshot: Snapshot = await takeSnapshot({ cwd: folder, env, privateDir });
      return findRecordedCode({ snapshot, env, privateDir, places: [] });
    };
    const codes = [await codeNow()];
    repository.change(3);
    codes.push(await codeNow());
    const pool = join(scratch, `pool-${files}`);
    let round = 0;
    const point = async (): Promise<number> => {
      round += 1;
      const code = codes[round % 2];
      if (code === undefined) throw new Error('there are two');
      const began = performance.now();
      const copy = await takeCopy({
        pool,
        runId: `run${round}`,
        code,
        links: [],
        keep: join(scratch, `outputs-${files}-${round}`),
        env,
      });
      const took = performance.now() - began;
      writeFileSync(join(copy.folder, 'model.bin'), 'weights');
      await copy.collect();
      copy.release();
      return took;
    };
    const first = await point();
    await point();
    const [waddle, git] = await inTurn(quick ? 3 : 15, point, () =>
      timeProcess('git', ['status', '--porcelain'], { cwd: folder, env }),
    );
    const name = `copy for an isolated run, ${files.toLocaleString('en')} files`;
    figures.push(
      { name: `${name}, made anew`, value: first, unit: 'ms', floor: null, against: null },
      {
        name: `${name}, re-pointed`,
        value: waddle,
        unit: 'ms',
        floor: git,
        against: 'git status',
        goal: `at most ${limit} ms`,
        reached: waddle <= limit,
      },
    );
  }
  return figures;
}

export const copies: Bench = { name: 'copies', run };
