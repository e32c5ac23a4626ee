import { join } from 'node:path';
import { type Figure, median } from '../../figure.ts';
import { figure, type PageBench, type PageOptions } from '../case.ts';
import { serve } from '../server.ts';
import { manyLines } from '../stores.ts';

/** 200 runs of 20 metrics of 500 samples: every line in every chart. */
async function run({ root, scratch, quick, browser }: PageOptions): Promise<Figure[]> {
  const runs = quick ? 50 : 200;
  const project = await manyLines(join(scratch, 'project'), runs, quick ? 100 : 500);
  const server = await serve(root, project.folder);
  try {
    await (await browser.visit(`${server.url}/`)).drawn();
    const times: number[] = [];
    const heaps: number[] = [];
    const blocked: number[] = [];
    let panels = 0;
    for (let round = 0; round < (quick ? 1 : 5); round += 1) {
      const watched = await browser.visit(`${server.url}/`, `many-lines-${round}`);
      const drawn = await watched.drawn();
      panels = drawn.panels;
      times.push(drawn.first);
      heaps.push(await watched.heap());
      blocked.push(await watched.blocked());
      await watched.close();
    }
    // Each line of this metric lies at its own height: a tall chart shows them apart.
    const tall = await browser.visit(`${server.url}/?rail=0&panels=level&size=4x900:level`);
    await tall.drawn();
    const lines = await tall.ask<number>(`bench.stacked('level')`);
    await tall.close();
    return [
      figure(`${runs} runs × 20 metrics, ${panels} charts in view drawn`, median(times), 'ms', {
        most: 1000,
      }),
      figure('the same, lines told apart in a chart', lines, 'lines', { least: runs }),
      figure('the same, heap', Math.max(...heaps) / 1e6, 'MB', { most: 80 }),
      figure('the same, longest blocked stretch', Math.max(...blocked), 'ms', { most: 100 }),
    ];
  } finally {
    await server.stop();
  }
}

export const manyLinesBench: PageBench = { name: 'many-lines', run };
