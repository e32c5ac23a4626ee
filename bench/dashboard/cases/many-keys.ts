import { join } from 'node:path';
import { type Figure, median } from '../../figure.ts';
import { figure, type PageBench, type PageOptions } from '../case.ts';
import { serve } from '../server.ts';
import { keyNames, manyRuns } from '../stores.ts';

/** One run of 1,000 keys: usable is when all charts in view are drawn and the main thread is free. */
async function run({ root, scratch, quick, browser }: PageOptions): Promise<Figure[]> {
  const plan = { runs: 1, keys: keyNames(1000), steps: quick ? 20 : 200 };
  const project = await manyRuns(join(scratch, 'project'), plan);
  const server = await serve(root, project.folder);
  try {
    const time = async (path: string, name: string): Promise<number> => {
      await (await browser.visit(server.url + path)).drawn();
      const times: number[] = [];
      for (let round = 0; round < (quick ? 1 : 5); round += 1) {
        const watched = await browser.visit(server.url + path, `${name}-${round}`);
        const { first } = await watched.drawn();
        const blocked = await watched.ask<[number, number][]>('bench.blocked');
        times.push(Math.max(first, ...blocked.map(([start, long]) => start + long)));
        await watched.close();
      }
      return median(times);
    };
    const first = await time('/', 'many-keys');
    const own = await time(`/runs/${project.runs[0]}/charts`, 'many-keys-run');
    return [
      figure('one run of 1,000 keys, usable on the first page', first, 'ms', { most: 800 }),
      figure('one run of 1,000 keys, usable on the run’s page', own, 'ms', { most: 800 }),
    ];
  } finally {
    await server.stop();
  }
}

export const manyKeys: PageBench = { name: 'many-keys', run };
